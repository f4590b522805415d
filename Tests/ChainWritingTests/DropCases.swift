import PRAM
import Testing
import Verification

@testable import ChainWriting

/// A file of so many pages, of which those at `holes` are not stored.
private func file(_ name: String, _ count: Int, holes: Set<Int> = [], _ dice: inout Dice) -> Kernel.File {
    var file = Kernel.File(name: Array(name.utf8), size: UInt64(count * 4096), mode: 0o100644)
    for index in 0..<count where !holes.contains(index) { file.pages[UInt64(index)] = dice.page() }
    return file
}

private func shape(stamped: Bool, _ flags: MadeChain.Flags = .all) -> MadeChain.Shape {
    var shape = MadeChain.Shape()
    shape.flags = flags
    shape.generation = stamped ? 1234 : nil
    shape.freePages = 9...9
    return shape
}

/// What the kernel loads afterwards, and what each file is called.
private func names(_ memory: RecordedMemory, _ made: MadeChain) throws -> [String] {
    let stored = survey(memory, made).evaluation.files
    let loaded = try Kernel.files(memory.image, head: made.head, is32Bit: made.shape.is32Bit)
    #expect(loaded.map(\.name) == stored.map(\.name))
    return stored.map { String(decoding: $0.name, as: UTF8.self) + " \($0.status)" }
}

private func options(_ change: (inout DropPlan.Options) -> Void) -> DropPlan.Options {
    var options = DropPlan.Options()
    change(&options)
    return options
}

/// Single cases of drop, each of them once a way to lose something.
@Suite struct DropCases {
    @Test(arguments: [false, true]) func `a link that leads nowhere loses no file`(inPlace: Bool) throws {
        for number in 0..<5 {
            var dice = Dice(1)
            let files = [file("a", 2, &dice), file("b", 1, &dice)]
            var made = MadeChain(shape(stamped: false), files, links: [3, 2], &dice)
            // Nowhere, to a page that is no link, and back.
            made.links[1].next = [.max, 1 << 52, made.free[0], made.links[0].page, made.links[1].page][number]
            made.writeLinks()
            let memory = RecordedMemory(made.image, isMapped: true)
            let drop = plan(survey(memory, made))
            #expect(drop.isNeeded, "the kernel gives up a chain whose end is not one")
            guard drop.isNeeded else { continue }
            _ = try run(survey(memory, made), drop, memory, inPlace: inPlace)
            #expect(try names(memory, made) == ["a intact", "b intact"])
        }
    }

    /// A file with holes at its end is whole where the chain says that it ends there, and nowhere else.
    @Test func `holes at the end are believed only where the chain ends by its own word`() throws {
        for (next, fates) in [
            (0, [.kept, .kept]), (.max, [.kept, .dropped(.incomplete)]), (1 << 52, [.kept, .dropped(.incomplete)]),
        ] as [(UInt64, [DropPlan.Fate])] {
            var dice = Dice(1)
            let files = [file("a", 2, &dice), file("b", 4, holes: [2, 3], &dice)]
            var made = MadeChain(shape(stamped: false), files, links: [3, 3], &dice)
            made.links[1].next = next
            made.writeLinks()
            let surveyed = survey(RecordedMemory(made.image, isMapped: true), made)
            #expect(surveyed.isWhole == (next == 0))
            #expect(plan(surveyed).fates == fates, "next link \(next)")
        }
    }

    @Test func `what lies behind a bad link needs a stamp, or a word from the user`() throws {
        for (stamped, choice, expected) in [
            (true, nil, ["a intact", "c intact"]),
            (false, DropPlan.Options.Unproved.cut, ["a intact"]),
            (false, .salvage, ["a intact", "b quarantined", "c quarantined"]),
        ] as [(Bool, DropPlan.Options.Unproved?, [String])] {
            var dice = Dice(2)
            let files = [file("a", 1, &dice), file("b", 1, &dice), file("c", 1, &dice)]
            var made = MadeChain(shape(stamped: stamped), files, links: [2, 2, 2], &dice)
            made.image.flip(made.links[1].page, bit: 4000 * 8)
            let memory = RecordedMemory(made.image, isMapped: true)
            let surveyed = survey(memory, made)
            let undecided = DropPlan(surveyed, options: DropPlan.Options(), refits: false)
            #expect(undecided.isUndecided == !stamped)
            #expect(undecided.fates == [.kept, .dropped(.listedByBadLink), stamped ? .kept : .undecided])
            let drop = DropPlan(surveyed, options: options { $0.unproved = choice }, refits: false)
            _ = try run(surveyed, drop, memory)
            #expect(try names(memory, made) == expected)
        }
    }

