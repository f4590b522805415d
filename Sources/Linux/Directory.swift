import CLinux

/// A directory into which files are written under names that may come from anywhere: every operation is relative to the
/// directory itself, follows no symbolic link, and takes one path component only.
public final class Directory {
    private let descriptor: Int32
    public let path: [UInt8]
    private var serial = 0

    /// Opens a directory, and makes it first (mode 0777 less the umask) when it does not exist.
    public init(_ path: [UInt8]) throws(SystemError) {
        guard !path.contains(0), !path.isEmpty else { throw SystemError("open", code: ENOENT, path: path) }
        let made = withCString(path) { mkdir($0, 0o777) }
        guard made == 0 || pv_errno() == EEXIST else { throw SystemError(last: "mkdir", path: path) }
        let number = withCString(path) { pv_openat(AT_FDCWD, $0, O_RDONLY | O_DIRECTORY, 0) }
        guard number >= 0 else { throw SystemError(last: "open", path: path) }
        descriptor = number
        self.path = path
    }

    deinit { close(descriptor) }

    /// A new, empty file with mode 0600 under a temporary name that nobody else uses: its `path`.
    public func createTemporary() throws(SystemError) -> FileDescriptor {
        while true {
            serial += 1
            let name = Array(".pram-verify-\(getpid())-\(serial).tmp".utf8)
            let number = withCString(name) { pv_openat(descriptor, $0, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600) }
            if number >= 0 { return FileDescriptor(adopting: number, path: name) }
            guard pv_errno() == EEXIST else { throw SystemError(last: "open", path: path) }
        }
    }

    /// Gives a file its final name.
    /// - Parameter replace: whether a file that has the name already gives way; if not, EEXIST.
    public func rename(_ old: [UInt8], to new: [UInt8], replace: Bool) throws(SystemError) {
        let code = withCString(old) { old in
            withCString(new) { new in
                if replace { return renameat(descriptor, old, descriptor, new) }
                let code = pv_rename_noreplace(descriptor, old, new)
                // Some file systems have no such flag; link(2) refuses to replace as well.
                guard code != 0, pv_errno() == EINVAL || pv_errno() == ENOSYS else { return code }
                guard linkat(descriptor, old, descriptor, new, 0) == 0 else { return -1 }
                return unlinkat(descriptor, old, 0)
            }
        }
        guard code == 0 else { throw SystemError(last: "rename", path: new) }
    }

    public func remove(_ name: [UInt8]) {
        _ = withCString(name) { unlinkat(descriptor, $0, 0) }
    }

    /// fsync(2): the names in the directory are on the disk when it returns.
    public func synchronize() throws(SystemError) {
        guard fsync(descriptor) == 0 else { throw SystemError(last: "fsync", path: path) }
    }

    /// The names in a directory, in no order, without `.` and `..`.
    public static func names(in path: [UInt8]) throws(SystemError) -> [[UInt8]] {
        guard !path.contains(0) else { throw SystemError("opendir", code: EINVAL, path: path) }
        guard let stream = withCString(path, { opendir($0) }) else { throw SystemError(last: "opendir", path: path) }
        defer { closedir(stream) }
        var names: [[UInt8]] = []
        while true {
            // NULL is both the end and an error; errno tells them apart.
            pv_set_errno(0)
            guard let entry = readdir(stream) else {
                guard pv_errno() == 0 else { throw SystemError(last: "readdir", path: path) }
                return names
            }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if !name.elementsEqual(".".utf8) && !name.elementsEqual("..".utf8) { names.append(name) }
        }
    }
}
