/// How pages are dealt out to groups, and the parity pages of all groups to places in a row.
///
/// `pages` pages, numbered from 0 (their *rank*), are dealt out like cards: page r goes to group r mod `groups`, where
/// it is column r / groups. Each group has `rows` parity pages. The parity pages go on where the dealing stopped:
/// parity page p, in the order in which they are stored, belongs to group (pages + p) mod groups and is its row p /
/// groups.
///
/// So of any `groups * rows` pages that follow each other, first pages and then parity, each group has exactly `rows`:
/// whoever loses such a run loses no more of any group than its parity makes good.
public struct Interleaving: Equatable, Sendable {
    /// A group has at most 256 members, for as many numbers are in the field.
    public static let largestGroup = 256
    /// What a decoder has to hold at once is bounded by this.
    public static let mostRows = 16
    /// 4 PiB of memory.
    public static let mostPages = 1 << 40

    public let pages: Int
    public let groups: Int
    public let rows: Int

    /// nil unless 1 <= rows <= 16, 1 <= groups <= pages <= 2^40, and a group with its parity has at most 256 pages.
    public init?(pages: Int, groups: Int, rows: Int) {
        guard (1...Interleaving.mostPages).contains(pages), (1...pages).contains(groups),
            (1...Interleaving.mostRows).contains(rows),
            (pages - 1) / groups + 1 + rows <= Interleaving.largestGroup
        else { return nil }
        self.pages = pages
        self.groups = groups
        self.rows = rows
    }

    /// How many parity pages there are. As many pages in a row, wherever they lie, may be lost.
    public var parityPages: Int { groups * rows }

    /// The pages of the largest group.
    public var columns: Int { (pages - 1) / groups + 1 }

    /// How many pages a group has: `columns` or one less.
    public func columns(of group: Int) -> Int { (pages - 1 - group) / groups + 1 }

    public func group(ofPage rank: Int) -> Int { rank % groups }
    public func group(ofParity index: Int) -> Int { (pages + index) % groups }

    /// The rank of a group's page.
    public func page(group: Int, column: Int) -> Int { column * groups + group }

    /// The place of a group's parity page among all parity pages.
    public func parity(group: Int, row: Int) -> Int {
        let first = group - pages % groups
        return row * groups + (first < 0 ? first + groups : first)
    }
}

// The choice of numbers.
extension Interleaving {
    /// Parity pages a group. Each costs time for every page that is encoded. More of them make random losses bearable
    /// with the same number of pages: with 8 of 168, 0.3 % lost at random leave some group with more than 8 losses once
    /// in 330 million groups; with 4 of 84, once in 162,000. Beyond 2^25 pages (128 GiB) there are so many groups that
    /// it takes 12.
    static func usualRows(pages: Int) -> Int { pages > 1 << 25 ? 12 : 8 }

    /// The fewest rows that are chosen where there is room.
    static let fewestRows = 4

    /// What `percent` parity asks for: at least `pages * percent / 100` parity pages. Below 4 % a group would be larger
    /// than the field allows, so there are fewer rows, down to 4 (1.6 %).
    /// - Parameters: `pages` from 1, `percent` from 1 to 50; otherwise nil.
    public init?(pages: Int, percent: Int) {
        guard (1...Interleaving.mostPages).contains(pages), (1...50).contains(percent) else { return nil }
        let allowed = Interleaving.largestGroup * percent / (100 + percent)
        let usual = min(allowed, Interleaving.usualRows(pages: pages), pages)
        let rows = max(usual, Interleaving.fewestRows)
        let columns = min(rows * 100 / percent, Interleaving.largestGroup - rows)
        self.init(pages: pages, groups: (pages - 1) / columns + 1, rows: rows)
    }

    /// The best with up to `room` parity pages that is not more than this one: as many rows as there can be, and then
    /// as many groups. nil where not even one row fits, which takes one page in 255.
    public func fitting(room: Int) -> Interleaving? {
        if room >= parityPages { return self }
        for rows in stride(from: self.rows, through: 1, by: -1) {
            let fewest = (pages - 1) / (Interleaving.largestGroup - rows) + 1
            let groups = min(self.groups, room / rows)
            if groups >= fewest { return Interleaving(pages: pages, groups: groups, rows: rows) }
        }
        return nil
    }

    /// Parity for links: four pages for up to 252 of them, and no more than there are links.
    public init?(links: Int) {
        guard links > 0 else { return nil }
        let rows = min(4, links)
        self.init(pages: links, groups: (links - 1) / (Interleaving.largestGroup - 4) + 1, rows: rows)
    }
}
