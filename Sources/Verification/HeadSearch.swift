import Linux
import PRAM
import Parity

/// Finds the head of a chain that this program has written, among pages of which nobody knows what they are: links of
/// such a chain prove themselves, and a locator says where the head lies.
///
/// A locator that has a sound link of its own generation for a head goes before all others: they may be left of an
/// older chain. One without is believed where there is no other, as its head may be what is lost.
public struct HeadSearch {
    private static let mostLinks = 1 << 16

    private static let mostLocators = 64

    private var links: [(page: UInt64, next: UInt64, generation: UInt64)] = []
    private var locators: [(head: UInt64, generation: UInt64)] = []
    /// The head that a locator tells, and that is a link of the same chain.
    public private(set) var proved: PFN?

    /// What a locator says: the proved one, else the first.
    public var told: PFN? { proved ?? locators.first.map { PFN($0.head) } }

    public init() {}

    /// Whether a page that begins so is worth a look.
    public static func mayBegin(_ start: UInt64) -> Bool {
        start == GeometryPage.mark || UInt32(truncatingIfNeeded: start) == Link.magic
    }

    /// Takes a page, in ascending order.
    public mutating func take(_ page: UInt64, _ bytes: PageBytes) {
        if let geometry = GeometryPage(decoding: bytes.bytes), geometry.isLocator(at: page) {
            guard locators.count < HeadSearch.mostLocators else { return }
            locators.append((geometry.head, geometry.generation))
            // Mostly the head lies before its locator.
            if proved == nil,
                links.contains(where: { $0.page == geometry.head && $0.generation == geometry.generation })
            {
                proved = PFN(geometry.head)
            }
            return
        }
        let link = Link(decoding: bytes, .amd64)
        guard link.magic == Link.magic, link.hasSoundCount, let generation = link.stamp?.generation,
            link.checksum == bytes.linkChecksum, links.count < HeadSearch.mostLinks
        else { return }
        links.append((page, link.next.number, generation))
        if proved == nil, locators.contains(where: { $0.head == page && $0.generation == generation }) {
            proved = PFN(page)
        }
    }

    /// The head: what a locator says, or the only link that no other one names.
    public var head: PFN? {
        if let told { return told }
        var named = links.map { $0.next }
        named.sort()
        var heads: [UInt64] = []
        for link in links {
            var (low, high) = (0, named.count)
            while low < high {
                let middle = (low + high) / 2
                if named[middle] < link.page { low = middle + 1 } else { high = middle }
            }
            if low == named.count || named[low] != link.page { heads.append(link.page) }
        }
        return heads.count == 1 ? PFN(heads[0]) : nil
    }
}
