import PRAM
import Testing
import Verification

/// Chains made at random and damaged at random; the same ones in every run.
@Suite struct PropertyTests {
    /// A soundly written chain, as the writer left it or (with all flags set) as a kernel has left it.
    private func chain(_ random: inout SeededNumbers) -> (chain: RandomChain, isCleared: Bool) {
        let flags = RandomChain.Flags.allCases[random.below(3)]
        let chain = RandomChain(&random, layout: random.chance(30) ? .i386 : .amd64, flags: flags)
        let isCleared = flags == .all && random.chance(50)
        if isCleared { chain.clearFlags() }
        return (chain, isCleared)
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func whatIsWrittenIsIntact(_ seed: UInt64) {
        var random = SeededNumbers(seed)
        for round in 0..<150 {
            let (chain, isCleared) = chain(&random)
            let (outcome, layout) = check(chain.head, chain.memory)
            guard outcome.verdict == .intact, outcome.findings.isEmpty, layout == chain.layout else {
                Issue.record("seed \(seed) round \(round): \(layout) \(summary(outcome))")
                return
            }
            #expect(outcome.files.map(\.name) == chain.files.map(\.name))
            #expect(outcome.files.map(\.size) == chain.files.map(\.size))
            #expect(outcome.files.map(\.mode) == chain.files.map(\.mode))
            #expect(outcome.files.map(\.pages) == chain.files.map { UInt64($0.data.count) })
            #expect(outcome.files.allSatisfy { $0.status == .intact })
            #expect(outcome.links.map(\.page.number) == chain.links)
            #expect(isCleared || outcome.links.allSatisfy { $0.reading == .asIs })
        }
    }

    /// One bit anywhere in any page of a chain: found, at that page; what does not depend on it stays intact; what does
    /// is never called so.
    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func oneFlippedBit(_ seed: UInt64) {
        var random = SeededNumbers(seed &* 1000)
        var seen = (links: 0, metas: 0, data: 0)
        for round in 0..<60 {
            let (chain, _) = chain(&random)
            let pages = chain.roles.keys.sorted()
            for _ in 0..<8 {
                let page = pages[random.below(pages.count)]
                // Half of the flips hit the part of a page where fields lie; magic and checksum of links too.
                let bit = random.chance(50) ? random.below(8 * 320) : random.below(8 * 4096)
                chain.memory.flip(page, bit: bit)
                let outcome = chain.check()
                let place =
                    "seed \(seed) round \(round) page \(page) \(chain.roles[page]!) byte \(bit / 8) bit \(bit % 8)"
                switch chain.roles[page]! {
                case .link(let number):
                    seen.links += 1
                    judge(outcome, chain, page, brokenLink: number, isFlag: isLRU(bit, chain), place)
                case .meta(let file):
                    seen.metas += 1
                    judge(outcome, chain, page, badFile: file, place)
                case .data(let file):
                    seen.data += 1
                    judge(outcome, chain, page, badFile: file, place)
                }
                chain.memory.flip(page, bit: bit)
            }
            #expect(chain.check().verdict == .intact)
        }
        #expect(seen.links > 50 && seen.metas > 50 && seen.data > 50, "\(seen)")
    }

    /// Whether this bit of a link may be the LRU flag of an entry.
    private func isLRU(_ bit: Int, _ chain: RandomChain) -> Bool {
        let offset = bit / 8 - chain.layout.entriesOffset
        return offset >= 0 && offset % 24 == 1 && bit % 8 == 0
    }

    private func judge(_ outcome: ChainEvaluation, _ chain: RandomChain, _ page: UInt64, badFile: Int, _ place: String)
    {
        let grave = outcome.findings.filter { $0.kind.severity != .note }
        #expect(!grave.isEmpty && grave.allSatisfy { $0.page?.number == page }, "\(place): \(summary(outcome))")
        #expect(outcome.verdict == .damaged, "\(place)")
        #expect(outcome.files.count == chain.files.count, "\(place)")
        for (number, file) in outcome.files.enumerated() {
            #expect((file.status == .intact) == (number != badFile), "\(place): file \(number) is \(file.status)")
        }
    }

    private func judge(
        _ outcome: ChainEvaluation, _ chain: RandomChain, _ page: UInt64, brokenLink: Int, isFlag: Bool, _ place: String
    ) {
        // An LRU flag that is missing or back again is what kernels do themselves: the checksum proves the link still.
        if isFlag && outcome.verdict == .intact {
            #expect(outcome.files.allSatisfy { $0.status == .intact }, "\(place)")
            return
        }
        let grave = outcome.findings.filter { $0.kind.severity != .note }
        #expect(grave.contains { $0.page?.number == page }, "\(place): \(summary(outcome))")
        #expect(outcome.verdict == .damaged || outcome.verdict == .indeterminate, "\(place)")
        for (number, file) in outcome.files.enumerated() where number < chain.files.count {
            let expected = chain.isComplete(number, before: brokenLink)
            #expect((file.status == .intact) == expected, "\(place): file \(number) is \(file.status)")
        }
        #expect(outcome.files.dropFirst(chain.files.count).allSatisfy { $0.status != .intact }, "\(place)")
        let complete = chain.files.indices.count { chain.isComplete($0, before: brokenLink) }
        #expect(outcome.files.count >= complete, "\(place)")
    }

    /// Links of which one interval was restored are believed only while all of their pages fit.
    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func oneFlippedBitBehindABannedBorder(_ seed: UInt64) {
        var random = SeededNumbers(seed &* 77)
        for _ in 0..<40 {
            // Pages below the border were copied and have no flag; those above were kept and have it.
            let chain = RandomChain(&random, layout: .amd64, flags: .all, fileCount: 4, pages: 8, linkSize: 12)
            let border = chain.links.sorted()[chain.links.count / 2]
            for number in chain.links.indices {
                chain.forge(number) { page in
                    for entry in 0..<Int(page[8]) {
                        let place = 24 + 24 * entry
                        let pfn = (0..<8).reduce(UInt64(0)) { $0 | UInt64(page[place + 8 + $1]) << (8 * UInt64($1)) }
                        if pfn < border { page[place + 1] = 0 }
                    }
                }
            }
            chain.clearFlags()
            let sound = chain.check()
            // A link whose indexes do not ascend is not believed: such chains are of no use here.
            guard sound.verdict == .intact else { continue }
            let pages = chain.roles.keys.sorted()
            for _ in 0..<8 {
                let page = pages[random.below(pages.count)]
                let bit = random.below(8 * 4096)
                chain.memory.flip(page, bit: bit)
                let outcome = chain.check()
                if case .link = chain.roles[page]!, isLRU(bit, chain), outcome.verdict == .intact {
                    chain.memory.flip(page, bit: bit)
                    continue
                }
                let grave = outcome.findings.filter { $0.kind.severity != .note }
                #expect(grave.contains { $0.page?.number == page }, "page \(page) bit \(bit): \(summary(outcome))")
                #expect(outcome.verdict != .intact)
                switch chain.roles[page]! {
                case .meta(let file), .data(let file): #expect(outcome.files[file].status != .intact)
                case .link(let number):
                    for (file, stored) in outcome.files.enumerated()
                    where file < chain.files.count && !chain.isComplete(file, before: number) {
                        #expect(stored.status != .intact, "page \(page) bit \(bit) file \(file)")
                    }
                }
                chain.memory.flip(page, bit: bit)
            }
        }
    }

    // MARK: Hostile chains

    private static let numbers: [UInt64] = [
        0, 1, 2, 0xff, 0x100, 169, 170, 171, 1 << 20, 1 << 31, 1 << 32 - 1, 1 << 51 - 1, 1 << 51, 1 << 52 - 1, 1 << 52,
        1 << 52 + 0x100, 1 << 63 - 1, 1 << 63, .max - 4095, .max - 1, .max,
    ]

    private func store(_ number: UInt64, _ count: Int, at offset: Int, in page: inout PageBytes) {
        for i in 0..<count { page[offset + i] = UInt8(truncatingIfNeeded: number >> (8 * UInt64(i))) }
    }

    /// Makes a chain lie: fields of links and META pages changed, all checksums re-made.
    private func lie(_ chain: RandomChain, _ random: inout SeededNumbers) {
        func number() -> UInt64 {
            switch random.below(4) {
            case 0: random.next()
            case 1: UInt64(chain.roles.keys.sorted()[random.below(chain.roles.count)])
            default: PropertyTests.numbers[random.below(PropertyTests.numbers.count)]
            }
        }
        for _ in 0..<1 + random.below(4) {
            let link = random.below(chain.links.count)
            let entries = max(1, min(169, Int(chain.memory[chain.links[link]]![8])))
            let entry = chain.layout.entriesOffset + 24 * random.below(entries)
            let value = number()
            switch random.below(9) {
            case 0: chain.forge(link) { store(value, 4, at: 8, in: &$0) }
            case 1: chain.forge(link) { store(value, 8, at: chain.layout.nextOffset, in: &$0) }
            case 2: chain.forge(link) { store(value, 4, at: entry, in: &$0) }
            case 3: chain.forge(link) { store(UInt64(random.below(4)), 1, at: entry, in: &$0) }
            case 4: chain.forge(link) { store(value, 8, at: entry + 8, in: &$0) }
            case 5: chain.forge(link) { store(value, 8, at: entry + 16, in: &$0) }
            case 6:  // one entry becomes another one's twin
                let other = chain.layout.entriesOffset + 24 * random.below(entries)
                chain.forge(link) { page in for i in 0..<24 { page[entry + i] = page[other + i] } }
            default:  // a META page, with the checksum of its entry
                let file = chain.files[random.below(chain.files.count)]
                var image = chain.memory[file.meta]!
                let (offset, count) = [(0, 8), (8, 4), (12, 4), (12, 1), (16, 1)][random.below(5)]
                store(value, count, at: offset, in: &image)
                chain.memory[file.meta] = image
                chain.forge(file.firstLink) { page in
                    for slot in 0..<Int(min(page[8], 169)) {
                        let place = chain.layout.entriesOffset + 24 * slot
                        if page[place + 8] == UInt8(truncatingIfNeeded: file.meta) && page[place] == 1 {
                            store(UInt64(image.pageChecksum), 4, at: place + 4, in: &page)
                        }
                    }
                }
            }
        }
    }

    /// Nothing traps, everything ends, all numbers of threads say the same, and what is called intact bears looking at.
    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func liesWithFittingChecksums(_ seed: UInt64) {
        var random = SeededNumbers(seed &* 0xabcdef)
        for round in 0..<150 {
            let chain = RandomChain(
                &random, layout: random.chance(30) ? .i386 : .amd64, flags: RandomChain.Flags.allCases[random.below(3)]
            )
            lie(chain, &random)
            chain.memory.access = [.mapped, .read, .mixed][random.below(3)]
            let outcome = chain.check()
            #expect(summary(chain.check(threads: 3)) == summary(outcome), "seed \(seed) round \(round)")
            audit(outcome, chain.memory, "seed \(seed) round \(round)")
        }
    }

    /// Looks at every file that is called intact with nothing but the format in mind.
    private func audit(_ outcome: ChainEvaluation, _ memory: TestMemory, _ place: String) {
        let head = outcome.links.first.map { memory[$0.page.number]! }
        let layout = head.map { page in ChainLayout(ofLinkIn: page) { memory.contains($0) } } ?? .amd64
        for (number, file) in outcome.files.enumerated() where file.status == .intact {
            #expect(file.badPages == 0 && file.metaFits, "\(place) file \(number)")
            #expect(
                FileImage.isSafe(file.name) && file.mode & ~0xfff == 0x8000 && file.size < 1 << 63,
                "\(place) file \(number)")
            #expect(!file.isDuplicate, "\(place) file \(number)")
            var indexes: Set<UInt64> = []
            var link = file.link
            var entry = file.entry
            var isComplete: Bool { UInt64(indexes.count) == (file.size + 4095) / 4096 }
            scan: while link < outcome.links.count {
                // A file that was complete before something went wrong has nothing to do with what follows.
                if link > file.link && !outcome.links[link].proved && isComplete { break scan }
                let entries = Link(decoding: memory[outcome.links[link].page.number]!, layout).entries
                while entry < entries.count {
                    let here = entries[entry]
                    let isFirst = link == file.link && entry == file.entry
                    if here.kind == .meta && !isFirst { break scan }
                    #expect(outcome.links[link].proved, "\(place) file \(number): link \(link) is not proved")
                    #expect(here.kind != .unknown, "\(place) file \(number) entry \(entry)")
                    #expect(
                        memory[here.page.number]?.pageChecksum == here.checksum,
                        "\(place) file \(number) entry \(entry)")
                    if here.kind == .data {
                        #expect(here.index < (file.size + 4095) / 4096, "\(place) file \(number) index \(here.index)")
                        #expect(
                            indexes.insert(here.index).inserted,
                            "\(place) file \(number) index \(here.index) \(summary(outcome))")
                    }
                    entry += 1
                }
                link += 1
                entry = 0
            }
        }
        if outcome.verdict == .intact { #expect(!outcome.links.contains { !$0.proved }, "\(place)") }
        if outcome.files.contains(where: { $0.status != .intact && $0.status != .quarantined }) {
            #expect(outcome.verdict != .intact, "\(place)")
        }
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func randomBytesAsPages(_ seed: UInt64) {
        var random = SeededNumbers(seed &* 31337)
        for round in 0..<60 {
            // The pages of a sound chain, some of them replaced by noise, or cut to zeros at some place.
            let chain = RandomChain(&random, layout: .amd64, flags: .all)
            for page in chain.roles.keys.sorted() where random.chance(30) {
                var noise = PageBytes((0..<4096).map { _ in UInt8(truncatingIfNeeded: random.next()) })
                if random.chance(30) { for i in random.below(4096)..<4096 { noise[i] = 0 } }
                chain.memory[page] = noise
            }
            let outcome = chain.check()
            #expect(summary(chain.check(threads: 2)) == summary(outcome), "seed \(seed) round \(round)")
            audit(outcome, chain.memory, "seed \(seed) round \(round)")
        }
    }

    /// A whole memory of noise, in which the head looks like a link: with magic, a length, and a checksum that fits.
    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func aPlantedHeadInNoise(_ seed: UInt64) {
        var random = SeededNumbers(seed &* 4242)
        for _ in 0..<40 {
            let memory = TestMemory()
            for page in 0..<UInt64(16) {
                memory[page] = PageBytes((0..<4096).map { _ in UInt8(truncatingIfNeeded: random.next()) })
            }
            for page in 1..<UInt64(4) {
                var link = memory[page]!
                store(0x7072_616d, 4, at: 0, in: &link)
                store(UInt64(1 + random.below(169)), 4, at: 8, in: &link)
                // Numbers of pages that exist, and types that exist, so that noise is followed where it leads.
                for entry in 0..<169 {
                    store(UInt64(1 + random.below(2)), 4, at: 24 + 24 * entry, in: &link)
                    store(UInt64(random.below(20)), 8, at: 24 + 24 * entry + 8, in: &link)
                }
                store(UInt64(random.below(18)), 8, at: 16, in: &link)
                store(UInt64(link.linkChecksum), 4, at: 4, in: &link)
                memory[page] = link
            }
            let outcome = check(PFN(1), memory).evaluation
            #expect(outcome.verdict == .damaged)
            #expect(outcome.files.allSatisfy { $0.status != .intact })
            #expect(summary(check(PFN(1), memory, threads: 3).evaluation) == summary(outcome))
        }
    }
}
