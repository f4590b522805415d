/// What a META page tells of its file: its first 272 bytes (struct pram_file_image of the RFC).
///
///       0  u64 size       in bytes
///       8  u32 mode       type and permission bits as in stat(2)
///      12  u32 name_len   1...255
///      16  u8  name[255]  no terminator
///     272  the rest was never initialised: stale memory, checksummed, never to be shown or copied out
public struct FileImage: Equatable, Sendable {
    /// How many bytes of the META page mean anything.
    public static let size = 272
    public static let nameCapacity = 255

    public var size: UInt64
    public var mode: UInt32
    /// As stored, also when it is out of range.
    public var nameLength: UInt32
    /// At most 255 bytes, whatever `nameLength` says.
    public var name: [UInt8]

    public init(size: UInt64, mode: UInt32, name: [UInt8]) {
        self.size = size
        self.mode = mode
        nameLength = UInt32(name.count)
        self.name = name
    }

    /// - Parameter bytes: at least the first 272 bytes of the page; what is missing reads as zeros.
    public init(decoding bytes: some Sequence<UInt8>) {
        let page = PageBytes(bytes)
        size = page.u64(at: 0)
        mode = page.u32(at: 8)
        nameLength = page.u32(at: 12)
        name = Array(page.bytes[16..<16 + min(Int(nameLength), FileImage.nameCapacity)])
    }

    public func encoded() -> PageBytes {
        var page = PageBytes()
        page.store(size, at: 0)
        page.store(mode, at: 8)
        page.store(nameLength, at: 12)
        page.store(Array(name.prefix(FileImage.nameCapacity)), at: 16)
        return page
    }

    /// How many pages the size spans; nil when the size is none that a file can have (above 2^63 - 1).
    public var pageCount: UInt64? {
        size <= UInt64(Int64.max) ? size / UInt64(pageSize) + (size % UInt64(pageSize) == 0 ? 0 : 1) : nil
    }

    /// A regular file, and nothing outside the 16 bits that a mode has.
    public var hasSoundMode: Bool { mode & ~0xfff == 0x8000 }

    public var hasSoundNameLength: Bool { nameLength >= 1 && nameLength <= UInt32(FileImage.nameCapacity) }

    /// One path component: not empty, without `/` and NUL, neither `.` nor `..`.
    public var hasSafeName: Bool { FileImage.isSafe(name) }

    public static func isSafe(_ name: [UInt8]) -> Bool {
        guard !name.isEmpty, name.count <= nameCapacity else { return false }
        let dot = UInt8(ascii: ".")
        if name.count <= 2 && !name.contains(where: { $0 != dot }) { return false }
        return !name.contains(0) && !name.contains(UInt8(ascii: "/"))
    }
}
