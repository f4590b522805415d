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

func survey(_ memory: any PhysicalMemory, _ chain: MadeChain) -> SurveyedChain {
    SurveyedChain(head: PFN(chain.head), memory: memory, threads: 1, seed: 1)
}

/// Plans; leaves what nobody has decided to `unproved`.
func plan(
    _ surveyed: SurveyedChain, _ options: DropPlan.Options = DropPlan.Options(),
    unproved: DropPlan.Options.Unproved = .cut, refits: Bool = false
) -> DropPlan {
    let plan = DropPlan(surveyed, options: options, refits: refits)
    guard plan.isUndecided else { return plan }
    var options = options
    options.unproved = unproved
    return DropPlan(surveyed, options: options, refits: refits)
}

func run(_ chain: SurveyedChain, _ plan: DropPlan, _ memory: RecordedMemory, inPlace: Bool = false) throws
    -> ChainDrop.Outcome
{
    try ChainDrop(chain, plan, in: memory).run(taking: inPlace ? .none : .all, generation: 0x77, threads: 1, seed: 1)
}

func damage(_ chain: inout MadeChain, _ dice: inout Dice) -> Damage {
    var damage = Damage()
    // Lies first: they make the links anew.
    if dice.once(in: 2) { damage.lie(&chain, &dice) }
    if damage.isFinal { return damage }
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
func judge(
    _ memory: RecordedMemory, _ made: MadeChain, _ damage: Damage, _ label: String
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
    for number in damage.inPagesOnly {
        let name = made.files[number].name
        check(
            !after.evaluation.files.contains { $0.name == name && $0.status == .intact },
            "damaged file \(number) is called intact")
    }
    let again = DropPlan(after, options: DropPlan.Options(), refits: true)
    check(!again.isNeeded && !again.isUndecided, "there would be more to drop")
    return right
}

func writingFailure(_ body: () throws -> Void) -> WritingFailure? {
    do { try body() } catch { return error as? WritingFailure }
    return nil
}
