import CLinux
import Linux
import PRAM
import Parity
import Testing
import Verification

@testable import ChainWriting

/// A chain that takes the place of another one in a range with room for both.
@Suite struct ReplaceTests {
    private let head: UInt64 = 50
    private let old = SourceFiles()
    private let new = SourceFiles()
    private let third = SourceFiles()

    init() throws {
        var dice = Dice(11)
        try old.add([1], size: 4096 * 190, pages: Array(0..<190), &dice)
        try old.add([2], size: 0, pages: [], &dice)
        try new.add([3], size: 4096 * 260 - 1, pages: Array(0..<260), &dice)
        try new.add([4], size: 4096 * 9, pages: [0, 8], &dice)
        try third.add([5], size: 4096 * 30, pages: Array(0..<30), &dice)
    }

    private func save(
        _ files: SourceFiles, into memory: RecordedMemory, generation: UInt64, parity: Int
    ) throws -> ParityLayout? {
        let directory = try files.directory
        let standing = StandingChain(in: memory, threads: 1, seed: 3)
        var save = try ChainSave(
            SavePlan(directory), from: directory, into: memory, generation: generation, parity: parity,
            replacing: standing)
        _ = try save.run(threads: 1, seed: 1)
        return save.protection
    }

    private func holds(_ image: Image, _ files: SourceFiles) -> Bool {
        guard let found = try? Kernel.files(image, head: head) else { return false }
        let named = found.filter { !FileImage.isParity($0.name) }
        guard named.count == files.expected.count else { return false }
        return zip(named, files.expected).allSatisfy { $0.name == $1.name && $0.reads(like: $1) }
    }

    private func saved(_ parity: Int, pages: UInt64 = 700) throws -> Image {
        var dice = Dice(1)
        var image = Image(head..<head + pages)
        for page in image.pages { image[page] = dice.page() }
        let memory = RecordedMemory(image, isMapped: true)
        _ = try save(old, into: memory, generation: 1, parity: parity)
        return memory.image
    }

    /// Parity before and after.
    private static let parities = [(0, 0), (0, 5), (5, 0), (5, 5), (50, 1)]

    @Test(arguments: parities)
    func `at every moment there is the old chain or the new`(before: Int, after: Int) throws {
        let first = try saved(before)
        for isMapped in [true, false] {
            let memory = RecordedMemory(first, isMapped: isMapped)
            let protection = try save(new, into: memory, generation: 2, parity: after)
            #expect((protection?.code != nil) == (after > 0))
            let switched = try #require(memory.writes.firstIndex { $0.page == head })
            #expect(memory.writes.filter { $0.page == head }.count == 1)
            #expect(memory.synchronized.contains(switched))
            memory.states { number, image in
                #expect(holds(image, number <= switched ? old : new), "\(number) of \(memory.writes.count) writes")
            }
            var dice = Dice(4)
            memory.tornStates(&dice) { number, image in #expect(holds(image, old), "\(number)") }
        }
    }

    @Test(arguments: parities)
    func `a write that fails leaves the old chain, or the new`(before: Int, after: Int) throws {
        let first = try saved(before)
        let whole = RecordedMemory(first, isMapped: true)
        _ = try save(new, into: whole, generation: 2, parity: after)
        let switched = try #require(whole.writes.firstIndex { $0.page == head })
        for number in 0..<whole.attempts {
            for what in [RecordedMemory.Fault.error(EIO, pagesDone: 0), .error(ENOSPC, pagesDone: 1), .kill] {
                let memory = RecordedMemory(first, isMapped: number % 2 == 0)
                memory.fault = (number, what)
                #expect(
                    writingFailure { _ = try save(new, into: memory, generation: 2, parity: after) }?.cause
                        == .systemCall)
                #expect(holds(memory.image, number <= switched ? old : new), "write \(number) of \(whole.attempts)")
            }
        }
    }

