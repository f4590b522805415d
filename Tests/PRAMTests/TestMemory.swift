import Testing

@testable import PRAM

/// Physical memory in a dictionary. Pages that are not in it are absent; those in `unreadable` are there, but cannot be
/// read.
final class TestMemory: PhysicalMemory {
    var pages: [UInt64: PageBytes] = [:]
    var unreadable: Set<UInt64> = []
    let zerosMayBeHoles = false
    let kind = "test memory"

    func contains(_ page: PFN) -> Bool { pages[page.number] != nil }
    func mapped(_ page: PFN) -> UnsafeRawPointer? { nil }

    func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) {
        for i in 0..<count {
            guard let number = first.advanced(by: UInt64(i))?.number, let page = pages[number] else {
                states[i] = .absent
                continue
            }
            states[i] = unreadable.contains(number) ? .unreadable : .present
            page.bytes.withUnsafeBytes {
                (destination + i * pageSize).copyMemory(from: $0.baseAddress!, byteCount: pageSize)
            }
        }
    }
}

/// Lays a chain out by hand: each call puts one page into memory and gives its entry, so that a test can lie about any.
final class Chain {
    let memory = TestMemory()
    let layout: ChainLayout
    private(set) var links: [UInt64] = []
    private var nextPage: UInt64 = 0x100

    init(_ layout: ChainLayout = .amd64) { self.layout = layout }

    func add(_ page: PageBytes) -> PFN {
        memory.pages[nextPage] = page
        nextPage += 1
        return PFN(nextPage - 1)
    }

    func meta(_ name: String, size: UInt64, mode: UInt32 = 0o100644) -> Entry {
        meta(FileImage(size: size, mode: mode, name: Array(name.utf8)))
    }

    func meta(_ image: FileImage) -> Entry {
        var page = image.encoded()
        // The kernel never clears this page: behind the image lies whatever lay there before.
        for i in 272..<pageSize { page[i] = UInt8(truncatingIfNeeded: i &* 7) }
        return Entry(flags: 1, checksum: page.pageChecksum, page: add(page), index: 0)
    }

    func data(_ index: UInt64, lru: Bool = false) -> Entry {
        let start = UInt8(truncatingIfNeeded: nextPage)
        let page = PageBytes((0..<64).map { UInt8($0) ^ start } + [1])
        return Entry(flags: lru ? 0x102 : 2, checksum: page.pageChecksum, page: add(page), index: index)
    }

    /// META and DATA entries of a file that has all of its pages.
    func file(_ name: String, pages: UInt64, lru: Bool = false) -> [Entry] {
        [meta(name, size: pages * UInt64(pageSize))] + (0..<pages).map { data($0, lru: lru) }
    }

    /// Adds links, each with the entries of one group; the last one ends the chain.
    /// - Returns: the head.
    @discardableResult
    func link(_ groups: [Entry]..., stamp: LinkStamp? = nil) -> PFN {
        let first = links.count
        for _ in groups { links.append(add(PageBytes()).number) }
        for (i, entries) in groups.enumerated() {
            let next = first + i + 1 < links.count ? links[first + i + 1] : 0
            memory.pages[links[first + i]] = Link(next: PFN(next), entries: entries).encoded(
                layout, slack: stamp?.bytes ?? [])
        }
        return PFN(links[0])
    }

    /// Edits the page of a link and makes its checksum fit again: a consistent lie.
    func forge(_ number: Int, _ edit: (inout PageBytes) -> Void) {
        edit(&memory.pages[links[number]]!)
        let checksum = memory.pages[links[number]]!.linkChecksum
        for i in 0..<4 { memory.pages[links[number]]![4 + i] = UInt8(truncatingIfNeeded: checksum >> (8 * UInt32(i))) }
    }

    /// Edits the page of a link and leaves its checksum stale.
    func spoil(_ number: Int, _ edit: (inout PageBytes) -> Void) { edit(&memory.pages[links[number]]!) }

    /// What a kernel does when it reserves the chain: the LRU flags go, the checksums stay.
    func clearFlags() {
        for link in links {
            let count = Int(memory.pages[link]![8])
            for number in 0..<count { memory.pages[link]![layout.entriesOffset + number * 24 + 1] = 0 }
        }
    }

    var head: PFN { PFN(links[0]) }

    /// Walks and judges as the engine does, in one thread.
    func judge(
        from start: PFN? = nil, pages: Bool = true, _ limits: ChainEvaluation.Limits = .init()
    ) -> ChainEvaluation {
        let evaluation = ChainEvaluation(seed: 1, limits)
        var walk = ChainWalk(head: start ?? head, memory: memory)
        while let walked = walk.next() {
            guard pages else {
                evaluation.accept(walked, results: nil) { _ in FileImage(size: 0, mode: 0, name: []) }
                continue
            }
            let entries = walked.link?.entries ?? []
            let results = entries.map { entry in
                guard entry.page.number != 0, entry.page.address != nil else {
                    return EntryResult(state: .absent, checksum: 0)
                }
                var state = PageState.absent
                let page = PageBytes(entry.page, of: memory, state: &state)
                return EntryResult(state: state, checksum: state == .present ? page.pageChecksum : 0)
            }
            results.withUnsafeBufferPointer {
                evaluation.accept(walked, results: $0) {
                    FileImage(decoding: memory.pages[entries[$0].page.number]!.bytes)
                }
            }
        }
        evaluation.finish()
        if !evaluation.contested.isEmpty {
            var again = ChainWalk(head: start ?? head, memory: memory)
            while let walked = again.next() {
                if let link = walked.link { evaluation.assignContested(walked.number, link) }
            }
        }
        return evaluation
    }
}

extension ChainEvaluation {
    /// The status of the file of this name; nil when there is none.
    func status(_ name: String) -> StoredFile.Status? { files.first { $0.name == Array(name.utf8) }?.status }

    var kinds: [Finding.Kind] { findings.map(\.kind) }

    /// Where something of this kind was found: (link, entry, page).
    func places(_ kind: Finding.Kind) -> [Place] {
        findings.filter { $0.kind == kind }.map { Place(link: $0.link, entry: $0.entry, page: $0.page?.number) }
    }
}

struct Place: Equatable {
    var link: Int
    var entry: Int
    var page: UInt64?
}

/// The same numbers in every run, so that a failure can be looked at again.
struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {  // splitmix64
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
