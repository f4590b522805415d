import PRAM
import Parity
import Verification

/// A chain that the range holds already, and that stays until the one that replaces it is complete.
public struct StandingChain {
    /// What it uses, also what no link lists: copies of links, their parity, the locators.
    private let used: SparseSet
    private let copies: [Range<UInt64>]
    private let range: Range<UInt64>

    /// Looks for the chain that starts at the range's first page.
    /// - Returns: nil where there is none that anybody could load as a whole, so that nothing is lost with it.
    public init?(in memory: any WritableMemory, threads: Int, seed: UInt64) {
        range = memory.pages
        let head = PFN(range.lowerBound)
        var used = SparseSet(seed: seed)
        var options = ChainCheck.Options()
        options.threads = threads
        options.observe = { walked, _ in
            _ = used.insert(walked.page.number)
            guard case .link(let link, _, _) = walked.content else { return }
            for entry in link.entries { _ = used.insert(entry.page.number) }
        }
        let evaluation = ChainCheck(head: memory.frame(of: head), memory: memory, options: options, seed: seed).run()
        guard evaluation.verdict == .intact, !used.isIncomplete else { return nil }
        var copies: [Range<UInt64>] = []
        for page in [range.lowerBound + 1, range.upperBound - 1] {
            guard let geometry = GeometryPage(locator: page, in: memory), geometry.head == head.number else { continue }
            copies = geometry.copies.runs
            break
        }
        self.used = used
        self.copies = copies
    }

    /// Whether a page holds what its links list. A locator is no such page.
    func lists(_ page: UInt64) -> Bool { used.contains(page) }

    /// So many pages in a row that it does not use, and that are neither the head's place nor that of a locator.
    func freeRun(_ count: UInt64) -> Range<UInt64>? {
        guard count > 0, range.upperBound - range.lowerBound > count + 2 else { return nil }
        var start = range.lowerBound + 2
        var page = start
        while page < range.upperBound - 1 {
            if let run = copies.first(where: { $0.contains(page) }) {
                page = run.upperBound
                start = page
                continue
            }
            page += 1
            if used.contains(page - 1) { start = page } else if page - start == count { return start..<page }
        }
        return nil
    }
}

extension SavePlan {
    /// Where the chain fits beside another one, with all the parity that is asked for: the pages from which files are
    /// given theirs, up to the last that may be written. nil where there is no room, and for a stream, of which nobody
    /// knows how much will come.
    func place(
        beside standing: StandingChain, parity: Int
    ) -> (pages: Range<UInt64>, placement: ChainPlacement?)? {
        guard !hasStream, let entries = entryCount, let bare = pagesNeeded else { return nil }
        guard parity > 0 else {
            // Of the pages that are needed one is the head.
            return standing.freeRun(bare - 1).map { ($0, nil) }
        }
        // Three of them have places of their own: the head and the locators. The placement counts them in all the same,
        // two before the run and one behind it.
        guard let needed = ParityLayout.pagesNeeded(pages: entries, percent: parity), needed > 3,
            let run = standing.freeRun(UInt64(needed - 3)),
            let placement = ChainPlacement(
                run.lowerBound - 2..<run.upperBound + 1, most: entries, percent: parity)
        else { return nil }
        return (placement.firstPage..<run.upperBound, placement)
    }
}
