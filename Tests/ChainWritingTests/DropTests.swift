import CLinux
import Linux
import PRAM
import Testing
import Verification

@testable import ChainWriting

@Suite struct DropTests {
    @Test func `what is generated is good before it is damaged`() throws {
        for seed in 0..<500 {
            var dice = Dice(seed)
            var shape = MadeChain.Shape.any(&dice)
            let wasCleared = shape.isCleared
            shape.isCleared = false
            let made = MadeChain(shape, &dice)
            var kernel = Kernel(made.image, head: made.head, is32Bit: shape.is32Bit)
            try kernel.reserve()
            #expect(try kernel.load() == made.files, "seed \(seed)")
            let memory = RecordedMemory(wasCleared ? kernel.memory : made.image, isMapped: true)
            let surveyed = survey(memory, made)
            let drop = DropPlan(surveyed, options: DropPlan.Options(), refits: false)
            #expect(surveyed.evaluation.verdict != .damaged, "seed \(seed)")
            #expect(drop.fates.allSatisfy { $0 == .kept } && !drop.isNeeded, "seed \(seed): \(shape)")
        }
    }

    @Test func `every undamaged file stays, and no damaged one is called intact`() throws {
        var failures = 0
        var dropped = 0
        for seed in 0..<4000 where failures < 5 {
            var dice = Dice(seed)
            var made = MadeChain(.any(&dice), &dice)
            let damage = damage(&made, &dice)
            let inPlace = dice.once(in: 3)
            let memory = RecordedMemory(made.image, isMapped: dice.once(in: 2))
            let surveyed = survey(memory, made)
            if surveyed.evaluation.links.isEmpty { continue }  // without a head there is no chain
            let drop = plan(surveyed, unproved: dice.pick([.cut, .salvage]))
            let label = "seed \(seed)" + (inPlace ? ", in place" : "")
            guard drop.isNeeded else {
                // Nothing to do: then nothing that was found is damaged, flags that a kernel has cleared aside.
                let isBad = surveyed.evaluation.files.contains { $0.status == .damaged }
                if surveyed.evaluation.verdict == .damaged || isBad {
                    Issue.record("\(label): not needed; \(damage.words), \(made.shape)")
                    failures += 1
                }
                continue
            }
            dropped += 1
            do {
                let outcome = try run(surveyed, drop, memory, inPlace: inPlace)
                #expect(outcome.head == (memory.image[made.head] == Page() ? nil : PFN(made.head)))
                #expect(!inPlace || !outcome.isAtomic || outcome.head == nil)
            } catch {
                Issue.record("\(label): \((error as? WritingFailure)?.message ?? ""); \(damage.words), \(made.shape)")
                failures += 1
                continue
            }
            if !judge(memory, made, damage, label) { failures += 1 }
        }
        #expect(failures > 0 || dropped > 2000, "only \(dropped) chains were changed")
    }

    @Test func `quarantine and keep-holes keep what is damaged, and mark it`() throws {
        var failures = 0
        var looked = 0
        for seed in 0..<1500 where failures < 5 {
            var dice = Dice(seed)
            var made = MadeChain(.any(&dice), &dice)
            var damage = Damage()
            if dice.once(in: 4) { damage.lie(&made, &dice) }
            for _ in 0..<dice.roll(1...3) where !damage.isFinal {
                if dice.once(in: 5) { damage.flipMeta(&made, &dice) } else { damage.flipData(&made, &dice) }
            }
            let memory = RecordedMemory(made.image, isMapped: true)
            let surveyed = survey(memory, made)
            var options = DropPlan.Options()
            options.keepsHoles = dice.once(in: 2)
            options.quarantines = !options.keepsHoles
            let label = "seed \(seed), " + (options.keepsHoles ? "holes" : "quarantine")
            let drop = plan(surveyed, options)
            guard drop.isNeeded else { continue }
            do {
                _ = try run(surveyed, drop, memory, inPlace: dice.once(in: 3))
            } catch {
                Issue.record("\(label): \((error as? WritingFailure)?.message ?? ""); \(damage.words), \(made.shape)")
                failures += 1
                continue
            }
            guard judge(memory, made, damage, label), memory.image[made.head] != Page() else {
                failures += 1
                continue
            }
            // Links are whole here: whatever is damaged in its pages only is found again.
            let loaded = try Kernel.files(memory.image, head: made.head, is32Bit: made.shape.is32Bit)
            let stored = survey(memory, made).evaluation.files
            guard damage.words.allSatisfy({ $0.hasPrefix("data of") || $0.hasPrefix("meta of") }) else { continue }
            for number in damage.inPagesOnly.subtracting(damage.withoutMeta) {
                let wanted = damage.remains(of: number, in: made, withHoles: options.keepsHoles)
                let names =
                    options.keepsHoles
                    ? [wanted.name]
                    : (1...9).map { number -> [UInt8] in
                        let ending = Array((number == 1 ? ".damaged" : ".damaged\(number)").utf8)
                        return wanted.name.prefix(255 - ending.count) + ending
                    }
                let place = loaded.indices.first {
                    names.contains(loaded[$0].name) && loaded[$0].size == wanted.size
                        && loaded[$0].mode == wanted.mode && loaded[$0].pages == wanted.pages
                }
                looked += 1
                if place.map({ stored[$0].status }) != .quarantined {
                    Issue.record("\(label): file \(number) is not kept; \(damage.words), \(made.shape)")
                    failures += 1
                }
            }
        }
        #expect(failures > 0 || looked > 700, "only \(looked) damaged files were looked for")
    }