    @Test func `a link of another generation behind a bad one is no proof`() throws {
        var dice = Dice(3)
        let files = [file("a", 1, &dice), file("b", 1, &dice), file("c", 1, &dice)]
        var made = MadeChain(shape(stamped: true), files, links: [2, 2, 2], &dice)
        made.image.flip(made.links[1].page, bit: 4000 * 8)
        made.image.store(UInt64(99), made.links[2].page, 4088)
        made.image.store(made.image.linkChecksum(made.links[2].page), made.links[2].page, 4)
        let drop = DropPlan(
            survey(RecordedMemory(made.image, isMapped: true), made),
            options: DropPlan.Options(), refits: false)
        #expect(drop.fates == [.kept, .dropped(.listedByBadLink), .undecided])
    }

    @Test func `links that cannot be told from cleared ones cost no file, holes at an end or not`() throws {
        for holes in [[], [2], [0, 1, 2]] as [Set<Int>] {
            for seed in 0..<30 {
                var dice = Dice(seed)
                let files = [
                    file("a", 3, holes: holes, &dice), file("b", 9, &dice), file("c", 3, holes: holes, &dice),
                    file("bad", 1, &dice), file("d", 3, holes: holes, &dice),
                ]
                let count = files.reduce(0) { $0 + 1 + $1.pages.count }
                var cleared = shape(stamped: false, .random)
                cleared.isCleared = true
                var made = MadeChain(cleared, files, links: [4 - holes.count, 6, count - 10 + holes.count], &dice)
                made.image.flip(made.slots[made.dataSlots(3)[0]].page, bit: 5)
                let memory = RecordedMemory(made.image, isMapped: true)
                let drop = DropPlan(survey(memory, made), options: DropPlan.Options(), refits: false)
                #expect(drop.fates == [.kept, .kept, .kept, .dropped(.damaged), .kept], "seed \(seed), holes \(holes)")
            }
        }
    }

    @Test func `a bad page in a stamped chain that a kernel has cleared costs its file only`() throws {
        for flags in [MadeChain.Flags.all, .interval] {
            for seed in 0..<20 {
                var dice = Dice(seed)
                var cleared = shape(stamped: true, flags)
                cleared.isCleared = true
                let files = [file("a", 5, &dice), file("b", 5, &dice), file("c", 5, &dice)]
                var made = MadeChain(cleared, files, links: [18], &dice)
                made.image.flip(made.slots[made.dataSlots(1)[2]].page, bit: 5)
                let memory = RecordedMemory(made.image, isMapped: true)
                let drop = DropPlan(survey(memory, made), options: DropPlan.Options(), refits: false)
                #expect(drop.fates == [.kept, .dropped(.damaged), .kept], "seed \(seed), \(flags)")
            }
        }
    }

    @Test func `a file whose last pages a link with a wrong length has lost is not called intact`() throws {
        for seed in 0..<30 {
            var dice = Dice(seed)
            var cleared = shape(stamped: false, .random)
            cleared.isCleared = true
            let files = [file("a", 8, &dice), file("b", 6, holes: [5], &dice), file("c", 3, &dice)]
            // b goes on in the third link, and has a hole at its end.
            var made = MadeChain(cleared, files, links: [6, 7, 2, 4], &dice)
            made.links[2].length = dice.pick([0, 170, 4000])
            made.writeLinks()
            let memory = RecordedMemory(made.image, isMapped: true)
            let surveyed = survey(memory, made)
            let drop = plan(surveyed)
            #expect(drop.isNeeded && drop.fates[1] != .kept, "seed \(seed)")
        }
    }

