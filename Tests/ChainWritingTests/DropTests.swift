import CLinux
import Linux
import MemorySources
import PRAM
import Testing
import Verification

@testable import ChainWriting

extension MadeChain.Shape {
    /// Any shape that a chain in memory may have.
    static func any(_ dice: inout Dice) -> MadeChain.Shape {
        var shape = MadeChain.Shape()
        shape.is32Bit = dice.once(in: 4)
        shape.flags = dice.pick([.none, .all, .all, .random, .interval])
        shape.isCleared = shape.flags != .none && !dice.once(in: 3)
        // This program stamps what it has written itself; flags that nothing explains it does not restore.
        if dice.once(in: 2) && shape.flags != .random { shape.generation = dice.next() }
        shape.marksSome = shape.generation != nil && dice.once(in: 3)
        return shape
    }
}

private func survey(_ memory: any PhysicalMemory, _ chain: MadeChain) -> SurveyedChain {
    SurveyedChain(head: PFN(chain.head), memory: memory, threads: 1, seed: 1)
}

/// Plans; leaves what nobody has decided to `unproved`.
private func plan(
    _ surveyed: SurveyedChain, _ options: DropPlan.Options = DropPlan.Options(),
    unproved: DropPlan.Options.Unproved = .cut, refits: Bool = false
) -> DropPlan {
    let plan = DropPlan(surveyed, options: options, refits: refits)
    guard plan.isUndecided else { return plan }
    var options = options
    options.unproved = unproved
    return DropPlan(surveyed, options: options, refits: refits)
}

private func run(_ chain: SurveyedChain, _ plan: DropPlan, _ memory: RecordedMemory, inPlace: Bool = false) throws
    -> ChainDrop.Outcome
{
    try ChainDrop(chain, plan, in: memory).run(takesFreePages: !inPlace, generation: 0x77, threads: 1, seed: 1)
}

private func damage(_ chain: inout MadeChain, _ dice: inout Dice) -> Damage {
    var damage = Damage()
    // Lies first: they make the links anew.
    if dice.once(in: 2) { damage.lie(&chain, &dice) }
    if damage.isContested { return damage }
    for _ in 0..<dice.roll(0...2) {
        switch dice.roll(0..<8) {
        case 0...3: damage.flipData(&chain, &dice)
        case 4: damage.flipMeta(&chain, &dice)
        case 5...6: damage.flipLink(&chain, &dice)
        default: damage.overwriteLink(&chain, &dice)
        }
    }
    return damage
}

/// Everything that must hold behind a drop.
private func judge(
    _ memory: RecordedMemory, _ made: MadeChain, _ damage: Damage, _ label: String, keepsDamaged: Bool = false
) -> Bool {
    let kept = made.files.indices.filter { damage.mustKeep($0, of: made) }
    var right = true
    func check(_ condition: Bool, _ what: @autoclosure () -> String) {
        if !condition {
            right = false
            Issue.record("\(label): \(what()); damage: \(damage.words), \(made.shape)")
        }
    }
    let after = survey(memory, made)
    if memory.image[made.head] == Page() {
        check(kept.isEmpty, "files \(kept) are lost with the whole chain")
        return right
    }
    check(after.evaluation.verdict == .intact, "it is \(after.evaluation.verdict)")
    let loaded: [Kernel.File]
    do throws(Kernel.Refusal) {
        loaded = try Kernel.files(memory.image, head: made.head, is32Bit: made.shape.is32Bit)
    } catch {
        check(false, "the kernel refuses it: \(error)")
        return false
    }
    check(loaded.count == after.evaluation.files.count, "the kernel sees other files")
    for number in kept {
        let file = made.files[number]
        guard let place = loaded.firstIndex(where: { $0.name == file.name }) else {
            check(false, "file \(number) is lost")
            continue
        }
        check(loaded[place] == file, "file \(number) is not what it was")
        let status = after.evaluation.files[place].status
        check(status == (made.marked.contains(number) ? .quarantined : .intact), "file \(number) is called \(status)")
    }
    for (file, stored) in zip(loaded, after.evaluation.files) where stored.status == .intact {
        check(made.files.contains(file), "something is called intact that was never saved: \(file.name)")
    }
    if !keepsDamaged {
        for number in damage.damaged.subtracting(damage.open) {
            let name = made.files[number].name
            check(!after.evaluation.files.contains { $0.name == name && $0.status == .intact }
                    || made.files.contains { $0.name == name && $0 != made.files[number] },
                  "damaged file \(number) is called intact")
        }
    }
    let again = DropPlan(after, options: DropPlan.Options(), refits: true)
    check(!again.isNeeded && !again.isUndecided, "there would be more to drop")
    return right
}

@Suite struct DropTests {
    @Test func `what is generated is good before it is damaged`() throws {
        for seed in 0..<300 {
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
        for seed in 0..<2500 where failures < 60 {
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
                // Nothing to do: then nothing is damaged, flags that a kernel has cleared aside.
                if surveyed.evaluation.verdict == .damaged || !damage.damaged.isEmpty {
                    Issue.record("\(label): not needed; \(damage.words), \(made.shape)")
                    failures += 1
                }
                continue
            }
            do {
                let outcome = try run(surveyed, drop, memory, inPlace: inPlace)
                #expect(outcome.head == (memory.image[made.head] == Page() ? nil : PFN(made.head)))
                #expect(inPlace ? !outcome.isAtomic || outcome.head == nil : true)
            } catch {
                Issue.record("\(label): \((error as? WritingFailure)?.message ?? ""); \(damage.words), \(made.shape)")
                failures += 1
                continue
            }
            if !judge(memory, made, damage, label) { failures += 1 }
        }
    }
}
