import Testing

@testable import PRAM

@Suite struct LinkReadingTests {
    /// A link with `count` entries, its first one META, and LRU on the entries that `lru` names.
    private func link(
        _ count: Int, _ layout: ChainLayout = .amd64, pages: ((Int) -> UInt64)? = nil, lru: (Int) -> Bool
    ) -> PageBytes {
        let entries = (0..<count).map { number in
            Entry(
                flags: number == 0 ? 1 : lru(number) ? 0x102 : 2, checksum: 0x1234_5678 &* UInt32(number + 3),
                page: PFN(pages?(number) ?? 0x2000 + UInt64(number)), index: UInt64(max(0, number - 1)))
        }
        return Link(next: PFN(0x777), entries: entries).encoded(layout)
    }

    /// The page as a kernel leaves it: no LRU flag, the checksum as it was.
    private func cleared(_ page: PageBytes, _ layout: ChainLayout = .amd64) -> PageBytes {
        var page = page
        for number in 0..<Int(page[8]) { page[layout.entriesOffset + 24 * number + 1] &= 0xfe }
        return page
    }

    private func read(_ page: PageBytes, _ layout: ChainLayout = .amd64) -> (link: Link, reading: LinkReading) {
        let link = Link(decoding: page, layout)
        return (link, LinkReading(of: page, link, layout))
    }

    /// A PFN order that has nothing to do with the order of entries.
    private func scattered(_ number: Int) -> UInt64 { 0x1000 + UInt64(number * 67 % 173) }

    @Test(arguments: [ChainLayout.amd64, .i386])
    func everyNumberOfEntries(_ layout: ChainLayout) {
        for count in 1...169 {
            let written = link(count, layout) { _ in true }
            #expect(read(written, layout).reading == .asIs)
            let (link, reading) = read(cleared(written, layout), layout)
            // A link without DATA has no flag that could be cleared.
            #expect(reading == (count == 1 ? .asIs : .allRestored))
            #expect(reading.restored(in: link) == (count == 1 ? [] : Array(1..<count)))
        }
    }

    @Test func flagsThatWereNeverSet() {
        let (link, reading) = read(link(20) { _ in false })
        #expect(reading == .asIs)
        #expect(reading.restored(in: link) == [])
    }

    /// Pages above a banned border kept the flag, those below were copied.
    @Test(arguments: [ChainLayout.amd64, .i386], [30, 169])
    func anIntervalInPFNOrder(_ layout: ChainLayout, _ count: Int) throws {
        let border: UInt64 = 0x1000 + 60
        let kept = (1..<count).filter { scattered($0) >= border }
        let written = link(count, layout, pages: scattered) { kept.contains($0) }
        let (link, reading) = read(cleared(written, layout), layout)
        guard case .intervalRestored(let interval) = reading else {
            Issue.record("\(reading)")
            return
        }
        #expect(interval.order == .pfn)
        #expect(interval.entries == kept)
        #expect(interval.first == count - 1 - kept.count)
        #expect(interval.count == kept.count)
        #expect(reading.restored(in: link) == kept)
    }

    @Test(arguments: [ChainLayout.amd64, .i386])
    func anIntervalInEntryOrder(_ layout: ChainLayout) throws {
        let written = link(60, layout, pages: scattered) { (11...40).contains($0) }
        let (link, reading) = read(cleared(written, layout), layout)
        guard case .intervalRestored(let interval) = reading else {
            Issue.record("\(reading)")
            return
        }
        #expect(interval.order == .entry)
        #expect(interval.first == 10)
        #expect(interval.count == 30)
        #expect(reading.restored(in: link) == Array(11...40))
    }

