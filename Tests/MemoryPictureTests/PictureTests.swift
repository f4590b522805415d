import Testing

@testable import MemoryPicture

private func memory(_ pages: UInt64) -> Background {
    Background([Stretch(first: 0, end: pages, .memory)].compactMap { $0 })
}

@Suite struct StripTests {
    @Test(arguments: [1, 7, 64, 512, 100_000])
    func cellsAreRoundAndNoMoreThanAskedFor(_ cells: Int) throws {
        for range in [
            0..<1, 5..<6, 0..<1000, 777..<99_999, 0..<Stretch.pageLimit, (Stretch.pageLimit - 3)..<UInt64.max,
        ]
            as [Range<UInt64>]
        {
            let strip = try #require(Strip(range, cells: cells, on: memory(10)))
            #expect(strip.cellCount <= min(cells, Strip.cellLimit) && strip.cellCount > 0)
            #expect(strip.pagesPerCell.nonzeroBitCount == 1 && strip.first % strip.pagesPerCell == 0)
            let last = min(range.upperBound, Stretch.pageLimit) - 1
            #expect(strip.pages.contains(range.lowerBound) && strip.pages.contains(last))
            #expect(strip.cell(of: range.lowerBound) == 0 && strip.cell(of: last) == strip.cellCount - 1)
            #expect(strip.cell(of: .max) == nil && strip.cell(of: Stretch.pageLimit) == nil)
            // No smaller cells would do.
            if strip.pagesPerCell > 1 {
                let half = strip.pagesPerCell / 2
                #expect(last / half - range.lowerBound / half + 1 > UInt64(min(cells, Strip.cellLimit)))
            }
        }
    }

    @Test func noCellsAndNoPages() {
        #expect(Strip(5..<5, cells: 10, on: memory(1)) == nil)
        #expect(Strip(Stretch.pageLimit..<UInt64.max, cells: 10, on: memory(1)) == nil)
        #expect(Strip(0..<10, cells: 0, on: memory(1))?.cellCount == 1)
        #expect(Strip(0..<10, cells: -4, on: memory(1))?.cellCount == 1)
    }

    /// One page of what counts most in a cell of a million is what is drawn.
    @Test func theGroundOfACellIsWhatCountsMost() throws {
        let background = Background(
            [Stretch(first: 0, end: 1 << 28, .memory), Stretch(first: 123_456_789, end: 123_456_790, .banned)]
                .compactMap { $0 })
        let strip = try #require(Strip(0..<1 << 28, cells: 100, on: background))
        let banned = (0..<strip.cellCount).filter { strip.content(of: $0) == .banned }
        #expect(banned == [try #require(strip.cell(of: 123_456_789))])
    }
}

@Suite struct PictureTests {
    @Test func nothingToDraw() {
        var picture = Picture(Background([]), [])
        picture.add(1, .damaged)
        #expect(picture.parts.isEmpty && picture.outside == 1 && picture.chainPages == 1)
        #expect(picture.examples == [Picture.Example(first: 1, count: 1, content: .damaged, file: -1)])
        #expect(Picture(Background([]), [(.all, 0..<0, 100)]).parts.isEmpty)
    }

    /// A machine of 1 TiB with a range of 64 MiB and a chain of 100 pages in it: all three can be read.
    @Test func aSmallRangeOfALargeMachine() throws {
        let machine: UInt64 = 1 << 28
        let range: Range<UInt64> = 0x1000_0000 >> 12..<0x1400_0000 >> 12
        let background = Background(
            [
                Stretch(first: 0, end: machine, .memory),
                Stretch(first: range.lowerBound, end: range.upperBound, .reserved),
            ]
            .compactMap { $0 })
        var picture = Picture(
            background,
            [
                (.all, 0..<machine, 512), (.range, range, 512),
                (.chain, range.lowerBound..<range.lowerBound + 100, 512),
            ])
        #expect(picture.parts.map { $0.strip.pagesPerCell } == [1 << 19, 32, 1])
        for page in range.lowerBound..<range.lowerBound + 100 { picture.add(page, .intact) }
        picture.move(range.lowerBound + 57, from: .intact, to: .damaged)
        #expect(damagedCells(picture.parts[0].strip) == [0])
        #expect(damagedCells(picture.parts[1].strip) == [1])
        #expect(damagedCells(picture.parts[2].strip) == [57])
        #expect(picture.background.pages == machine && picture.outside == 0)
    }

