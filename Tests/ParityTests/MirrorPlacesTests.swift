import Testing

@testable import Parity

/// Where copies of links lie when it is in many places: is it read as it was written, and nothing else?
struct MirrorPlacesTests {
    static func scattered() throws -> GeometryPage {
        let count = 90_000
        let code = try #require(Interleaving(pages: count, percent: 5))
        let links = (count + code.parityPages + 2 - 1) / 169 + 1
        let linkCode = try #require(Interleaving(links: links))
        // Pairs of adjacent pages.
        var pages: [UInt64] = []
        for number in 0..<UInt64(links + linkCode.parityPages) { pages.append(0x5000 + number + number / 2 * 3) }
        let places = try #require(MirrorPlaces(pages: pages))
        return try #require(
            GeometryPage(
                head: 0x123, front: 0x124, back: 0x99_9999, copies: places, links: links, code: code, generation: 5,
                protected: GeometryPageTests.digest(count)))
    }

    @Test func comesBackAsItWas() throws {
        let geometry = try Self.scattered()
        let page = geometry.encoded()
        #expect(page.count == 4096)
        #expect(GeometryPage(decoding: page) == geometry)
        #expect(geometry.copies.runs.count == (geometry.links + geometry.linkCode.parityPages + 1) / 2)
        #expect(geometry.copy(ofLink: 0) == 0x5000 && geometry.copy(ofLink: 1) == 0x5001)
        #expect(geometry.copy(ofLink: 2) == 0x5005 && geometry.copy(ofLink: 5) == 0x500b)
        #expect(geometry.linkParity(0) == geometry.copies[geometry.links])
        #expect(geometry.copies.contains(0x5006) && !geometry.copies.contains(0x5002))
    }

    @Test func everyByteCounts() throws {
        let page = try Self.scattered().encoded()
        for place in page.indices {
            var wrong = page
            wrong[place] ^= 0x10
            if GeometryPage(decoding: wrong) != nil { Issue.record("byte \(place)") }
        }
    }

    /// Lies with a fitting digest: refused, or written just so.
    @Test func liesAreBounded() throws {
        let page = try Self.scattered().encoded()
        var random = Seeded(43)
        for round in 0..<4000 {
            var lie = page
            for _ in 0...round % 3 {
                let place = 96 + 8 * Int.random(in: 0..<500, using: &random)
                switch round % 4 {
                case 0: lie.store([0, 1, .max, 1 << 63, 0x123 << 12, 4095].randomElement(using: &random)!, at: place)
                case 1: lie.store(lie.word(at: place) &+ UInt64.random(in: 0...4096, using: &random), at: place)
                case 2: lie.store(lie.word(at: max(96, place - 8)), at: place)
                default:
                    lie[place + Int.random(in: 0..<8, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                }
            }
            lie.store(Digest.ofPage(lie, from: 16, seed: GeometryPage.mark), at: 8)
            guard let geometry = GeometryPage(decoding: lie) else { continue }
            if geometry.encoded() != lie { Issue.record("round \(round): not what is written") }
            #expect(geometry.copies.count == geometry.links + geometry.linkCode.parityPages)
            for number in 0..<geometry.copies.count { #expect(geometry.copies[number] < 1 << 52) }
        }
    }

    @Test func boundsAreKept() {
        #expect(MirrorPlaces(pages: (0..<501).map { 2 * $0 + 1 }) == nil)
        #expect(MirrorPlaces(pages: (0..<500).map { 2 * $0 + 1 })?.runs.count == 500)
        #expect(MirrorPlaces(pages: [5, 4]) == nil)
        #expect(MirrorPlaces(pages: [5, 5]) == nil)
        #expect(MirrorPlaces(pages: [UInt64]()) == nil)
        #expect(MirrorPlaces(pages: [1 << 52]) == nil)
        #expect(MirrorPlaces(pages: [7, 8, 9])?.words == [])
        // Each run takes as many words as it has 4096 pages begun.
        let long = MirrorPlaces(pages: Array(1...5000) + [9000])
        #expect(long?.words == [1 << 12 | 4095, 4097 << 12 | 903, 9000 << 12])
        #expect(MirrorPlaces(first: 1, count: 5001, words: long?.words ?? []) == long)
        #expect(MirrorPlaces(first: 1, count: 5000, words: long?.words ?? []) == nil)
        #expect(MirrorPlaces(first: 1, count: 8, words: [1 << 12 | 3, 5 << 12 | 3]) == nil)
    }
}
