import CLinux

/// A directory whose files are read.
public final class SourceDirectory {
    private let descriptor: Int32
    public let path: [UInt8]

    public init(_ path: [UInt8]) throws(SystemError) {
        guard !path.contains(0) else { throw SystemError("open", code: ENOENT, path: path) }
        let number = withCString(path) { pv_openat(AT_FDCWD, $0, O_RDONLY | O_DIRECTORY, 0) }
        guard number >= 0 else { throw SystemError(last: "open", path: path) }
        descriptor = number
        self.path = path
    }

    deinit { close(descriptor) }

    /// The names in the directory in the order of their bytes, without `.` and `..`.
    public func names() throws(SystemError) -> [[UInt8]] {
        let copy = pv_openat(descriptor, ".", O_RDONLY | O_DIRECTORY, 0)
        guard copy >= 0, let stream = fdopendir(copy) else { throw SystemError(last: "opendir", path: path) }
        defer { closedir(stream) }
        var names: [[UInt8]] = []
        while true {
            pv_set_errno(0)
            guard let name = pv_next_name(stream) else {
                guard pv_errno() == 0 else { throw SystemError(last: "readdir", path: path) }
                break
            }
            let bytes = Array(UnsafeRawBufferPointer(start: name, count: strlen(name)))
            if !bytes.elementsEqual(".".utf8) && !bytes.elementsEqual("..".utf8) { names.append(bytes) }
        }
        names.sort { $0.lexicographicallyPrecedes($1) }
        return names
    }

    /// lstat(2) of a name in the directory.
    public func status(of name: [UInt8]) throws(SystemError) -> stat {
        var status = stat()
        let code = withCString(name) { fstatat(descriptor, $0, &status, AT_SYMLINK_NOFOLLOW) }
        guard code == 0 else { throw SystemError(last: "stat", path: name) }
        return status
    }

    /// Opens a file of the directory for reading; symbolic links are not followed, and nothing is waited for.
    public func open(_ name: [UInt8]) throws(SystemError) -> FileDescriptor {
        let number = withCString(name) { pv_openat(descriptor, $0, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0) }
        guard number >= 0 else { throw SystemError(last: "open", path: name) }
        return FileDescriptor(adopting: number, path: name)
    }
}
