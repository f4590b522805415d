import Linux
import MemorySources
import PRAM
import Text
import Verification

/// Which pages of the range, of those that the chain does not use, may be taken for new links.
public enum FreePages: Sendable {
    /// None: the memory is the kernel's.
    case none
    /// Those that hold zeros: the rest of an image is somebody's.
    case zeroed
    /// All: the range holds nothing but the chain.
    case all
}

/// Writes a chain without what was damaged.
///
/// Where the range has free pages, all new links and META pages go there and are read back; then the head page alone is
/// replaced, in one write: a crash leaves the old chain or the new. Where there are none (a PRAM kernel's System RAM,
/// of which no page is ours to take), the links are edited where they lie, one by one, each read back; a crash in
/// between leaves a mix, and the outcome says so.
public struct ChainDrop {
    public struct Outcome {
        /// nil when nothing is left.
        public let head: PFN?
        /// Whether it happened in one step.
        public let isAtomic: Bool
        /// What a check says of the chain that was left.
        public let chain: ChainEvaluation?
        /// Whether the manifest tells of the chain as it is now.
        public var manifestFits = true
    }

    private let chain: SurveyedChain
    private let plan: DropPlan
    private let memory: any WritableMemory
    private let former: FormerProtection?
    /// Called before each write; throws when the chain is no longer ours to change.
    private let permit: () throws(WritingFailure) -> Void

    /// - Parameter former: what protects the chain now; it gives way, and its pages are free.
    public init(
        _ chain: SurveyedChain, _ plan: DropPlan, in memory: any WritableMemory, former: FormerProtection? = nil,
        permit: @escaping () throws(WritingFailure) -> Void = {}
    ) {
        self.chain = chain
        self.plan = plan
        self.memory = memory
        self.former = former
        self.permit = permit
    }

    /// - Parameters:
    ///   - free: see `FreePages`.
    ///   - generation: marks the new links.
    public func run(
        taking free: FreePages, generation: UInt64, threads: Int, seed: UInt64
    ) throws(WritingFailure) -> Outcome {
        // What was not kept of the chain would be lost without a word, or written over.
        guard chain.isComplete else {
            throw WritingFailure(.notVerified, "the chain lists more than is kept track of, so that nothing is changed")
        }
        if let refusal = memory.refusal { throw WritingFailure(refusal) }
        // What they lead to is the chain that gives way; in a kernel's memory their pages are not ours.
        if free != .none {
            do throws(SystemError) { try Locators.clear(head: chain.head, in: memory) } catch {
                throw WritingFailure(error)
            }
        }
        let manifest = ManifestReplacement(chain, plan, in: memory)
        let isLeft = manifest.map { freePages(free, pagesNeeded($0)) != nil } ?? false
        guard !plan.entries.isEmpty || isLeft else {
            try write(chain.head, PageBytes())
            try synchronize()
            return Outcome(head: nil, isAtomic: true, chain: nil)
        }
        let stamp = LinkStamp(generation: generation)
        let isAtomic: Bool
        var manifestFits = manifest == nil
        if let manifest, let pages = freePages(free, pagesNeeded(manifest)) {
            try writeAnew(pages, stamp, manifest)
            manifestFits = true
            isAtomic = true
        } else if let pages = freePages(free, pagesNeeded(nil)) {
            try writeAnew(pages, stamp, nil)
            isAtomic = true
        } else {
            try editInPlace(stamp)
            isAtomic = false
        }
        var options = ChainCheck.Options()
        options.threads = threads
        let after = ChainCheck(head: chain.head, memory: memory, options: options, seed: seed).run()
        guard after.verdict == .intact else {
            throw WritingFailure(
                .notVerified, "the chain that was written is \(after.verdict.name)",
                remedy: "the memory may be faulty, or something else uses it")
        }
        return Outcome(head: chain.head, isAtomic: isAtomic, chain: after, manifestFits: manifestFits)
    }

    /// Free pages that a new chain takes, the head's not among them.
    private func pagesNeeded(_ manifest: ManifestReplacement?) -> Int {
        let entries = plan.entries.count + (manifest?.entriesAdded(to: plan.entries) ?? 0)
        return plan.renamed.count + (max(entries, 1) - 1) / Link.capacity + (manifest?.pageCount ?? 0)
    }

    // MARK: - In one step

    /// Pages of the range that the chain does not use; nil when there are fewer than that. The places of locators are
    /// taken last.
    private func freePages(_ free: FreePages, _ count: Int) -> [PFN]? {
        if free == .none { return nil }
        let first = LowMemory.firstUsable(in: memory.pages)
        // One page where the head is the last but one.
        let (front, back) = (chain.head.number &+ 1, memory.pages.upperBound &- 1)
        let locators = front == back ? [front] : [front, back]
        var pages: [PFN] = []
        var number = first
        while pages.count < count && number < memory.pages.upperBound {
            if !locators.contains(number) && chain.isFree(number, free, former, memory) { pages.append(PFN(number)) }
            number += 1
        }
        for locator in locators where pages.count < count && locator >= first && memory.pages.contains(locator) {
            if chain.isFree(locator, free, former, memory) { pages.append(PFN(locator)) }
        }
        return pages.count == count ? pages : nil
    }

