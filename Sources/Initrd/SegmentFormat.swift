/// How one part of an image is packed. The kernel tells the forms by two bytes (lib/decompress.c); where more of the
/// magic is known, it is looked at too, since what only begins alike is not unpacked either.
public enum SegmentFormat: UInt8, Sendable, CaseIterable {
    /// A cpio archive as it is.
    case plain
    case gzip, bzip2, lzma, xz, lzo
    /// The form of `lz4 -l`: blocks of 8 MiB with their lengths, no checksum and no end mark.
    case lz4Legacy
    /// The usual form of .lz4 files, magic 0x184d2204, which the kernel does not know.
    case lz4Frame
    case zstd

    /// How many bytes `init(recognising:)` wants to see.
    public static let magicSize = 6

    /// Tells the form by the first bytes of a part that is not padding; nil for what is none of these.
    public init?(recognising start: Span<UInt8>) {
        func begins(_ magic: UInt8...) -> Bool {
            guard start.count >= magic.count else { return false }
            for place in 0..<magic.count where start[place] != magic[place] { return false }
            return true
        }

        if begins(0x30, 0x37, 0x30, 0x37, 0x30) {
            self = .plain
        } else if begins(0x1f, 0x8b) || begins(0x1f, 0x9e) {
            self = .gzip
        } else if begins(0x42, 0x5a, 0x68) {
            self = .bzip2
        } else if begins(0x5d, 0x00) {
            self = .lzma
        } else if begins(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00) {
            self = .xz
        } else if begins(0x89, 0x4c, 0x5a, 0x4f) {
            self = .lzo
        } else if begins(0x02, 0x21, 0x4c, 0x18) {
            self = .lz4Legacy
        } else if begins(0x04, 0x22, 0x4d, 0x18) {
            self = .lz4Frame
        } else if begins(0x28, 0xb5, 0x2f, 0xfd) {
            self = .zstd
        } else {
            return nil
        }
    }

    public var name: StaticString {
        switch self {
        case .plain: "none"
        case .gzip: "gzip"
        case .bzip2: "bzip2"
        case .lzma: "lzma"
        case .xz: "xz"
        case .lzo: "lzo"
        case .lz4Legacy: "lz4"
        case .lz4Frame: "lz4-frame"
        case .zstd: "zstd"
        }
    }

    /// The option with which a kernel unpacks the form; nil where it needs none, or where no kernel does.
    public var kernelOption: StaticString? {
        switch self {
        case .plain, .lz4Frame: nil
        case .gzip: "CONFIG_RD_GZIP"
        case .bzip2: "CONFIG_RD_BZIP2"
        case .lzma: "CONFIG_RD_LZMA"
        case .xz: "CONFIG_RD_XZ"
        case .lzo: "CONFIG_RD_LZO"
        case .lz4Legacy: "CONFIG_RD_LZ4"
        case .zstd: "CONFIG_RD_ZSTD"
        }
    }
}

/// What a kernel's configuration (the .config of its build; /boot/config-RELEASE) says of options that are on or off.
public enum KernelConfig {
    /// Whether a line `OPTION=y` is there. A line that is commented out, or another value, is a no.
    public static func isBuiltIn(_ option: StaticString, in text: [UInt8]) -> Bool {
        let wanted = bytes(of: option) + Array("=y".utf8)
        for line in text.split(separator: UInt8(ascii: "\n")) where line.elementsEqual(wanted) { return true }
        return false
    }

    /// Whether the text is such a configuration at all.
    public static func isConfig(_ text: [UInt8]) -> Bool {
        for line in text.split(separator: UInt8(ascii: "\n")) where line.starts(with: "CONFIG_".utf8) { return true }
        return false
    }
}

/// The bytes of a fixed text.
public func bytes(of text: StaticString) -> [UInt8] {
    text.withUTF8Buffer { unsafe Array($0) }
}
