import CLinux

/// A directory whose files are read.
public final class SourceDirectory {
    private let descriptor: Int32
    public let path: [UInt8]

    public init(_ path: [UInt8]) throws(SystemError) {
        descriptor = try openDirectory(path)
        self.path = path
    }

    deinit { SystemCalls.close(descriptor) }

    /// The names in the directory in the order of their bytes, without `.` and `..`.
    public func names() throws(SystemError) -> [[UInt8]] {
        try DirectoryNames(of: Array(".".utf8), in: descriptor, path).all
    }

    /// lstat(2) of a name in the directory.
    public func status(of name: [UInt8]) throws(SystemError) -> FileStatus {
        try FileDescriptor.status(of: name, in: descriptor, name)
    }

    /// Opens a file of the directory for reading; symbolic links are not followed, and nothing is waited for.
    public func open(_ name: [UInt8]) throws(SystemError) -> FileDescriptor {
        try .open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, in: descriptor)
    }
}
