import Testing

@testable import Parity

/// A range with everything that belongs to a chain in it, as bytes. What the format's checksums would say of a page is
/// played by a digest that the test keeps.
struct TestRange {
    let layout: ParityLayout
    let generation: UInt64
    var bytes: [UInt8]
    /// By page, as links have it: of pages and of the parity file's.
    var checksums: [UInt64: UInt64] = [:]
    var protected = ProtectedDigest()

    init(_ layout: ParityLayout, seed: Int) throws {
        self.layout = layout
        var random = Seeded(seed)
        generation = random.next()
        bytes = random.bytes(layout.size * 4096)
        for i in 0..<layout.pages { seal(layout.firstPage + UInt64(i)) }
        for i in 0..<layout.pages {
            let page = layout.firstPage + UInt64(i)
            protected.add(page: page, checksum: UInt32(truncatingIfNeeded: checksums[page]!))
        }
        if let code = layout.code {
            var groups = Groups(code, { layout.firstPage + UInt64($0) }, { layout.parity + UInt64($0) }, self)
            let rebuilder = ParityRebuilder(code)
            for group in 0..<code.groups {
                let result = rebuilder.encode(group, &groups)
                #expect(result == .rebuilt)
            }
            for (page, content) in groups.taken { self[page] = content }
            for i in 0..<code.parityPages { seal(layout.parity + UInt64(i)) }
            self[layout.geometry!] = geometryPage().encoded()
            seal(layout.geometry!)
            self[layout.meta!] = Self.metaPage(layout)
            seal(layout.meta!)
        }
        self[layout.frontLocator] = geometryPage().encoded()
        self[layout.backLocator] = geometryPage().encoded()
        for i in 0..<layout.links {
            var link = self[layout.link(i)]
            link.store(Self.linkChecksum(link, generation), at: 0)
            self[layout.link(i)] = link
            self[layout.mirror + UInt64(i)] = link
        }
        var groups = Groups(layout.linkCode, { layout.link($0) }, { layout.linkParity + UInt64($0) }, self)
        let rebuilder = ParityRebuilder(layout.linkCode)
        for group in 0..<layout.linkCode.groups {
            let result = rebuilder.encode(group, &groups)
            #expect(result == .rebuilt)
        }
        for (page, content) in groups.taken {
            var content = content
            LinkParityPage.seal(&content, generation: generation, index: Int(page - layout.linkParity))
            self[page] = content
        }
    }

    func geometryPage() -> GeometryPage { GeometryPage(layout, generation: generation, protected: protected)! }
    /// It depends on nothing but the geometry.
    static func metaPage(_ layout: ParityLayout) -> [UInt8] {
        [UInt8(truncatingIfNeeded: layout.longestRun)] + [UInt8](repeating: 0, count: 4095)
    }
    static func linkChecksum(_ link: [UInt8], _ generation: UInt64) -> UInt64 {
        Digest.ofPage(link, from: 8, seed: generation)
    }

    subscript(page: UInt64) -> [UInt8] {
        get { Array(bytes[Int(page - layout.head) * 4096..<Int(page - layout.head + 1) * 4096]) }
        set {
            bytes.replaceSubrange(Int(page - layout.head) * 4096..<Int(page - layout.head + 1) * 4096, with: newValue)
        }
    }
    func checksum(_ page: UInt64) -> UInt64 { Digest.ofPage(self[page], from: 0, seed: 1) }
    mutating func seal(_ page: UInt64) { checksums[page] = checksum(page) }

    /// Members of groups at their places in the range.
    struct Groups: GroupPages {
        let code: Interleaving
        let page: (Int) -> UInt64
        let parity: (Int) -> UInt64
        let range: TestRange
        /// Pages with these numbers are taken from elsewhere.
        var instead: [UInt64: UInt64] = [:]
        var taken: [UInt64: [UInt8]] = [:]

        init(
            _ code: Interleaving, _ page: @escaping (Int) -> UInt64, _ parity: @escaping (Int) -> UInt64,
            _ range: TestRange
        ) {
            self.code = code
            self.page = page
            self.parity = parity
            self.range = range
        }
        func number(_ member: GroupMember) -> UInt64 {
            switch member {
            case .page(let rank): page(rank)
            case .parity(let index): parity(index)
            }
        }
        func address(of member: GroupMember) -> UnsafeRawPointer? { nil }
        mutating func read(_ member: GroupMember, into page: UnsafeMutableRawPointer) -> Bool {
            let number = number(member)
            page.copyMemory(from: range[instead[number] ?? number], byteCount: 4096)
            return true
        }
        mutating func perform(
            _ work: @convention(c) (UnsafeMutableRawPointer?) -> Void, _ context: UnsafeMutableRawPointer
        ) -> Bool {
            work(context)
            return true
        }
        mutating func take(_ member: GroupMember, _ page: UnsafeRawPointer) -> Bool {
            taken[number(member)] = Array(UnsafeRawBufferPointer(start: page, count: 4096))
            return true
        }
    }