    @Test func `behind a bad link too, lost pages are not taken for holes`() throws {
        var dice = Dice(1)
        let files = [file("a", 1, &dice), file("x", 1, &dice), file("b", 6, holes: [5], &dice), file("c", 1, &dice)]
        var made = MadeChain(shape(stamped: true), files, links: [2, 2, 3, 3, 2], &dice)
        made.links[3].length = 170
        made.writeLinks()
        made.image.flip(made.links[1].page, bit: 4000 * 8)
        let memory = RecordedMemory(made.image, isMapped: true)
        let surveyed = survey(memory, made)
        let drop = plan(surveyed)
        #expect(drop.fates[0] == .kept && drop.fates[2] != .kept)
        _ = try run(surveyed, drop, memory)
        #expect(try !names(memory, made).contains("b intact"))
    }

    @Test(arguments: [false, true]) func `a page that two files claim is one's at most`(inPlace: Bool) throws {
        for fits in [true, false] {
            for mode in 0..<3 {
                var dice = Dice(4)
                let files = [file("a", 2, &dice), file("b", 2, &dice), file("c", 1, &dice)]
                var made = MadeChain(shape(stamped: false), files, links: [3, 5], &dice)
                let (mine, other) = (made.dataSlots(1)[0], made.dataSlots(0)[1])
                made.slots[mine].page = made.slots[other].page
                if fits { made.slots[mine].checksum = made.slots[other].checksum }
                made.writeLinks()
                let memory = RecordedMemory(made.image, isMapped: true)
                let surveyed = survey(memory, made)
                let drop = plan(surveyed, options { ($0.keepsHoles, $0.quarantines) = (mode == 1, mode == 2) })
                let failed = writingFailure { _ = try run(surveyed, drop, memory, inPlace: inPlace) }
                #expect(failed == nil, "mode \(mode), fits: \(fits): \(failed?.message ?? "")")
                let left = try? names(memory, made)
                #expect(left?.last == "c intact", "mode \(mode), fits: \(fits)")
                if !fits { #expect(left?.first == "a intact", "mode \(mode)") }
            }
        }
    }

    /// It belongs to no file, and costs the one that claims the page as well no more than that.
    @Test func `a page that is claimed before any file begins`() throws {
        var dice = Dice(5)
        let files = [file("a", 1, &dice), file("b", 2, &dice), file("c", 1, &dice)]
        var made = MadeChain(shape(stamped: false), files, links: [2, 5], &dice)
        let shared = made.slots[made.dataSlots(2)[0]]
        made.slots[0] = MadeChain.Slot(flags: 2, checksum: shared.checksum, page: shared.page, index: 0, file: 0)
        made.writeLinks()
        let memory = RecordedMemory(made.image, isMapped: true)
        let surveyed = survey(memory, made)
        #expect(surveyed.evaluation.contested.contains(shared.page))
        _ = try run(surveyed, plan(surveyed), memory)
        #expect(try names(memory, made).first == "b intact")
    }

    /// The page behind the head and the last one of the range, where one looks for what protects a chain, stay free where
    /// there are others; and of the two the last one.
    @Test func `the places of locators are taken last`() throws {
        var (besides, both) = (0, 0)
        for seed in 0..<6000 where besides < 5 || both < 5 {
            var dice = Dice(seed)
            var narrow = shape(stamped: false)
            narrow.freePages = 2...2
            let files = (0..<3).map { file("\($0)", 2, &dice) }
            var made = MadeChain(narrow, files, links: [3, 3, 3], &dice)
            let (front, last) = (made.head + 1, made.image.pages.upperBound - 1)
            guard made.free.contains(front), front != last, let other = made.free.first(where: { $0 != front }) else {
                continue
            }
            if other == last { both += 1 } else { besides += 1 }
            made.image.flip(made.slots[made.dataSlots(0)[1]].page, bit: 1)
            let memory = RecordedMemory(made.image, isMapped: true)
            let surveyed = survey(memory, made)
            let outcome = try run(surveyed, plan(surveyed, options { $0.quarantines = true }), memory)
            #expect(outcome.isAtomic, "seed \(seed)")
            let taken = other == last ? front : other
            #expect(made.free.filter { memory.image[$0] != made.image[$0] } == [taken], "seed \(seed)")
        }
        #expect(besides > 0 && both > 0)
    }

    @Test(arguments: [false, true]) func `a page that is a link too is not quarantined`(inPlace: Bool) throws {
        for keepsHoles in [true, false] {
            var dice = Dice(4)
            let files = [file("a", 2, &dice), file("b", 2, &dice), file("c", 1, &dice)]
            var made = MadeChain(shape(stamped: false), files, links: [3, 5], &dice)
            made.slots[made.dataSlots(1)[0]].page = made.links[1].page
            made.writeLinks()
            let memory = RecordedMemory(made.image, isMapped: true)
            let surveyed = survey(memory, made)
            let drop = plan(surveyed, options { ($0.keepsHoles, $0.quarantines) = (keepsHoles, !keepsHoles) })
            let failed = writingFailure { _ = try run(surveyed, drop, memory, inPlace: inPlace) }
            #expect(failed == nil, "\(failed?.message ?? "")")
            let left = try? names(memory, made)
            #expect(left?.first == "a intact" && left?.last == "c intact")
        }
    }

    @Test(arguments: [false, true]) func `an i386 chain of one marked file is still one`(inPlace: Bool) throws {
        var dice = Dice(5)
        var small = shape(stamped: false)
        small.is32Bit = true
        var made = MadeChain(small, [file("a", 1, &dice)], links: [2], &dice)
        made.image.flip(made.slots[1].page, bit: 77)
        let memory = RecordedMemory(made.image, isMapped: true)
        let surveyed = survey(memory, made)
        let drop = DropPlan(surveyed, options: options { $0.keepsHoles = true }, refits: false)
        let failed = writingFailure { _ = try run(surveyed, drop, memory, inPlace: inPlace) }
        #expect(failed == nil, "\(failed?.message ?? "")")
        #expect(try names(memory, made) == ["a quarantined"])
        #expect(try Kernel.files(memory.image, head: made.head, is32Bit: true)[0].pages.isEmpty)
    }

    @Test func `no new link goes where the old chain still leads`() throws {
        for seed in 0..<20 {
            var dice = Dice(seed)
            let files = (0..<6).map { file("\($0)", 169, &dice) }
            var large = shape(stamped: true)
            large.freePages = 6...6
            var made = MadeChain(large, files, links: Array(repeating: 169, count: 6) + [6], &dice)
            made.image.flip(made.links[2].page, bit: 4085 * 8)
            made.image.flip(made.links[3].page, bit: 4085 * 8)
            let memory = RecordedMemory(made.image, isMapped: true)
            let surveyed = survey(memory, made)
            _ = try run(surveyed, plan(surveyed), memory)
            let old = surveyed.evaluation
            memory.states { number, image in
                guard number < memory.writes.count else { return }
                let now = survey(RecordedMemory(image, isMapped: true), made).evaluation
                #expect(
                    now.findings == old.findings && now.files.map(\.status) == old.files.map(\.status),
                    "seed \(seed), after \(number) writes")
            }
        }
    }

