import PRAM
import Synchronization
import Verification

/// Physical memory in a dictionary. Pages that are not in it are absent; those in `unreadable` are there, but cannot be
/// read.
final class TestMemory: PhysicalMemory {
    /// How the engine gets at the pages.
    enum Access { case mapped, read, mixed }

    private(set) var pages: [UInt64: UnsafeMutableRawPointer] = [:]
    var unreadable: Set<UInt64> = []
    var access = Access.read
    var zerosMayBeHoles = false
    let kind = "test memory"

    deinit { for page in pages.values { page.deallocate() } }

    func contains(_ page: PFN) -> Bool { pages[page.number] != nil }

    func mapped(_ page: PFN) -> UnsafeRawPointer? {
        guard !unreadable.contains(page.number) else { return nil }
        switch access {
        case .read: return nil
        case .mapped: return UnsafeRawPointer(pages[page.number])
        case .mixed: return page.number % 3 == 0 ? nil : UnsafeRawPointer(pages[page.number])
        }
    }

    func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) {
        for i in 0..<count {
            guard let number = first.advanced(by: UInt64(i))?.number, let page = pages[number] else {
                states[i] = .absent
                // What is not there must not be taken for anything: leave something that would be noticed.
                (destination + i * pageSize).initializeMemory(as: UInt8.self, repeating: 0xee, count: pageSize)
                continue
            }
            states[i] = unreadable.contains(number) ? .unreadable : .present
            (destination + i * pageSize).copyMemory(from: page, byteCount: pageSize)
        }
    }

    /// A page's content; nil takes the page away.
    subscript(_ number: UInt64) -> PageBytes? {
        get { pages[number].map { PageBytes(UnsafeRawBufferPointer(start: $0, count: pageSize)) } }
        set {
            guard let newValue else {
                pages.removeValue(forKey: number)?.deallocate()
                return
            }
            let page = pages[number] ?? .allocate(byteCount: pageSize, alignment: pageSize)
            newValue.bytes.withUnsafeBytes { page.copyMemory(from: $0.baseAddress!, byteCount: pageSize) }
            pages[number] = page
        }
    }

    func flip(_ number: UInt64, bit: Int) {
        let byte = pages[number]!.assumingMemoryBound(to: UInt8.self) + bit / 8
        byte.pointee ^= 1 << UInt8(bit % 8)
    }
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

    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }
    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
}

/// A chain of random files, and what of it depends on what.
final class RandomChain {
    enum Flags: CaseIterable { case none, all, random }

    struct File {
        var name: [UInt8]
        var size: UInt64
        var mode: UInt32
        /// The index of each DATA entry, and its page, in chain order.
        var indexes: [UInt64] = []
        var data: [UInt64] = []
        var meta: UInt64 = 0
        /// The links of its META entry and its last entry.
        var firstLink = 0
        var lastLink = 0

        /// Whether a checker can know without the next META entry that nothing of the file is missing.
        var hasAllPages: Bool { UInt64(indexes.count) == (size + 4095) / 4096 }
    }

    enum Role: Equatable {
        case link(Int)
        case meta(Int)
        case data(Int)
    }

    let memory = TestMemory()
    let layout: ChainLayout
    private(set) var files: [File] = []
    private(set) var links: [UInt64] = []
    private(set) var roles: [UInt64: Role] = [:]

    var head: PFN { PFN(links[0]) }

