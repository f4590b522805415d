import Linux
import PRAM
import Parity
import Testing
import Verification

@testable import ChainWriting

/// A chain with parity in memory, and everything that can happen to it.
struct Healing {
    let files: SourceFiles
    /// The range as it was saved.
    let image: Image
    let protection: ParityLayout
    var head: UInt64 { image.pages.lowerBound }
    var end: UInt64 { image.pages.upperBound - 1 }

    init(_ dice: inout Dice, files: SourceFiles, spare: Int, percent: Int = 5) throws {
        self.files = files
        let directory = try files.directory
        let plan = try SavePlan(directory)
        let entries = try #require(plan.entryCount)
        let size = try #require(ParityLayout.pagesNeeded(pages: entries, percent: percent)) + spare
        let first = UInt64(dice.pick([1, 16, 1 << 30]))
        var before = Image(first..<first + UInt64(size))
        for page in before.pages { before[page] = dice.page() }
        let memory = RecordedMemory(before, isMapped: dice.once(in: 2))
        var save = try ChainSave(
            plan, from: directory, into: memory, generation: UInt64(dice.roll(1...1 << 60)), parity: percent)
        let (_, chain) = try save.run(threads: dice.roll(1...2), seed: 1)
        #expect(chain.verdict == .intact)
        image = memory.image
        protection = try #require(save.protection)
    }

    /// One large file and small ones.
    init(_ dice: inout Dice, pages: Int, spare: Int = 0, percent: Int = 5) throws {
        let files = SourceFiles()
        try files.add([65], size: 0, pages: [], &dice)
        try files.add([66], size: pages * 4096 - 7, pages: Array(0..<pages), &dice)
        try files.add([67], size: 1 << 20, pages: [3, 9], &dice)
        try self.init(&dice, files: files, spare: spare, percent: percent)
    }

    static func recovery(_ memory: any PhysicalMemory, _ head: UInt64, _ end: UInt64) throws -> ChainRecovery {
        try ChainRecovery(head: PFN(head), memory: memory, ends: [end], threads: 2, seed: 3)
    }

    /// Repairs a damaged copy.
    /// - Returns: what is left; nil when nothing can be found out, or not all comes back.
    func repair(_ damaged: Image, isPartial: Bool = false) throws -> RecordedMemory {
        let memory = RecordedMemory(damaged, isMapped: damaged.pages.count % 2 == 0)
        guard let recovery = try? Healing.recovery(memory, head, end) else { return memory }
        _ = try ChainRepair(recovery, in: memory, writesCopies: true).run(isPartial: isPartial, threads: 1)
        return memory
    }

    /// What belongs to the chain: free pages may hold anything.
    var used: [UInt64] {
        let tail = protection.meta ?? protection.mirror
        let links = UInt64(protection.links)
        return Array(head..<head + 1 + links + UInt64(protection.pages)) + Array(tail...end)
    }

    func isWhole(_ other: Image) -> Bool { used.allSatisfy { image[$0] == other[$0] } }
}

@Suite struct HealingTests {
    @Test func `the reserved name is one`() {
        let name = ParityLayout.fileName.withUTF8Buffer { Array($0) }
        #expect(FileImage.isParity(name) && name == FileImage.parityName.withUTF8Buffer { Array($0) })
    }

