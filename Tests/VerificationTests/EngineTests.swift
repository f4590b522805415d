import CLinux
import Linux
import PRAM
import Testing
@testable import Verification

@Suite struct EngineTests {
    /// Long enough that several slices are on their way at once.
    private func longChain(_ seed: UInt64, _ access: TestMemory.Access = .read) -> RandomChain {
        var random = SeededNumbers(seed)
        let chain = RandomChain(&random, layout: .amd64, flags: .all, fileCount: 120, pages: 12, linkSize: 5)
        chain.memory.access = access
        return chain
    }

    private func expectTheSame(_ chain: RandomChain, _ what: String, _ location: SourceLocation = #_sourceLocation) {
        let one = summary(chain.check(threads: 1))
        for threads in [2, 3, 8] {
            #expect(summary(chain.check(threads: threads)) == one, "\(what)", sourceLocation: location)
        }
    }

    @Test(arguments: [TestMemory.Access.read, .mapped, .mixed])
    func threadsSayTheSameOfASoundChain(_ access: TestMemory.Access) {
        for seed in 1...3 as ClosedRange<UInt64> {
            let chain = longChain(seed, access)
            #expect(chain.check(threads: 8).verdict == .intact)
            expectTheSame(chain, "seed \(seed)")
        }
    }

    /// The verifier sorts by PFN << 12 | entry: a slice with more entries would mix them up and call good pages damaged.
    @Test func entriesOfASliceFitTheSortKey() { #expect(Slice.entryCapacity <= 1 << 12) }

    /// /proc/kcore shows zeros also where it cannot reach: zeros where there should be something else prove nothing there.
    @Test func zerosFromASourceWithHolesAreNotCalledDamage() throws {
        for holes in [true, false] {
            let chain = longChain(5)
            let page = try #require(chain.files.flatMap(\.data).first)
            chain.memory[page] = PageBytes()
            chain.memory.zerosMayBeHoles = holes
            let found = chain.check(threads: 2)
            #expect(found.verdict == (holes ? .indeterminate : .damaged))
            #expect(
                found.findings.contains {
                    $0.kind == (holes ? .pageNotInSource : .dataChecksum) && $0.page == PFN(page)
                })
        }
    }

    @Test(arguments: [TestMemory.Access.read, .mapped, .mixed])
    func threadsSayTheSameOfDamage(_ access: TestMemory.Access) {
        for seed in 1...3 as ClosedRange<UInt64> {
            let chain = longChain(seed, access)
            var random = SeededNumbers(seed)
            let pages = chain.roles.keys.sorted()
            for _ in 0..<20 { chain.memory.flip(pages[random.below(pages.count)], bit: random.below(8 * 4096)) }
            for _ in 0..<5 { chain.memory[pages[random.below(pages.count)]] = nil }
            for _ in 0..<5 { chain.memory.unreadable.insert(pages[random.below(pages.count)]) }
            // The head must stay, or there is nothing to compare.
            if chain.memory[chain.links[0]] == nil { continue }
            expectTheSame(chain, "seed \(seed)")
        }
    }

    /// What is told behind each judgement: every entry once, in chain order, with the file it belongs to; and whether
    /// it is proved so far.
    @Test(arguments: [1, 8]) func everyPageIsToldBehindItsJudgement(_ threads: Int) throws {
        let chain = longChain(9)
        let bad = try #require(chain.files.flatMap(\.data).last)
        chain.memory.flip(bad, bit: 77)
        var links: [Int] = []
        var entries = 0
        var misfits: [UInt64] = []
        var files: [Int] = []
        let found = VerificationTests.check(chain.head, chain.memory, threads: threads) {
            $0.judged = { evaluation, walked, results in
                links.append(walked.number)
                #expect(evaluation.links.count == walked.number + 1 && !evaluation.isBroken && !evaluation.isOnTrial)
                for (place, entry) in (walked.link?.entries ?? []).enumerated() {
                    entries += 1
                    if results[place].checksum != entry.checksum { misfits.append(entry.page.number) }
                    if entry.kind == .meta, let file = evaluation.file(at: walked.number, place) { files.append(file) }
                }
            }
        }.evaluation
        #expect(links == Array(chain.links.indices))
        #expect(UInt64(entries) == found.entryCount && misfits == [bad])
        #expect(files == Array(found.files.indices))
    }

    @Test func threadsSayTheSameOfSharedPages() {
        let chain = longChain(5)
        // Pages that more than one entry names, in links far apart, once with the checksum that fits.
        let links = chain.links
        let place = 24 + 8
        let donor = chain.memory[links[2]]!
        for link in stride(from: 3, to: links.count, by: 7) {
            chain.forge(link) { page in
                for i in 0..<8 { page[place + i] = donor[place + i] }
                if link % 2 == 0 { for i in 4..<8 { page[24 + i] = donor[24 + i] } }
            }
        }
        let outcome = chain.check()
        #expect(outcome.findings.contains { $0.kind == .pageShared })
        expectTheSame(chain, "shared pages")
    }

