import CLinux

/// A directory into which files are written under names that may come from anywhere: every operation is relative to the
/// directory itself, follows no symbolic link, and takes one path component only.
public final class Directory {
    private let descriptor: Int32
    public let path: [UInt8]
    private var temporaries = TemporaryNames()
    private let isNew: Bool

    /// Opens a directory, and makes it first (mode 0777 less the umask) when it does not exist.
    public init(_ path: [UInt8]) throws(SystemError) {
        guard !path.isEmpty else { throw SystemError("open", code: ENOENT, path: path) }
        let made = SystemCalls.mkdir(path, 0o777)
        guard !made.failed || made.code == EEXIST else { throw SystemError("mkdir", code: made.code, path: path) }
        isNew = !made.failed
        descriptor = try openDirectory(path)
        self.path = path
    }

    /// Makes a directory with a name that nobody else uses within another, for the owner alone: what is on its way to
    /// other places lies there. It has no default ACL, so neither has anything in it.
    public init(stagingIn parent: [UInt8]) throws(SystemError) {
        var serial = 0
        while true {
            serial += 1
            let name = TemporaryName.make(.staging, process: SystemCalls.getpid(), serial)
            let path = parent + [UInt8(ascii: "/")] + name
            let made = SystemCalls.mkdir(path, 0o700)
            if made.code == EEXIST { continue }
            guard !made.failed else { throw SystemError("mkdir", code: made.code, path: path) }
            let answer = SystemCalls.openat(SystemCalls.workingDirectory, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0)
            try answer.get("open", path: path)
            descriptor = answer.number
            self.path = path
            isNew = true
            FileAttributes.removeInheritedLists(of: .open(descriptor))
            SystemCalls.stagingMade(descriptor, path)
            return
        }
    }

    deinit { SystemCalls.close(descriptor) }

    /// For calls that take a directory's descriptor; open as long as this object is.
    public var number: Int32 { descriptor }

    /// Whether it is kept in memory alone: on a tmpfs or a ramfs.
    public var isKeptInMemory: Bool { FileDescriptor.isKeptInMemory(directory: descriptor) }

    /// How many bytes this process may still write to the file system; nil where it does not say, as a tmpfs without a
    /// limit does not.
    public var freeSpace: UInt64? { SystemCalls.freeSpace(of: descriptor) }

    /// Whether it was read, and has no names in it.
    public var isEmpty: Bool {
        (try? DirectoryNames(of: Array(".".utf8), in: descriptor, path).all)?.isEmpty == true
    }

    /// A second name for a file in this directory.
    public func link(_ old: [UInt8], to new: [UInt8]) throws(SystemError) {
        try SystemCalls.linkat(descriptor, old, descriptor, new).get("link", path: old)
    }

    /// Removes this directory, which has to be empty.
    public func removeDirectory() throws(SystemError) {
        // Whatever becomes of it, its descriptor may soon be another's.
        SystemCalls.stagingGone()
        try SystemCalls.rmdir(path).get("rmdir", path: path)
    }

    /// syncfs(2): everything on this file system is on the disk when it returns.
    public func synchronizeFileSystem() throws(SystemError) {
        try SystemCalls.syncfs(descriptor).get("syncfs", path: path)
    }

    /// Makes a directory (its mode less the umask) where there is none.
    /// - Returns: whether there was none.
    @discardableResult
    public static func make(_ path: [UInt8], mode: UInt32) throws(SystemError) -> Bool {
        let made = SystemCalls.mkdir(path, mode)
        guard !made.failed || made.code == EEXIST else { throw SystemError("mkdir", code: made.code, path: path) }
        return !made.failed
    }

