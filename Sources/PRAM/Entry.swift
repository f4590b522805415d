/// One entry of a link: a page that belongs to the chain (struct pram_entry of the RFC, 24 bytes).
public struct Entry: Equatable, Sendable {
    public static let size = 24

    /// Set by the writer on pages that were on the kernel's LRU lists; the next kernel clears it in place at boot
    /// without re-making the link's checksum.
    public static let lru: UInt32 = 0x100
    /// Set by this program on the META entry of a file that was kept although it is damaged. The RFC's kernel ignores
    /// all flag bits but the type and the LRU bit.
    public static let quarantined: UInt32 = 0x5156_0000

    /// Bits 0...7 are the type, bit 8 is `lru`.
    public var flags: UInt32
    /// crc32c of the whole page at `page`.
    public var checksum: UInt32
    public var page: PFN
    /// The page's index in its file, in pages; 0 for META.
    public var index: UInt64

    public enum Kind: Sendable { case meta, data, unknown }

    public init(flags: UInt32, checksum: UInt32, page: PFN, index: UInt64) {
        self.flags = flags
        self.checksum = checksum
        self.page = page
        self.index = index
    }

    public var kind: Kind {
        switch flags & 0xff {
        case 1: .meta
        case 2: .data
        default: .unknown
        }
    }

    public var hasLRU: Bool { flags & Entry.lru != 0 }
    public var isQuarantined: Bool { kind == .meta && flags & 0xffff_0000 == Entry.quarantined }
    /// Whether a bit is set that no writer sets.
    public var hasUnknownFlags: Bool {
        let known: UInt32 = kind == .meta ? (isQuarantined ? 0xffff_00ff : 0xff) : 0xff | Entry.lru
        return flags & ~known != 0
    }
}