    /// What would be drawn hardly larger than it is already is left out.
    @Test func aPartThatIsNearlyAllIsNotDrawnTwice() {
        let picture = Picture(memory(1000), [(.all, 0..<1000, 512), (.range, 0..<900, 512), (.chain, 10..<20, 512)])
        #expect(picture.parts.count == 1)
    }

    private func damagedCells(_ strip: Strip) -> [Int] {
        (0..<strip.cellCount).filter { strip.content(of: $0) == .damaged }
    }

    /// Whatever comes in whatever order: each damaged page lies in a cell that is drawn as damaged, no cell is drawn so
    /// that has none, and the figures add up to what came.
    @Test(arguments: 1...60 as ClosedRange<UInt64>)
    func everyDamagedPageIsSeen(_ seed: UInt64) {
        var dice = Dice(seed)
        let pages = 1 + dice.below(seed % 2 == 0 ? 1 << 28 : 5000)
        let start = dice.below(pages)
        var picture = Picture(
            memory(pages),
            [
                (.all, 0..<pages, Int(1 + dice.below(700))),
                (.range, start..<start + 1 + dice.below(pages - start), Int(1 + dice.below(700))),
            ])
        var truth: [UInt64: [Content]] = [:]
        var outside: UInt64 = 0
        for _ in 0..<2000 {
            let wild = dice.below(50) == 0
            let page = wild ? dice.next() : dice.below(pages)
            let content: Content =
                dice.below(40) == 0 ? .damaged : [.intact, .parity, .link, .unknown, .repairable][Int(dice.below(5))]
            picture.add(page, content, file: Int(dice.below(9)))
            truth[page, default: []].append(content)
            if !picture.parts.contains(where: { $0.strip.pages.contains(page) }) { outside += 1 }
        }
        // Some turn out to be something else.
        for page in truth.keys.sorted().prefix(100) {
            guard let old = truth[page]?[0], old != .damaged else { continue }
            let moved = picture.move(page, from: old, to: .damaged)
            #expect(moved)
            truth[page]?[0] = .damaged
        }
        for part in picture.parts {
            var wanted: [Int: Content] = [:]
            for (page, contents) in truth {
                guard let cell = part.strip.cell(of: page), let most = contents.max() else { continue }
                wanted[cell] = max(wanted[cell] ?? .nothing, most)
            }
            for cell in 0..<part.strip.cellCount {
                #expect(part.strip.content(of: cell) == wanted[cell] ?? part.strip.background(of: cell))
            }
            let kinds = Content.allCases.filter(\.isPage)
            let counted = (0..<part.strip.cellCount).reduce(0) { sum, cell in
                sum + kinds.reduce(0) { $0 + part.strip.count($1, in: cell) }
            }
            #expect(counted == truth.filter { part.strip.pages.contains($0.key) }.values.reduce(0) { $0 + $1.count })
        }
        for kind in Content.allCases where kind.isPage {
            #expect(picture.pages(kind) == UInt64(truth.values.joined().count { $0 == kind }))
        }
        #expect(picture.chainPages == 2000 && picture.outside == outside)
        #expect(picture.examples.count == Picture.exampleLimit)
        #expect(picture.examples.allSatisfy { $0.content == .damaged })
    }

    /// One among a million, in the smallest picture there is.
    @Test func oneDamagedPageAmongAMillion() {
        var picture = Picture(memory(1 << 20), [(.all, 0..<1 << 20, 8)])
        for page in 0..<1 << 20 as Range<UInt64> { picture.add(page, page == 654_321 ? .damaged : .intact, file: 3) }
        #expect(damagedCells(picture.parts[0].strip) == [4])
        #expect(picture.parts[0].strip.file(in: 4) == 3 && picture.parts[0].strip.file(in: 3) == nil)
        #expect(picture.pages(.intact) == (1 << 20) - 1 && picture.pages(.damaged) == 1)
        #expect(picture.examples == [Picture.Example(first: 654_321, count: 1, content: .damaged, file: 3)])
    }

