/// One link of the chain, decoded: a page of up to 169 entries and the way to the next (struct pram_link of the RFC).
///
/// Decoding believes nothing: `count` is what the page says, `entries` is empty unless that is in 1...169.
public struct Link: Sendable {
    public static let magic: UInt32 = 0x7072_616d
    /// How many entries fit into a page, in both layouts.
    public static let capacity = 169

    public var magic: UInt32
    public var checksum: UInt32
    /// `len`: entries in use, 1...169 in a sound link. The RFC's kernel does not bound it.
    public var count: UInt32
    /// The page of the next link; 0 ends the chain.
    public var next: PFN
    public var entries: [Entry]
    /// What this program wrote behind the entries, if it wrote the link.
    public var stamp: LinkStamp?

    public init(next: PFN = PFN(0), entries: [Entry]) {
        magic = Link.magic
        checksum = 0
        count = UInt32(entries.count)
        self.next = next
        self.entries = entries
    }

    public init(decoding page: PageBytes, _ layout: ChainLayout) {
        magic = page.u32(at: 0)
        checksum = page.u32(at: 4)
        count = page.u32(at: 8)
        next = PFN(page.u64(at: layout.nextOffset))
        entries = []
        stamp = LinkStamp(in: page)
        guard hasSoundCount else { return }
        entries.reserveCapacity(Int(count))
        for number in 0..<Int(count) { entries.append(Entry(decoding: page, number: number, layout)) }
    }

    /// Whether it holds as many entries as a writer leaves in it, which fills a link before it begins the next. (One
    /// chain in 169 ends with a full link; such a one is not told from a chain that was cut off.)
    var isFilled: Bool { next.number == 0 ? entries.count < Link.capacity : entries.count == Link.capacity }

    public var hasSoundCount: Bool { count >= 1 && count <= UInt32(Link.capacity) }

    /// The page as the RFC's writer would lay it out, its checksum made.
    /// - Parameter slack: up to 16 bytes for the end of the page, which the kernel checksums and ignores.
    public func encoded(_ layout: ChainLayout = .amd64, slack: [UInt8] = []) -> PageBytes {
        var page = PageBytes()
        page.store(magic, at: 0)
        page.store(count, at: 8)
        page.store(next.number, at: layout.nextOffset)
        for (number, entry) in entries.prefix(Link.capacity).enumerated() { entry.encode(into: &page, number, layout) }
        page.store(Array(slack.prefix(16)), at: pageSize - 16)
        page.store(page.linkChecksum, at: 4)
        return page
    }
}

extension Entry {
    init(decoding page: PageBytes, number: Int, _ layout: ChainLayout) {
        let offset = layout.entriesOffset + number * Entry.size
        flags = page.u32(at: offset)
        checksum = page.u32(at: offset + 4)
        self.page = PFN(page.u64(at: offset + 8))
        index = page.u64(at: offset + 16)
    }

    func encode(into page: inout PageBytes, _ number: Int, _ layout: ChainLayout) {
        let offset = layout.entriesOffset + number * Entry.size
        page.store(flags, at: offset)
        page.store(checksum, at: offset + 4)
        page.store(self.page.number, at: offset + 8)
        page.store(index, at: offset + 16)
    }
}

extension ChainLayout {
    /// Tells the layout of a link by its entries: read in the wrong layout, the flags of every entry are something else
    /// (a checksum, half a PFN), and almost never a known type without unknown bits. A tie is x86-64.
    public init(ofLinkIn page: PageBytes) {
        func plausible(_ layout: ChainLayout) -> Int {
            Link(decoding: page, layout).entries.count { $0.kind != .unknown && !$0.hasUnknownFlags }
        }
        self = plausible(.i386) > plausible(.amd64) ? .i386 : .amd64
    }
}
