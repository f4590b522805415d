import Testing

@testable import Parity

/// Groups in an array, as a rebuilder sees them.
struct ArrayPages: GroupPages {
    let code: Interleaving
    /// All pages, then all parity pages.
    var bytes: UnsafeMutableRawPointer
    /// Whether pages are read in place.
    var mapped: (Int) -> Bool = { $0 % 2 == 0 }
    var unreadable: Set<Int> = []
    var vanishing = false
    var refused: Set<Int> = []
    var reads = 0
    var performed = 0
    var taken: [Int: [UInt8]] = [:]

    init(_ code: Interleaving, seed: Int) {
        self.code = code
        let count = code.pages + code.parityPages
        bytes = .allocate(byteCount: count * 4096, alignment: 4096)
        var random = Seeded(seed)
        bytes.copyMemory(from: random.bytes(code.pages * 4096), byteCount: code.pages * 4096)
        let rebuilder = ParityRebuilder(code)
        for group in 0..<code.groups {
            let result = rebuilder.encode(group, &self)
            #expect(result == .rebuilt)
        }
        for (place, page) in taken { (bytes + place * 4096).copyMemory(from: page, byteCount: 4096) }
        taken = [:]
    }

    func place(_ member: GroupMember) -> Int {
        switch member {
        case .page(let rank): rank
        case .parity(let index): code.pages + index
        }
    }
    func member(_ place: Int) -> GroupMember { place < code.pages ? .page(place) : .parity(place - code.pages) }
    func content(_ place: Int) -> [UInt8] { Array(UnsafeRawBufferPointer(start: bytes + place * 4096, count: 4096)) }

    func address(of member: GroupMember) -> UnsafeRawPointer? {
        mapped(place(member)) && !unreadable.contains(place(member))
            ? UnsafeRawPointer(bytes + place(member) * 4096) : nil
    }
    mutating func read(_ member: GroupMember, into page: UnsafeMutableRawPointer) -> Bool {
        reads += 1
        page.copyMemory(from: bytes + place(member) * 4096, byteCount: 4096)
        return !unreadable.contains(place(member))
    }
    mutating func perform(
        _ work: @convention(c) (UnsafeMutableRawPointer?) -> Void, _ context: UnsafeMutableRawPointer
    ) -> Bool {
        performed += 1
        work(context)
        return !vanishing
    }
    mutating func take(_ member: GroupMember, _ page: UnsafeRawPointer) -> Bool {
        if refused.contains(place(member)) { return false }
        taken[place(member)] = Array(UnsafeRawBufferPointer(start: page, count: 4096))
        return true
    }

    /// Loses these places, spoils nothing (what is lost is not read), rebuilds, and compares.
    mutating func expectComesBack(_ lost: [Int], _ rebuilder: ParityRebuilder, _ comment: String) {
        var losses = ParityLosses(code)
        for place in lost { losses.insert(member(place)) }
        #expect(losses.areRecoverable, "\(comment)")
        taken = [:]
        unreadable = Set(lost)
        for group in 0..<code.groups {
            let result = rebuilder.rebuild(group, losses, &self)
            if result != .rebuilt { Issue.record("\(comment): group \(group): \(result)") }
        }
        unreadable = []
        if Set(taken.keys) != Set(lost) { Issue.record("\(comment): \(taken.keys) instead of \(lost)") }
        for (place, page) in taken where page != content(place) { Issue.record("\(comment): place \(place)") }
    }
}

/// Does all that can come back come back, and is what cannot left alone?
struct DecodingTests {
    /// Parity by the definition of the matrix and the field.
    @Test func encodingIsTheDefinition() throws {
        let code = try #require(Interleaving(pages: 23, groups: 3, rows: 4))
        let pages = ArrayPages(code, seed: 31)
        defer { pages.bytes.deallocate() }
        for group in 0..<3 {
            for row in 0..<4 {
                var expected = [UInt8](repeating: 0, count: 4096)
                for column in 0..<code.columns(of: group) {
                    let factor = definedProducts[(255 - row) ^ column].firstIndex(of: 1)!
                    let page = pages.content(column * 3 + group)
                    for i in 0..<4096 { expected[i] ^= definedProducts[factor][Int(page[i])] }
                }
                #expect(pages.content(23 + code.parity(group: group, row: row)) == expected)
            }
        }
    }

    /// Every set of losses of small groups, all that can be rebuilt and all that cannot.
    @Test(arguments: [(1, 1), (1, 4), (2, 3), (4, 4), (6, 4), (7, 3), (9, 2), (8, 1)])
    func everyPatternOfASmallGroup(_ columns: Int, _ rows: Int) throws {
        let code = try #require(Interleaving(pages: columns, groups: 1, rows: rows))
        var pages = ArrayPages(code, seed: 32)
        defer { pages.bytes.deallocate() }
        let rebuilder = ParityRebuilder(code)
        for pattern in 1..<1 << (columns + rows) {
            let lost = (0..<columns + rows).filter { pattern >> $0 & 1 == 1 }
            if lost.count <= rows {
                pages.expectComesBack(lost, rebuilder, "\(lost)")
            } else {
                var losses = ParityLosses(code)
                for place in lost { losses.insert(pages.member(place)) }
                pages.taken = [:]
                let before = (pages.reads, pages.performed)
                #expect(!losses.areRecoverable && losses.hopelessGroups == 1)
                #expect(rebuilder.rebuild(0, losses, &pages) == .hopeless)
                #expect(pages.taken.isEmpty && before == (pages.reads, pages.performed))
            }
        }
    }

