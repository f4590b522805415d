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
    @Test func bothEndsBelongToIt() throws {
        let range = try #require(PhysicalRange(start: 0x1000, last: 0x1fff))
        #expect(range.contains(0x1000) && range.contains(0x1fff))
        #expect(!range.contains(0xfff) && !range.contains(0x2000))
        let one = try #require(PhysicalRange(start: 7, last: 7))
        #expect(one.contains(7) && one.size == 1)
    }

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
        var set = SparseSet(seed: 7)
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
            var set = SparseSet(seed: 7)
            #expect(!set.contains(number))
            let answers = (set.insert(number), set.insert(number))
            #expect(answers == (true, false))
        }
    }

    @Test func fullIsSaidAndWhatIsInStaysIn() {
        var set = SparseSet(seed: 3, chunkLimit: 4)
        let first = (0..<4 as Range<UInt64>).filter { set.insert($0 << 20) }
        #expect(first.count == 4)
        #expect(!set.isIncomplete)
        // A chunk that is there takes more numbers; a fifth one finds no room.
        let (near, again) = (set.insert(1), set.insert(1 << 20))
        #expect(near && !again && !set.isIncomplete)
        let far = (set.insert(9 << 20), set.insert(9 << 20))
        #expect(far == (true, true))
        #expect(set.isIncomplete && set.omitted == 2)
        #expect(!set.contains(9 << 20) && set.contains(3 << 20) && set.contains(1))
        set.removeAll()
        let fresh = set.insert(9 << 20)
        #expect(fresh && !set.isIncomplete && set.contains(9 << 20))
    }

    @Test func numbersMadeToMeetDoNotMeet() {
        // What met in the table when its place was a product's bits 20 and up: 60,000 of them took minutes, squared.
        let factor: UInt64 = 0x9e37_79b9_7f4a_7c15
        var inverse: UInt64 = 1
        for _ in 0..<6 { inverse = inverse &* (2 &- factor &* inverse) }
        let clock = ContinuousClock()
        let time = clock.measure {
            for seed in [0, 0x1234_5678_9abc_def0] as [UInt64] {
                var set = SparseSet(seed: seed)
                for number in 0..<60_000 as Range<UInt64> {
                    // Bits 20 to 43 of the product are zero, so all of them had one place.
                    let key = (number << 44) &* inverse
                    _ = set.insert(key << 9)
                }
            }
        }
        #expect(time < .seconds(5))
    }

    @Test func theHashIsSipHash() {
        // Of reference implementations with key 00 01 ... 0f: no bytes; 00; 00 01 ... 07.
        let hash = SeededHash(key: (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908))
        #expect(hash([UInt8]()) == 0xabac_0158_050f_c4dc)
        #expect(hash([0]) == 0xc9f4_9bf3_7d57_ca93)
        #expect(hash([0, 1, 2, 3, 4, 5, 6, 7]) == hash(0x0706_0504_0302_0100 as UInt64))
    }

    @Test func anotherSeedIsAnotherHash() {
        let hashes = (0..<64 as Range<UInt64>).map { SeededHash(seed: 1 << $0)(12345) } + [SeededHash(seed: 0)(12345)]
        #expect(Set(hashes).count == 65)
        let names = (0..<64 as Range<UInt64>).map { SeededHash(seed: 1 << $0)(Array("name".utf8)) }
        #expect(Set(names).count == 64)
    }

    @Test func namesHaveThePlacesInWhichTheyCame() {
        var table = NameTable(seed: 11)
        #expect(!table.contains([1]))
        for number in 0..<5000 {
            let name = Array("file-\(number % 2500)".utf8)
            let (place, isNew) = table.insert(name)
            #expect(place == number % 2500 && isNew == (number < 2500))
            #expect(table.contains(name))
        }
        #expect(table.names.count == 2500 && !table.contains(Array("file-2500".utf8)))
        let (empty, isNew) = table.insert([])
        #expect(empty == 2500 && isNew)
    }

    @Test(arguments: 1...8)
    func indexesSeenAgreeWithSet(_ seed: UInt64) {
        var random = SeededNumbers(seed)
        var seen = IndexesSeen(seed: 7)
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
        var seen = IndexesSeen(seed: 7)
        let first = (0..<2000).reversed().filter { seen.insert(UInt64($0)) }
        let second = (0..<2000).filter { seen.insert(UInt64($0)) }
        #expect(first.count == 2000)
        #expect(second.isEmpty)
        #expect(seen.count == 2000)
    }

    @Test func aGapThatIsFilledLater() {
        var seen = IndexesSeen(seed: 7)
        let first = ([0, 1, 5, 6, 2, 3, 4] as [UInt64]).filter { seen.insert($0) }
        #expect(first.count == 7)
        let again = (0...7 as ClosedRange<UInt64>).filter { seen.insert($0) }
        #expect(again == [7])
        #expect(seen.count == 8)
    }
}
