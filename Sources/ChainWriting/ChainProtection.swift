import Linux
import MemorySources
import PRAM
import Parity
import Text
import Verification

/// Gives a chain that was cut parity of its own again, and a second copy of its links.
///
/// The parity file, the copies and new links go into pages of the range that the chain does not use, at its end as far as
/// there is room. What the links list is read back before the head is written, alone: a crash leaves the chain as it was,
/// without parity, or with it.
public struct ChainProtection {
    public struct Outcome {
        /// What a check says of the chain as it is now; nil where it was left as it is.
        public var chain: ChainEvaluation?
        /// How many pages in a row may be lost from now on.
        public var longestRun = 0
        /// How many parity pages there are not, for want of room.
        public var lacking = 0
        /// Why it was left as it is.
        public var obstacle: WritingFailure?
    }

    /// Where everything goes.
    private struct Place {
        let code: Interleaving?
        let linkCode: Interleaving
        /// Those of the links besides the head.
        let links: [UInt64]
        let front: UInt64
        let back: UInt64
        /// The first page of the parity file, or the first copy where there is none; the rest follows.
        let tail: UInt64

        var linkCount: Int { links.count + 1 }
        var parity: UInt64 { tail + 2 }
        var mirror: UInt64 { code.map { parity + UInt64($0.parityPages) } ?? tail }
    }

    private let chain: SurveyedChain
    private let memory: any WritableMemory
    private let threads: Int
    private let protected: ProtectedDigest
    private let pages: ProtectedPages
    private let place: Place
    private let geometry: GeometryPage
    private let stamp: LinkStamp
    /// How many parity pages there should be.
    private let wanted: Int

    /// - Parameters:
    ///   - chain: intact, and without parity.
    ///   - former: what protected it before.
    ///   - free: see `FreePages`.
    ///   - generation: marks the new links; any number that no other chain has.
    /// - Returns: nil where the range has no room, or the pages of the chain lie too scattered.
    public init?(
        _ chain: SurveyedChain, as former: FormerProtection, in memory: any WritableMemory, taking free: FreePages,
        generation: UInt64, threads: Int
    ) {
        guard chain.isComplete, chain.evaluation.verdict == .intact, chain.layout == .amd64, free != .none,
            memory.frame(of: chain.head) == chain.head, memory.pages.contains(chain.head.number)
        else { return nil }
        var pages = ProtectedPages()
        var protected = ProtectedDigest()
        for listed in chain.entries {
            pages.add(listed.entry.page.number)
            protected.add(page: listed.entry.page.number, checksum: listed.entry.checksum)
        }
        guard pages.order(),
            let wanted = Interleaving(pages: protected.count, percent: former.percent),
            let place = ChainProtection.place(chain, former, memory, free, wanted),
            let copies = MirrorPlaces(first: place.mirror, count: place.linkCount + place.linkCode.parityPages),
            let geometry = GeometryPage(
                head: chain.head.number, front: place.front, back: place.back, copies: copies,
                links: place.linkCount, code: place.code, generation: generation, protected: protected)
        else { return nil }
        self.chain = chain
        self.memory = memory
        self.threads = threads
        self.protected = protected
        self.pages = pages
        self.place = place
        self.geometry = geometry
        stamp = LinkStamp(generation: generation)
        self.wanted = wanted.parityPages
    }

    // MARK: - Where everything goes

    private static func place(
        _ chain: SurveyedChain, _ former: FormerProtection, _ memory: any WritableMemory, _ free: FreePages,
        _ wanted: Interleaving
    ) -> Place? {
        func isFree(_ page: UInt64) -> Bool { chain.isFree(page, free, former, memory) }
        let most = (wanted.pages + wanted.parityPages + 2) / Link.capacity + 2
        // Mostly there is room at the range's end, so that not all of it has to be looked at.
        let near = FreeRuns(
            in: memory.pages, lowest: most + 2, last: wanted.parityPages + 2 + most + Interleaving.mostRows, isFree)
        if let place = near.flatMap({ place(chain, memory, $0, wanted) }), place.code == wanted { return place }
        return FreeRuns(in: memory.pages, isFree).flatMap { place(chain, memory, $0, wanted) }
    }