    @Test func threadsSayTheSameOfALoop() {
        let chain = longChain(6)
        let target = chain.links[3]
        chain.forge(chain.links.count - 1) { page in
            for i in 0..<8 { page[16 + i] = UInt8(truncatingIfNeeded: target >> (8 * UInt64(i))) }
        }
        #expect(chain.check().findings.contains { $0.kind == .linkLoop && $0.page?.number == target })
        expectTheSame(chain, "loop")
    }

    @Test func everyPageIsCheckedOnce() {
        for access in [TestMemory.Access.read, .mapped, .mixed] {
            let chain = longChain(7, access)
            let outcome = chain.check(threads: 3)
            #expect(outcome.pagesChecked == UInt64(chain.roles.count - chain.links.count))
            #expect(outcome.entryCount == outcome.pagesChecked)
        }
    }

    @Test func pagesThatAreNotThere() {
        for access in [TestMemory.Access.read, .mapped, .mixed] {
            let chain = longChain(8, access)
            let gone = chain.files.first { $0.data.count > 3 }!
            chain.memory[gone.data[1]] = nil
            chain.memory.unreadable = [gone.data[2]]
            let outcome = chain.check(threads: 2)
            #expect(outcome.verdict == .indeterminate)
            let places = Dictionary(uniqueKeysWithValues: outcome.findings.map { ($0.page!.number, $0.kind) })
            #expect(places == [gone.data[1]: .pageNotInSource, gone.data[2]: .pageUnreadable])
            let bad = outcome.files.filter { $0.status != .intact }
            #expect(bad.map(\.name) == [gone.name])
            #expect(bad.map(\.status) == [.incomplete])
            #expect(bad.map(\.badPages) == [2])
        }
    }

    /// Pages whose numbers lie next to each other are read in one go, also across a hole, and each is taken for itself.
    @Test func runsOfPagesWithAHole() {
        let memory = TestMemory()
        let image = FileImage(size: 600 * 4096, mode: 0o100644, name: [0x66]).encoded()
        memory[0x1000] = image
        var links: [[Entry]] = [[Entry(flags: 1, checksum: image.pageChecksum, page: PFN(0x1000), index: 0)]]
        for index in 0..<UInt64(600) {
            let page = PageBytes([UInt8(truncatingIfNeeded: index), UInt8(index >> 8), 1])
            if index != 300 { memory[0x1001 + index] = page }
            if links[links.count - 1].count == 169 { links.append([]) }
            links[links.count - 1].append(
                Entry(flags: 2, checksum: page.pageChecksum, page: PFN(0x1001 + index), index: index))
        }
        for (number, entries) in links.enumerated() {
            let next: UInt64 = number + 1 < links.count ? 0x100 + UInt64(number) + 1 : 0
            memory[0x100 + UInt64(number)] = Link(next: PFN(next), entries: entries).encoded()
        }
        for access in [TestMemory.Access.read, .mapped, .mixed] {
            memory.access = access
            let outcome = check(PFN(0x100), memory, threads: 2).evaluation
            #expect(outcome.findings.map(\.kind) == [.pageNotInSource])
            #expect(outcome.findings.map(\.page?.number) == [0x1001 + 300])
            #expect(outcome.pagesChecked == 600)
        }
    }

    @Test func linksOnlyCallsNothingIntact() {
        let chain = longChain(9)
        let outcome = check(chain.head, chain.memory, threads: 2) { $0.linksOnly = true }.evaluation
        #expect(outcome.verdict == .indeterminate)
        #expect(Set(outcome.findings.map(\.kind)) == [.pagesNotChecked])
        #expect(outcome.files.isEmpty)
        #expect(outcome.links.count == chain.links.count)
        #expect(outcome.pagesChecked == 0)
    }

    @Test(arguments: [1, 3])
    func aDeadlineEndsTheCheck(_ threads: Int) {
        let chain = longChain(10)
        let outcome = check(chain.head, chain.memory, threads: threads) { $0.deadline = 0 }.evaluation
        #expect(outcome.verdict == .indeterminate)
        #expect(outcome.findings.contains { $0.kind == .timeout })
        #expect(outcome.links.count < chain.links.count)
        let links = check(chain.head, chain.memory, threads: threads) {
            $0.deadline = 0
            $0.linksOnly = true
        }.evaluation
        #expect(links.findings.contains { $0.kind == .timeout })
        #expect(links.verdict == .indeterminate)
        let inTime = check(chain.head, chain.memory, threads: threads) {
            $0.deadline = monotonicNanoseconds() + 600_000_000_000
        }.evaluation
        #expect(inTime.verdict == .intact)
    }