    private func writeAnew(
        _ pages: [PFN], _ stamp: LinkStamp, _ manifest: ManifestReplacement?
    ) throws(WritingFailure) {
        var free = pages[...]
        var entries = try renameFiles { free.popFirst() }
        if let manifest {
            entries = try manifest.place(in: entries) {
                free.popFirst()
            } write: { (page, bytes) throws(WritingFailure) in
                try write(page, bytes)
            }
        }
        var writer = ChainWriter(head: chain.head, layout: chain.layout, stamp: stamp)
        var head: PageBytes?
        func store(_ finished: (page: PFN, link: PageBytes)?) throws(WritingFailure) {
            guard let finished else { return }
            if finished.page == chain.head { head = finished.link } else { try write(finished.page, finished.link) }
        }
        for listed in entries {
            let next = writer.needsPage ? free.popFirst() ?? PFN(0) : PFN(0)
            try store(writer.append(listed.entry, nextLink: next))
        }
        try store(writer.finish())
        guard let head else { throw WritingFailure(.notVerified, "there is no head to write") }
        try synchronize()
        memoryFence()
        try write(chain.head, head)
        try synchronize()
    }

    // MARK: - Link by link

    /// Each link keeps its page and loses entries; a link that loses all of them is left out. The head stays where it
    /// is, as the kernel knows it, so if need be it takes over the entries of a later link.
    private func editInPlace(_ stamp: LinkStamp) throws(WritingFailure) {
        try markFilesThatSpanLinks()
        let entries = try renameFiles { nil }
        var links: [(page: PFN, entries: [Entry])] = []
        for listed in entries {
            let page = chain.evaluation.links[listed.link].page
            if let last = links.last, last.page == page {
                links[links.count - 1].entries.append(listed.entry)
            } else {
                links.append((page, [listed.entry]))
            }
        }
        if !links.isEmpty { links[0].page = chain.head }
        // From the end to the head: what the head still names is there until it is replaced.
        for number in links.indices.reversed() {
            let next = number + 1 < links.count ? links[number + 1].page : PFN(0)
            let link = Link(next: next, entries: links[number].entries)
            try write(links[number].page, link.encoded(chain.layout, slack: stamp.bytes))
        }
        try synchronize()
    }

    /// A file that does not stay as it is loses its entries link by link. Were this cut short, what is left of it could
    /// pass for a file with holes. So where it reaches into a further link, its META entry is marked first.
    private func markFilesThatSpanLinks() throws(WritingFailure) {
        let links = chain.evaluation.links
        let files = chain.evaluation.files
        var file = -1
        var start = 0
        while start < chain.entries.count {
            let number = chain.entries[start].link
            var entries: [Entry] = []
            var isMarked = false
            while start < chain.entries.count && chain.entries[start].link == number {
                var entry = chain.entries[start].entry
                start += 1
                if entry.kind == .meta {
                    file += 1
                    if file < files.count, plan.fates[file] != .kept, files[file].lastLink > number {
                        entry.flags = 1 | Entry.quarantined
                        isMarked = true
                    }
                }
                entries.append(entry)
            }
            // Of what a link that is not proved lists, nothing is called intact anyway.
            guard isMarked, links[number].standing == .proved else { continue }
            let page = links[number].page
            var state = PageState.absent
            let old = PageBytes(page, of: memory, state: &state)
            guard state == .present else { throw WritingFailure(SystemError("read", code: ErrorCode.inputOutput)) }
            let link = Link(next: Link(decoding: old, chain.layout).next, entries: entries)
            try write(page, link.encoded(chain.layout, slack: Array(old.bytes.suffix(16))))
        }
        try synchronize()
    }

    /// Writes META pages that change, and returns the entries with their new checksums and places.
    /// - Parameter page: a free page for each; nil to overwrite the old one.
    private func renameFiles(
        _ page: () -> PFN?
    ) throws(WritingFailure) -> [SurveyedChain.Listed] {
        var entries = plan.entries
        for (place, image) in plan.renamed {
            let bytes = image.encoded()
            let old = entries[place]
            var entry = old.entry
            entry.page = page() ?? entry.page
            entry.checksum = bytes.pageChecksum
            try write(entry.page, bytes)
            entries[place] = SurveyedChain.Listed(entry: entry, link: old.link, fits: true, checksum: entry.checksum)
        }
        return entries
    }

    // MARK: - Writing

    private func write(_ page: PFN, _ bytes: PageBytes) throws(WritingFailure) {
        try permit()
        do throws(SystemError) { try memory.write(page, bytes) } catch { throw WritingFailure(error) }
        var state = PageState.absent
        let back = PageBytes(page, of: memory, state: &state)
        guard state == .present, back.bytes == bytes.bytes else {
            throw WritingFailure(
                .notVerified, "page \(hexadecimal(page.number)) does not read back as written",
                remedy: "the memory may be faulty, or the kernel protects it")
        }
    }

    private func synchronize() throws(WritingFailure) {
        do throws(SystemError) { try memory.synchronize() } catch { throw WritingFailure(error) }
    }
}

extension SurveyedChain {
    /// Whether a page may be taken that the chain does not use.
    /// - Parameter former: what protects the chain, or did before it was cut.
    func isFree(
        _ page: UInt64, _ free: FreePages, _ former: FormerProtection?, _ memory: any WritableMemory
    ) -> Bool {
        guard page != 0, page != head.number, !usedPages.contains(page) else { return false }
        // Copies of a link that is lost stay as long as the chain does.
        if former?.held(page) == true { return areLinksProved }
        if free == .all { return true }
        var state = PageState.absent
        let bytes = PageBytes(PFN(page), of: memory, state: &state)
        return state == .present && bytes.isZero
    }
}
