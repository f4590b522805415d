import Linux
import Manifest
import PRAM
import Text
import Verification

/// A chain's manifest as it has to be when files of the chain are dropped or get other names: what it tells of them
/// follows. Of a damaged manifest, what can be read stays. Nothing of it is in memory as a whole: the text is made
/// twice, once for its length.
struct ManifestReplacement {
    private let manifest: ChainManifest
    private let plan: DropPlan
    private let names: ChainNameIndex
    private let length: UInt64

    /// - Returns: nil where the manifest can stay as it is, or there is none.
    init?(_ chain: SurveyedChain, _ plan: DropPlan, in memory: any PhysicalMemory) {
        guard let manifest = ChainManifest(of: chain.evaluation, head: chain.head, memory: memory),
            manifest.file < plan.fates.count
        else { return nil }
        self.manifest = manifest
        self.plan = plan
        names = ChainNameIndex(chain.evaluation.files)
        let files = chain.evaluation.files
        let needed = plan.fates.indices.contains { number in
            switch plan.fates[number] {
            case .kept, .undecided: false
            case .dropped: true
            case .quarantined(let name): number == manifest.file || name != files[number].name
            }
        }
        guard needed else { return nil }
        let counter = Counter()
        ManifestReplacement.edit(manifest, plan, names) { counter.length += UInt64($0.count) }
        guard counter.length > 0 else { return nil }
        length = counter.length
    }

    private final class Counter {
        var length: UInt64 = 0
        var edit = ManifestEdit()
    }

    /// Pages that it takes, its META page included.
    var pageCount: Int { 1 + Int(clamping: SavePlan.pages(of: length)) }

    /// Entries of the chain that it has more than the one that it replaces.
    func entriesAdded(to entries: [SurveyedChain.Listed]) -> Int {
        pageCount - (range(in: entries)?.count ?? 0)
    }

    private static func edit(
        _ manifest: ChainManifest, _ plan: DropPlan, _ names: ChainNameIndex, _ take: @escaping ([UInt8]) -> Void
    ) {
        let files = manifest.files
        let state = Counter()
        manifest.readText { piece in
            take(
                state.edit.read(piece) { name in
                    // Content that is not in the chain at all is lost already.
                    guard let file = names[name] else { return .dropped }
                    switch plan.fates[file] {
                    case .kept, .undecided: return .kept
                    case .dropped: return .dropped
                    case .quarantined(let new): return new == files[file].name ? .kept : .renamed(new)
                    }
                })
        }
        state.edit.finish()
    }

    /// Writes its pages.
    /// - Parameters:
    ///   - entries: those of the chain to come.
    ///   - page: a free page for each.
    /// - Returns: the entries with this manifest's.
    func place(
        in entries: [SurveyedChain.Listed], _ page: () -> PFN?,
        write: @escaping (PFN, PageBytes) throws(WritingFailure) -> Void
    ) throws(WritingFailure) -> [SurveyedChain.Listed] {
        var pages: [PFN] = []
        while pages.count < pageCount, let next = page() { pages.append(next) }
        guard pages.count == pageCount else {
            throw WritingFailure(.noFreePages, "there are not enough free pages for the manifest")
        }
        let image = FileImage(size: length, mode: manifest.stored.mode, name: ManifestFile.name).encoded()
        try write(pages[0], image)
        let filling = Filling(pages, write)
        filling.enter(Entry(flags: 1, checksum: image.pageChecksum, page: pages[0], index: 0))
        ManifestReplacement.edit(manifest, plan, names) { filling.take($0) }
        try filling.finish()
        var all = entries
        let old = range(in: entries) ?? 0..<0
        all.replaceSubrange(old, with: filling.entries)
        return all
    }

    /// Where the old manifest's entries stand, when they were to stay.
    private func range(in entries: [SurveyedChain.Listed]) -> Range<Int>? {
        guard plan.fates[manifest.file] == .kept else { return nil }
        var file = -1
        var start: Int?
        for (place, listed) in entries.enumerated() where listed.entry.kind == .meta {
            if let start { return start..<place }
            file += 1
            while file < plan.fates.count, case .dropped = plan.fates[file] { file += 1 }
            if file == manifest.file { start = place }
        }
        return start.map { $0..<entries.count }
    }

    /// Text on its way into pages.
    private final class Filling {
        var entries: [SurveyedChain.Listed] = []
        private let pages: [PFN]
        private let write: (PFN, PageBytes) throws(WritingFailure) -> Void
        private var page: [UInt8] = []
        private var failure: WritingFailure?

        init(_ pages: [PFN], _ write: @escaping (PFN, PageBytes) throws(WritingFailure) -> Void) {
            self.pages = pages
            self.write = write
        }

        func enter(_ entry: Entry) {
            entries.append(SurveyedChain.Listed(entry: entry, link: 0, fits: true, checksum: entry.checksum))
        }

        func take(_ text: [UInt8]) {
            var rest = text[...]
            while !rest.isEmpty && failure == nil {
                let part = rest.prefix(pageSize - page.count)
                page += part
                rest = rest.dropFirst(part.count)
                if page.count == pageSize { put() }
            }
        }

        private func put() {
            let number = entries.count
            // The memory has changed since the text was measured.
            guard number < pages.count else {
                failure = WritingFailure(.changed, "the manifest has changed since it was looked at")
                return
            }
            let bytes = PageBytes(page)
            do throws(WritingFailure) { try write(pages[number], bytes) } catch { failure = error }
            enter(Entry(flags: 2, checksum: bytes.pageChecksum, page: pages[number], index: UInt64(number - 1)))
            page.removeAll(keepingCapacity: true)
        }

        func finish() throws(WritingFailure) {
            if !page.isEmpty { put() }
            if failure == nil && entries.count != pages.count {
                failure = WritingFailure(.changed, "the manifest has changed since it was looked at")
            }
            if let failure { throw failure }
        }
    }
}