    @Test func `what is saved with parity loads, and the kernel sees one more file`() throws {
        for seed in 0..<30 {
            var dice = Dice(seed)
            let files = try SourceFiles(&dice, count: dice.roll(1...12), pages: 40)
            let healing = try Healing(&dice, files: files, spare: seed % 3 * 7, percent: dice.pick([1, 5, 20, 50]))
            let loaded = try Kernel.files(healing.image, head: healing.head)
            #expect(loaded.count == files.expected.count + 1, "seed \(seed)")
            for (file, wanted) in zip(loaded, files.expected) { #expect(file.reads(like: wanted), "seed \(seed)") }
            #expect(FileImage.isParity(loaded[loaded.count - 1].name) && loaded[loaded.count - 1].mode == 0o100400)
        }
    }

    @Test(arguments: [1, 40, 331, 700])
    func `any run of as many pages as there is parity comes back, at every border`(_ pages: Int) throws {
        var dice = Dice(pages)
        let healing = try Healing(&dice, pages: pages, spare: pages % 3 * 5)
        let layout = healing.protection
        let run = UInt64(layout.longestRun)
        let borders = [
            healing.head, healing.head + 1, healing.head + 2, layout.firstPage, layout.firstPage + UInt64(layout.pages),
            layout.meta!, layout.geometry!, layout.parity, layout.mirror, layout.linkParity, healing.end,
            healing.end + 1,
        ]
        var starts: Set<UInt64> = []
        for border in borders {
            for back in [run, run - 1, run / 2, 1, 0] where border >= healing.head + back {
                starts.insert(border - back)
            }
        }
        for start in starts.sorted() where start + run <= healing.end + 1 {
            var damaged = healing.image
            for page in start..<start + run { damaged[page] = dice.once(in: 4) ? Page() : dice.page() }
            let repaired = try healing.repair(damaged)
            #expect(healing.isWhole(repaired.image), "\(pages) pages, the run from \(start - healing.head)")
        }
    }

    @Test(arguments: seeds(60))
    func `scattered losses and mixtures come back, or nothing changes`(_ seed: Int) throws {
        var dice = Dice(1000 + seed)
        let healing = try Healing(&dice, pages: dice.roll(1...400), spare: dice.roll(0...9))
        let code = try #require(healing.protection.code)
        let used = healing.used
        var damaged = healing.image
        let count = seed % 5 == 4 ? dice.roll(code.rows...code.parityPages * 2) : dice.roll(1...code.rows)
        var groups = [Int](repeating: 0, count: code.groups)
        var hasLostLink = false
        for page in used.shuffled(using: &dice).prefix(count) {
            damaged.flip(page, bit: dice.roll(0..<4096 * 8))
            let layout = healing.protection
            if page >= layout.firstPage && page < layout.firstPage + UInt64(layout.pages) {
                groups[code.group(ofPage: Int(page - layout.firstPage))] += 1
            } else if page >= layout.parity && page < layout.mirror {
                groups[code.group(ofParity: Int(page - layout.parity))] += 1
            } else {
                hasLostLink = true
            }
        }
        let repaired = try healing.repair(damaged)
        if groups.allSatisfy({ $0 <= code.rows }) && (!hasLostLink || count <= 4) {
            #expect(healing.isWhole(repaired.image), "seed \(seed)")
        } else if !healing.isWhole(repaired.image) {
            #expect(repaired.attempts == 0 && repaired.image == damaged, "seed \(seed)")
        }
    }

    @Test func `one page more than the promise is refused, and not one byte changes`() throws {
        var dice = Dice(7)
        let healing = try Healing(&dice, pages: 500)
        let layout = healing.protection
        let code = try #require(layout.code)
        for group in 0..<code.groups {
            var damaged = healing.image
            let lost = (0...code.rows).map { layout.firstPage + UInt64(code.page(group: group, column: $0)) }
            for page in lost { damaged[page] = dice.page() }
            let memory = RecordedMemory(damaged, isMapped: true)
            let recovery = try Healing.recovery(memory, healing.head, healing.end)
            #expect(!recovery.isWhole && recovery.files.contains { $0.comingBack < $0.lost })
            _ = try ChainRepair(recovery, in: memory, writesCopies: true).run(isPartial: false, threads: 1)
            #expect(memory.attempts == 0 && memory.image == damaged)
            // Without one of them, it comes back.
            damaged[lost[0]] = healing.image[lost[0]]
            #expect(healing.isWhole(try healing.repair(damaged).image))
        }
    }

    @Test func `partial repair brings back the files that it can`() throws {
        var dice = Dice(8)
        let healing = try Healing(&dice, pages: 500)
        let layout = healing.protection
        let code = try #require(layout.code)
        var damaged = healing.image
        for column in 0...code.rows {
            damaged[layout.firstPage + UInt64(code.page(group: 1, column: column))] = dice.page()
        }
        // The last file's META and DATA are in other groups or not: what is of group 1 stays lost.
        let others = (0..<3).map { layout.firstPage + UInt64(layout.pages - 1 - $0) }
        for page in others { damaged[page] = dice.page() }
        let repaired = try healing.repair(damaged, isPartial: true).image
        for page in others {
            let isLost = code.group(ofPage: Int(page - layout.firstPage)) == 1
            #expect((repaired[page] == healing.image[page]) != isLost)
        }
        let lost = layout.firstPage + UInt64(code.page(group: 1, column: 0))
        #expect(repaired[lost] == damaged[lost])
    }

    @Test func `whole links, the head and its neighbours come back, up to four of a group with their copies`() throws {
        var dice = Dice(9)
        let healing = try Healing(&dice, pages: 900)
        let layout = healing.protection
        #expect(layout.links == 6)
        for lost in 1...5 {
            for first in 0...layout.links - lost {
                var damaged = healing.image
                for link in first..<first + lost {
                    damaged[layout.link(link)] = dice.page()
                    damaged[layout.mirror + UInt64(link)] = Page()
                }
                let repaired = try healing.repair(damaged)
                if lost <= 4 {
                    #expect(healing.isWhole(repaired.image), "links \(first) and \(lost) on")
                } else {
                    #expect(repaired.attempts == 0)
                }
            }
        }
    }

    @Test func `stale and crafted parity is not used`() throws {
        var dice = Dice(10)
        let healing = try Healing(&dice, pages: 300)
        let layout = healing.protection
        // A page that changed together with its link: the parity is of what was.
        var stale = healing.image
        let page = layout.firstPage + 1
        stale[page] = dice.page()
        let link = layout.link(0)
        let place = 24 + 24 + 4
        stale.store(stale.pageChecksum(page), link, place)
        stale.store(stale.linkChecksum(link), link, 4)
        stale[layout.firstPage + 2] = dice.page()
        var memory = RecordedMemory(stale, isMapped: true)
        #expect(throws: ChainRecovery.Obstacle.stale) {
            _ = try Healing.recovery(memory, healing.head, healing.end)
        }
        // Locators of another generation are passed over: the chain's own file tells what protects it.
        let other = try Healing(&dice, files: healing.files, spare: 0)
        if other.head == healing.head {
            var mixed = healing.image
            mixed[healing.head + 1] = other.image[healing.head + 1]
            mixed[healing.end] = other.image[healing.end]
            mixed[layout.firstPage] = dice.page()
            let repaired = try healing.repair(mixed)
            #expect(healing.isWhole(repaired.image))
            // Where that is lost too, nothing does.
            mixed[layout.geometry!] = dice.page()
            memory = RecordedMemory(mixed, isMapped: true)
            #expect(throws: ChainRecovery.Obstacle.stale) {
                _ = try Healing.recovery(memory, healing.head, healing.end)
            }
        }
        // Parity pages that fit their checksums, and are wrong: what comes of them fits no checksum, and is not written.
        let code = try #require(layout.code)
        var crafted = healing.image
        for row in 0..<code.rows {
            let parity = layout.parity + UInt64(code.parity(group: 0, row: row))
            crafted[parity] = dice.page()
            let entry = layout.pages + 2 + code.parity(group: 0, row: row)
            let link = layout.link(entry / 169)
            crafted.store(crafted.pageChecksum(parity), link, 24 + entry % 169 * 24 + 4)
        }
        for link in 0..<layout.links {
            crafted.store(crafted.linkChecksum(layout.link(link)), layout.link(link), 4)
        }
        crafted[layout.firstPage] = dice.page()
        memory = RecordedMemory(crafted, isMapped: true)
        let recovery = try Healing.recovery(memory, healing.head, healing.end)
        #expect(recovery.isWhole && recovery.lostPages == 1)
        let failed = writingFailure {
            _ = try ChainRepair(recovery, in: memory, writesCopies: true).run(isPartial: false, threads: 1)
        }
        #expect(failed?.cause == .notVerified && memory.attempts == 0)
        var bytes = PageState.present
        let read = PageBytes(PFN(layout.firstPage), of: RecoveredMemory(recovery), state: &bytes)
        #expect(read.bytes == crafted[layout.firstPage].bytes)
    }

    @Test func `killed at any write, what was good stays good and a second run finishes`() throws {
        var dice = Dice(11)
        let healing = try Healing(&dice, pages: 330)
        var damaged = healing.image
        for page in healing.head..<healing.head + UInt64(healing.protection.longestRun) { damaged[page] = dice.page() }
        let whole = try healing.repair(damaged)
        #expect(healing.isWhole(whole.image))
        for number in 0..<whole.attempts {
            let memory = RecordedMemory(damaged, isMapped: true)
            memory.fault = (number, .kill)
            let recovery = try Healing.recovery(memory, healing.head, healing.end)
            #expect(
                writingFailure {
                    _ = try ChainRepair(recovery, in: memory, writesCopies: true).run(isPartial: false, threads: 1)
                } != nil)
            let left = memory.image
            for page in healing.used where damaged[page] == healing.image[page] {
                #expect(left[page] == healing.image[page])
            }
            #expect(healing.isWhole(try healing.repair(left).image), "after write \(number)")
        }
    }

    @Test func `save killed at any write leaves the old chain, none, or the new, and nothing brings back another`()
        throws
    {
        var dice = Dice(12)
        let files = SourceFiles()
        try files.add([65], size: 4096 * 30, pages: Array(0..<30), &dice)
        let healing = try Healing(&dice, files: files, spare: 60)
        let new = SourceFiles()
        try new.add([66], size: 4096 * 20, pages: Array(0..<20), &dice)
        func save(_ memory: RecordedMemory, _ percent: Int) throws {
            let directory = try new.directory
            var save = try ChainSave(
                SavePlan(directory), from: directory, into: memory, generation: 77, parity: percent)
            _ = try save.run(threads: 1, seed: 1)
        }
        for percent in [0, 5] {
            let memory = RecordedMemory(healing.image, isMapped: true)
            try save(memory, percent)
            try memory.states { number, image in
                let found = (try? Kernel.files(image, head: healing.head)).map { $0.map(\.name) }
                let expected = found == nil || found?.first == [65] || found?.first == [66]
                #expect(expected, "after write \(number)")
                guard found == nil else { return }
                // No old chain is found by what was left of it.
                let left = try healing.repair(image)
                let back = (try? Kernel.files(left.image, head: healing.head)).map { $0.map(\.name) }
                #expect(back == nil || back?.first == [66], "after write \(number): an old chain is back")
            }
        }
    }

    @Test func `what comes back is read without writing`() throws {
        var dice = Dice(13)
        let healing = try Healing(&dice, pages: 400)
        let layout = healing.protection
        let run = UInt64(layout.longestRun)
        for start in [healing.head, layout.firstPage + 10, layout.parity - run / 2] {
            var damaged = healing.image
            for page in start..<start + run { damaged[page] = dice.page() }
            let memory = RecordedMemory(damaged, isMapped: dice.once(in: 2))
            let recovered = RecoveredMemory(try Healing.recovery(memory, healing.head, healing.end))
            var options = ChainCheck.Options()
            options.threads = 2
            let check = ChainCheck(head: PFN(healing.head), memory: recovered, options: options, seed: 5).run()
            #expect(check.verdict == .intact && check.files.count == 4)
            #expect(memory.attempts == 0)
        }
    }

    @Test func `a range without room has as much parity as fits, or only copies of links`() throws {
        var dice = Dice(14)
        let files = SourceFiles()
        try files.add([65], size: 4096 * 1000, pages: Array(0..<1000), &dice)
        let directory = try files.directory
        let plan = try SavePlan(directory)
        let plain = Int(try #require(plan.pagesNeeded))
        var least = Int.max
        for spare in [0, 3, 10, 20, 30, 60, 100] {
            let memory = RecordedMemory(Image(9..<9 + UInt64(plain + spare)), isMapped: true)
            var save = try ChainSave(plan, from: directory, into: memory, generation: 5, parity: 5)
            _ = try save.run(threads: 2, seed: 1)
            let loaded = try Kernel.files(memory.image, head: 9)
            #expect(loaded[0].reads(like: files.expected[0]), "\(spare) spare")
            let run = save.protection?.longestRun ?? -1
            #expect(loaded.count == (run > 0 ? 2 : 1))
            least = min(least, run)
            guard run > 0 else { continue }
            var damaged = memory.image
            for page in UInt64(100)..<UInt64(100 + run) { damaged[page] = dice.page() }
            let other = RecordedMemory(damaged, isMapped: true)
            let recovery = try Healing.recovery(other, 9, 9 + UInt64(plain + spare) - 1)
            _ = try ChainRepair(recovery, in: other, writesCopies: true).run(isPartial: false, threads: 1)
            #expect(other.image == memory.image, "\(spare) spare")
        }
        #expect(least == -1)
    }

    @Test func `placement for more pages than come keeps its promise`() throws {
        for (most, pages) in [(1000, 1000), (1000, 3), (1 << 30, 700), (5000, 1500)] {
            let range: Range<UInt64> = 50..<2050
            let placement = try #require(ChainPlacement(range, most: most, isExact: most == pages, percent: 5))
            let layout = try #require(placement.layout(pages: pages), "\(most), \(pages)")
            #expect(layout.backLocator == 2049 && layout.links <= placement.links.count + 1)
            #expect(placement.firstPage + UInt64(pages) <= layout.meta ?? layout.mirror)
            #expect(placement.frontLocator == 51 && placement.links.lowerBound == 52)
        }
        #expect(ChainPlacement(50..<60, most: 1000, percent: 5) == nil)
    }

    @Test func `erasing clears what would bring the chain back`() throws {
        var dice = Dice(15)
        let healing = try Healing(&dice, pages: 50)
        let memory = RecordedMemory(healing.image, isMapped: true)
        try Locators.clear(head: PFN(healing.head), in: memory)
        try memory.write(PFN(healing.head), PageBytes())
        #expect(throws: ChainRecovery.Obstacle.noParity) {
            _ = try Healing.recovery(memory, healing.head, healing.end)
        }
    }
}
