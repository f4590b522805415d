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

    /// How many bytes of a file `init(recognising:)` wants to see.
    public static let magicLength = 6

    /// Tells the form by its magic at byte 0; nil for all else, also for fewer bytes than the magic has.
    ///
    /// Sources: RFC 1952 (gzip: 1f 8b, then 08 for deflate, the only method there is), the .xz file format 1.1.0, and
    /// RFC 8878 (zstd frames; a file may also begin with a skippable frame, magic 0x184D2A50...0x184D2A5F).
    public init?(recognising start: UnsafeRawBufferPointer) {
        func begins(with magic: StaticString) -> Bool {
            guard start.count >= magic.utf8CodeUnitCount else { return false }
            return magic.withUTF8Buffer { $0.elementsEqual(start[..<$0.count]) }
        }
        func byte(_ index: Int) -> UInt8 { index < start.count ? start[index] : 0 }

        if byte(0) == 0x1f && byte(1) == 0x8b && byte(2) == 8 {
            self = .gzip
        } else if byte(0) == 0xfd && byte(5) == 0 && start.count >= 6 && start[1..<5].elementsEqual([0x37, 0x7a, 0x58, 0x5a]) {
            self = .xz
        } else if byte(0) == 0x28 && byte(1) == 0xb5 && byte(2) == 0x2f && byte(3) == 0xfd {
            self = .zstd
        } else if byte(0) & 0xf0 == 0x50 && byte(1) == 0x2a && byte(2) == 0x4d && byte(3) == 0x18 {
            self = .zstd
        } else {
            return nil
        }
    }
}