    /// A new, empty file with mode 0600 of this name, which is its `path`.
    /// - Throws: EEXIST where there is one.
    public func create(_ name: [UInt8]) throws(SystemError) -> FileDescriptor {
        let answer = SystemCalls.openat(descriptor, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
        try answer.get("open", path: name)
        return FileDescriptor(adopting: answer.number, path: name)
    }

    /// A new, empty file with mode 0600 under a temporary name that nobody else uses: its `path`.
    public func createTemporary() throws(SystemError) -> FileDescriptor {
        while true {
            let name = temporaries.next()
            let answer = SystemCalls.openat(descriptor, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
            if !answer.failed {
                SystemCalls.temporaryMade(descriptor, name)
                return FileDescriptor(adopting: answer.number, path: name)
            }
            guard answer.code == EEXIST else { throw SystemError("open", code: answer.code, path: path) }
        }
    }

    /// Gives a file its final name.
    /// - Parameter replace: whether a file that has the name already gives way; if not, EEXIST.
    public func rename(_ old: [UInt8], to new: [UInt8], replace: Bool) throws(SystemError) {
        try renameEntry(descriptor, old, descriptor, new, replace: replace).get("rename", path: new)
        SystemCalls.temporaryGone(descriptor, old)
    }

    public func remove(_ name: [UInt8]) {
        _ = SystemCalls.unlinkat(descriptor, name)
        SystemCalls.temporaryGone(descriptor, name)
    }

    /// Removes what runs of this program have left here that were ended before they could.
    public func removeLeftovers() {
        guard let names = try? DirectoryNames(of: Array(".".utf8), in: descriptor, path).all else { return }
        for name in names {
            guard let process = TemporaryName.process(of: name), process != SystemCalls.getpid(),
                !SystemCalls.exists(process: process)
            else { continue }
            if TemporaryName.process(of: name, .staging) != nil { empty(name) }
            remove(name)
        }
    }

    /// Removes a directory of files that wait for their places, which is flat, with all that is in it.
    private func empty(_ name: [UInt8]) {
        guard
            let staging = try? FileDescriptor.open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, in: descriptor),
            let names = try? DirectoryNames(of: Array(".".utf8), in: staging.number, path).all
        else { return }
        for file in names { _ = SystemCalls.unlinkat(staging.number, file) }
        _ = SystemCalls.rmdir(descriptor, name)
    }

    /// fsync(2): the names in the directory are on the disk when it returns, and where it was made here, its own name
    /// in its parent is, too.
    public func synchronize() throws(SystemError) {
        try SystemCalls.fsync(descriptor).get("fsync", path: path)
        guard isNew else { return }
        let parent = try openDirectory(Array("..".utf8), in: descriptor)
        defer { SystemCalls.close(parent) }
        try SystemCalls.fsync(parent).get("fsync", path: path)
    }

    /// The names in a directory in the order of their bytes, without `.` and `..`.
    public static func names(in path: [UInt8]) throws(SystemError) -> [[UInt8]] {
        try DirectoryNames(of: path, in: SystemCalls.workingDirectory, path).all
    }
}

/// - Throws: ENOTDIR for anything else.
func openDirectory(_ path: [UInt8], in directory: Int32 = SystemCalls.workingDirectory) throws(SystemError) -> Int32 {
    let answer = SystemCalls.openat(directory, path, O_RDONLY | O_DIRECTORY, 0)
    try answer.get("open", path: path)
    return answer.number
}

/// Names for files that are not complete yet, which nobody else uses.
struct TemporaryNames {
    private var serial = 0

    mutating func next() -> [UInt8] {
        serial += 1
        return TemporaryName.make(process: SystemCalls.getpid(), serial)
    }
}

/// renameat(2).
/// - Parameter replace: whether a file that has the new name gives way; if not, EEXIST.
func renameEntry(
    _ directory: Int32, _ old: [UInt8], _ parent: Int32, _ new: [UInt8], replace: Bool
) -> SystemCalls.Answer {
    if replace { return SystemCalls.renameat(directory, old, parent, new) }
    let answer = SystemCalls.renameWithoutReplacing(directory, old, parent, new)
    guard answer.code == EINVAL || answer.code == ENOSYS else { return answer }
    // Some file systems have no such flag; link(2) refuses to replace as well.
    let linked = SystemCalls.linkat(directory, old, parent, new)
    if !linked.failed { return SystemCalls.unlinkat(directory, old) }
    if linked.code == EEXIST { return linked }
    // Where a file system has neither (exFAT, much of FUSE): an empty file takes the name first, which fails where there
    // is one, and only that empty file gives way.
    let made = SystemCalls.openat(parent, new, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
    if made.failed { return made }
    SystemCalls.close(made.number)
    let renamed = SystemCalls.renameat(directory, old, parent, new)
    if renamed.failed { _ = SystemCalls.unlinkat(parent, new) }
    return renamed
}