    /// Pages of a banned range in the middle were copied: the flag was on those before and behind them.
    @Test(arguments: [ChainLayout.amd64, .i386], [30, 169])
    func allButOneInterval(_ layout: ChainLayout, _ count: Int) throws {
        for (order, place) in [
            (LinkReading.Interval.Order.entry, { UInt64(0x2000 + $0) }), (.entry, scattered), (.pfn, scattered),
        ] {
            let ordered = order == .entry ? Array(1..<count) : (1..<count).sorted { scattered($0) < scattered($1) }
            for leftOut in [1..<2, 1..<count - 2, count - 3..<count - 2, 7..<20] {
                let kept = Set(ordered[..<leftOut.lowerBound] + ordered[leftOut.upperBound...])
                let written = link(count, layout, pages: place) { kept.contains($0) }
                let (link, reading) = read(cleared(written, layout), layout)
                guard case .intervalRestored(let interval) = reading else {
                    Issue.record("\(leftOut) in \(order) order: \(reading)")
                    continue
                }
                #expect(interval.entries == kept.sorted())
                #expect(reading.restored(in: link) == kept.sorted())
                #expect(interval.count == kept.count)
                if interval.order == order { #expect(interval.first == leftOut.upperBound) }
            }
        }
    }

    /// A number for FORMAT.md: how many sets are tried.
    @Test func allSetsThatAreTried() {
        var sets: Set<[Bool]> = []
        for first in 0..<13 {
            for count in 1...13 { sets.insert((0..<13).map { ($0 - first + 13) % 13 < count }) }
        }
        #expect(sets.count == 13 * 12 + 1)
        #expect(2 * (169 * 168 + 1) == 56_786)
    }

    @Test func twoIntervalsLeftOutAreNoReading() {
        #expect(read(cleared(link(100) { !(20..<30).contains($0) && !(50..<60).contains($0) })).reading == .none)
    }

    /// A reservation that failed at some entry: the flags before it are cleared, those behind it are still there.
    @Test func aPrefixIsCleared() {
        var page = link(50) { _ in true }
        for number in 0..<20 { page[24 + 24 * number + 1] = 0 }
        let (link, reading) = read(page)
        #expect(reading == .allRestored)
        #expect(reading.restored(in: link) == Array(1..<20))
    }

    @Test func theSameSetInBothOrdersIsOneReading() {
        // PFNs ascend with the entries, so each interval is one in both orders: that must not pass for two that fit.
        let reading = read(cleared(link(40) { $0 >= 25 })).reading
        guard case .intervalRestored(let interval) = reading else {
            Issue.record("\(reading)")
            return
        }
        #expect(interval.entries == Array(25..<40))
    }

    @Test func twoIntervalsThatFitAreNoReading() throws {
        // The flags' differences are 32-bit vectors, so among more than 32 of them some sum to zero: find such a set,
        // the first of it as one interval, the others made neighbours in PFN order as the second.
        let differences = (0..<169).map { number in
            var page = PageBytes()
            page[24 + 24 * number + 1] = 1
            return page.linkChecksum
        }
        var basis: [(vector: UInt32, members: Set<Int>)] = []
        var dependent: Set<Int> = []
        for number in 1..<169 {
            var vector = differences[number]
            var members: Set<Int> = [number]
            for other in basis where vector ^ other.vector < vector {
                vector ^= other.vector
                members.formSymmetricDifference(other.members)
            }
            if vector == 0 {
                dependent = members
                break
            }
            basis.append((vector, members))
            basis.sort { $0.vector > $1.vector }
        }
        try #require(dependent.count > 2)
        #expect(dependent.reduce(0) { $0 ^ differences[$1] } == 0)
        let one = dependent.min()!
        let others = dependent.subtracting([one])
        let pages = { (number: Int) in (others.contains(number) ? UInt64(0x100) : 0x9000) + UInt64(number) }
        #expect(read(cleared(link(169, pages: pages) { others.contains($0) })).reading == .none)
        #expect(read(cleared(link(169, pages: pages) { $0 == one })).reading == .none)
        // With the others apart in PFN order only one interval is left.
        let apart = read(cleared(link(169, pages: scattered) { $0 == one })).reading
        #expect(apart.restored(in: Link(decoding: link(169) { _ in false }, .amd64)) == [one])
    }

    @Test func everySecondFlagIsNoReading() {
        let page = cleared(link(100) { $0 % 2 == 0 })
        let (link, reading) = read(page)
        #expect(reading == .none)
        #expect(reading.restored(in: link) == [])
        #expect(link.looksCleared(in: page, .amd64))
    }

    @Test func metaNeverHadTheFlag() {
        // A META entry that was saved with LRU (which the kernel accepts) and cleared: nothing restores it.
        var page = link(10) { _ in false }
        page[24 + 1] = 1
        let checksum = page.linkChecksum
        for i in 0..<4 { page[4 + i] = UInt8(truncatingIfNeeded: checksum >> (8 * UInt32(i))) }
        #expect(read(page).reading == .asIs)
        page[24 + 1] = 0
        #expect(read(page).reading == .none)
    }

    @Test(arguments: 1...4)
    func damageIsNotExplainedAway(_ seed: UInt64) {
        var random = SeededNumbers(seed)
        for _ in 0..<40 {
            var page = cleared(link(Int.random(in: 2...169, using: &random), pages: scattered) { _ in true })
            let bit = Int.random(in: 64..<4096 * 8, using: &random)
            page[bit / 8] ^= 1 << UInt8(bit % 8)
            let reading = read(page).reading
            // A flag that a flip has set again is what the writer had there; then the page fits, and nothing is lost.
            if (bit / 8 - 24) % 24 == 1 && bit % 8 == 0 && reading == .allRestored { continue }
            #expect(reading == .none, "bit \(bit)")
        }
    }

    @Test func looksClearedWantsExactlyWhatAWriterMakes() {
        let good = cleared(link(50) { _ in true })
        func looks(_ edit: (inout PageBytes) -> Void) -> Bool {
            var page = good
            edit(&page)
            return Link(decoding: page, .amd64).looksCleared(in: page, .amd64)
        }
        #expect(looks { _ in })
        #expect(
            looks {
                for i in 24 + 2 * 24..<4096 { $0[i] = 0 }
                $0[8] = 2
            })  // one META and one DATA
        #expect(!looks { $0[0] ^= 1 })  // magic
        #expect(!looks { $0[12] = 1 })  // padding
        #expect(!looks { $0[4095] = 1 })  // slack
        #expect(!looks { $0[24 + 24 * 50] = 1 })  // behind the last entry
        #expect(!looks { $0[24 + 24 * 7 + 1] = 1 })  // an LRU flag is left
        #expect(!looks { $0[24 + 24 * 7] = 3 })  // an unknown type
        #expect(!looks { $0[24 + 16] = 1 })  // an index on META
        #expect(!looks { $0[8] = 170 })  // length
        #expect(!looks { $0[8] = 0 })
        #expect(!looks { $0[8] = 49 })  // an entry behind the last one
        #expect(
            !looks {
                for i in 24 + 24..<4096 { $0[i] = 0 }
                $0[8] = 1
            })  // nothing but META
    }
}