    @Test func `names of what is kept damaged: 255 bytes at most, and no name twice`() throws {
        var dice = Dice(6)
        let long = String(repeating: "n", count: 254)
        let taken = String(repeating: "n", count: 247) + ".damaged"
        let names = ["x", "x.damaged", "x.damaged2", long + "1", long + "2", taken]
        let files = names.map { file($0, 1, &dice) }
        var made = MadeChain(shape(stamped: false), files, links: [12], &dice)
        for number in [0, 3, 4] { made.image.flip(made.slots[made.dataSlots(number)[0]].page, bit: 3) }
        for inPlace in [false, true] {
            let memory = RecordedMemory(made.image, isMapped: true)
            let surveyed = survey(memory, made)
            _ = try run(surveyed, plan(surveyed, options { $0.quarantines = true }), memory, inPlace: inPlace)
            let loaded = try Kernel.files(memory.image, head: made.head)
                .map { String(decoding: $0.name, as: UTF8.self) }
            let cut = String(repeating: "n", count: 246)
            #expect(
                loaded == [
                    "x.damaged3", "x.damaged", "x.damaged2", cut + ".damaged2", cut + ".damaged3", taken,
                ])
            // What was kept damaged stays so, and its old META page is not to be seen in it.
            let again = DropPlan(survey(memory, made), options: options { $0.quarantines = true }, refits: true)
            #expect(!again.isNeeded)
        }
    }

    @Test func `nothing left: the head page is cleared, and nothing else touched`() throws {
        for inPlace in [false, true] {
            var dice = Dice(7)
            var made = MadeChain(shape(stamped: false), [file("a", 3, &dice)], links: [2, 2], &dice)
            made.image.flip(made.slots[2].page, bit: 1)
            let memory = RecordedMemory(made.image, isMapped: true)
            let surveyed = survey(memory, made)
            let outcome = try run(surveyed, plan(surveyed), memory, inPlace: inPlace)
            #expect(outcome.head == nil && outcome.isAtomic && outcome.chain == nil)
            #expect(memory.writes.map(\.page) == [made.head] && memory.image[made.head] == Page())
            #expect(memory.synchronized == [1])
        }
    }

    @Test func `without free pages it is done link by link, and the outcome says so`() throws {
        var dice = Dice(8)
        var full = shape(stamped: false)
        full.freePages = 0...0
        let files = (0..<4).map { file("\($0)", 100, &dice) }
        var made = MadeChain(full, files, links: [169, 169, 66], &dice)
        made.image.flip(made.slots[made.dataSlots(0)[50]].page, bit: 1)
        let memory = RecordedMemory(made.image, isMapped: true)
        let surveyed = survey(memory, made)
        let outcome = try run(surveyed, plan(surveyed), memory)
        #expect(!outcome.isAtomic)
        #expect(try names(memory, made) == ["1 intact", "2 intact", "3 intact"])
        // The head is the last that changes.
        #expect(memory.writes.last?.page == made.head)
    }

    /// A link holds 169 entries: with so many the head is enough, and with one more it is not.
    @Test func `what the head alone can hold needs no free page`() throws {
        for (pages, isAtomic) in [(168, true), (169, false)] {
            var dice = Dice(8)
            var full = shape(stamped: false)
            full.freePages = 0...0
            let files = [file("a", pages, &dice), file("b", 4, &dice)]
            var made = MadeChain(full, files, links: [169, pages + 6 - 169], &dice)
            made.image.flip(made.slots[made.dataSlots(1)[1]].page, bit: 1)
            let memory = RecordedMemory(made.image, isMapped: true)
            let surveyed = survey(memory, made)
            #expect(try run(surveyed, plan(surveyed), memory).isAtomic == isAtomic)
            #expect(try names(memory, made) == ["a intact"])
        }
    }

    @Test func `in an image, only free pages of zeros are taken`() throws {
        for zeros in [0, 1, 2] {
            var dice = Dice(10)
            let files = (0..<4).map { file("\($0)", 100, &dice) }
            var made = MadeChain(shape(stamped: false), files, links: [169, 169, 66], &dice)
            made.image.flip(made.slots[made.dataSlots(0)[50]].page, bit: 1)
            let cleared = made.free.shuffled(using: &dice).prefix(zeros)
            for page in cleared { made.image[page] = Page() }
            let memory = RecordedMemory(made.image, isMapped: true)
            let surveyed = survey(memory, made)
            let outcome = try ChainDrop(surveyed, plan(surveyed), in: memory)
                .run(taking: .zeroed, generation: 1, threads: 1, seed: 1)
            // What is left takes two links, one of them the head.
            #expect(outcome.isAtomic == (zeros > 0))
            #expect(try names(memory, made) == ["1 intact", "2 intact", "3 intact"])
            for page in made.free where !cleared.contains(page) { #expect(memory.image[page] == made.image[page]) }
        }
    }

    @Test func `pages that the source does not hold are no reason to drop without a word`() throws {
        var dice = Dice(9)
        var made = MadeChain(shape(stamped: false), [file("a", 2, &dice), file("b", 1, &dice)], links: [5], &dice)
        made.slots[1].page = made.image.pages.upperBound + 5
        made.writeLinks()
        let memory = RecordedMemory(made.image, isMapped: true)
        #expect(
            DropPlan(survey(memory, made), options: DropPlan.Options(), refits: false).fates == [.undecided, .kept])
        _ = try run(survey(memory, made), plan(survey(memory, made)), memory)
        #expect(try names(memory, made) == ["b intact"])
    }
}
