/// The compressed forms in which whole dump files come: what follows a dump's name as `.gz`, `.xz`, `.zst`.
public enum Wrapping: Int, Sendable {
    case gzip, xz, zstd

    /// The program that made it, and its form's name.
    public var name: StaticString {
        switch self {
        case .gzip: "gzip"
        case .xz: "xz"
        case .zstd: "zstd"
        }
    }

    /// The bytes that every stream of the form begins with; only zstd's skippable frames have others.
    var magic: [UInt8] {
        switch self {
        case .gzip: [0x1f, 0x8b, 8]
        case .xz: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]
        case .zstd: [0x28, 0xb5, 0x2f, 0xfd]
        }
    }

    /// Tells the form by its magic at byte 0; nil for all else, also for fewer bytes than the magic has.
    ///
    /// Sources: RFC 1952 (gzip: 1f 8b, then 08 for deflate, the only method there is), the .xz file format 1.1.0, and
    /// RFC 8878 (zstd frames; a file may also begin with a skippable frame, magic 0x184D2A50...0x184D2A5F).
    public init?(recognising start: UnsafeRawBufferPointer) {
        func begins(_ wrapping: Wrapping) -> Bool {
            let magic = wrapping.magic
            return start.prefix(magic.count).elementsEqual(magic)
        }

        if begins(.gzip) {
            self = .gzip
        } else if begins(.xz) {
            self = .xz
        } else if begins(.zstd) {
            self = .zstd
        } else if start.count >= 4, start[0] & 0xf0 == 0x50, start[1...3].elementsEqual([0x2a, 0x4d, 0x18]) {
            self = .zstd
        } else {
            return nil
        }
    }
}
