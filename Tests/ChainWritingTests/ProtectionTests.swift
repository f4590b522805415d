import Linux
import PRAM
import Parity
import Testing
import Verification

@testable import ChainWriting

/// Chains with parity that have lost more than comes back, and what protects them once the damage is cut out.
@Suite struct ProtectionTests {
    /// A chain of several files of which one is lost.
    private struct Cut {
        let healing: Healing
        let former: FormerProtection
        let memory: RecordedMemory
        let names: [[UInt8]]
        var head: PFN { PFN(healing.head) }

        init(_ dice: inout Dice, spare: Int, percent: Int = 5, taking free: FreePages = .all) throws {
            let files = try SourceFiles(&dice, count: 6, pages: 90)
            healing = try Healing(&dice, files: files, spare: spare, percent: percent)
            var damaged = healing.image
            // The first file's META page.
            damaged.flip(healing.protection.firstPage, bit: dice.roll(0..<4096 * 8))
            memory = RecordedMemory(damaged, isMapped: dice.once(in: 2))
            let surveyed = Cut.survey(memory, healing.head)
            former = try #require(FormerProtection(of: surveyed, in: memory))
            let outcome = try ChainDrop(surveyed, plan(surveyed), in: memory, former: former)
                .run(taking: free, generation: 0x77, threads: 1, seed: 1)
            #expect(outcome.isAtomic)
            names = try #require(outcome.chain).files.map { $0.name }
            #expect(names.count == files.expected.count - 1)
        }

        static func survey(_ memory: RecordedMemory, _ head: UInt64) -> SurveyedChain {
            SurveyedChain(head: PFN(head), memory: memory, threads: 1, seed: 1)
        }

        func protection(_ memory: RecordedMemory, taking free: FreePages = .all) -> ChainProtection? {
            ChainProtection(
                Cut.survey(memory, healing.head), as: former, in: memory, taking: free, generation: 0x78, threads: 1)
        }
    }

