import PRAM
import Parity

/// Which pages of a range a chain with parity takes: its links all at the start, then the pages, and everything that
/// protects them at the end (Documentation/PARITY.md).
struct ChainPlacement {
    private let range: Range<UInt64>
    private let percent: Int
    /// Links besides the head.
    let links: Range<UInt64>

    /// - Parameters:
    ///   - range: all of its pages; it begins with the head.
    ///   - most: how many pages there will be to protect, or more.
    ///   - isExact: whether there will be just so many. Where there may be fewer, links have room for the most, and pages
    ///     that they do not take are lost.
    ///   - percent: parity pages for 100 pages, 1 to 50.
    /// - Returns: nil when the range has no room even for a second copy of the links.
    init?(_ range: Range<UInt64>, most: Int, isExact: Bool = true, percent: Int) {
        guard let size = Int(exactly: range.upperBound - range.lowerBound), most > 0 else { return nil }
        let most = min(most, size)
        let count: Int
        if let layout = ParityLayout(head: range.lowerBound, size: size, pages: most, percent: percent) {
            count = layout.links
        } else {
            // So many will not come, or it will be without parity.
            guard !isExact, let code = Interleaving(pages: most, percent: percent) else { return nil }
            count = min((most + code.parityPages + 2) / Link.capacity + 1, size / Link.capacity + 1)
        }
        guard count + 2 < size else { return nil }
        self.range = range
        self.percent = percent
        links = range.lowerBound + 2..<range.lowerBound + 1 + UInt64(count)
    }

    var frontLocator: UInt64 { range.lowerBound + 1 }
    /// Where the pages of files begin.
    var firstPage: UInt64 { links.upperBound }

    /// Where everything else lies, once it is known how many pages there are; of its start only the head is as here.
    /// - Returns: nil when there is no room.
    func layout(pages: Int) -> ParityLayout? {
        let reserved = Int(links.upperBound - links.lowerBound) + 1
        let size = Int(range.upperBound - range.lowerBound)
        guard
            let ideal = ParityLayout(head: range.lowerBound, size: size, pages: pages, percent: percent),
            ideal.links <= reserved
        else { return nil }
        // Pages for links that did not come are lost.
        for spare in [reserved - ideal.links, reserved - 1] where spare < size {
            let layout = ParityLayout(
                head: range.lowerBound + UInt64(spare), size: size - spare, pages: pages, percent: percent)
            if let layout, layout.links <= reserved, firstPage + UInt64(pages) <= layout.meta ?? layout.mirror {
                return layout
            }
        }
        return nil
    }
}

extension ChainPlacement {
    /// Whether the page frames of the memory allow it: what is protected must ascend and lie in few enough runs, and so
    /// must the copies of links. In a range all of it is one run.
    func fitsFrames(of memory: any WritableMemory, pages: Int) -> Bool {
        // Where nothing will be protected, nothing is in the way.
        guard let layout = layout(pages: pages) else { return true }
        var runs = 0
        var end: UInt64 = 0
        for page in firstPage..<firstPage + UInt64(pages) {
            let frame = memory.frame(of: PFN(page)).number
            if frame != end { runs += 1 }
            // The rank of a page is its place.
            guard frame >= end, runs <= ProtectedPages.mostRuns else { return false }
            end = frame &+ 1
        }
        return layout.copies(in: memory) != nil
    }
}

extension ParityLayout {
    /// The page frames of the copies of links and of the links' parity; nil where they lie too scattered.
    func copies(in memory: any WritableMemory) -> MirrorPlaces? {
        let pages = mirror..<mirror + UInt64(links + linkCode.parityPages)
        return MirrorPlaces(pages: pages.lazy.map { memory.frame(of: PFN($0)).number })
    }
}

extension SavePlan {
    /// How many META and DATA pages there are to save; nil past 2^63.
    var entryCount: Int? {
        var count: UInt64 = 0
        for file in files {
            let (sum, overflow) = count.addingReportingOverflow(file.pages)
            let (more, overflowAgain) = sum.addingReportingOverflow(1)
            if overflow || overflowAgain { return nil }
            count = more
        }
        return Int(exactly: count)
    }
}
