import CLinux

/// A directory that stands for the root of a tree that is being made: paths, `..` and symbolic links in the tree lead to
/// places below it and to nowhere else, whatever they say.
public final class RootDirectory {
    public let path: [UInt8]
    private let descriptor: Int32
    /// Whether the kernel has openat2 (Linux 5.6). Without it no link is followed at all.
    private var hasOpenat2: Bool
    /// The directory that was used last, since neighbours follow each other.
    private var lastParent: [UInt8]?
    private var lastNumber: Int32 = -1

    /// Opens the directory, and makes it first where it does not exist.
    /// - Parameter withoutOpenat2: as on an older kernel.
    /// - Throws: ENOTEMPTY when there is anything in it.
    public init(empty path: [UInt8], withoutOpenat2: Bool = false) throws(SystemError) {
        guard !path.contains(0), !path.isEmpty else { throw SystemError("open", code: ENOENT, path: path) }
        let made = withCString(path) { mkdir($0, 0o777) }
        guard made == 0 || pv_errno() == EEXIST else { throw SystemError(last: "mkdir", path: path) }
        guard try Directory.names(in: path).isEmpty else { throw SystemError("open", code: ENOTEMPTY, path: path) }
        let number = withCString(path) { pv_openat(AT_FDCWD, $0, O_RDONLY | O_DIRECTORY, 0) }
        guard number >= 0 else { throw SystemError(last: "open", path: path) }
        descriptor = number
        self.path = path
        hasOpenat2 = !withoutOpenat2
    }

    deinit {
        if lastNumber >= 0 { close(lastNumber) }
        close(descriptor)
    }

    /// Makes a directory, or gives the one that is there its permissions. A file of the name gives way.
    public func makeDirectory(_ path: [UInt8], permissions: UInt32) throws(SystemError) {
        let (parent, name) = try place(path)
        var code = withCString(name) { mkdirat(parent, $0, 0o700) }
        if code != 0 && pv_errno() == EEXIST {
            let status = try status(parent, name)
            if status.st_mode & UInt32(S_IFMT) != UInt32(S_IFDIR) {
                _ = withCString(name) { unlinkat(parent, $0, 0) }
                code = withCString(name) { mkdirat(parent, $0, 0o700) }
            } else {
                code = 0
            }
        }
        guard code == 0 else { throw SystemError(last: "mkdir", path: path) }
        // Whoever is not root must be able to write into it for what follows.
        _ = withCString(name) { fchmodat(parent, $0, permissions & 0o1777 | 0o700, 0) }
    }

    /// A new file, or, where `keeping`, the one that is there. What else has the name gives way.
    public func openFile(_ path: [UInt8], keeping: Bool) throws(SystemError) -> FileDescriptor {
        let (parent, name) = try place(path)
        let flags = O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
        let number: Int32
        if keeping {
            number = withCString(name) { pv_openat(parent, $0, flags, 0) }
        } else {
            try clear(parent, name, path)
            number = withCString(name) { pv_openat(parent, $0, flags | O_CREAT | O_EXCL, 0o600) }
        }
        guard number >= 0 else { throw SystemError(last: "open", path: path) }
        return FileDescriptor(adopting: number, path: path)
    }

    public func makeLink(_ path: [UInt8], to target: [UInt8]) throws(SystemError) {
        let (parent, name) = try place(path)
        try clear(parent, name, path)
        let code = withCString(target) { target in withCString(name) { symlinkat(target, parent, $0) } }
        guard code == 0 else { throw SystemError(last: "symlink", path: path) }
    }

    /// A second name for a file that was made before.
    public func makeHardLink(_ path: [UInt8], to existing: [UInt8]) throws(SystemError) {
        // The file's directory, kept while the cache goes on to the other one.
        let (found, oldName) = try place(existing)
        let oldParent = pv_duplicate(found)
        guard oldParent >= 0 else { throw SystemError(last: "dup", path: existing) }
        defer { close(oldParent) }
        let (parent, name) = try place(path)
        try clear(parent, name, path)
        // No AT_SYMLINK_FOLLOW: a link that has taken the file's place is not followed.
        let code = withCString(oldName) { old in withCString(name) { linkat(oldParent, old, parent, $0, 0) } }
        guard code == 0 else { throw SystemError(last: "link", path: path) }
    }

