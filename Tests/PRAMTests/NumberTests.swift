import Testing

@testable import PRAM

@Suite struct PFNTests {
    @Test func addressesExistBelowTwoToThe52() {
        #expect(PFN(0).address == 0)
        #expect(PFN(1).address == 4096)
        #expect(PFN(1 << 52 - 1).address == 0xffff_ffff_ffff_f000)
        #expect(PFN(1 << 52).address == nil)
        #expect(PFN(1 << 52 + 1).address == nil)
        #expect(PFN(.max).address == nil)
    }

    @Test func pageOfAnAddress() {
        #expect(PFN(containing: 0) == PFN(0))
        #expect(PFN(containing: 4095) == PFN(0))
        #expect(PFN(containing: 4096) == PFN(1))
        #expect(PFN(containing: .max) == PFN(1 << 52 - 1))
    }

    @Test func advancing() {
        #expect(PFN(5).advanced(by: 7) == PFN(12))
        #expect(PFN(.max).advanced(by: 0) == PFN(.max))
        #expect(PFN(.max).advanced(by: 1) == nil)
        #expect(PFN(1).advanced(by: .max) == nil)
        #expect(PFN(1) < PFN(2))
    }
}

@Suite struct PhysicalRangeTests {
    @Test func inclusiveAndExclusiveEnds() throws {
        let range = try #require(PhysicalRange(start: 0x1000, end: 0x2000))
        #expect(range.last == 0x1fff)
        #expect(range.size == 0x1000)
        #expect(PhysicalRange(start: 0x1000, last: 0x1fff) == range)
        #expect(PhysicalRange(start: 0x1000, size: 0x1000) == range)
        #expect(try #require(PhysicalRange(start: 7, last: 7)).size == 1)
    }

    @Test func emptyAndInvertedRanges() {
        #expect(PhysicalRange(start: 8, last: 7) == nil)
        #expect(PhysicalRange(start: 8, end: 8) == nil)
        #expect(PhysicalRange(start: 8, end: 7) == nil)
        #expect(PhysicalRange(start: 0, end: 0) == nil)
        #expect(PhysicalRange(start: 8, size: 0) == nil)
    }

    @Test func theEndOfTheAddressSpace() throws {
        let all = try #require(PhysicalRange(start: 0, last: .max))
        #expect(all.size == .max)
        #expect(all.contains(UInt64.max))
        #expect(all.contains(PFN(1 << 52 - 1)))
        #expect(!all.contains(PFN(1 << 52)))
        #expect(!all.contains(PFN(.max)))
        let top = try #require(PhysicalRange(start: 0xffff_ffff_ffff_f000, size: 4096))
        #expect(top.last == .max)
        #expect(top.contains(PFN(1 << 52 - 1)))
        #expect(PhysicalRange(start: 0xffff_ffff_ffff_f000, size: 4097) == nil)
        #expect(PhysicalRange(start: 1, size: .max)?.last == .max)
        #expect(PhysicalRange(start: 2, size: .max) == nil)
    }

    @Test func wholePagesOnly() throws {
        let range = try #require(PhysicalRange(start: 0x1001, end: 0x3fff))
        #expect(!range.contains(PFN(1)))
        #expect(range.contains(PFN(2)))
        #expect(!range.contains(PFN(3)))
        #expect(!range.contains(PFN(0)))
    }

    @Test func overlaps() throws {
        let range = try #require(PhysicalRange(start: 10, last: 20))
        func overlaps(_ start: UInt64, _ last: UInt64) throws -> Bool {
            range.overlaps(try #require(PhysicalRange(start: start, last: last)))
        }
        #expect(try !overlaps(0, 9))
        #expect(try overlaps(0, 10))
        #expect(try overlaps(20, 20))
        #expect(try !overlaps(21, 30))
        #expect(try overlaps(12, 13))
        #expect(try overlaps(0, .max))
        #expect(range.contains(try #require(PhysicalRange(start: 10, last: 20))))
        #expect(!range.contains(try #require(PhysicalRange(start: 10, last: 21))))
    }
}

@Suite struct SparseSetTests {
    /// Numbers as they come up: dense runs, far apart, and at both ends of 64 bits.
    private func numbers(_ count: Int, seed: UInt64) -> [UInt64] {
        var random = SeededNumbers(seed)
        return (0..<count).map { _ in
            switch random.next() % 6 {
            case 0: random.next()
            case 1: random.next() % 1000
            case 2: 0x10_0000 + random.next() % 3000
            case 3: .max - random.next() % 600
            case 4: (random.next() % 64) << 58
            default: (random.next() % 40) << 9  // the first number of a chunk
            }
        }
    }

    @Test(arguments: 1...8)
    func agreesWithSet(_ seed: UInt64) {
        var set = SparseSet()
        var reference: Set<UInt64> = []
        #expect(set.isEmpty)
        for number in numbers(4000, seed: seed) {
            #expect(set.contains(number) == reference.contains(number))
            let (isNew, known) = (set.insert(number), !reference.insert(number).inserted)
            #expect(isNew != known)
            #expect(set.contains(number))
        }
        for number in numbers(2000, seed: seed + 100) { #expect(set.contains(number) == reference.contains(number)) }
        #expect(!set.isEmpty)
        set.removeAll()
        #expect(set.isEmpty)
        for number in reference { #expect(!set.contains(number)) }
        let isNew = set.insert(0)
        #expect(isNew)
    }

    @Test func theFirstNumberOfAllIsNotThereFromTheStart() {
        // The key of the last chunk used starts as 2^64 - 1: it must not pass for a hit.
        for number in [0, UInt64.max, 511, 512, 1 << 63] {
            var set = SparseSet()
            #expect(!set.contains(number))
            let answers = (set.insert(number), set.insert(number))
            #expect(answers == (true, false))
        }
    }

    @Test(arguments: 1...8)
    func indexesSeenAgreeWithSet(_ seed: UInt64) {
        var random = SeededNumbers(seed)
        var seen = IndexesSeen()
        var reference: Set<UInt64> = []
        var next = random.next() % 3
        for _ in 0..<3000 {
            // Mostly ascending, as written; now and then back, ahead, or at the very end.
            switch random.next() % 12 {
            case 0: next = random.next() % 3000
            case 1: next &+= random.next() % 5
            case 2: next = .max - random.next() % 4
            default: next = next == .max ? 0 : next + 1
            }
            let (isNew, known) = (seen.insert(next), !reference.insert(next).inserted)
            #expect(isNew != known)
            #expect(seen.count == UInt64(reference.count))
        }
    }

    @Test func indexesInDescendingOrder() {
        var seen = IndexesSeen()
        let first = (0..<2000).reversed().filter { seen.insert(UInt64($0)) }
        let second = (0..<2000).filter { seen.insert(UInt64($0)) }
        #expect(first.count == 2000)
        #expect(second.isEmpty)
        #expect(seen.count == 2000)
    }

    @Test func aGapThatIsFilledLater() {
        var seen = IndexesSeen()
        let first = ([0, 1, 5, 6, 2, 3, 4] as [UInt64]).filter { seen.insert($0) }
        #expect(first.count == 7)
        let again = (0...7 as ClosedRange<UInt64>).filter { seen.insert($0) }
        #expect(again == [7])
        #expect(seen.count == 8)
    }
}
