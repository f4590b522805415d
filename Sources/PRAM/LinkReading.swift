/// How the bytes of a link were read so that its checksum fits.
///
/// A PRAM kernel clears the LRU flag of every entry in place when it reserves the chain at boot, and leaves the link's
/// checksum as it was. Entries whose pages the writer had copied (out of banned memory) never had the flag. So a good
/// link that a kernel has reserved fits only after the flag is restored on the right entries: all DATA entries, or
/// those on one side of a border of banned memory, or on both sides of a banned range. META entries never have it.
public enum LinkReading: Equatable, Sendable {
    /// The checksum fits the bytes as they lie.
    case asIs
    /// It fits once the flag is restored on every DATA entry that lacks it.
    case allRestored
    /// It fits once the flag is restored on one interval of the DATA entries that lack it, or on all but one interval,
    /// and on no other such set. Positions count those entries in the named order.
    case intervalRestored(Interval)
    /// No set of flags that is simple enough to mean anything fits, but the link looks in every way like one whose
    /// flags a kernel has cleared: see `ChainEvaluation`, which alone can tell whether the chain as a whole bears that
    /// out.
    case vouchedByPages
    /// No reading was found, or more than one.
    case none

    public struct Interval: Equatable, Sendable {
        public enum Order: Sendable { case pfn, entry }
        public var order: Order
        public var first: Int
        /// Behind the last entry it goes on with the first one: so all but one interval are one interval, too.
        public var count: Int
        /// The entries concerned, by number in the link.
        public var entries: [Int]
    }

    public var name: StaticString {
        switch self {
        case .asIs: "as-is"
        case .allRestored: "all-restored"
        case .intervalRestored: "interval-restored"
        case .vouchedByPages: "vouched-by-pages"
        case .none: "none"
        }
    }

    /// The entries, by number, whose flag this reading restores.
    public func restored(in link: Link) -> [Int] {
        switch self {
        case .asIs, .vouchedByPages, .none: []
        case .allRestored: LinkReading.lacking(link)
        case .intervalRestored(let interval): interval.entries
        }
    }

    /// Finds the reading of a link. `.asIs` and `.allRestored` stand for themselves. `.intervalRestored` is only a
    /// candidate: its caller must also find every page of the link good and the indexes ascending. Up to 169 * 168 + 1
    /// intervals, in two orders, meet a 32-bit checksum, so chance alone would let one fit with a probability below
    /// 2^-16.
    ///
    /// A CRC is linear: flipping a bit at a given place changes the checksum by a difference that depends on the place
    /// alone. So a set of restored flags fits exactly when the differences of its members sum (xor) to what is missing.
    ///
    /// `.vouchedByPages` is never the outcome here.
    public init(of page: PageBytes, _ link: Link, _ layout: ChainLayout) {
        let missing = page.linkChecksum ^ link.checksum
        if missing == 0 {
            self = .asIs
            return
        }
        let lacking = LinkReading.lacking(link)
        let differences = layout == .amd64 ? FlagDifferences.amd64.of : FlagDifferences.i386.of
        if !lacking.isEmpty && lacking.reduce(0, { $0 ^ differences[$1] }) == missing {
            self = .allRestored
            return
        }
        // Distinct sets of entries that fit. The same set can be an interval in both orders.
        var found: [Interval] = []
        func take(_ order: Interval.Order, _ first: Int, _ members: ArraySlice<Int>, _ more: ArraySlice<Int> = []) {
            let entries = (members + more).sorted()
            guard found.count < 2, !found.contains(where: { $0.entries == entries }) else { return }
            found.append(Interval(order: order, first: first, count: entries.count, entries: entries))
        }
        func search(_ order: Interval.Order, _ members: [Int]) {
            var sums: [UInt32] = [0]
            for member in members { sums.append(sums[sums.count - 1] ^ differences[member]) }
            let count = members.count
            for first in 0..<count {
                let wanted = sums[first] ^ missing
                let leftOut = wanted ^ sums[count]
                for end in first + 1...count where sums[end] == wanted || sums[end] == leftOut {
                    if sums[end] == wanted { take(order, first, members[first..<end]) }
                    // What reaches the first or the last entry leaves one interval, which is met by itself.
                    if sums[end] == leftOut, first > 0, end < count {
                        take(order, end, members[end...], members[..<first])
                    }
                }
            }
        }
        let byPFN = lacking.sorted {
            (link.entries[$0].page.number, $0) < (link.entries[$1].page.number, $1)
        }
        search(.pfn, byPFN)
        if byPFN != lacking { search(.entry, lacking) }
        self = found.count == 1 ? .intervalRestored(found[0]) : .none
    }

    /// The DATA entries without the flag, by number.
    private static func lacking(_ link: Link) -> [Int] {
        link.entries.indices.filter { link.entries[$0].kind == .data && !link.entries[$0].hasLRU }
    }
}

extension Link {
    /// Whether the page is, flags apart, exactly as a writer makes it: sound magic and length, known types, index 0 on
    /// META, zeros wherever nothing is stored; and no LRU flag is left, as when a kernel has cleared them.
    func looksCleared(in page: PageBytes, _ layout: ChainLayout) -> Bool {
        guard magic == Link.magic, hasSoundCount else { return false }
        var hasData = false
        for entry in entries {
            switch entry.flags {
            case 1: if entry.index != 0 { return false }
            case 2: hasData = true
            default: return false
            }
        }
        let unused = layout.entriesOffset + entries.count * Entry.size
        guard page.isZero(from: unused) else { return false }
        return hasData && (layout == .i386 || page.u32(at: 12) == 0)
    }
}

/// By how much the LRU flag of each entry changes a link's checksum.
private struct FlagDifferences {
    let of: [UInt32]

    static let amd64 = FlagDifferences(.amd64)
    static let i386 = FlagDifferences(.i386)

    init(_ layout: ChainLayout) {
        of = (0..<Link.capacity).map { number in
            // With seed 0 and no inversion, a page of zeros but for this bit has the difference itself for its
            // checksum.
            var page = PageBytes()
            page[layout.entriesOffset + number * Entry.size + 1] = UInt8(Entry.lru >> 8)
            return page.linkChecksum
        }
    }
}