    /// Repairs, knowing first and last page of the range, and what links say only where a link is left or came back.
    /// - Returns: false when something could not be repaired; nothing was changed then.
    mutating func repair() -> Bool {
        let found = [layout.frontLocator, layout.backLocator].compactMap { page in
            GeometryPage(decoding: self[page]).flatMap { $0.isLocator(at: page) ? $0 : nil }
        }
        // In the geometry page, whose place a link has.
        let inFile = layout.geometry.flatMap { checksum($0) == checksums[$0] ? GeometryPage(decoding: self[$0]) : nil }
        guard let geometry = found.first ?? inFile, geometry.generation == generation else { return false }
        var repaired = self
        guard repaired.repairLinks(geometry), repaired.repairPages(geometry) else { return false }
        for page in [geometry.front, geometry.back] { repaired[page] = geometry.encoded() }
        self = repaired
        return true
    }

    private mutating func repairLinks(_ geometry: GeometryPage) -> Bool {
        let code = geometry.linkCode
        var losses = ParityLosses(code)
        var groups = Groups(code, { [layout] in layout.link($0) }, { [layout] in layout.linkParity + UInt64($0) }, self)
        for i in 0..<geometry.links {
            let sound = [layout.link(i), geometry.mirror + UInt64(i)].first {
                self[$0].word(at: 0) == Self.linkChecksum(self[$0], generation)
            }
            if let sound { groups.instead[layout.link(i)] = sound } else { losses.insert(.page(i)) }
        }
        for i in 0..<code.parityPages
        where !LinkParityPage.isSound(self[layout.linkParity + UInt64(i)], generation: generation, index: i) {
            losses.insert(.parity(i))
        }
        guard losses.areRecoverable else { return false }
        let rebuilder = ParityRebuilder(code)
        for group in 0..<code.groups where rebuilder.rebuild(group, losses, &groups) != .rebuilt { return false }
        for (i, sound) in groups.instead { groups.taken[i] = self[sound] }
        for (page, content) in groups.taken {
            var content = content
            if page >= layout.linkParity {
                LinkParityPage.seal(&content, generation: generation, index: Int(page - layout.linkParity))
            } else {
                content.store(Self.linkChecksum(content, generation), at: 0)
            }
            self[page] = content
        }
        for i in 0..<geometry.links { self[geometry.mirror + UInt64(i)] = self[layout.link(i)] }
        return true
    }

    private mutating func repairPages(_ geometry: GeometryPage) -> Bool {
        guard let code = geometry.code else { return checksums.allSatisfy { checksum($0.key) == $0.value } }
        guard geometry.fits(generation: generation, protected: protected) else { return false }
        var losses = ParityLosses(code)
        var groups = Groups(
            code, { [layout] in layout.firstPage + UInt64($0) }, { [layout] in layout.parity + UInt64($0) }, self)
        for i in 0..<code.pages where checksum(groups.page(i)) != checksums[groups.page(i)] { losses.insert(.page(i)) }
        for i in 0..<code.parityPages where checksum(groups.parity(i)) != checksums[groups.parity(i)] {
            losses.insert(.parity(i))
        }
        guard losses.areRecoverable else { return false }
        let rebuilder = ParityRebuilder(code)
        for group in 0..<code.groups where rebuilder.rebuild(group, losses, &groups) != .rebuilt { return false }
        for (page, content) in groups.taken { self[page] = content }
        self[layout.geometry!] = geometry.encoded()
        self[layout.meta!] = Self.metaPage(layout)
        return checksums.allSatisfy { checksum($0.key) == $0.value }
    }
}