    /// Runs at every border, and one page more.
    @Test(arguments: [(40, 5, 4), (41, 5, 4), (44, 5, 4), (30, 1, 8), (57, 7, 3), (16, 2, 8)])
    func everyRun(_ count: Int, _ groups: Int, _ rows: Int) throws {
        let code = try #require(Interleaving(pages: count, groups: groups, rows: rows))
        var pages = ArrayPages(code, seed: 33)
        defer { pages.bytes.deallocate() }
        let rebuilder = ParityRebuilder(code)
        let total = count + code.parityPages
        for first in 0...total - code.parityPages {
            pages.expectComesBack(Array(first..<first + code.parityPages), rebuilder, "run from \(first)")
            guard first + code.parityPages < total else { continue }
            var losses = ParityLosses(code)
            for place in first...first + code.parityPages { losses.insert(pages.member(place)) }
            #expect(losses.hopelessGroups == 1)
        }
    }

    /// Random codes, random losses: each group loses up to as many as it has parity.
    @Test(arguments: 0..<300)
    func anythingWithinThePromise(_ seed: Int) throws {
        var random = Seeded(1000 + seed)
        let rows = Int.random(in: 1...16, using: &random)
        let groups = Int.random(in: 1...4, using: &random)
        let columns = Int.random(in: 1...(seed % 20 == 0 ? 240 : 40), using: &random)
        let count = max(groups, columns * groups - Int.random(in: 0..<groups, using: &random))
        let code = try #require(Interleaving(pages: count, groups: groups, rows: rows))
        var pages = ArrayPages(code, seed: seed)
        defer { pages.bytes.deallocate() }
        if seed % 3 == 0 { pages.mapped = { _ in seed % 2 == 0 } }
        let rebuilder = ParityRebuilder(code)
        for round in 0..<4 {
            var lost: [Int] = []
            for group in 0..<groups {
                let members = (0..<count + code.parityPages).filter {
                    switch pages.member($0) {
                    case .page(let rank): code.group(ofPage: rank) == group
                    case .parity(let index): code.group(ofParity: index) == group
                    }
                }
                let number =
                    round == 0 ? min(rows, members.count) : Int.random(in: 0...min(rows, members.count), using: &random)
                lost += members.shuffled(using: &random)[..<number]
            }
            pages.expectComesBack(lost, rebuilder, "seed \(seed), round \(round)")
        }
    }

    @Test func whatGoesWrongIsSaid() throws {
        let code = try #require(Interleaving(pages: 20, groups: 2, rows: 4))
        var pages = ArrayPages(code, seed: 34)
        defer { pages.bytes.deallocate() }
        let rebuilder = ParityRebuilder(code)
        var losses = ParityLosses(code)
        #expect(rebuilder.rebuild(1, losses, &pages) == .rebuilt && pages.taken.isEmpty)
        losses.insert(.page(3))
        losses.insert(.page(3))
        losses.insert(.page(20))
        losses.insert(.page(-1))
        losses.insert(.parity(8))
        losses.insert(.parity(-1))
        #expect(losses.lostPages == 1 && losses.lostParity == 0 && losses.lost(of: 1) == 1 && losses.lost(of: 0) == 0)
        #expect(losses.isRecoverable(page: 3) && losses.isLost(.page(3)) && !losses.isLost(.page(4)))
        #expect(!losses.isLost(.page(20)) && !losses.isLost(.page(-1)) && !losses.isLost(.parity(8)))
        pages.unreadable = [5]
        #expect(rebuilder.rebuild(1, losses, &pages) == .unreadable(.page(5)))
        losses.insert(.page(5))
        #expect(rebuilder.rebuild(1, losses, &pages) == .rebuilt)
        #expect(pages.taken[3] == pages.content(3) && pages.taken[5] == pages.content(5))
        pages.vanishing = true
        #expect(rebuilder.rebuild(1, losses, &pages) == .vanished)
        pages.vanishing = false
        pages.refused = [5]
        #expect(rebuilder.rebuild(1, losses, &pages) == .refused(.page(5)))
        // Losses of another code say nothing about this one.
        let other = try #require(Interleaving(pages: 20, groups: 2, rows: 5))
        #expect(rebuilder.rebuild(1, ParityLosses(other), &pages) == .hopeless)
    }

    /// A page that passes for sound and is not makes pages that are not those that were lost.
    @Test func wrongSourcesMakeWrongPages() throws {
        let code = try #require(Interleaving(pages: 12, groups: 1, rows: 4))
        var pages = ArrayPages(code, seed: 35)
        defer { pages.bytes.deallocate() }
        let rebuilder = ParityRebuilder(code)
        var losses = ParityLosses(code)
        losses.insert(.page(7))
        losses.insert(.page(8))
        let right = [7: pages.content(7), 8: pages.content(8)]
        for wrong in [0, 11, 12, 13] {
            pages.bytes.storeBytes(of: pages.content(wrong)[99] ^ 1, toByteOffset: wrong * 4096 + 99, as: UInt8.self)
            #expect(rebuilder.rebuild(0, losses, &pages) == .rebuilt)
            #expect(pages.taken[7] != right[7] && pages.taken[8] != right[8])
            pages.bytes.storeBytes(of: pages.content(wrong)[99] ^ 1, toByteOffset: wrong * 4096 + 99, as: UInt8.self)
        }
    }
}