    /// - Parameters:
    ///   - fileCount: at most so many files.
    ///   - pages: at most so many pages a file.
    ///   - linkSize: at most so many entries a link.
    init(
        _ random: inout SeededNumbers, layout: ChainLayout, flags: Flags, fileCount: Int = 5, pages: Int = 5,
        linkSize: Int = 6
    ) {
        self.layout = layout
        // Page numbers in ascending, descending or no order, above the first MiB, seldom above 4 GiB.
        var numbers = Array(0..<(fileCount * (pages + 1) * 2 + 2)).map { 0x100 + UInt64($0) }
        switch random.below(4) {
        case 0: break
        case 1: numbers.reverse()
        case 2: numbers.shuffle(using: &random)
        default:
            numbers.shuffle(using: &random)
            numbers = numbers.map { $0 << 20 }
        }
        func newPage() -> UInt64 { numbers.removeFirst() }

        var entries: [(entry: Entry, file: Int)] = []
        for number in 0..<1 + random.below(fileCount) {
            let name =
                Array("file \(number), ".utf8) + (0..<random.below(4)).map { _ in UInt8(0x30 + random.below(70)) }
            let span = UInt64(1 + random.below(pages + 3))
            let size = random.chance(10) ? 0 : (span - 1) * 4096 + UInt64(1 + random.below(4096))
            var indexes = Array(0..<(size + 4095) / 4096)
            if random.chance(40) { indexes = indexes.filter { _ in random.chance(60) } }
            switch random.below(6) {
            case 0: indexes.reverse()
            case 1: indexes.shuffle(using: &random)
            default: break
            }
            indexes = Array(indexes.prefix(pages))
            var file = File(
                name: name.filter { $0 != UInt8(ascii: "/") }, size: size,
                mode: 0o100000 | UInt32(random.below(0o10000)))
            var image = FileImage(size: size, mode: file.mode, name: file.name).encoded()
            for i in 272..<pageSize where i % 7 == 0 { image[i] = UInt8(truncatingIfNeeded: i) }
            file.meta = newPage()
            memory[file.meta] = image
            roles[file.meta] = .meta(number)
            entries.append((Entry(flags: 1, checksum: image.pageChecksum, page: PFN(file.meta), index: 0), number))
            for index in indexes {
                let page = newPage()
                let content = PageBytes(
                    (0..<16).map { _ in UInt8(truncatingIfNeeded: random.next()) } + [UInt8(number) | 1])
                memory[page] = content
                roles[page] = .data(number)
                let lru = flags == .all || flags == .random && random.chance(50)
                entries.append(
                    (
                        Entry(flags: lru ? 0x102 : 2, checksum: content.pageChecksum, page: PFN(page), index: index),
                        number
                    ))
                file.indexes.append(index)
                file.data.append(page)
            }
            files.append(file)
        }

        // Links of any length from 1 entry on.
        var groups: [[Entry]] = []
        var place = 0
        while place < entries.count {
            let count = min(1 + random.below(linkSize), entries.count - place)
            for (entry, file) in entries[place..<place + count] {
                if entry.kind == .meta { files[file].firstLink = groups.count }
                files[file].lastLink = groups.count
            }
            groups.append(entries[place..<place + count].map(\.entry))
            links.append(newPage())
            place += count
        }
        for (number, group) in groups.enumerated() {
            let next = number + 1 < links.count ? links[number + 1] : 0
            memory[links[number]] = Link(next: PFN(next), entries: group).encoded(layout)
            roles[links[number]] = .link(number)
        }
    }

    /// What a kernel does when it reserves the chain: the LRU flags go, the checksums stay.
    func clearFlags() {
        for link in links {
            let count = Int(memory[link]![8])
            for number in 0..<count { memory[link]![layout.entriesOffset + number * 24 + 1] = 0 }
        }
    }

    /// Edits a link and makes its checksum fit again: a consistent lie.
    func forge(_ link: Int, _ edit: (inout PageBytes) -> Void) {
        var page = memory[links[link]]!
        edit(&page)
        let checksum = page.linkChecksum
        for i in 0..<4 { page[4 + i] = UInt8(truncatingIfNeeded: checksum >> (8 * UInt32(i))) }
        memory[links[link]] = page
    }

    /// Whether a file is known to be complete before this link is looked at.
    func isComplete(_ file: Int, before link: Int) -> Bool {
        if file + 1 < files.count && files[file + 1].firstLink < link { return true }
        return files[file].lastLink < link && files[file].hasAllPages
    }

    func check(threads: Int = 1) -> ChainEvaluation {
        VerificationTests.check(head, memory, threads: threads).evaluation
    }
}

func check(
    _ head: PFN, _ memory: any PhysicalMemory, threads: Int = 1, _ edit: (inout ChainCheck.Options) -> Void = { _ in }
) -> (evaluation: ChainEvaluation, layout: ChainLayout) {
    var options = ChainCheck.Options()
    options.threads = threads
    edit(&options)
    let check = ChainCheck(head: head, memory: memory, options: options, seed: 7)
    return (check.run(), check.layout)
}

/// All that an evaluation says, as text, to be compared and read.
func summary(_ outcome: ChainEvaluation) -> [String] {
    ["\(outcome.verdict), \(outcome.entryCount) entries, \(outcome.pagesChecked) pages, \(outcome.findingCounts)"]
        + outcome.links.map { "\($0)" } + outcome.files.map { "\($0)" } + outcome.findings.map { "\($0)" }
}