    private static func place(
        _ chain: SurveyedChain, _ memory: any WritableMemory, _ runs: FreeRuns, _ wanted: Interleaving
    ) -> Place? {
        // Where one looks for them, as far as nothing of the chain lies there.
        let front = runs.contains(chain.head.number + 1) ? chain.head.number + 1 : nil
        let back = runs.contains(memory.pages.upperBound - 1) ? memory.pages.upperBound - 1 : nil
        func place(_ code: Interleaving?, _ run: Range<UInt64>) -> Place? {
            let parity = code.map { $0.parityPages + 2 } ?? 0
            let count = (wanted.pages + parity - 1) / Link.capacity + 1
            guard let linkCode = Interleaving(links: count) else { return nil }
            let size = UInt64(parity + count + linkCode.parityPages)
            let end = run.upperBound - (back == run.upperBound - 1 ? 1 : 0)
            guard end - run.lowerBound >= size, end - size != front else { return nil }
            let tail = end - size..<end
            // The head has a page.
            var others = runs.lowest(count + 1) { !tail.contains($0) && $0 != front && $0 != back }[...]
            guard let front = front ?? others.popFirst(), let back = back ?? others.popLast(), others.count >= count - 1
            else { return nil }
            return Place(
                code: code, linkCode: linkCode, links: Array(others.prefix(count - 1)), front: front, back: back,
                tail: tail.lowerBound)
        }
        /// With as much parity as there is room for.
        func best(_ run: Range<UInt64>) -> Place? {
            var (fits, tooMany) = (0, wanted.parityPages + 1)
            while tooMany - fits > 1 {
                let middle = (fits + tooMany) / 2
                if let code = wanted.fitting(room: middle), place(code, run) == nil {
                    tooMany = middle
                } else {
                    fits = middle
                }
            }
            return (fits == 0 ? nil : wanted.fitting(room: fits)).flatMap { place($0, run) } ?? place(nil, run)
        }
        // As far as can be from what it protects, unless there is more room elsewhere.
        let places = [runs.last, runs.longest].compactMap { $0.flatMap(best) }
        return places.max { ($0.code?.parityPages ?? 0) < ($1.code?.parityPages ?? 0) }
    }

    // MARK: - Writing

    /// - Throws: when the head was touched and may not be what it was.
    public func run(seed: UInt64) throws(WritingFailure) -> Outcome {
        var outcome = Outcome()
        let head: PageBytes
        do throws(SystemError) {
            head = try write()
            try memory.synchronize()
        } catch {
            outcome.obstacle = WritingFailure(error)
            return outcome
        }
        var options = ChainCheck.Options()
        options.threads = threads
        let after = ChainCheck(
            head: chain.head, memory: OverlaidMemory(memory.readBack, page: chain.head, bytes: head), options: options,
            seed: seed
        ).run()
        guard after.verdict == .intact, after.files.count == chain.evaluation.files.count + (place.code == nil ? 0 : 1)
        else {
            outcome.obstacle = WritingFailure(
                .notVerified, "what was written does not read back as written",
                remedy: "the memory may be faulty, or something else uses the range")
            return outcome
        }
        outcome.obstacle = try publish(head)
        if outcome.obstacle == nil {
            outcome.chain = after
            outcome.longestRun = place.code?.parityPages ?? 0
            outcome.lacking = wanted - outcome.longestRun
        }
        return outcome
    }

    /// Everything but the head and the locators.
    /// - Returns: the new head.
    private func write() throws(SystemError) -> PageBytes {
        var writer = ChainWriter(head: chain.head, stamp: stamp)
        var links = place.links[...]
        var head: PageBytes?
        func store(_ finished: (page: PFN, link: PageBytes)?) throws(SystemError) {
            guard let finished else { return }
            if finished.page == chain.head {
                head = finished.link
            } else {
                try memory.write(finished.page, finished.link)
            }
        }
        func list(_ entry: Entry) throws(SystemError) {
            let next = writer.needsPage ? links.popFirst() ?? 0 : 0
            try store(writer.append(entry, nextLink: PFN(next)))
        }
        for listed in chain.entries { try list(listed.entry) }
        for entry in try writeParity() { try list(entry) }
        try store(writer.finish())
        guard let head, links.isEmpty else { throw SystemError("write", code: ErrorCode.invalid) }
        try ParityWriting(memory: memory, threads: threads).mirror(
            [chain.head.number] + place.links, of: OverlaidMemory(memory, page: chain.head, bytes: head),
            code: place.linkCode, at: place.mirror, generation: stamp.generation)
        return head
    }

