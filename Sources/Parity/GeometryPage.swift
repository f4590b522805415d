/// Where the mirror of a chain lies, how its parity is dealt out, and of what it was made. One page, stored three
/// times: as the first page of the parity file (the *geometry page*, vouched for by a link like any page), right behind
/// the head, and as the last page of the range (the *locators*, which are found without any link).
///
///       0  u64 mark        0x3159_5449_5241_5650 ("PVARITY1")
///       8  u64 digest      over bytes 16...4095
///      16  u64 generation  that of the links' stamps
///      24  u64 head        PFN of the head
///      32  u64 front       PFN of one locator: where a chain is saved in one piece, the page behind the head
///      40  u64 back        PFN of the other locator: the last page of the range
///      48  u64 mirror      PFN of the copy of the head; those of the other links follow, then the links' parity
///      56  u64 links       how many links the chain has
///      64  u64 pages       how many pages are protected
///      72  u64 protected   digest over their numbers and checksums
///      80  u64 groups      0: there is no parity file, only the mirror
///      88  u64 rows        parity pages a group; 0 with groups
///      96  u64[500] runs   of the mirror and the links' parity, where they do not lie side by side (see `MirrorPlaces`);
///                       zeros behind them, and zeros where they do
///
/// All numbers are little endian.
public struct GeometryPage: Equatable, Sendable {
    public static let mark: UInt64 = 0x3159_5449_5241_5650
    static let digestStart = 16
    static let runsStart = 96

    public var generation: UInt64
    public var head: UInt64
    public var front: UInt64
    public var back: UInt64
    /// Where the copies of links lie, and the links' parity behind them.
    public var copies: MirrorPlaces
    public var links: Int
    public var pages: Int
    public var protected: UInt64
    /// nil: there is no parity file.
    public var code: Interleaving?

    /// The code of the links' parity, whose pages follow the mirror.
    public let linkCode: Interleaving

    /// The page of the head's copy.
    public var mirror: UInt64 { copies.runs[0].lowerBound }
    /// The page of the copy of link `number`.
    public func copy(ofLink number: Int) -> UInt64 { copies[number] }
    /// The page of the links' parity with this number.
    public func linkParity(_ index: Int) -> UInt64 { copies[links + index] }

    /// What a layout says. nil when the digest is not over as many pages as the layout has.
    public init?(_ layout: ParityLayout, generation: UInt64, protected: ProtectedDigest) {
        guard protected.count == layout.pages,
            let copies = MirrorPlaces(first: layout.mirror, count: layout.links + layout.linkCode.parityPages)
        else { return nil }
        self.generation = generation
        head = layout.head
        front = layout.frontLocator
        back = layout.backLocator
        self.copies = copies
        links = layout.links
        pages = layout.pages
        self.protected = protected.value
        code = layout.code
        linkCode = layout.linkCode
    }

    /// The same for a chain whose pages lie as they came.
    /// - Parameters: as the properties of these names.
    /// - Returns: nil for numbers that cannot be true together.
    public init?(
        head: UInt64, front: UInt64, back: UInt64, copies: MirrorPlaces, links: Int, code: Interleaving?,
        generation: UInt64, protected: ProtectedDigest
    ) {
        guard (1...Interleaving.mostPages).contains(protected.count), (1...Interleaving.mostPages).contains(links),
            code == nil || code?.pages == protected.count, let linkCode = Interleaving(links: links)
        else { return nil }
        self.generation = generation
        self.head = head
        self.front = front
        self.back = back
        self.copies = copies
        self.links = links
        pages = protected.count
        self.protected = protected.value
        self.code = code
        self.linkCode = linkCode
        guard isConsistent else { return nil }
    }