    @Test func `in one step: at every moment there is the old chain, or the new`() throws {
        var failures = 0
        var dropped = 0
        for seed in 0..<600 where failures < 5 {
            var dice = Dice(seed)
            var shape = MadeChain.Shape.any(&dice)
            shape.freePages = 20...40
            shape.linkLength = dice.pick([1...4, 1...12, 20...40])
            var made = MadeChain(shape, &dice)
            let damage = damage(&made, &dice)
            let memory = RecordedMemory(made.image, isMapped: true)
            let surveyed = survey(memory, made)
            var options = DropPlan.Options()
            options.quarantines = dice.once(in: 3)
            let drop = plan(surveyed, options)
            guard !surveyed.evaluation.links.isEmpty, drop.isNeeded,
                let outcome = try? run(surveyed, drop, memory)
            else { continue }
            #expect(outcome.isAtomic)
            dropped += 1
            let last = memory.writes.count
            #expect(memory.writes[last - 1].page == made.head, "the head is written last")
            #expect(memory.writes.dropLast().allSatisfy { $0.page != made.head }, "and once")
            #expect(last == 1 || memory.synchronized.contains(last - 1), "behind everything else")
            let crash = dice.roll(0..<last)
            memory.states { number, image in
                guard number < last else { return }
                let old = survey(RecordedMemory(image, isMapped: true), made).evaluation
                let isSame =
                    old.verdict == surveyed.evaluation.verdict && old.findings == surveyed.evaluation.findings
                    && old.files.map(\.status) == surveyed.evaluation.files.map(\.status)
                if !isSame {
                    Issue.record("seed \(seed): another chain after \(number) of \(last) writes; \(damage.words)")
                    failures += 1
                }
                guard number == crash else { return }
                // Who does it again behind a crash loses nothing more.
                let again = RecordedMemory(image, isMapped: true)
                let resurveyed = survey(again, made)
                guard (try? run(resurveyed, plan(resurveyed), again)) != nil,
                    judge(again, made, damage, "seed \(seed), again after write \(number)")
                else {
                    failures += 1
                    return
                }
            }
        }
        #expect(failures > 0 || dropped > 200, "only \(dropped) chains were changed")
    }

    /// Without a free page the links are changed one by one, and a crash leaves some of each. Whatever it leaves, what is called
    /// intact in it is a file that was saved, as it was saved.
    @Test func `link by link: what a crash leaves calls nothing intact that is not`() throws {
        var failures = 0
        var intact = 0
        for seed in 0..<300 where failures < 5 {
            var dice = Dice(seed)
            var shape = MadeChain.Shape.any(&dice)
            shape.linkLength = dice.pick([1...4, 1...12, 20...40])
            var made = MadeChain(shape, &dice)
            var damage = Damage()
            for _ in 0..<dice.roll(1...2) { damage.flipData(&made, &dice) }
            let memory = RecordedMemory(made.image, isMapped: true)
            let surveyed = survey(memory, made)
            var options = DropPlan.Options()
            options.quarantines = dice.once(in: 3)
            options.keepsHoles = !options.quarantines && dice.once(in: 2)
            let drop = plan(surveyed, options)
            guard !surveyed.evaluation.links.isEmpty, drop.isNeeded,
                (try? run(surveyed, drop, memory, inPlace: true)) != nil
            else { continue }
            memory.states { number, image in
                let left = RecordedMemory(image, isMapped: true)
                let files = survey(left, made).evaluation.files
                for file in files where file.status == .intact {
                    intact += 1
                    guard let saved = made.files.firstIndex(where: { $0.name == file.name }) else {
                        Issue.record("seed \(seed), write \(number): a file that was never saved is called intact")
                        failures += 1
                        continue
                    }
                    // A damaged one has lost pages, or has wrong ones.
                    if damage.inPagesOnly.contains(saved) {
                        Issue.record(
                            "seed \(seed): damaged file \(saved) is intact after \(number) writes; \(damage.words)")
                        failures += 1
                    }
                }
            }
        }
        #expect(failures > 0 || intact > 500, "only \(intact) files were called intact")
    }