    @Test(arguments: seeds(20))
    func `what was cut is protected again, against any run`(_ seed: Int) throws {
        var dice = Dice(seed)
        let cut = try Cut(&dice, spare: dice.roll(0...300), percent: dice.pick([3, 5, 20]))
        let memory = cut.memory
        let outcome = try #require(cut.protection(memory)).run(seed: 1)
        let chain = try #require(outcome.chain)
        #expect(outcome.obstacle == nil && outcome.longestRun > 0)
        #expect(chain.files.filter { !$0.isParity }.map { $0.name } == cut.names)
        #expect(try Kernel.files(memory.image, head: cut.healing.head).count == cut.names.count + 1)

        let whole = memory.image
        let healed = try Healing.recovery(memory, cut.healing.head, cut.healing.end)
        #expect(healed.isNeedless && ChainRepair(healed, in: memory, writesCopies: true).plan.isNothing)
        // The head, the very end, and anywhere between: of pages that follow each other by number, with what is between.
        let run = UInt64(outcome.longestRun)
        let last = cut.healing.end + 1 - run
        for start in [cut.healing.head, last]
            + (0..<6).map({ _ in UInt64(dice.roll(Int(cut.healing.head)...Int(last))) })
        {
            var damaged = whole
            for page in start..<start + run { damaged[page] = dice.page() }
            let torn = RecordedMemory(damaged, isMapped: false)
            let recovery = try Healing.recovery(torn, cut.healing.head, cut.healing.end)
            #expect(recovery.isWhole, "seed \(seed), the run of \(run) from \(start - cut.healing.head)")
            _ = try ChainRepair(recovery, in: torn, writesCopies: true).run(isPartial: false, threads: 1)
            let survey = Cut.survey(torn, cut.healing.head)
            #expect(survey.evaluation.verdict == .intact, "seed \(seed), the run from \(start - cut.healing.head)")
            for page in whole.pages where survey.usedPages.contains(page) { #expect(torn.image[page] == whole[page]) }
        }
    }

    @Test(arguments: seeds(6))
    func `killed at any write it leaves the chain without parity or with it`(_ seed: Int) throws {
        var dice = Dice(100 + seed)
        let cut = try Cut(&dice, spare: dice.roll(0...40))
        let before = cut.memory.image
        let memory = RecordedMemory(before, isMapped: true)
        _ = try #require(cut.protection(memory)).run(seed: 1)
        var counts: Set<Int> = []
        memory.states { number, image in
            let left = Cut.survey(RecordedMemory(image, isMapped: true), cut.healing.head).evaluation
            #expect(left.verdict == .intact, "seed \(seed), after \(number) writes")
            counts.insert(left.files.count)
        }
        #expect(counts == [cut.names.count, cut.names.count + 1])
    }

    @Test(arguments: seeds(6))
    func `a write that fails leaves the chain as it was`(_ seed: Int) throws {
        var dice = Dice(200 + seed)
        let cut = try Cut(&dice, spare: 5)
        let before = cut.memory.image
        let sound = RecordedMemory(before, isMapped: true)
        _ = try #require(cut.protection(sound)).run(seed: 1)
        for number in 0..<sound.attempts {
            let memory = RecordedMemory(before, isMapped: true)
            memory.fault = (number, .error(5, pagesDone: 0))
            let outcome = try #require(cut.protection(memory)).run(seed: 1)
            let left = Cut.survey(memory, cut.healing.head).evaluation
            #expect(outcome.chain == nil && outcome.obstacle?.cause == .systemCall, "write \(number)")
            #expect(left.verdict == .intact && left.files.map { $0.name } == cut.names, "write \(number)")
        }
    }

    @Test(arguments: seeds(8))
    func `in an image, nobody else's pages are taken`(_ seed: Int) throws {
        var dice = Dice(300 + seed)
        let cut = try Cut(&dice, spare: 60, taking: .zeroed)
        let memory = cut.memory
        let outcome = try #require(cut.protection(memory, taking: .zeroed)).run(seed: 1)
        #expect(outcome.chain != nil)
        // All of them hold something.
        let used = Set(cut.healing.used)
        for page in memory.pages where !used.contains(page) { #expect(memory.image[page] == cut.healing.image[page]) }
    }

    /// The first entry of the second link names a page that is somebody else's, and its checksum does not fit any more.
    @Test func `a page that only a damaged link names is nobody's to take`() throws {
        var dice = Dice(400)
        let files = SourceFiles()
        try files.add([65], size: 300 * 4096, pages: Array(0..<300), &dice)
        try files.add([66], size: 4096, pages: [0], &dice)
        let healing = try Healing(&dice, files: files, spare: 60)
        let foreign = healing.protection.firstPage + UInt64(healing.protection.pages) + 7
        var damaged = healing.image
        let link = healing.protection.link(1)
        damaged.store(foreign, link, 24 + 8)
        let memory = RecordedMemory(damaged, isMapped: true)
        let surveyed = Cut.survey(memory, healing.head)
        #expect(surveyed.usedPages.contains(foreign))
        let former = try #require(FormerProtection(of: surveyed, in: memory))
        #expect(!former.held(foreign) && former.held(healing.protection.firstPage) && former.held(healing.end))
    }

    @Test func `a chain without parity has had none`() throws {
        var dice = Dice(1)
        let files = try SourceFiles(&dice, count: 2, pages: 5)
        let directory = try files.directory
        let memory = RecordedMemory(Image(16..<80), isMapped: true)
        var save = try ChainSave(try SavePlan(directory), from: directory, into: memory, generation: 1, parity: 0)
        _ = try save.run(threads: 1, seed: 1)
        #expect(FormerProtection(of: Cut.survey(memory, 16), in: memory) == nil)
    }

    @Test(arguments: 1...50)
    func `the percentage is told from what was made`(_ percent: Int) throws {
        var dice = Dice(percent)
        let files = SourceFiles()
        try files.add([65], size: 800 * 4096, pages: Array(0..<800), &dice)
        let healing = try Healing(&dice, files: files, spare: 0, percent: percent)
        let geometry = try #require(
            GeometryPage(locator: healing.end, in: RecordedMemory(healing.image, isMapped: true)))
        let told = try #require(geometry.percent)
        #expect(
            Interleaving(pages: geometry.pages, percent: told) == Interleaving(pages: geometry.pages, percent: percent))
    }
}