    @Test func `memory that loses a page of the new chain keeps the old one, which is said`() throws {
        let first = try saved(5)
        let whole = RecordedMemory(first, isMapped: true)
        _ = try save(new, into: whole, generation: 2, parity: 5)
        let switched = try #require(whole.writes.firstIndex { $0.page == head })
        for page in Set(whole.writes[...switched].filter { !$0.isFill }.map(\.page)) {
            let memory = RecordedMemory(first, isMapped: true)
            memory.fault = (0, .lost(page: page))
            let failed = writingFailure { _ = try save(new, into: memory, generation: 2, parity: 5) }
            if failed == nil { continue }  // a copy, which nothing reads back
            #expect(failed?.cause == .notVerified && failed?.message.contains("the older chain was left") == true)
            #expect(holds(memory.image, old), "page \(page)")
        }
    }

    @Test func `a head that was torn is found by the new locators`() throws {
        let memory = RecordedMemory(try saved(5), isMapped: true)
        _ = try save(new, into: memory, generation: 2, parity: 5)
        let switched = try #require(memory.writes.firstIndex { $0.page == head })
        var torn = memory.before
        for write in memory.writes[..<switched] { torn.put(write.bytes, at: write.page) }
        let half = Array(memory.writes[switched].bytes[..<2048]) + Array(torn[head].bytes[2048...])
        torn.put(half, at: head)
        let repaired = RecordedMemory(torn, isMapped: true)
        let recovery = try ChainRecovery(
            head: PFN(head), memory: repaired, ends: [torn.pages.upperBound - 1], threads: 1, seed: 3)
        _ = try ChainRepair(recovery, in: repaired, writesCopies: true).run(isPartial: false, threads: 1)
        #expect(holds(repaired.image, new))
    }

    @Test func `any run of lost pages comes back, also where the chain is not at the start`() throws {
        let memory = RecordedMemory(try saved(5), isMapped: true)
        let protection = try #require(try save(new, into: memory, generation: 2, parity: 5))
        let run = UInt64(protection.longestRun)
        #expect(run > 5)
        let pages = memory.image.pages
        for start in stride(from: pages.lowerBound, to: pages.upperBound - run, by: 5) {
            var damaged = memory.image
            for page in start..<start + run { damaged[page] = Page() }
            let repaired = RecordedMemory(damaged, isMapped: true)
            let recovery = try ChainRecovery(
                head: PFN(head), memory: repaired, ends: [pages.upperBound - 1], threads: 1, seed: 3)
            _ = try ChainRepair(recovery, in: repaired, writesCopies: true).run(isPartial: false, threads: 1)
            #expect(holds(repaired.image, new), "lost from \(start) on")
        }
    }

    @Test func `again and again, each beside the last`() throws {
        let memory = RecordedMemory(try saved(5), isMapped: true)
        for (number, files) in [new, third, new, old, third, new].enumerated() {
            _ = try save(files, into: memory, generation: UInt64(number + 2), parity: 5)
            #expect(holds(memory.image, files), "\(number)")
        }
    }

    @Test func `without room for both the old one is cleared first`() throws {
        let first = try saved(5, pages: 420)
        let memory = RecordedMemory(first, isMapped: true)
        _ = try save(new, into: memory, generation: 2, parity: 5)
        #expect(holds(memory.image, new))
        let cleared = try #require(memory.writes.firstIndex { $0.page == head })
        #expect(Page(memory.writes[cleared].bytes) == Page())
    }

    @Test func `a chain that is damaged is not kept`() throws {
        var image = try saved(0)
        image[head + 20] = Page()
        #expect(StandingChain(in: RecordedMemory(image, isMapped: true), threads: 1, seed: 3) == nil)
        #expect(StandingChain(in: RecordedMemory(Image(50..<90), isMapped: true), threads: 1, seed: 3) == nil)
    }

    @Test func `a file that changes meanwhile leaves the old chain, and that is said`() throws {
        var dice = Dice(2)
        let files = SourceFiles()
        try files.add([1], size: 4096 * 200, pages: Array(0..<200), &dice)
        usleep(20_000)
        let memory = RecordedMemory(try saved(5), isMapped: true)
        memory.whenWriting = { if $0 == 1 { files.change([1], size: 4096 * 201, byteAt: nil) } }
        let failed = writingFailure { _ = try save(files, into: memory, generation: 2, parity: 5) }
        #expect(failed?.cause == .changed && failed?.message.contains("the older chain was left") == true)
        #expect(holds(memory.image, old))
    }
}