    /// The parity file: all of its pages.
    /// - Returns: their entries.
    private func writeParity() throws(SystemError) -> [Entry] {
        guard let code = place.code else { return [] }
        let pages = pages
        let checksums = try ParityWriting(memory: memory, threads: threads).encode(
            code, page: { pages.page(ofRank: $0) ?? 0 }, parity: place.parity)
        var entries: [Entry] = []
        let own = [FileImage.ofParity(code).encoded(), PageBytes(geometry.encoded())]
        for (number, bytes) in own.enumerated() {
            let page = PFN(place.tail + UInt64(number))
            try memory.write(page, bytes)
            entries.append(Entry(flags: number == 0 ? 1 : 2, checksum: bytes.pageChecksum, page: page, index: 0))
        }
        for (index, checksum) in checksums.enumerated() {
            let page = PFN(place.parity + UInt64(index))
            entries.append(Entry(flags: 2, checksum: checksum, page: page, index: UInt64(index + 1)))
        }
        return entries
    }

    /// Writes the locators, and the head last.
    /// - Returns: why the chain was left as it was.
    /// - Throws: when it cannot be put back.
    private func publish(_ head: PageBytes) throws(WritingFailure) -> WritingFailure? {
        let former = FormerPages([chain.head.number, place.front, place.back], memory)
        let failure: WritingFailure
        do throws(SystemError) {
            let locator = PageBytes(geometry.encoded())
            for page in [place.front, place.back] { try memory.write(PFN(page), locator) }
            try memory.synchronize()
            memoryFence()
            try memory.write(chain.head, head)
            try memory.synchronize()
            var state = PageState.absent
            let back = PageBytes(chain.head, of: memory.readBack, state: &state)
            if state == .present && back.bytes == head.bytes { return nil }
            failure = WritingFailure(.notVerified, "the head page does not read back as written")
        } catch {
            failure = WritingFailure(error)
        }
        guard former.restore(memory) else { throw failure }
        return failure
    }
}

/// Runs of free pages, in order. Memory: 1 MiB at most.
private struct FreeRuns {
    private static let most = 1 << 16
    private var runs: [Range<UInt64>] = []

    /// All of them.
    /// - Returns: nil where they are more than can be kept.
    init?(in range: Range<UInt64>, _ isFree: (UInt64) -> Bool) {
        let first = LowMemory.firstUsable(in: range)
        for page in range where page >= first && isFree(page) {
            guard append(page..<page + 1) else { return nil }
        }
    }

    /// The lowest pages, and those that end with the range's last page, no more than so many of each.
    /// - Returns: nil where they are more than can be kept.
    init?(in range: Range<UInt64>, lowest: Int, last: Int, _ isFree: (UInt64) -> Bool) {
        var (page, found) = (LowMemory.firstUsable(in: range), 0)
        while found < lowest && page < range.upperBound {
            if isFree(page) {
                guard append(page..<page + 1) else { return nil }
                found += 1
            }
            page += 1
        }
        var tail = range.upperBound
        while tail > page, range.upperBound - tail < UInt64(last), isFree(tail - 1) { tail -= 1 }
        guard tail == range.upperBound || append(tail..<range.upperBound) else { return nil }
    }

    private mutating func append(_ run: Range<UInt64>) -> Bool {
        if let last = runs.last, last.upperBound == run.lowerBound {
            runs[runs.count - 1] = last.lowerBound..<run.upperBound
            return true
        }
        guard runs.count < FreeRuns.most else { return false }
        runs.append(run)
        return true
    }

    var last: Range<UInt64>? { runs.last }
    var longest: Range<UInt64>? { runs.max { $0.count < $1.count } }

    func contains(_ page: UInt64) -> Bool { runs.contains { $0.contains(page) } }

    /// The lowest pages that are wanted, or fewer where there are not so many.
    func lowest(_ count: Int, _ isWanted: (UInt64) -> Bool) -> [UInt64] {
        var pages: [UInt64] = []
        for run in runs {
            for page in run where isWanted(page) {
                guard pages.count < count else { return pages }
                pages.append(page)
            }
        }
        return pages
    }
}