    /// A device node, a FIFO or a socket.
    /// - Parameter mode: type and permissions as in st_mode.
    public func makeNode(_ path: [UInt8], mode: UInt32, major: UInt32, minor: UInt32) throws(SystemError) {
        let (parent, name) = try place(path)
        try clear(parent, name, path)
        // makedev(3)
        let high = UInt64(major & 0xffff_f000) << 32 | UInt64(major & 0xfff) << 8
        let number = high | UInt64(minor & 0xffff_ff00) << 12 | UInt64(minor & 0xff)
        let code = withCString(name) { mknodat(parent, $0, mode, dev_t(number)) }
        guard code == 0 else { throw SystemError(last: "mknod", path: path) }
        _ = withCString(name) { fchmodat(parent, $0, mode & 0o7777, 0) }
    }

    /// lchown(2).
    public func setOwner(_ path: [UInt8], user: UInt32, group: UInt32) throws(SystemError) {
        let (parent, name) = try place(path)
        let code = withCString(name) { fchownat(parent, $0, user, group, AT_SYMLINK_NOFOLLOW) }
        guard code == 0 else { throw SystemError(last: "chown", path: path) }
    }

    // MARK: Places

    /// The open directory of a path, and its last component.
    private func place(_ path: [UInt8]) throws(SystemError) -> (Int32, [UInt8]) {
        guard !path.contains(0), !path.isEmpty else { throw SystemError("open", code: EINVAL, path: path) }
        let slash = UInt8(ascii: "/")
        let cut = path.lastIndex(of: slash)
        let name = Array(path[(cut.map { $0 + 1 } ?? 0)...])
        guard !name.isEmpty, !name.elementsEqual(".".utf8), !name.elementsEqual("..".utf8) else {
            throw SystemError("open", code: EINVAL, path: path)
        }
        guard let cut else { return (descriptor, name) }
        let parent = Array(path[..<cut])
        // A link may have changed where a path leads, but then to another place in the tree.
        if let lastParent, lastParent == parent { return (lastNumber, name) }
        let number = try open(parent)
        if lastNumber >= 0 { close(lastNumber) }
        lastNumber = number
        lastParent = parent
        return (number, name)
    }

    private func open(_ directory: [UInt8]) throws(SystemError) -> Int32 {
        let flags = O_RDONLY | O_DIRECTORY
        if hasOpenat2 {
            let number = withCString(directory) { pv_open_in_root(descriptor, $0, flags, 0) }
            if number >= 0 { return number }
            guard pv_errno() == ENOSYS || pv_errno() == EPERM else { throw SystemError(last: "open", path: directory) }
            // EPERM: a filter on system calls that does not know it.
            hasOpenat2 = false
        }
        var number = pv_duplicate(descriptor)
        guard number >= 0 else { throw SystemError(last: "dup", path: directory) }
        for part in directory.split(separator: UInt8(ascii: "/")) {
            if part.elementsEqual("..".utf8) {
                close(number)
                throw SystemError("open", code: EINVAL, path: directory)
            }
            let next = withCString(Array(part)) { pv_openat(number, $0, flags | O_NOFOLLOW, 0) }
            let reason = pv_errno()
            close(number)
            guard next >= 0 else { throw SystemError("open", code: reason, path: directory) }
            number = next
        }
        return number
    }

    private func status(_ parent: Int32, _ name: [UInt8]) throws(SystemError) -> stat {
        var status = stat()
        let code = withCString(name) { fstatat(parent, $0, &status, AT_SYMLINK_NOFOLLOW) }
        guard code == 0 else { throw SystemError(last: "stat", path: name) }
        return status
    }

    /// Takes away what has the name: an empty directory, or anything else.
    private func clear(_ parent: Int32, _ name: [UInt8], _ path: [UInt8]) throws(SystemError) {
        let code = withCString(name) { unlinkat(parent, $0, 0) }
        if code == 0 || pv_errno() == ENOENT { return }
        guard pv_errno() == EISDIR else { throw SystemError(last: "unlink", path: path) }
        guard withCString(name, { unlinkat(parent, $0, AT_REMOVEDIR) }) == 0 else {
            throw SystemError(last: "rmdir", path: path)
        }
    }
}
