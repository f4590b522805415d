/// Where the fields of a link lie. The RFC's structures hold u64 fields, which a 32-bit x86 kernel aligns to 4 bytes
/// and a 64-bit one to 8; nothing in the page says which of the two wrote it.
///
///     x86-64                                     i386
///       0  u32 magic     0x7072616D                0  u32 magic
///       4  u32 csum      over bytes 8...4095       4  u32 csum
///       8  u32 len       entries in use            8  u32 len
///      12  u32 padding   zero                     12  u64 link_pfn
///      16  u64 link_pfn  next link; 0 = end       20  entry[169]
///      24  entry[169]                           4076  20 bytes of slack, zero
///    4080  16 bytes of slack, zero
///
/// An entry has 24 bytes in both: 0 u32 flags, 4 u32 csum, 8 u64 pfn, 16 u64 index. All numbers are little endian.
public enum ChainLayout: Int, Sendable {
    case amd64, i386

    public var name: StaticString {
        switch self {
        case .amd64: "x86-64"
        case .i386: "i386"
        }
    }

    /// The offset of link_pfn in bytes.
    public var nextOffset: Int { self == .amd64 ? 16 : 12 }
    /// The offset of the first entry in bytes.
    public var entriesOffset: Int { self == .amd64 ? 24 : 20 }
    /// The offset of the bytes behind the last entry.
    public var slackOffset: Int { entriesOffset + Link.capacity * Entry.size }
}
