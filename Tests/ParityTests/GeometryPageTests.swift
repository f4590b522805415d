import Testing

@testable import Parity

/// Are the pages that describe parity read as they were written, and is nothing else believed?
struct GeometryPageTests {
    static func digest(_ count: Int) -> ProtectedDigest {
        var digest = ProtectedDigest()
        for i in 0..<count { digest.add(page: 100 + UInt64(i), checksum: UInt32(i) &* 77) }
        return digest
    }

    static func sample(pages: Int = 1000, size: Int = 1200) throws -> GeometryPage {
        let layout = try #require(ParityLayout(head: 0x123, size: size, pages: pages, percent: 5))
        return try #require(GeometryPage(layout, generation: 0xfeed_f00d_dead_beef, protected: digest(pages)))
    }

    @Test func comesBackAsItWas() throws {
        for (pages, size) in [(1000, 1200), (1, 20), (1000, 1027), (60_000, 65_000)] {
            let geometry = try Self.sample(pages: pages, size: size)
            let page = geometry.encoded()
            #expect(page.count == 4096)
            #expect(GeometryPage(decoding: page) == geometry)
            #expect(geometry.isLocator(at: 0x124) && geometry.isLocator(at: 0x123 + UInt64(size) - 1))
            #expect(!geometry.isLocator(at: 0x123) && !geometry.isLocator(at: 0x125))
            #expect(geometry.fits(generation: 0xfeed_f00d_dead_beef, protected: Self.digest(pages)))
            #expect(!geometry.fits(generation: 0xfeed_f00d_dead_bee0, protected: Self.digest(pages)))
            #expect(!geometry.fits(generation: 0xfeed_f00d_dead_beef, protected: Self.digest(pages + 1)))
        }
        // One of them without any parity: no room.
        #expect(try Self.sample(pages: 1000, size: 1027).code?.rows ?? 0 < 8)
    }

    @Test func theDigestIsOfThesePages() throws {
        let layout = try #require(ParityLayout(head: 1, size: 1200, pages: 1000, percent: 5))
        #expect(GeometryPage(layout, generation: 1, protected: Self.digest(999)) == nil)
    }

    /// Every byte of the page, changed in turn.
    @Test func everyByteCounts() throws {
        let page = try Self.sample().encoded()
        for place in page.indices {
            for change: UInt8 in [1, 0x80, 0xff] {
                var wrong = page
                wrong[place] ^= change
                if GeometryPage(decoding: wrong) != nil { Issue.record("byte \(place)") }
            }
        }
        #expect(GeometryPage(decoding: []) == nil)
        #expect(GeometryPage(decoding: Array(page.dropLast())) == nil)
        #expect(GeometryPage(decoding: page + [0]) == nil)
        #expect(GeometryPage(decoding: [UInt8](repeating: 0, count: 4096)) == nil)
    }

