/// One stop on the way along the chain: a link, or the reason why there is none.
public struct WalkedLink: Sendable {
    public enum Content: Sendable {
        /// A page that is a link as far as it can be: its magic or its checksum fits.
        case link(Link, LinkReading, looksCleared: Bool)
        /// A page that is no link: neither magic nor checksum fits, or it holds zeros only (`zeros`).
        case notALink(zeros: Bool)
        case absent, unreadable
        /// The PFN has no address, or the link was passed before.
        case invalidPFN, loop
    }

    /// Counted from 0 at the head.
    public let number: Int
    public let page: PFN
    public let content: Content

    /// The link when its magic, its length and (as far as the page alone can tell) its checksum are right.
    public var link: Link? {
        if case .link(let link, _, _) = content { link } else { nil }
    }
}

/// Goes along the chain from link to link, one page at a time, and reads nothing but links. Every link is visited at
/// most once, so the walk ends whatever the links say.
public struct ChainWalk {
    private let memory: any PhysicalMemory
    private var nextPage: PFN?
    private var nextNumber = 0
    private var visited: SparseSet
    /// Whether the link before proved itself; a link behind one that did not must prove itself entirely.
    private var onProvedGround = true
    /// Told by the first link.
    public private(set) var layout: ChainLayout = .amd64

    /// - Parameter seed: any number that nobody can foresee, for the table of the links that were visited. Without one
    ///   a chain made for it takes a time that grows with the square of its length.
    public init(head: PFN, memory: any PhysicalMemory, seed: UInt64 = 0) {
        self.memory = memory
        visited = SparseSet(seed: seed)
        nextPage = head
    }

    /// The next link, or nil behind the last. The walk ends at the first page that is no link. Behind a link that does
    /// not prove itself it goes on only as long as the pages found are links that do.
    public mutating func next() -> WalkedLink? {
        // One more than is judged, which shows whoever judges them that there are more.
        guard let page = nextPage, nextNumber <= ChainEvaluation.linksKept else { return nil }
        let number = nextNumber
        nextPage = nil
        nextNumber += 1
        guard page.number != 0, page.address != nil else { return reached(number, page, .invalidPFN) }
        guard visited.insert(page.number) else { return reached(number, page, .loop) }
        var state = PageState.absent
        let bytes = PageBytes(page, of: memory, state: &state)
        switch state {
        case .absent: return reached(number, page, .absent)
        case .unreadable: return reached(number, page, .unreadable)
        case .present: break
        }
        if bytes.isZero { return reached(number, page, .notALink(zeros: true)) }
        if number == 0 { layout = ChainLayout(ofLinkIn: bytes) { memory.contains($0) } }
        let link = Link(decoding: bytes, layout)
        let reading = LinkReading(of: bytes, link, layout)
        let magicFits = link.magic == Link.magic
        let certain = reading == .asIs || reading == .allRestored
        // An interval that fits by chance is no reason to call a page a link that has not even the magic; nor are zeros
        // with checksum 0 behind something that is no magic.
        guard magicFits || certain && !bytes.isZero(from: 8) else {
            return reached(number, page, .notALink(zeros: false))
        }
        let looksCleared = !certain && link.looksCleared(in: bytes, layout)
        let proved = magicFits && (reading != .none || looksCleared) && link.hasSoundCount
        if !onProvedGround && !(magicFits && certain) { return nil }
        onProvedGround = onProvedGround && proved
        if link.next.number != 0 { nextPage = link.next }
        return WalkedLink(number: number, page: page, content: .link(link, reading, looksCleared: looksCleared))
    }

    /// A stop that is no link is reported only where a proved link (or the command line) pointed to it.
    private func reached(_ number: Int, _ page: PFN, _ content: WalkedLink.Content) -> WalkedLink? {
        onProvedGround ? WalkedLink(number: number, page: page, content: content) : nil
    }
}