/// Do whole chains come back, bit for bit?
struct WholeChainTests {
    /// Runs around every border, for chains of all kinds of sizes, with and without room to spare.
    @Test(arguments: [(1, 0), (3, 2), (9, 0), (60, 7), (170, 0), (331, 40)])
    func runsAtEveryBorder(_ pages: Int, _ spare: Int) throws {
        let size = try #require(ParityLayout.pagesNeeded(pages: pages, percent: 5)) + spare
        let layout = try #require(ParityLayout(head: 0x4000, size: size, pages: pages, percent: 5))
        let right = try TestRange(layout, seed: pages)
        let run = layout.longestRun
        let borders = [
            layout.head, layout.frontLocator, layout.link(1), layout.firstPage, layout.firstPage + UInt64(pages),
            layout.meta!, layout.geometry!, layout.parity, layout.mirror, layout.linkParity, layout.backLocator,
            layout.backLocator + 1,
        ]
        var starts = Set<Int>()
        for border in borders.map({ Int($0 - layout.head) }) {
            starts.formUnion([border - run, border - run + 1, border - run / 2, border - 1, border])
        }
        var random = Seeded(51)
        for start in starts.sorted() where start >= 0 && start + run <= size {
            var damaged = right
            damaged.bytes.replaceSubrange(start * 4096..<(start + run) * 4096, with: random.bytes(run * 4096))
            let whole = damaged.repair()
            // Free pages and the part of link parity that nobody reads may differ; everything that belongs may not.
            #expect(whole && Self.same(damaged, right), "\(pages) pages, the run from \(start)")
        }
    }

    /// All that belongs to the chain.
    static func same(_ a: TestRange, _ b: TestRange) -> Bool {
        for (place, content) in LayoutTests.map(a.layout).enumerated() where content != .free {
            let page = a.layout.head + UInt64(place)
            if a[page] != b[page] { return false }
        }
        return true
    }

    /// Scattered losses, single bits and mixtures; what cannot be repaired is not touched.
    @Test(arguments: seeds(60))
    func scatteredLosses(_ seed: Int) throws {
        var random = Seeded(3000 + seed)
        let pages = Int.random(in: 1...400, using: &random)
        let size = try #require(ParityLayout.pagesNeeded(pages: pages, percent: 5)) + seed % 3
        let layout = try #require(ParityLayout(head: 1, size: size, pages: pages, percent: 5))
        let right = try TestRange(layout, seed: seed)
        var damaged = right
        var window = LayoutTests.Window(groups: [Int](repeating: 0, count: layout.code!.groups))
        let map = LayoutTests.map(layout)
        let losses = seed % 4 == 3 ? pages : Int.random(in: 1...layout.code!.rows, using: &random)
        var linksLost = false
        for place in (0..<size).shuffled(using: &random)[..<min(losses, size)] {
            window.change(map[place], layout.code!, by: 1)
            damaged.bytes[place * 4096 + Int.random(in: 0..<4096, using: &random)] ^=
                1 << UInt8.random(in: 0..<8, using: &random)
            if window.missingLinks > 0 { linksLost = true }
        }
        let before = damaged
        let whole = damaged.repair()
        if window.isRecoverable { #expect(whole, "seed \(seed)") }
        if whole {
            #expect(Self.same(damaged, right), "seed \(seed)")
        } else {
            #expect(window.broken > 0 || linksLost || window.geometries == 3, "seed \(seed)")
            #expect(damaged.bytes == before.bytes)
        }
    }

    /// Links that are lost twice come back by their parity, up to four of a group.
    @Test func linksLostTwice() throws {
        let size = try #require(ParityLayout.pagesNeeded(pages: 900, percent: 5))
        let layout = try #require(ParityLayout(head: 1, size: size, pages: 900, percent: 5))
        let right = try TestRange(layout, seed: 52)
        #expect(layout.links == 6 && layout.linkCode.rows == 4)
        for lost in 1...5 {
            var damaged = right
            for i in 0..<lost {
                damaged[layout.link(i)] = [UInt8](repeating: 0, count: 4096)
                damaged[layout.mirror + UInt64(i)] = [UInt8](repeating: 0, count: 4096)
            }
            let before = damaged
            let whole = damaged.repair()
            #expect(whole == (lost <= 4))
            #expect(damaged.bytes == (whole ? right.bytes : before.bytes))
        }
    }

    /// Parity of another generation, or of a chain in which one checksum has changed, is not used.
    @Test func staleParityIsNotUsed() throws {
        let layout = try #require(ParityLayout(head: 1, size: 400, pages: 300, percent: 5))
        let right = try TestRange(layout, seed: 53)
        var changed = right
        // Another page was written and its link made to fit; the parity was not.
        changed.protected.add(page: 5, checksum: 9)
        changed[layout.firstPage] = [UInt8](repeating: 7, count: 4096)
        let before = changed.bytes
        let whole = changed.repair()
        #expect(!whole && changed.bytes == before)
    }
}