    @Test func `a write that fails leaves the old chain, and says so`() throws {
        var dropped = 0
        for seed in 0..<40 {
            var dice = Dice(seed)
            var shape = MadeChain.Shape()
            shape.freePages = 20...20
            shape.linkLength = 2...4
            shape.flags = .all
            var made = MadeChain(shape, &dice)
            var damage = Damage()
            damage.flipData(&made, &dice)
            let whole = RecordedMemory(made.image, isMapped: true)
            let surveyed = survey(whole, made)
            var options = DropPlan.Options()
            options.quarantines = dice.once(in: 2)
            let drop = plan(surveyed, options)
            guard drop.isNeeded else { continue }
            _ = try run(surveyed, drop, whole)
            dropped += 1
            for number in 0..<whole.attempts {
                for what in [RecordedMemory.Fault.error(EIO, pagesDone: 0), .error(ENOSPC, pagesDone: 0), .kill] {
                    let memory = RecordedMemory(made.image, isMapped: true)
                    memory.fault = (number, what)
                    let failed = writingFailure { _ = try run(surveyed, drop, memory) }
                    #expect(failed?.cause == .systemCall)
                    #expect(survey(memory, made).evaluation.findings == surveyed.evaluation.findings)
                }
                // A page that does not hold what is written to it is found out before the head is replaced.
                guard number < whole.attempts - 1 else { continue }
                let memory = RecordedMemory(made.image, isMapped: true)
                memory.fault = (0, .lost(page: whole.writes[number].page))
                #expect(writingFailure { _ = try run(surveyed, drop, memory) }?.cause == .notVerified)
                #expect(memory.image[made.head] == made.image[made.head])
            }
        }
        #expect(dropped > 20, "only \(dropped) chains were changed")
    }

    @Test func `each write asks for permission first`() throws {
        var dice = Dice(5)
        var shape = MadeChain.Shape()
        shape.freePages = 20...20
        shape.linkLength = 2...3
        shape.fileCount = 5...5
        shape.flags = .all
        var made = MadeChain(shape, &dice)
        var damage = Damage()
        while damage.isNone { damage.flipData(&made, &dice) }
        for inPlace in [false, true] {
            let whole = RecordedMemory(made.image, isMapped: true)
            let surveyed = survey(whole, made)
            let drop = plan(surveyed)
            _ = try run(surveyed, drop, whole, inPlace: inPlace)
            for number in 0..<whole.attempts {
                let memory = RecordedMemory(made.image, isMapped: true)
                let permit = { () throws(WritingFailure) in
                    if memory.attempts == number { throw WritingFailure(.changed, "it is another chain now") }
                }
                let failed = writingFailure {
                    _ = try ChainDrop(surveyed, drop, in: memory, permit: permit)
                        .run(taking: inPlace ? .none : .all, generation: 1, threads: 1, seed: 1)
                }
                #expect(failed?.cause == .changed && memory.attempts == number)
            }
        }
    }

    @Test func `refit makes a chain whose flags a kernel has cleared one that the next kernel takes`() throws {
        var refitted = 0
        for seed in 0..<500 {
            var dice = Dice(seed)
            var shape = MadeChain.Shape.any(&dice)
            shape.flags = dice.pick([.all, .all, .interval, .random])
            if shape.flags == .random { (shape.generation, shape.marksSome) = (nil, false) }
            shape.isCleared = true
            let made = MadeChain(shape, &dice)
            let memory = RecordedMemory(made.image, isMapped: true)
            let surveyed = survey(memory, made)
            let drop = DropPlan(surveyed, options: DropPlan.Options(), refits: true)
            let isTaken = (try? Kernel.files(made.image, head: made.head, is32Bit: shape.is32Bit)) != nil
            #expect(drop.isNeeded != isTaken, "seed \(seed)")
            guard drop.isNeeded else { continue }
            let inPlace = dice.once(in: 2)
            _ = try run(surveyed, drop, memory, inPlace: inPlace)
            let loaded = try Kernel.files(memory.image, head: made.head, is32Bit: shape.is32Bit)
            #expect(loaded == made.files, "seed \(seed): \(shape)")
            #expect(!DropPlan(survey(memory, made), options: DropPlan.Options(), refits: true).isNeeded)
            refitted += 1
            guard shape.flags == .all else { continue }
            let flags = survey(memory, made).entries.filter { $0.entry.kind == .data }.map(\.entry.hasLRU)
            #expect(flags.allSatisfy { $0 }, "seed \(seed): flags are not restored")
        }
        #expect(refitted > 200, "only \(refitted) chains were refitted")
    }
}
