import Linux
import PRAM
import Parity

extension GeometryPage {
    /// What a locator says, if there is one in this page.
    public init?(locator page: UInt64, in memory: any PhysicalMemory) {
        var state = PageState.absent
        let bytes = PageBytes(PFN(page), of: memory, state: &state)
        guard state == .present, let geometry = GeometryPage(decoding: bytes.bytes), geometry.isLocator(at: page)
        else { return nil }
        self = geometry
    }
}

/// The links of a chain, as they were, found from what its geometry page says: where they lie, from their copies, and
/// from their parity. Memory: 16 bytes for each link, and a page for each that only parity brings back.
public struct LinkRecovery {
    public let geometry: GeometryPage
    /// The page of each link, the head's first.
    public private(set) var places: [UInt64]
    /// Where each can be read; 0 for those that were rebuilt.
    private(set) var sources: [UInt64]
    private var rebuilt: [(number: Int, link: PageBytes)] = []
    private let memory: any PhysicalMemory

    /// - Returns: nil when not every link comes back.
    public init?(_ geometry: GeometryPage, in memory: any PhysicalMemory) {
        guard geometry.links <= ChainEvaluation.linksKept else { return nil }
        self.geometry = geometry
        self.memory = memory
        places = []
        sources = []
        // Where links lie as `save` puts them into a range, more of them can be found than otherwise.
        guard find(guesses: true) || find(guesses: false) else { return nil }
    }

    /// - Parameter guesses: whether a link behind one that is lost is looked for where `save` puts it in a range.
    private mutating func find(guesses: Bool) -> Bool {
        places = []
        sources = []
        rebuilt = []
        var losses = ParityLosses(geometry.linkCode)
        for index in 0..<geometry.linkCode.parityPages where parity(index) == nil { losses.insert(.parity(index)) }
        var next: UInt64? = geometry.head
        for number in 0..<geometry.links {
            // Where the link before is lost, the copy tells more than a guess: something else may lie there.
            let isKnown = next != nil
            let place = next ?? geometry.head &+ 1 &+ UInt64(number)
            let copy = geometry.copy(ofLink: number)
            places.append(place)
            next = nil
            for source in isKnown ? [place, copy] : guesses ? [copy, place] : [copy] {
                guard let (_, link) = sound(source) else { continue }
                sources.append(source)
                next = link.next.number
                break
            }
            guard next == nil else { continue }
            sources.append(0)
            losses.insert(.page(number))
            guard losses.areRecoverable else { return false }
        }
        return rebuild(losses) && follow()
    }

    /// The same from one of the locators of the chain that starts at `head`.
    /// - Returns: nil also when there is no locator in the page, or it is of another chain: a head that proves itself has
    ///   another generation.
    public init?(locator page: UInt64, head: PFN, in memory: any PhysicalMemory) {
        guard let geometry = GeometryPage(locator: page, in: memory), geometry.head == head.number else { return nil }
        var walk = ChainWalk(head: head, memory: memory)
        if case .link(let link, let reading, _)? = walk.next()?.content, link.magic == Link.magic, link.hasSoundCount,
            reading == .asIs || reading == .allRestored, link.stamp?.generation != geometry.generation
        {
            return nil
        }
        self.init(geometry, in: memory)
    }

    /// Whether the locator in this page is as it was made.
    public func hasLocator(at page: UInt64) -> Bool { GeometryPage(locator: page, in: memory) == geometry }

    /// The links that are not where they belong.
    public var lost: [Int] { places.indices.filter { sources[$0] != places[$0] } }

    /// A link; nil when its source is not sound any more.
    public func link(_ number: Int) -> (page: PageBytes, link: Link)? {
        if sources[number] != 0 { return sound(sources[number]) }
        guard let found = rebuilt.first(where: { $0.number == number }) else { return nil }
        return (found.link, Link(decoding: found.link, .amd64))
    }

    /// Whether the copy of a link is as it should be.
    public func isMirrored(_ number: Int) -> Bool {
        guard let copy = sound(geometry.copy(ofLink: number)), let link = link(number) else { return false }
        return copy.page.bytes == link.page.bytes
    }

    /// Whether the page of links' parity with this number is as it was made.
    public func hasParity(_ index: Int) -> Bool { parity(index) != nil }

    /// A link of this chain that proves itself.
    private func sound(_ page: UInt64) -> (page: PageBytes, link: Link)? {
        guard page != 0, PFN(page).address != nil else { return nil }
        var state = PageState.absent
        let bytes = PageBytes(PFN(page), of: memory, state: &state)
        guard state == .present else { return nil }
        let link = Link(decoding: bytes, .amd64)
        guard link.magic == Link.magic, link.hasSoundCount, link.stamp?.generation == geometry.generation,
            link.checksum == bytes.linkChecksum
        else { return nil }
        return (bytes, link)
    }

