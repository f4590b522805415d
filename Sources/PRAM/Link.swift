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
    /// (a checksum, half a PFN), and almost never a known type without unknown bits. So a link of which every entry
    /// makes sense as x86-64 is x86-64. Where as many make sense either way (none, say), the pages tell that the link
    /// names: read in the wrong layout, PFNs are put together from two fields and lie nowhere. A tie is x86-64.
    /// - Parameter exists: whether a page is one of the memory's.
    public init(ofLinkIn page: PageBytes, exists: (PFN) -> Bool = { _ in false }) {
        let amd64 = Link(decodingAllOf: page, .amd64), i386 = Link(decodingAllOf: page, .i386)
        let sound = amd64.entries.count { $0.isSound }, otherwise = i386.entries.count { $0.isSound }
        if otherwise != sound {
            self = otherwise > sound ? .i386 : .amd64
        } else if sound == amd64.entries.count {
            self = .amd64
        } else {
            self = i386.pagesThatCanBe(exists) > amd64.pagesThatCanBe(exists) ? .i386 : .amd64
        }
    }
}

extension Link {
    /// A length that cannot be tells nothing of the entries: then all 169 places are taken for some, and those not in
    /// use are zeros, which make sense in no layout.
    fileprivate init(decodingAllOf page: PageBytes, _ layout: ChainLayout) {
        self.init(decoding: page, layout)
        if !hasSoundCount {
            entries = (0..<Link.capacity).map { Entry(decoding: page, number: $0, layout) }
        }
    }

    /// How many of the pages that the link names can be: the next link's, and those of entries.
    fileprivate func pagesThatCanBe(_ exists: (PFN) -> Bool) -> Int {
        (next.number == 0 || exists(next) ? 1 : 0) + entries.count { $0.page.number != 0 && exists($0.page) }
    }
}

extension Entry {
    fileprivate var isSound: Bool { kind != .unknown && !hasUnknownFlags }
}