    /// Which files claim a page that others claim too shows in a second look at the links. Where time runs out in it,
    /// files that it has passed are what they are.
    @Test func aDeadlineInTheSecondLookLeavesWhatWasSeen() {
        let memory = TestMemory()
        let shared = PageBytes([1, 2, 3])
        let own = PageBytes([4])
        memory[0x50] = shared
        memory[0x40] = own
        let links: [UInt64] = [0x10, 0x11, 0x12]
        for (number, link) in links.enumerated() {
            let meta = FileImage(size: 4096, mode: 0o100644, name: Array("f\(number)".utf8)).encoded()
            memory[0x20 + UInt64(number)] = meta
            let (page, bytes) = number == 0 ? (UInt64(0x40), own) : (0x50, shared)
            memory[link] = Link(
                next: PFN(number < 2 ? links[number + 1] : 0),
                entries: [
                    Entry(flags: 1, checksum: meta.pageChecksum, page: PFN(0x20 + UInt64(number)), index: 0),
                    Entry(flags: 2, checksum: bytes.pageChecksum, page: PFN(page), index: 0),
                ]
            ).encoded(.amd64, slack: [])
        }
        let deadline = monotonicNanoseconds() + 2_000_000_000
        let slow = SlowMemory(memory, page: links[1], until: deadline)
        let outcome = check(PFN(links[0]), slow) { $0.deadline = deadline }.evaluation
        #expect(slow.reads == 2)
        #expect(outcome.findings.contains { $0.kind == .timeout && $0.link == 1 })
        #expect(outcome.files.map(\.status) == [.intact, .indeterminate, .indeterminate])
    }

    @Test func progressGrowsToAllPages() {
        let chain = longChain(11)
        var reported: [UInt64] = []
        let outcome = check(chain.head, chain.memory, threads: 2) { $0.progress = { reported.append($0) } }.evaluation
        #expect(reported == reported.sorted())
        #expect(reported.last == outcome.pagesChecked)
    }

    /// Mapped memory that vanishes while it is read: a file that another process makes shorter.
    @Test(arguments: [1, 3])
    func mappedPagesThatVanish(_ threads: Int) throws {
        pv_signals_prepare()
        let chain = longChain(12)
        let file = try FileDescriptor.unlinked(in: Array("/tmp".utf8))
        let memory = VanishingMemory(chain.memory)
        let gone = chain.files.filter { $0.data.count > 2 }.prefix(2)
        try file.truncate(to: UInt64(pageSize))
        let mapping = try Mapping(file, offset: 0, count: 2 * pageSize)
        // The second page of the mapping lies behind the end of the file: touching it is a SIGBUS.
        memory.vanished = [
            gone[gone.startIndex].data[1]: mapping.base + pageSize,
            gone[gone.startIndex + 1].meta: mapping.base + pageSize,
        ]
        let outcome = check(chain.head, memory, threads: threads).evaluation
        #expect(outcome.verdict == .indeterminate)
        #expect(Set(outcome.findings.map(\.kind)) == [.pageUnreadable])
        #expect(Set(outcome.findings.map { $0.page!.number }) == Set(memory.vanished.keys))
        #expect(outcome.files.count { $0.status == .intact } == chain.files.count - 2)
    }
}

/// Mapped memory of which some pages fault.
private final class VanishingMemory: PhysicalMemory {
    private let memory: TestMemory
    var vanished: [UInt64: UnsafeMutableRawPointer] = [:]
    let zerosMayBeHoles = false
    let kind = "test memory"

    init(_ memory: TestMemory) {
        memory.access = .mapped
        self.memory = memory
    }

    func contains(_ page: PFN) -> Bool { memory.contains(page) }
    func mapped(_ page: PFN) -> UnsafeRawPointer? {
        vanished[page.number].map { UnsafeRawPointer($0) } ?? memory.mapped(page)
    }

    func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) { memory.read(first, count: count, into: destination, states: states) }
}

/// Memory in which one page takes its time when it is read for the second time.
private final class SlowMemory: PhysicalMemory {
    private let memory: TestMemory
    private let page: UInt64
    private let end: UInt64
    private(set) var reads = 0
    let zerosMayBeHoles = false
    let kind = "test memory"

    init(_ memory: TestMemory, page: UInt64, until end: UInt64) {
        self.memory = memory
        self.page = page
        self.end = end
    }

    func contains(_ page: PFN) -> Bool { memory.contains(page) }
    func mapped(_ page: PFN) -> UnsafeRawPointer? { nil }

    func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) {
        memory.read(first, count: count, into: destination, states: states)
        guard first.number <= page, page - first.number < UInt64(count) else { return }
        reads += 1
        while reads > 1 && monotonicNanoseconds() < end { usleep(10_000) }
    }
}
