import Testing

@testable import MemoryPicture

/// Every page that was added, one by one, and what a picture is to say of them.
private struct PlainPicture {
    struct Page {
        let page: UInt64
        var kind: Content
        /// The file, where the page was not as it should be when it came.
        let file: Int?
    }

    var pages: [Page] = []
    var examples: [Picture.Example] = []

    mutating func add(_ page: UInt64, _ kind: Content, _ file: Int) {
        let isBad = kind == .unknown || kind == .repairable || kind == .damaged
        pages.append(Page(page: page, kind: kind, file: isBad && file >= 0 ? file : nil))
    }

    mutating func turn(_ old: Content, _ new: Content) {
        for number in pages.indices where pages[number].kind == old { pages[number].kind = new }
    }

    func count(_ kind: Content, in range: Range<UInt64>) -> Int {
        pages.count { $0.kind == kind && range.contains($0.page) }
    }

    func file(in range: Range<UInt64>) -> Int? { pages.first { $0.file != nil && range.contains($0.page) }?.file }
}

@Suite struct PictureModelTests {
    private static let kinds: [Content] = [.intact, .parity, .link, .unknown, .repairable, .damaged]

    /// Few pages, few cells, and everything that is done to them: each cell counts what lies in it.
    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func everyCellCountsItsPages(_ seed: UInt64) throws {
        var dice = Dice(seed)
        let size = 30 + dice.below(40)
        let background = Background(
            [
                Stretch(first: 0, end: size, .memory),
                Stretch(first: dice.below(20), end: 20 + dice.below(10), .banned),
                Stretch(first: size + 3, end: size + 3 + dice.below(5), .device),
            ]
            .compactMap { $0 })
        let start = dice.below(size / 2)
        var picture = Picture(
            background, [(.all, 1..<size, Int(4 + dice.below(4))), (.chain, start..<start + 5, 64)])
        var plain = PlainPicture()
        for _ in 0..<60 {
            switch dice.below(12) {
            case 0:
                let (old, new) = (Self.kinds[Int(dice.below(6))], Self.kinds[Int(dice.below(6))])
                picture.turn(old, into: new)
                plain.turn(old, new)
            case 1, 2:
                let number = Int(dice.below(UInt64(max(plain.pages.count, 1))))
                guard number < plain.pages.count else { continue }
                let new = Self.kinds[Int(dice.below(6))]
                let moved = picture.move(plain.pages[number].page, from: plain.pages[number].kind, to: new)
                #expect(moved)
                plain.pages[number].kind = new
            case 3:
                // What is not there is not moved.
                let (page, old) = (dice.below(size), Self.kinds[Int(dice.below(6))])
                let cells = picture.parts.map(\.strip).compactMap { strip in
                    strip.cell(of: page).map { strip.pages(of: $0) }
                }
                guard !cells.isEmpty, cells.allSatisfy({ plain.count(old, in: $0) == 0 }) else { continue }
                let moved = picture.move(page, from: old, to: .damaged)
                #expect(!moved)
            default:
                let (page, kind) = (dice.below(size + 10), Self.kinds[Int(dice.below(6))])
                let file = Int(dice.below(5)) - 1
                picture.add(page, kind, file: file)
                plain.add(page, kind, file)
            }
            compare(picture, plain)
        }
    }

    private func compare(_ picture: Picture, _ plain: PlainPicture) {
        for kind in Self.kinds { #expect(picture.pages(kind) == UInt64(plain.count(kind, in: 0..<UInt64.max))) }
        #expect(picture.chainPages == UInt64(plain.pages.count))
        let drawn = picture.parts.map(\.strip.pages)
        #expect(picture.outside == UInt64(plain.pages.count { page in !drawn.contains { $0.contains(page.page) } }))
        for strip in picture.parts.map(\.strip) {
            var said: [[Int]] = []
            for cell in 0..<strip.cellCount {
                let pages = strip.pages(of: cell)
                let counts = Self.kinds.map { plain.count($0, in: pages) }
                #expect(Self.kinds.map { strip.count($0, in: cell) } == counts)
                #expect(strip.file(in: cell) == plain.file(in: pages))
                let most = counts.lastIndex { $0 > 0 }
                #expect(strip.content(of: cell) == most.map { Self.kinds[$0] } ?? strip.background(of: cell))
                said.append(counts + [plain.file(in: pages) ?? -1, Int(strip.background(of: cell).rawValue)])
            }
            for one in said.indices {
                for other in said.indices { #expect(strip.areAlike(one, other) == (said[one] == said[other])) }
            }
            #expect(strip.count(.intact, in: strip.cellCount) == 0 && strip.count(.intact, in: -1) == 0)
            #expect(strip.count(.memory, in: 0) == 0)
        }
    }

    /// A part is drawn where its cells are a quarter, or less, of those before it that are drawn.
    @Test(arguments: [(256, 1, true), (255, 2, false), (128, 2, false), (64, 1, true)] as [(Int, UInt64, Bool)])
    func aPartIsDrawnFromAQuarterOn(_ cells: Int, _ pagesPerCell: UInt64, _ isDrawn: Bool) throws {
        let background = Background([try #require(Stretch(first: 0, end: 1024, .memory))])
        let pages = cells == 64 ? 0..<64 : 0..<256 as Range<UInt64>
        let strip = try #require(Strip(pages, cells: cells, on: background))
        #expect(strip.pagesPerCell == pagesPerCell)
        let picture = Picture(background, [(.all, 0..<1024, 256), (.range, pages, cells)])
        #expect(picture.parts[0].strip.pagesPerCell == 4)
        #expect(picture.parts.count == (isDrawn ? 2 : 1))
    }

    /// Of what stands behind each other one example is made, of one kind and one file.
    @Test func adjacentPagesAreOneExample() {
        var picture = Picture(Background([]), [])
        func note(_ page: UInt64, _ kind: Content, _ file: Int) { picture.note(page, kind, file: file) }
        for page in [7, 8, 9, 11, 10, 12] as [UInt64] { note(page, .unknown, 1) }
        note(13, .unknown, 2)
        note(14, .repairable, 2)
        note(15, .repairable, 2)
        note(15, .repairable, 2)
        note(2, .repairable, 2)
        let expected: [(UInt64, UInt64, Content, Int)] = [
            (7, 3, .unknown, 1), (11, 1, .unknown, 1), (10, 1, .unknown, 1), (12, 1, .unknown, 1),
            (13, 1, .unknown, 2), (14, 2, .repairable, 2), (15, 1, .repairable, 2), (2, 1, .repairable, 2),
        ]
        #expect(picture.examples.map(\.first) == expected.map(\.0))
        #expect(picture.examples.map(\.count) == expected.map(\.1))
        #expect(picture.examples.map(\.content) == expected.map(\.2))
        #expect(picture.examples.map(\.file) == expected.map(\.3))
        // All eight are taken: what is not damage finds no room, and damage takes that of the last.
        note(50, .unknown, 3)
        #expect(picture.examples.map(\.first) == expected.map(\.0))
        note(60, .damaged, 3)
        #expect(picture.examples.map(\.first) == [7, 11, 10, 12, 13, 14, 15, 60])
    }
}