    private func parity(_ index: Int) -> PageBytes? {
        var state = PageState.absent
        let page = PFN(geometry.linkParity(index))
        let bytes = PageBytes(page, of: memory, state: &state)
        guard state == .present,
            LinkParityPage.isSound(bytes.bytes, generation: geometry.generation, index: index)
        else { return nil }
        return bytes
    }

    private mutating func rebuild(_ losses: ParityLosses) -> Bool {
        guard losses.lostPages > 0 else { return true }
        let code = geometry.linkCode
        let found = Found()
        let geometry = geometry
        let sources = sources
        var members = GroupMembers(in: memory) { member in
            switch member {
            case .page(let number): sources[number]
            case .parity(let index): geometry.linkParity(index)
            }
        } taken: { member, bytes in
            guard case .page(let number) = member else { return true }
            guard let link = LinkRecovery.completed(bytes, geometry.generation) else { return false }
            found.links.append((number, link))
            return true
        }
        let rebuilder = ParityRebuilder(code)
        for group in 0..<code.groups where losses.lost(of: group) > 0 {
            guard rebuilder.rebuild(group, losses, &members) == .rebuilt else { return false }
        }
        rebuilt = found.links
        return true
    }

    private final class Found {
        var links: [(number: Int, link: PageBytes)] = []
    }

    /// Bytes 8 to 4095 of a link with what follows from them; nil where they are none that a writer makes.
    private static func completed(_ bytes: UnsafeRawPointer, _ generation: UInt64) -> PageBytes? {
        let page = PageBytes(UnsafeRawBufferPointer(start: bytes, count: pageSize))
        var link = Link(decoding: page, .amd64)
        guard link.hasSoundCount, link.stamp?.generation == generation else { return nil }
        link.magic = Link.magic
        let made = link.encoded(.amd64, slack: Array(page.bytes.suffix(16)))
        return made.bytes[8...] == page.bytes[8...] ? made : nil
    }

    /// Puts the places right that were guessed.
    /// - Returns: false when the links are no chain of just so many.
    private mutating func follow() -> Bool {
        var next = geometry.head
        for number in places.indices {
            guard next != 0, let (page, link) = link(number) else { return false }
            places[number] = next
            // What was looked for elsewhere may be where it belongs.
            if sources[number] != next {
                let isElsewhere = sources[number] != 0 && sources[number] != geometry.copy(ofLink: number)
                if isElsewhere { return false }
                if sound(next)?.page.bytes == page.bytes { sources[number] = next }
            }
            next = link.next.number
        }
        return next == 0
    }
}

/// Memory in which lost links are where they belong.
public final class LinkedMemory: PhysicalMemory {
    private let below: any PhysicalMemory
    private let links: LinkRecovery
    /// Sorted by page.
    private let lost: [(page: UInt64, number: Int)]

    public init(_ below: any PhysicalMemory, _ links: LinkRecovery) {
        self.below = below
        self.links = links
        lost = links.lost.map { (page: links.places[$0], number: $0) }.sorted { $0.page < $1.page }
    }

    private func number(of page: UInt64) -> Int? {
        guard let place = lost.firstPlace(from: page), lost[place].page == page else { return nil }
        return lost[place].number
    }

    public func contains(_ page: PFN) -> Bool { number(of: page.number) != nil || below.contains(page) }
    public func mapped(_ page: PFN) -> UnsafeRawPointer? { number(of: page.number) == nil ? below.mapped(page) : nil }
    public var zerosMayBeHoles: Bool { below.zerosMayBeHoles }
    public func zerosMayBeHole(_ page: PFN) -> Bool { number(of: page.number) == nil && below.zerosMayBeHole(page) }
    public var kind: String { below.kind }
    public var notes: [String] { below.notes }

    public func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) {
        below.read(first, count: count, into: destination, states: states)
        guard var place = lost.firstPlace(from: first.number) else { return }
        while place < lost.count, lost[place].page - first.number < UInt64(count) {
            let target = Int(lost[place].page - first.number)
            if let link = links.link(lost[place].number) {
                link.page.bytes.withUnsafeBytes {
                    (destination + target * pageSize).copyMemory(from: $0.baseAddress!, byteCount: pageSize)
                }
                states[target] = .present
            } else {
                states[target] = .unreadable
            }
            place += 1
        }
    }
}

extension Array where Element == (page: UInt64, number: Int) {
    /// The first place with this page or a later one; nil behind the last. Sorted by page.
    func firstPlace(from page: UInt64) -> Int? {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle].page < page { low = middle + 1 } else { high = middle }
        }
        return low < count ? low : nil
    }
}
