import Testing

@testable import MemoryPicture

/// What counts of all stretches that hold a page, found the slow way.
private func slow(_ stretches: [Stretch], _ page: UInt64) -> Content {
    stretches.filter { $0.first <= page && page < $0.end && !$0.content.isPage }.map(\.content).max() ?? .nothing
}

@Suite struct BackgroundTests {
    @Test func nothingAtAll() {
        let background = Background([])
        #expect(background.pieces.isEmpty && background.pages == 0 && background.extent == nil)
        #expect(background.content(of: 0) == .nothing && background.content(of: .max) == .nothing)
    }

    @Test func stretchesOutOfRange() throws {
        #expect(Stretch(first: 5, end: 5, .memory) == nil)
        #expect(Stretch(first: 6, end: 5, .memory) == nil)
        #expect(Stretch(first: Stretch.pageLimit, end: .max, .memory) == nil)
        let last = try #require(Stretch(first: Stretch.pageLimit - 1, end: .max, .memory))
        #expect(last.pages == 1)
        // Bytes touch pages: 1 byte is a page, the very last byte too.
        #expect(Stretch(start: 0x1fff, last: 0x2000, .memory).map { [$0.first, $0.end] } == [1, 3])
        #expect(Stretch(start: .max, last: .max, .memory)?.pages == 1)
        #expect(Stretch(start: 1, last: 0, .memory) == nil)
        #expect(Stretch(start: 0, last: .max, .memory)?.pages == Stretch.pageLimit)
    }

    @Test func whatCountsMoreIsSeenWhateverTheOrder() throws {
        let all = [
            try #require(Stretch(first: 0, end: 100, .memory)), try #require(Stretch(first: 10, end: 20, .reserved)),
            try #require(Stretch(first: 15, end: 30, .kernel)), try #require(Stretch(first: 90, end: 120, .device)),
        ]
        for stretches in [all, all.reversed()] {
            let background = Background(stretches)
            #expect(
                background.pieces.map { [$0.first, $0.end, UInt64($0.content.rawValue)] } == [
                    [0, 10, 2], [10, 15, 5], [15, 30, 6], [30, 100, 2], [100, 120, 1],
                ])
            #expect(background.pages(.memory) == 80 && background.pages(.kernel) == 15 && background.pages == 120)
            // Devices are no memory.
            #expect(background.extent == 0..<100)
        }
    }

    /// What is banned hides memory, and is memory all the same.
    @Test func memoryThatIsHiddenCounts() throws {
        let background = Background([
            try #require(Stretch(first: 3, end: 50, .memory)), try #require(Stretch(first: 0, end: 90, .banned)),
        ])
        #expect(background.pages(.memory) == 0 && background.extent == 3..<50)
    }

    @Test func neighboursOfOneContentAreOnePiece() throws {
        let background = Background([
            try #require(Stretch(first: 8, end: 16, .memory)), try #require(Stretch(first: 0, end: 8, .memory)),
            try #require(Stretch(first: 4, end: 12, .memory)),
        ])
        #expect(background.pieces == [try #require(Stretch(first: 0, end: 16, .memory))])
    }

    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func everyPageIsWhatCountsMostAndTheFiguresAddUp(_ seed: UInt64) {
        var dice = Dice(seed)
        var stretches: [Stretch] = []
        for _ in 0..<dice.below(60) {
            let first = dice.below(300)
            let content = Content(rawValue: UInt8(dice.below(UInt64(Content.allCases.count)))) ?? .memory
            if let stretch = Stretch(first: first, end: first + dice.below(80), content) { stretches.append(stretch) }
        }
        let background = Background(stretches)
        var counts: [Content: UInt64] = [:]
        for page in 0..<400 as Range<UInt64> {
            let wanted = slow(stretches, page)
            #expect(background.content(of: page) == wanted, "page \(page)")
            if wanted != .nothing { counts[wanted, default: 0] += 1 }
        }
        for content in Content.allCases { #expect(background.pages(content) == counts[content] ?? 0) }
        #expect(background.pages == counts.values.reduce(0, +))
        #expect(background.pieces.map(\.pages).reduce(0, +) == background.pages)
        for (one, next) in zip(background.pieces, background.pieces.dropFirst()) {
            #expect(one.end < next.first || one.end == next.first && one.content != next.content)
        }
        let part = background.clipped(to: 50..<200)
        for page in 0..<400 as Range<UInt64> {
            #expect(part.content(of: page) == (50..<200 ~= page ? background.content(of: page) : .nothing))
        }
    }

    /// A hundred thousand ranges, all in each other: as fast as any.
    @Test func deeplyNestedRanges() {
        let count: UInt64 = 100_000
        let stretches = (0..<count).compactMap { Stretch(first: $0, end: 4 * count - $0, .memory) }
        let background = Background(stretches)
        #expect(background.pieces.count == 1 && background.pages == 4 * count)
    }
}
