/// What this program puts into the last 16 bytes of the links that it writes itself. The RFC's kernel checksums these
/// bytes and ignores them; its own writer leaves zeros.
///
///     4080  u32 mark        0x31567650 ("PvV1")
///     4084  u32 zero
///     4088  u64 generation  the same in all links of one chain, another in every chain that is written
public struct LinkStamp: Equatable, Sendable {
    public static let mark: UInt32 = 0x3156_7650
    public static let offset = pageSize - 16

    public var generation: UInt64

    public init(generation: UInt64) { self.generation = generation }

    /// The stamp of a link, or nil when there is none.
    public init?(in page: PageBytes) {
        guard page.u32(at: LinkStamp.offset) == LinkStamp.mark, page.u32(at: LinkStamp.offset + 4) == 0 else {
            return nil
        }
        generation = page.u64(at: LinkStamp.offset + 8)
    }

    /// The 16 bytes.
    public var bytes: [UInt8] {
        var page = PageBytes()
        page.store(LinkStamp.mark, at: 0)
        page.store(generation, at: 8)
        return Array(page.bytes[..<16])
    }
}

/// Lays out links as entries come in, one page at a time. A link names the next one, so a full link is finished only
/// when its successor has a page; the head is therefore the first link that is finished and should be the last that is
/// stored.
public struct ChainWriter {
    public let layout: ChainLayout
    private let stamp: LinkStamp?
    private var page: PFN
    private var entries: [Entry] = []

    /// - Parameters:
    ///   - head: the page of the first link.
    ///   - stamp: marks the links as written by this program; nil for what the RFC's kernel would write.
    public init(head: PFN, layout: ChainLayout = .amd64, stamp: LinkStamp? = nil) {
        page = head
        self.layout = layout
        self.stamp = stamp
        entries.reserveCapacity(Link.capacity)
    }

    /// Whether the next entry needs a page for a further link.
    public var needsPage: Bool { entries.count == Link.capacity }

    /// The page of the link that takes entries now, and how many it has.
    public var currentPage: PFN { page }
    public var count: Int { entries.count }

    /// Puts another entry in the place of one that the link which takes entries now has already.
    public mutating func replace(_ place: Int, _ entry: Entry) { entries[place] = entry }

    /// Adds an entry.
    /// - Parameters:
    ///   - nextLink: the page of the next link; used only when `needsPage`.
    ///   - frame: by what number the full link names it; nil for the same.
    /// - Returns: the link that is full and finished by this, if any.
    public mutating func append(
        _ entry: Entry, nextLink: PFN, frame: PFN? = nil
    ) -> (page: PFN, link: PageBytes)? {
        guard needsPage else {
            entries.append(entry)
            return nil
        }
        let finished = (page: page, link: encoded(next: frame ?? nextLink))
        page = nextLink
        entries.removeAll(keepingCapacity: true)
        entries.append(entry)
        return finished
    }

    /// The last link; nil when there were no entries, for then there is no chain.
    public func finish() -> (page: PFN, link: PageBytes)? {
        entries.isEmpty ? nil : (page: page, link: encoded(next: PFN(0)))
    }

    private func encoded(next: PFN) -> PageBytes {
        Link(next: next, entries: entries).encoded(layout, slack: stamp?.bytes ?? [])
    }
}
