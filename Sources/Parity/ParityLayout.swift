/// The chain exists for pages of 4096 bytes only.
public let parityPageSize = 4096

/// Where everything lies in a range of pages into which a chain with parity is written:
///
///     head | locator | links | pages ... free ... parity file | mirror | links' parity | locator
///     └──────── from the start ────────┘          └──────────── to the very end ───────────────┘
///
/// The parity file's META page comes first, its geometry page second, its parity pages third. The mirror is a copy of
/// every link, the head's first.
///
/// What a run of up to `longestRun` lost pages can hit, wherever it lies: of pages and parity no more of each group
/// than its rows (see `Interleaving`; what lies between the last page and the first parity page only helps). Links or
/// their mirror, but not both, for all parity pages lie between them. Of the geometry's three copies at most two, for
/// the same reason. The parity file's META page, which is made again from the geometry.
public struct ParityLayout: Equatable, Sendable {
    /// PFNs stay below this: beyond it there are no addresses of 64 bits.
    static let pageLimit: UInt64 = 1 << 52
    /// Entries that fit into a link.
    static let entriesInLink = 169
    /// The name of the file that holds geometry and parity.
    public static let fileName: StaticString = ".pram-parity"
    /// Its mode: a regular file that root may read.
    public static let fileMode: UInt32 = 0o100400

    /// The first page of the range.
    public let head: UInt64
    /// How many pages the range has.
    public let size: Int
    /// META and DATA pages of all other files.
    public let pages: Int
    /// nil: no parity file, only the mirror.
    public let code: Interleaving?
    public let links: Int
    public let linkCode: Interleaving

    /// The layout that comes closest to what is asked for.
    /// - Parameters:
    ///   - percent: parity pages for 100 pages, 1 to 50.
    /// - Returns: nil for numbers out of range, and when not even the mirror fits, or page 0 or an address beyond 2^64
    ///   would be used.
    public init?(head: UInt64, size: Int, pages: Int, percent: Int) {
        guard head > 0, head < ParityLayout.pageLimit, size > 0, size < 1 << 52,
            head + UInt64(size) <= ParityLayout.pageLimit,
            let wanted = Interleaving(pages: pages, percent: percent)
        else { return nil }
        // The most parity pages that leave room for everything else. What is needed grows with them.
        var fits = 0
        var tooMany = wanted.parityPages + 1
        while tooMany - fits > 1 {
            let middle = (fits + tooMany) / 2
            if ParityLayout.pagesNeeded(pages: pages, parityPages: middle) <= size {
                fits = middle
            } else {
                tooMany = middle
            }
        }
        let code = fits == 0 ? nil : wanted.fitting(room: fits)
        let links = ParityLayout.links(pages: pages, parityPages: code?.parityPages ?? 0)
        guard ParityLayout.pagesNeeded(pages: pages, parityPages: code?.parityPages ?? 0) <= size,
            let linkCode = Interleaving(links: links)
        else { return nil }
        self.head = head
        self.size = size
        self.pages = pages
        self.code = code
        self.links = links
        self.linkCode = linkCode
    }

    /// What the range must have at least for all that is asked for; nil for numbers out of range.
    public static func pagesNeeded(pages: Int, percent: Int) -> Int? {
        guard let wanted = Interleaving(pages: pages, percent: percent) else { return nil }
        return pagesNeeded(pages: pages, parityPages: wanted.parityPages)
    }

    static func links(pages: Int, parityPages: Int) -> Int {
        (pages + (parityPages == 0 ? 0 : parityPages + 2) - 1) / entriesInLink + 1
    }

    static func pagesNeeded(pages: Int, parityPages: Int) -> Int {
        let links = links(pages: pages, parityPages: parityPages)
        let linkParity = Interleaving(links: links)?.parityPages ?? 0
        return pages + (parityPages == 0 ? 0 : parityPages + 2) + 2 * links + linkParity + 2
    }

    /// Any run of so many pages of the range may be lost.
    public var longestRun: Int { code?.parityPages ?? 0 }

    // Page frame numbers, from the start.
    public var frontLocator: UInt64 { head + 1 }
    /// The page of link `number`, the head being 0.
    public func link(_ number: Int) -> UInt64 { number == 0 ? head : head + 1 + UInt64(number) }
    /// The first of the protected pages.
    public var firstPage: UInt64 { head + 1 + UInt64(links) }

    // To the end.
    public var backLocator: UInt64 { head + UInt64(size - 1) }
    public var linkParity: UInt64 { backLocator - UInt64(linkCode.parityPages) }
    /// The page of the head's copy.
    public var mirror: UInt64 { linkParity - UInt64(links) }
    /// The first parity page; that of the mirror, where there are none.
    public var parity: UInt64 { mirror - UInt64(code?.parityPages ?? 0) }
    /// Pages of the parity file; nil without parity.
    public var geometry: UInt64? { code == nil ? nil : parity - 1 }
    public var meta: UInt64? { code == nil ? nil : parity - 2 }
}
