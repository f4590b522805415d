/// One record of a cpio archive in the form that the kernel unpacks: "newc" (magic 070701), or the same with a checksum
/// (070702). The header is 110 bytes: the magic and thirteen fields of eight hexadecimal digits
/// (Documentation/driver-api/early-userspace/buffer-format.rst of Linux).
public struct NewcRecord: Sendable, Equatable {
    /// Which of the two forms: with a checksum (070702) or without.
    public var hasChecksum = false
    /// Where the header begins, in bytes from the start of the unpacked stream, or of the image where nothing is packed.
    public var offset: UInt64 = 0

    public var inode: UInt32 = 0
    /// File type and permissions, as st_mode of stat(2).
    public var mode: UInt32 = 0
    public var user: UInt32 = 0
    public var group: UInt32 = 0
    public var linkCount: UInt32 = 0
    /// Seconds since 1970; the kernel takes them as unsigned.
    public var modified: UInt32 = 0
    /// Of the data, in bytes.
    public var size: UInt32 = 0
    /// The device that the file lay on, where the archive was made.
    public var deviceMajor: UInt32 = 0
    public var deviceMinor: UInt32 = 0
    /// The device that a device node stands for.
    public var nodeMajor: UInt32 = 0
    public var nodeMinor: UInt32 = 0
    /// The sum of the data's bytes, where `hasChecksum`; else 0.
    public var checksum: UInt32 = 0

    /// Up to the first NUL, as the kernel takes it.
    public var name: [UInt8] = []
    /// What a symbolic link points to, up to the first NUL; nil for all else, and for a target that is longer than
    /// 4096 bytes (PATH_MAX), which the kernel passes over.
    public var target: [UInt8]?

    public init() {}

    public var type: FileType { FileType(mode: mode) }

    /// The low twelve bits: rwx three times, suid, sgid and sticky.
    public var permissions: UInt32 { mode & 0o7777 }

    /// Whether anybody may execute it.
    public var isExecutable: Bool { mode & 0o111 != 0 }

    /// The end mark of an archive, by its name alone, as the kernel sees it.
    public var isTrailer: Bool { name.elementsEqual(NewcFormat.trailer) }

    /// What the kernel does nothing about: neither a file nor a link, but with data.
    public var isPassedOver: Bool {
        switch type {
        case .regular: false
        case .symbolicLink: target == nil
        default: size != 0
        }
    }

    /// Whether two records are names of one file: hard links (the kernel looks at these alone, and at the type).
    public func isSameFile(as other: NewcRecord) -> Bool {
        linkCount >= 2 && other.linkCount >= 2 && inode == other.inode && deviceMajor == other.deviceMajor
            && deviceMinor == other.deviceMinor && type == other.type
    }
}

/// The type in st_mode (inode(7)).
public enum FileType: UInt8, Sendable {
    case regular, directory, symbolicLink, characterDevice, blockDevice, fifo, socket, unknown

    public init(mode: UInt32) {
        self =
            switch mode & 0o170000 {
            case 0o100000: .regular
            case 0o040000: .directory
            case 0o120000: .symbolicLink
            case 0o020000: .characterDevice
            case 0o060000: .blockDevice
            case 0o010000: .fifo
            case 0o140000: .socket
            default: .unknown
            }
    }

    /// The letter that ls -l puts in front of the permissions.
    public var letter: UInt8 {
        switch self {
        case .regular: UInt8(ascii: "-")
        case .directory: UInt8(ascii: "d")
        case .symbolicLink: UInt8(ascii: "l")
        case .characterDevice: UInt8(ascii: "c")
        case .blockDevice: UInt8(ascii: "b")
        case .fifo: UInt8(ascii: "p")
        case .socket: UInt8(ascii: "s")
        case .unknown: UInt8(ascii: "?")
        }
    }

    public var name: StaticString {
        switch self {
        case .regular: "file"
        case .directory: "directory"
        case .symbolicLink: "symlink"
        case .characterDevice: "character-device"
        case .blockDevice: "block-device"
        case .fifo: "fifo"
        case .socket: "socket"
        case .unknown: "unknown"
        }
    }

    public var isDevice: Bool { self == .characterDevice || self == .blockDevice }
}

/// The permissions as ls -l writes them, with the file type in front: `drwxr-xr-x`.
public func modeText(_ mode: UInt32) -> [UInt8] {
    var text = [FileType(mode: mode).letter]
    let letters: [UInt8] = [UInt8(ascii: "r"), UInt8(ascii: "w"), UInt8(ascii: "x")]
    for bit in 0..<9 {
        text.append(mode & (0o400 >> UInt32(bit)) != 0 ? letters[bit % 3] : UInt8(ascii: "-"))
    }
    func mark(_ bit: UInt32, _ place: Int, _ letter: UInt8) {
        guard mode & bit != 0 else { return }
        // Lower case where the x below it is set, upper case where it is not.
        text[place] = text[place] == UInt8(ascii: "x") ? letter : letter - 32
    }
    mark(0o4000, 3, UInt8(ascii: "s"))
    mark(0o2000, 6, UInt8(ascii: "s"))
    mark(0o1000, 9, UInt8(ascii: "t"))
    return text
}

/// Numbers of the format, and limits of the kernel.
public enum NewcFormat {
    /// Of a header, in bytes.
    public static let headerSize = 110
    /// The longest name, with its NUL, and the longest target of a link: PATH_MAX.
    public static let pathLimit = 4096
    /// Headers, data and whole archives begin at multiples of this, counted from the start of the stream.
    public static let alignment: UInt64 = 4

    static let trailer = Array("TRAILER!!!".utf8)

    /// How many zeros lead from an offset to the next multiple of four.
    public static func padding(at offset: UInt64) -> Int { Int((alignment - offset % alignment) % alignment) }
}
