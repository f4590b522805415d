import Testing

@testable import Parity

/// Does every page have its place, and can every run within the promise be lost?
struct LayoutTests {
    /// What lies in a page of the range.
    enum Content: Equatable {
        case link(Int), copy(Int), linkParity(Int), locator, page(Int), meta, geometry, parity(Int), free
    }

    /// The whole range, by the layout's own words; each place is filled once.
    static func map(_ layout: ParityLayout) -> [Content] {
        var map = [Content](repeating: .free, count: layout.size)
        func put(_ content: Content, at page: UInt64) {
            let place = Int(page - layout.head)
            if map[place] != .free { Issue.record("\(layout): \(content) on \(map[place])") }
            map[place] = content
        }
        for i in 0..<layout.links {
            put(.link(i), at: layout.link(i))
            put(.copy(i), at: layout.mirror + UInt64(i))
        }
        for i in 0..<layout.linkCode.parityPages { put(.linkParity(i), at: layout.linkParity + UInt64(i)) }
        put(.locator, at: layout.frontLocator)
        put(.locator, at: layout.backLocator)
        for i in 0..<layout.pages { put(.page(i), at: layout.firstPage + UInt64(i)) }
        if let code = layout.code, let meta = layout.meta, let geometry = layout.geometry {
            put(.meta, at: meta)
            put(.geometry, at: geometry)
            for i in 0..<code.parityPages { put(.parity(i), at: layout.parity + UInt64(i)) }
        }
        return map
    }

    /// What is lost while a run moves over the range, kept up to date page by page.
    struct Window {
        var groups: [Int]
        var broken = 0
        var links: [Int: Int] = [:]
        var copies: [Int: Int] = [:]
        var missingLinks = 0
        var geometries = 0

        mutating func change(_ content: Content, _ code: Interleaving, by step: Int) {
            func member(_ group: Int) {
                let before = groups[group] > code.rows
                groups[group] += step
                broken += (groups[group] > code.rows ? 1 : 0) - (before ? 1 : 0)
            }
            switch content {
            case .page(let rank): member(code.group(ofPage: rank))
            case .parity(let index): member(code.group(ofParity: index))
            case .link(let i), .copy(let i):
                let before = links[i, default: 0] == 2
                links[i, default: 0] += step
                missingLinks += (links[i] == 2 ? 1 : 0) - (before ? 1 : 0)
            case .locator, .geometry: geometries += step
            case .meta, .linkParity, .free: break
            }
        }
        /// No group has lost too much, each link or its copy is left, and a page that tells the geometry.
        var isRecoverable: Bool { broken == 0 && missingLinks == 0 && geometries < 3 }
    }

    /// The first run of this length that cannot be rebuilt.
    static func fatalRun(_ layout: ParityLayout, length: Int) -> Int? {
        guard let code = layout.code else { return 0 }
        let map = map(layout)
        var window = Window(groups: [Int](repeating: 0, count: code.groups))
        for place in map.indices {
            window.change(map[place], code, by: 1)
            if place >= length { window.change(map[place - length], code, by: -1) }
            if place >= length - 1, !window.isRecoverable { return place - length + 1 }
        }
        return nil
    }

    /// All positions, for sizes without gaps, from chains of one page on.
    @Test(arguments: [5, 1, 3, 20, 50])
    func everyRunInEverySize(_ percent: Int) throws {
        let sizes =
            percent == 5
            ? Array(1...400) + stride(from: 401, through: 3000, by: 13) : Array(1...100) + [161, 999, 2500]
        for pages in sizes {
            let size = try #require(ParityLayout.pagesNeeded(pages: pages, percent: percent))
            let layout = try #require(ParityLayout(head: 1, size: size, pages: pages, percent: percent))
            #expect(layout.code == Interleaving(pages: pages, percent: percent))
            if let start = Self.fatalRun(layout, length: layout.longestRun) {
                Issue.record("\(pages) pages, \(percent) %: the run from \(start)")
            }
            // The promise is no smaller than it could be, unless a run of that length hardly fits into the pages.
            if pages > layout.longestRun { #expect(Self.fatalRun(layout, length: layout.longestRun + 1) != nil) }
        }
    }

    /// The same with a gap, and large enough for many groups and many groups of links.
    @Test(arguments: [(100, 1000), (930, 1000), (930, 1300), (5000, 9000), (90_000, 97_000), (200_000, 213_000)])
    func everyRunWithRoomToSpare(_ pages: Int, _ size: Int) throws {
        let layout = try #require(ParityLayout(head: 0x1000, size: size, pages: pages, percent: 5))
        if let start = Self.fatalRun(layout, length: layout.longestRun) { Issue.record("the run from \(start)") }
        #expect(
            layout.mirror > layout.head + UInt64(layout.size / 2) && layout.backLocator == 0x1000 + UInt64(size) - 1)
    }

    /// Every size of range from nothing to plenty.
    @Test(arguments: [1, 2, 9, 30, 160, 700, 1500])
    func whatFitsIsPlanned(_ pages: Int) throws {
        let wanted = try #require(ParityLayout.pagesNeeded(pages: pages, percent: 5))
        var before = -1
        for size in 1...wanted + 3 {
            guard let layout = ParityLayout(head: 7, size: size, pages: pages, percent: 5) else {
                #expect(before == -1, "\(size)")
                continue
            }
            #expect(layout.longestRun >= before || layout.code.map { $0.rows < 8 } ?? true, "\(size)")
            before = max(before, layout.longestRun)
            _ = Self.map(layout)
            if layout.code != nil, let start = Self.fatalRun(layout, length: layout.longestRun) {
                Issue.record("\(pages) pages in \(size): the run from \(start)")
            }
            #expect((size >= wanted) == (layout.code == Interleaving(pages: pages, percent: 5)), "\(size)")
        }
        // With nothing but the mirror: every page, the links twice, their parity, two locators.
        let links = (pages - 1) / 169 + 1
        let least = pages + 2 * links + min(4, links) + 2
        #expect(ParityLayout(head: 7, size: least, pages: pages, percent: 5)?.code == nil)
        #expect(ParityLayout(head: 7, size: least, pages: pages, percent: 5) != nil)
        #expect(ParityLayout(head: 7, size: least - 1, pages: pages, percent: 5) == nil)
    }

    @Test func whatCannotBeIsRefused() {
        #expect(ParityLayout(head: 0, size: 1000, pages: 10, percent: 5) == nil)
        #expect(ParityLayout(head: 1, size: 1000, pages: 0, percent: 5) == nil)
        #expect(ParityLayout(head: 1, size: 1000, pages: 10, percent: 0) == nil)
        #expect(ParityLayout(head: 1, size: 0, pages: 10, percent: 5) == nil)
        #expect(ParityLayout(head: 1, size: .max, pages: 10, percent: 5) == nil)
        #expect(ParityLayout(head: .max, size: 1000, pages: 10, percent: 5) == nil)
        #expect(ParityLayout(head: (1 << 52) - 999, size: 1000, pages: 10, percent: 5) == nil)
        #expect(ParityLayout(head: (1 << 52) - 1000, size: 1000, pages: 10, percent: 5) != nil)
        #expect(ParityLayout(head: 1, size: 1000, pages: .max, percent: 5) == nil)
        #expect(ParityLayout.pagesNeeded(pages: 0, percent: 5) == nil)
        #expect(ParityLayout.pagesNeeded(pages: .max, percent: 50) == nil)
    }
}
