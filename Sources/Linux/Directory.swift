import CLinux

/// A directory into which files are written under names that may come from anywhere: every operation is relative to the
/// directory itself, follows no symbolic link, and takes one path component only.
public final class Directory {
    private let descriptor: Int32
    public let path: [UInt8]
    private var serial = 0
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
    /// other places lies there.
    public init(stagingIn parent: [UInt8]) throws(SystemError) {
        var serial = 0
        while true {
            serial += 1
            let path = parent + Array("/.pram-verify-\(SystemCalls.getpid())-\(serial).staging".utf8)
            let made = SystemCalls.mkdir(path, 0o700)
            if made.code == EEXIST { continue }
            guard !made.failed else { throw SystemError("mkdir", code: made.code, path: path) }
            let answer = SystemCalls.openat(SystemCalls.workingDirectory, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0)
            try answer.get("open", path: path)
            descriptor = answer.number
            self.path = path
            isNew = true
            return
        }
    }

    deinit { SystemCalls.close(descriptor) }

    /// For calls that take a directory's descriptor; open as long as this object is.
    public var number: Int32 { descriptor }

    /// A second name for a file in this directory.
    public func link(_ old: [UInt8], to new: [UInt8]) throws(SystemError) {
        try SystemCalls.linkat(descriptor, old, new).get("link", path: old)
    }

    /// Removes this directory, which has to be empty.
    public func removeDirectory() throws(SystemError) {
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

    /// A new, empty file with mode 0600 under a temporary name that nobody else uses: its `path`.
    public func createTemporary() throws(SystemError) -> FileDescriptor {
        while true {
            serial += 1
            let name = Array(".pram-verify-\(SystemCalls.getpid())-\(serial).tmp".utf8)
            let answer = SystemCalls.openat(descriptor, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
            if !answer.failed { return FileDescriptor(adopting: answer.number, path: name) }
            guard answer.code == EEXIST else { throw SystemError("open", code: answer.code, path: path) }
        }
    }

    /// Gives a file its final name.
    /// - Parameter replace: whether a file that has the name already gives way; if not, EEXIST.
    public func rename(_ old: [UInt8], to new: [UInt8], replace: Bool) throws(SystemError) {
        var answer =
            replace
            ? SystemCalls.renameat(descriptor, old, new) : SystemCalls.renameWithoutReplacing(descriptor, old, new)
        if !replace && (answer.code == EINVAL || answer.code == ENOSYS) {
            // Some file systems have no such flag; link(2) refuses to replace as well.
            answer = SystemCalls.linkat(descriptor, old, new)
            if !answer.failed { answer = SystemCalls.unlinkat(descriptor, old) }
        }
        try answer.get("rename", path: new)
    }

    public func remove(_ name: [UInt8]) { _ = SystemCalls.unlinkat(descriptor, name) }

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
        try listNames(in: SystemCalls.workingDirectory, path, path)
    }
}

/// - Throws: ENOTDIR for anything else.
func openDirectory(_ path: [UInt8], in directory: Int32 = SystemCalls.workingDirectory) throws(SystemError) -> Int32 {
    let answer = SystemCalls.openat(directory, path, O_RDONLY | O_DIRECTORY, 0)
    try answer.get("open", path: path)
    return answer.number
}

/// The names in a directory in the order of their bytes, without `.` and `..`.
/// - Parameters:
///   - path: where it lies, seen from `directory`.
///   - name: what to call it in errors.
func listNames(in directory: Int32, _ path: [UInt8], _ name: [UInt8]) throws(SystemError) -> [[UInt8]] {
    let opened = SystemCalls.openat(directory, path, O_RDONLY | O_DIRECTORY, 0)
    try opened.get("opendir", path: name)
    var code: Int32 = 0
    guard let listing = SystemCalls.Listing(opened.number, &code) else {
        throw SystemError("opendir", code: code, path: name)
    }
    var names: [[UInt8]] = []
    while let next = listing.next(&code) {
        if !next.elementsEqual(".".utf8) && !next.elementsEqual("..".utf8) { names.append(next) }
    }
    guard code == 0 else { throw SystemError("readdir", code: code, path: name) }
    names.sort { $0.lexicographicallyPrecedes($1) }
    return names
}