    @Test func damageTakesThePlaceOfDoubtAmongTheExamples() {
        var picture = Picture(memory(100), [(.all, 0..<100, 10)])
        for page in stride(from: 0, to: 50, by: 2) as StrideTo<UInt64> { picture.add(page, .unknown) }
        for page in 60..<63 as Range<UInt64> { picture.add(page, .damaged, file: 2) }
        #expect(picture.examples.count == Picture.exampleLimit)
        #expect(picture.examples.last == Picture.Example(first: 60, count: 3, content: .damaged, file: 2))
        picture.forget()
        #expect(picture.examples.isEmpty)
    }

    @Test func wholeKindsTurnIntoOthers() {
        var picture = Picture(memory(100), [(.all, 0..<100, 10)])
        for page in 0..<50 as Range<UInt64> { picture.add(page, .unknown) }
        picture.add(.max, .unknown)
        picture.turn(.unknown, into: .intact)
        #expect(picture.pages(.unknown) == 0 && picture.pages(.intact) == 51 && picture.examples.isEmpty)
        #expect(picture.parts[0].strip.content(of: 0) == .intact && picture.outside == 1)
    }

    /// In every cell, and only what is to turn.
    @Test func kindsTurnInEveryCell() {
        var picture = Picture(memory(100), [(.all, 0..<100, 25)])
        for page in 0..<100 as Range<UInt64> { picture.add(page, page % 8 < 3 ? .unknown : .link) }
        picture.turn(.unknown, into: .damaged)
        let strip = picture.parts[0].strip
        for cell in 0..<strip.cellCount {
            let pages = strip.pages(of: cell).clamped(to: 0..<100)
            let turned = pages.count { $0 % 8 < 3 }
            #expect(strip.count(.damaged, in: cell) == turned && strip.count(.unknown, in: cell) == 0)
            #expect(strip.count(.link, in: cell) == pages.count - turned)
        }
    }

    /// Cells are alike when every number of theirs is the same, and what they lie on.
    @Test func cellsThatAreAlike() {
        let kinds = Content.allCases.filter(\.isPage)
        for kind in kinds {
            var picture = Picture(memory(40), [(.all, 0..<40, 10)])
            #expect(picture.parts[0].strip.areAlike(0, 9))
            picture.add(0, kind, file: 4)
            #expect(!picture.parts[0].strip.areAlike(0, 9) && !picture.parts[0].strip.areAlike(9, 0))
            picture.add(36, kind, file: 4)
            #expect(picture.parts[0].strip.areAlike(0, 9))
            picture.add(37, kind, file: 4)
            #expect(!picture.parts[0].strip.areAlike(0, 9))
        }
        var picture = Picture(memory(40), [(.all, 0..<40, 10)])
        picture.add(0, .damaged, file: 1)
        picture.add(36, .damaged, file: 2)
        #expect(!picture.parts[0].strip.areAlike(0, 9))
        let background = Background([Stretch(first: 0, end: 4, .memory)!, Stretch(first: 4, end: 40, .reserved)!])
        let strip = Picture(background, [(.all, 0..<40, 10)]).parts[0].strip
        #expect(!strip.areAlike(0, 1) && strip.areAlike(1, 9))
    }

    /// Nothing is moved that is not there, and no counter passes its end.
    @Test func adversarialCounts() throws {
        var picture = Picture(memory(100), [(.all, 0..<100, 10)])
        var moved = [picture.move(3, from: .intact, to: .damaged)]
        picture.add(3, .intact)
        moved.append(picture.move(4 + 16, from: .intact, to: .damaged))
        moved.append(picture.move(3, from: .memory, to: .damaged))
        moved.append(picture.move(3, from: .intact, to: .kernel))
        #expect(moved == [false, false, false, false])
        picture.add(3, .kernel)
        #expect(picture.chainPages == 1 && picture.pages(.damaged) == 0)
        // One page that is listed again and again.
        for _ in 0..<300_000 { picture.add(5, .damaged, file: .max) }
        #expect(picture.pages(.damaged) == 300_000)
        let cell = try #require(picture.parts[0].strip.cell(of: 5))
        #expect(picture.parts[0].strip.count(.damaged, in: cell) == 300_000)
        #expect(picture.parts[0].strip.count(.damaged, in: -1) == 0)
        #expect(picture.parts[0].strip.count(.damaged, in: .max) == 0)
    }
}
