/// One thing of a tree, and what is to be known of it besides its content. What a manifest does not say is nil.
public struct TreeEntry: Equatable, Sendable {
    public var path: TreePath
    public var kind: Kind
    /// Permission bits with suid, sgid and sticky: 0 to 07777.
    public var mode: UInt32?
    public var uid: UInt32?
    public var gid: UInt32?
    /// Of the last change of the content.
    public var time: FileTime?
    /// In bytes; of regular files only.
    public var size: UInt64?
    /// How many names the file has, some of which may lie outside the tree. Above 1, equal `contents` (of regular
    /// files) or an equal `linkGroup` (of everything else but directories) make entries names of one file.
    public var links: UInt64?
    /// The number that hard links of one symbolic link, FIFO or device node have in common.
    public var linkGroup: UInt64?
    /// Where a symbolic link points: 1 to 4095 bytes, none of them NUL.
    public var target: [UInt8] = []
    /// Of device nodes.
    public var device: DeviceNumber?
    /// nil where nothing is known of them; empty where none is set.
    public var flags: FileFlags?
    /// The name of the chain's file that holds the content of a regular file.
    public var contents: [UInt8]?
    /// POSIX ACLs too: they are `system.posix_acl_access` and `system.posix_acl_default`, in the kernel's encoding.
    public var attributes: [ExtendedAttribute] = []

    public init(path: TreePath, kind: Kind) {
        self.path = path
        self.kind = kind
    }

    /// What can stand in a manifest. Sockets cannot: they are of a running process.
    public enum Kind: Int, CaseIterable, Sendable {
        case regular, directory, symbolicLink, fifo, characterDevice, blockDevice

        /// mtree's word.
        public var name: StaticString {
            switch self {
            case .regular: "file"
            case .directory: "dir"
            case .symbolicLink: "link"
            case .fifo: "fifo"
            case .characterDevice: "char"
            case .blockDevice: "block"
            }
        }
    }
}

/// A time as stat(2) has it: seconds since 1970, which may be negative, and 0 to 999,999,999 ns after that second.
public struct FileTime: Equatable, Sendable {
    public var seconds: Int64
    public var nanoseconds: UInt32

    public init(seconds: Int64, nanoseconds: UInt32 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }
}

public struct DeviceNumber: Equatable, Sendable {
    public var major: UInt32
    public var minor: UInt32

    public init(major: UInt32, minor: UInt32) {
        self.major = major
        self.minor = minor
    }
}

public struct ExtendedAttribute: Equatable, Sendable {
    /// With its namespace: 1 to 255 bytes, none of them NUL (xattr(7)).
    public var name: [UInt8]
    /// Up to 65,536 bytes.
    public var value: [UInt8]

    public init(name: [UInt8], value: [UInt8]) {
        self.name = name
        self.value = value
    }

    public static let longestName = 255
    public static let largestValue = 65_536
}

/// Flags of inodes (ioctl_iflags(2), chattr(1)) that say what may be done to a file. Bits are the kernel's, FS_*_FL.
public struct FileFlags: OptionSet, Sendable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// FS_SYNC_FL
    public static let synchronous = FileFlags(rawValue: 0x0000_0008)
    /// FS_IMMUTABLE_FL
    public static let immutable = FileFlags(rawValue: 0x0000_0010)
    /// FS_APPEND_FL
    public static let appendOnly = FileFlags(rawValue: 0x0000_0020)
    /// FS_NODUMP_FL
    public static let noDump = FileFlags(rawValue: 0x0000_0040)
    /// FS_NOATIME_FL
    public static let noAccessTime = FileFlags(rawValue: 0x0000_0080)
    /// FS_DIRSYNC_FL
    public static let synchronousDirectory = FileFlags(rawValue: 0x0001_0000)

    /// Those that a manifest holds.
    public static let known: FileFlags = [
        .synchronous, .immutable, .appendOnly, .noDump, .noAccessTime, .synchronousDirectory,
    ]

    /// Those that keep even root from changing the file or what is in the directory.
    public static let locking: FileFlags = [.immutable, .appendOnly]

    /// The words that libarchive has for them, and FreeBSD for the first three (chflags(1)).
    static let words: [(flag: FileFlags, word: StaticString)] = [
        (.appendOnly, "sappnd"), (.immutable, "schg"), (.noDump, "nodump"), (.noAccessTime, "noatime"),
        (.synchronous, "sync"), (.synchronousDirectory, "dirsync"),
    ]

    /// Words, and other words that libarchive reads for the same.
    static let synonyms: [(flag: FileFlags, word: StaticString)] = [
        (.appendOnly, "sappend"), (.immutable, "schange"), (.immutable, "simmutable"),
    ]
}

extension TreeEntry {
    /// How much a manifest may ask a reader to keep and to do. Nothing that a text says goes beyond these.
    public struct Limits: Sendable {
        /// Bytes of text.
        public var text: UInt64 = 1 << 32
        /// Entries.
        public var entries: UInt64 = 1 << 24
        /// Bytes of one line with its continuations, without its line break: what the longest path takes when every
        /// byte is escaped, with all else that an entry can have.
        public var line = 4 * TreePath.longest + (1 << 16)
        /// Bytes of one entry's extended attributes, names and values together.
        public var attributes = 1 << 20
        /// Findings that are told one by one; what comes after that is counted.
        public var findings: UInt64 = 1000

        public init() {}
    }
}