    /// Lies with a fitting digest: refused, or a geometry that everything can rely on.
    @Test func liesAreBounded() throws {
        let page = try Self.sample().encoded()
        let numbers: [UInt64] = [
            0, 1, 2, 3, 7, 8, 16, 17, 252, 255, 256, 0x123, 0x124, 0x125, 1000, 1 << 32, 1 << 40, (1 << 40) + 1,
            (1 << 52) - 1, 1 << 52, 1 << 63, .max - 1, .max,
        ]
        var random = Seeded(41)
        var believed = 0
        for round in 0..<4000 {
            var lie = page
            for _ in 0...round % 4 {
                let place = 16 + 8 * Int.random(in: 0..<(round % 10 == 0 ? 510 : 10), using: &random)
                switch round % 3 {
                case 0: lie.store(numbers.randomElement(using: &random)!, at: place)
                case 1:
                    lie.store(
                        lie.word(at: place) &+ UInt64(bitPattern: Int64.random(in: -3...3, using: &random)), at: place)
                default:
                    lie[place + Int.random(in: 0..<8, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                }
            }
            lie.store(Digest.ofPage(lie, from: 16, seed: GeometryPage.mark), at: 8)
            guard let geometry = GeometryPage(decoding: lie) else { continue }
            believed += 1
            if geometry.encoded() != lie { Issue.record("round \(round): not what is written") }
            let copies = geometry.mirror..<geometry.mirror + UInt64(geometry.links + geometry.linkCode.parityPages)
            let named = [geometry.head, geometry.front, geometry.back]
            let sound =
                copies.upperBound <= 1 << 52 && !named.contains(where: copies.contains) && Set(named).count == 3
                && named.allSatisfy { (1..<1 << 52).contains($0) } && geometry.links > 0
                && geometry.code.map { $0.pages == geometry.pages && $0.columns + $0.rows <= 256 } ?? true
            if !sound { Issue.record("round \(round): \(geometry)") }
        }
        #expect(believed > 100)
    }

    @Test func linkParityPages() {
        var random = Seeded(42)
        var page = random.bytes(4096)
        let parity = Array(page[8...])
        LinkParityPage.seal(&page, generation: 5, index: 3)
        #expect(Array(page[8...]) == parity)
        #expect(LinkParityPage.isSound(page, generation: 5, index: 3))
        #expect(!LinkParityPage.isSound(page, generation: 6, index: 3))
        #expect(!LinkParityPage.isSound(page, generation: 5, index: 2))
        #expect(!LinkParityPage.isSound(Array(page.dropLast()), generation: 5, index: 3))
        for place in page.indices {
            page[place] ^= 0x10
            if LinkParityPage.isSound(page, generation: 5, index: 3) { Issue.record("byte \(place)") }
            page[place] ^= 0x10
        }
        var short: [UInt8] = [1, 2, 3]
        LinkParityPage.seal(&short, generation: 5, index: 3)
        #expect(short == [1, 2, 3])
    }

    @Test func digestsOfProtectedPages() {
        var random = Seeded(43)
        var pages = (0..<500).map { _ in
            (UInt64.random(in: 1..<1 << 52, using: &random), UInt32(truncatingIfNeeded: random.next()))
        }
        func digest() -> ProtectedDigest {
            var digest = ProtectedDigest()
            for (page, checksum) in pages { digest.add(page: page, checksum: checksum) }
            return digest
        }
        let right = digest()
        pages.shuffle(using: &random)
        #expect(digest() == right)
        for i in pages.indices {
            let (page, checksum) = pages[i]
            pages[i].0 ^= 1 << UInt64(i % 52)
            #expect(digest() != right)
            pages[i] = (page, checksum ^ 1 << UInt32(i % 32))
            #expect(digest() != right)
            pages[i] = (page, checksum)
        }
        // Checksums of two pages exchanged: a chain in which pages changed places.
        (pages[0].1, pages[1].1) = (pages[1].1, pages[0].1)
        #expect(digest() != right)
        pages.removeLast()
        #expect(digest() != right)
    }
}

/// Which rank has a page?
struct ProtectedPagesTests {
    @Test(arguments: 0..<200)
    func ranksAreThePlacesInOrder(_ seed: Int) {
        var random = Seeded(2000 + seed)
        var chosen = Set<UInt64>()
        for _ in 0..<Int.random(in: 1...20, using: &random) {
            let first = UInt64.random(in: 0..<2000, using: &random)
            chosen.formUnion(first..<first + UInt64.random(in: 1...60, using: &random))
        }
        let sorted = chosen.sorted()
        var order = sorted
        if seed % 3 == 1 { order.shuffle(using: &random) }
        if seed % 3 == 2 { order.reverse() }
        var pages = ProtectedPages()
        for page in order { pages.add(page) }
        let inOrder = pages.order()
        #expect(inOrder && pages.count == sorted.count)
        for (rank, page) in sorted.enumerated() {
            #expect(pages.rank(of: page) == rank && pages.page(ofRank: rank) == page)
        }
        for page in UInt64(0)..<2100 where !chosen.contains(page) { #expect(pages.rank(of: page) == nil) }
        #expect(pages.page(ofRank: sorted.count) == nil && pages.page(ofRank: -1) == nil)
        pages.add(order[order.count / 2])
        let stillInOrder = pages.order()
        #expect(!stillInOrder && pages.isBroken)
    }

    @Test func theLargestNumbers() {
        var pages = ProtectedPages()
        let numbers: [UInt64] = [.max, .max - 1, 0, 1]
        for page in numbers { pages.add(page) }
        let inOrder = pages.order()
        #expect(inOrder)
        #expect(pages.rank(of: .max) == 3 && pages.rank(of: .max - 1) == 2 && pages.page(ofRank: 0) == 0)
        #expect(pages.rank(of: 2) == nil && ProtectedPages().rank(of: 0) == nil)
    }

    /// Memory is bounded: pages that lie too scattered are given up. Runs that were merely added in another order are
    /// not.
    @Test func scatteredPages() {
        var pages = ProtectedPages()
        for i in 0..<3 * ProtectedPages.mostRuns { pages.add(UInt64(i) * 2) }
        var inOrder = pages.order()
        #expect(!inOrder && pages.isBroken)
        pages = ProtectedPages()
        for i in 0..<3 * ProtectedPages.mostRuns { pages.add(UInt64(10_000_000 - i)) }
        inOrder = pages.order()
        #expect(inOrder && pages.rank(of: 10_000_000) == 3 * ProtectedPages.mostRuns - 1)
    }
}
