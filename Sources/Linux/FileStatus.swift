import CLinux

/// What stat(2) says of a file.
public struct FileStatus: Sendable {
    public enum Kind: UInt8, Sendable {
        case regular, directory, symbolicLink, fifo, socket, characterDevice, blockDevice, unknown
    }

    /// When a file was changed last, to the nanosecond: compared, never interpreted.
    public struct Time: Equatable, Sendable {
        let seconds: Int
        let nanoseconds: Int
    }

    public let kind: Kind
    /// st_mode: the permissions and the kind.
    public let mode: UInt32
    /// In bytes; 0 for what has no size that stat(2) tells.
    public let size: UInt64
    /// The device that holds the file, and its number there.
    public let device: UInt64
    public let inode: UInt64
    /// The device that a device file stands for.
    public let represented: UInt64
    public let links: UInt64
    public let user: UInt32
    public let group: UInt32
    /// In blocks of 512 bytes, what the file takes.
    public let blocks: UInt64
    /// When its content was changed last.
    public let modified: Time
    /// When its inode was changed last.
    public let changed: Time

    init(_ status: stat) {
        kind =
            switch Int32(bitPattern: status.st_mode) & S_IFMT {
            case S_IFREG: .regular
            case S_IFDIR: .directory
            case S_IFLNK: .symbolicLink
            case S_IFIFO: .fifo
            case S_IFSOCK: .socket
            case S_IFCHR: .characterDevice
            case S_IFBLK: .blockDevice
            default: .unknown
            }
        mode = status.st_mode
        size = UInt64(clamping: status.st_size)
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        represented = UInt64(status.st_rdev)
        links = UInt64(status.st_nlink)
        user = status.st_uid
        group = status.st_gid
        blocks = UInt64(clamping: status.st_blocks)
        modified = Time(seconds: Int(status.st_mtim.tv_sec), nanoseconds: Int(status.st_mtim.tv_nsec))
        changed = Time(seconds: Int(status.st_ctim.tv_sec), nanoseconds: Int(status.st_ctim.tv_nsec))
    }

    /// Permissions, with set-user-ID, set-group-ID and the sticky bit.
    public var permissions: UInt32 { mode & 0o7777 }
    public var isRegular: Bool { kind == .regular }
    /// The number of the block device that it is; nil for anything else.
    public var blockDevice: UInt64? { kind == .blockDevice ? represented : nil }

    /// Whether both are the same file.
    public func isSameFile(as other: FileStatus) -> Bool { device == other.device && inode == other.inode }
}