    /// Decodes 4096 bytes, whatever they are.
    /// - Returns: nil unless every byte is as `encoded` gives it for numbers that can be true together.
    public init?(decoding page: [UInt8]) {
        guard page.count == parityPageSize, page.word(at: 0) == GeometryPage.mark,
            page.word(at: 8) == Digest.ofPage(page, from: GeometryPage.digestStart, seed: GeometryPage.mark)
        else { return nil }
        generation = page.word(at: 16)
        head = page.word(at: 24)
        front = page.word(at: 32)
        back = page.word(at: 40)
        protected = page.word(at: 72)
        guard let links = Int(exactly: page.word(at: 56)), let pages = Int(exactly: page.word(at: 64)),
            let groups = Int(exactly: page.word(at: 80)), let rows = Int(exactly: page.word(at: 88)),
            (1...Interleaving.mostPages).contains(pages), (1...Interleaving.mostPages).contains(links),
            let linkCode = Interleaving(links: links), let words = GeometryPage.runs(in: page),
            let copies = MirrorPlaces(
                first: page.word(at: 48), count: links + linkCode.parityPages, words: words)
        else { return nil }
        self.links = links
        self.pages = pages
        self.linkCode = linkCode
        self.copies = copies
        if groups == 0 && rows == 0 {
            code = nil
        } else {
            guard let code = Interleaving(pages: pages, groups: groups, rows: rows) else { return nil }
            self.code = code
        }
        guard isConsistent else { return nil }
    }

    /// Whether each page that is named exists and is named once, and no link is empty.
    private var isConsistent: Bool {
        let pageNumbers = 1..<ParityLayout.pageLimit
        return pageNumbers.contains(head) && pageNumbers.contains(front) && pageNumbers.contains(back)
            && pageNumbers.contains(mirror) && head != front && front != back && head != back
            && links <= pages + (code?.parityPages ?? 0) + 2 && copies.count == links + linkCode.parityPages
            && !copies.contains(head) && !copies.contains(front) && !copies.contains(back)
    }

    /// What is listed of runs; nil where something stands behind zeros.
    private static func runs(in page: [UInt8]) -> [UInt64]? {
        var words: [UInt64] = []
        var hasEnded = false
        for number in 0..<MirrorPlaces.mostRuns {
            let word = page.word(at: runsStart + 8 * number)
            if word == 0 {
                hasEnded = true
            } else if hasEnded {
                return nil
            } else {
                words.append(word)
            }
        }
        return words
    }

    public func encoded() -> [UInt8] {
        var page = [UInt8](repeating: 0, count: parityPageSize)
        page.store(GeometryPage.mark, at: 0)
        page.store(generation, at: 16)
        page.store(head, at: 24)
        page.store(front, at: 32)
        page.store(back, at: 40)
        page.store(mirror, at: 48)
        page.store(UInt64(links), at: 56)
        page.store(UInt64(pages), at: 64)
        page.store(protected, at: 72)
        page.store(UInt64(code?.groups ?? 0), at: 80)
        page.store(UInt64(code?.rows ?? 0), at: 88)
        for (number, word) in copies.words.enumerated() { page.store(word, at: GeometryPage.runsStart + 8 * number) }
        page.store(Digest.ofPage(page, from: GeometryPage.digestStart, seed: GeometryPage.mark), at: 8)
        return page
    }

    /// Whether it may have been found in this page as a locator. One that lies elsewhere was copied or left over.
    public func isLocator(at page: UInt64) -> Bool { page == front || page == back }

    /// Whether the parity was made of just these pages of just this chain. Parity for which this is false is stale, and
    /// must not be used.
    public func fits(generation: UInt64, protected: ProtectedDigest) -> Bool {
        self.generation == generation && pages == protected.count && self.protected == protected.value
    }
}

/// The pages of the links' parity, which follow the mirror. Links cannot vouch for them, so each has a digest of its
/// own in its first word:
///
///       0  u64 digest   over bytes 8...4095, with generation and place
///       8  u8[4088]     parity of bytes 8...4095 of a group's links
///
/// The first 8 bytes of a link, magic and checksum, need no parity: they follow from the rest.
public enum LinkParityPage {
    private static func seed(_ generation: UInt64, _ index: Int) -> UInt64 {
        Digest.mixed(generation) &+ UInt64(truncatingIfNeeded: index)
    }

    /// Puts the digest in. `page` has 4096 bytes.
    public static func seal(_ page: inout [UInt8], generation: UInt64, index: Int) {
        guard page.count == parityPageSize else { return }
        page.store(Digest.ofPage(page, from: 8, seed: seed(generation, index)), at: 0)
    }

    /// Whether it is page `index` of the links' parity of this generation, unharmed.
    public static func isSound(_ page: [UInt8], generation: UInt64, index: Int) -> Bool {
        page.count == parityPageSize && page.word(at: 0) == Digest.ofPage(page, from: 8, seed: seed(generation, index))
    }
}
