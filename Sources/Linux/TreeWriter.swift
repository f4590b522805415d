import CLinux
import Manifest

/// Restores a tree below a directory. Nothing outside of it is made, changed or looked at, whatever entries say and
/// whoever plants symbolic links: directories are found from the top by `PathResolution`, and every call names one
/// component in an open directory and follows no link.
///
/// Files appear under their names when they are complete. A directory gets its mode, time and flags when the entries go
/// on elsewhere: entries in the order of a manifest, each directory's together, keep them; others do not keep times.
public final class TreeWriter {
    public struct Options: Sendable {
        /// Files that exist, and are no directories, give way.
        public var replaces = false
        /// suid, sgid and sticky bits are set.
        public var keepsSpecialBits = false
        /// Device nodes are made.
        public var makesDevices = false
        /// Owners are set. By default where this process is root's.
        public var setsOwners = effectiveUser() == 0
        /// The top directory gets what its entry says.
        public var changesTop = true
        /// Never openat2(2): for tests.
        public var isByComponents = false

        public init() {}
    }

    /// A directory from the top to where entries go now.
    private struct Step {
        var inode: InodeNumber
        /// What it gets in the end, without its path; nil when no entry has named it.
        var entry: TreeEntry?
    }

    private let root: FileDescriptor
    private let options: Options
    private let metadata: TreeMetadata
    private let resolution: PathResolution
    private var way: [Step] = []
    /// Where the last step is.
    private var path = TreePath.top
    private var here: FileDescriptor
    private var temporaries = TemporaryNames()
    /// Files with several names get flags that forbid more of them when everything is there.
    private var locked: [TreeEntry] = []
    private var lockedSize = 0
    private let tell: (TreeShortfall) -> Void

    /// In bytes, for `locked`.
    private static let mostLocked = 1 << 24

    /// Opens the directory, and makes it first (mode 0777 less the umask) when it does not exist.
    /// - Parameter shortfall: is told what could not be set.
    public init(
        _ path: [UInt8], options: Options = Options(), shortfall: @escaping (TreeShortfall) -> Void
    ) throws(SystemError) {
        guard !path.isEmpty else { throw SystemError("open", code: ENOENT, path: path) }
        try Directory.make(path, mode: 0o777)
        let root = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY)
        here = try root.duplicated()
        way = [Step(inode: InodeNumber(try root.status()), entry: nil)]
        self.root = root
        self.options = options
        resolution = PathResolution(isByComponents: options.isByComponents)
        tell = shortfall
        metadata = TreeMetadata(
            setsOwners: options.setsOwners, keepsSpecialBits: options.keepsSpecialBits, tell: shortfall)
    }

    /// Makes a directory, or takes one that is there. What the entry says is set when the entries have gone elsewhere.
    public func makeDirectory(_ entry: TreeEntry) throws(SystemError) {
        guard entry.kind == .directory else { throw SystemError("mkdir", code: EINVAL, path: entry.path.bytes) }
        if entry.path == .top {
            try enter(.top)
            guard options.changesTop else { return }
            openUp(root, entry, isNew: false)
            way[0].entry = kept(entry)
            return
        }
        try enter(entry.path.parent)
        try step(to: entry.path, isNew: try isMade(Array(entry.path.name), 0o700, entry.path), entry)
    }

    /// Makes a directory in the one where entries go now.
    /// - Returns: false where there is something of that name.
    private func isMade(_ name: [UInt8], _ mode: UInt32, _ path: TreePath) throws(SystemError) -> Bool {
        let made = SystemCalls.mkdirat(here.number, name, mode)
        if made.code == EEXIST { return false }
        try made.get("mkdir", path: path.bytes)
        return true
    }

    /// Goes down to a directory that is there.
    private func step(to wanted: TreePath, isNew: Bool, _ entry: TreeEntry?) throws(SystemError) {
        do throws(SystemError) {
            let next = try resolution.open(wanted.name, in: here)
            let inode = InodeNumber(try next.status())
            if let entry { openUp(try next.reopenedForReading(), entry, isNew: isNew) }
            way.append(Step(inode: inode, entry: entry.map { kept($0) }))
            here = next
            path = wanted
        } catch {
            throw SystemError(error.call, code: error.code, path: wanted.bytes)
        }
    }

    /// What is still needed when a directory is left: not its attributes, and no path, as those of nested directories
    /// together would be large.
    private func kept(_ entry: TreeEntry) -> TreeEntry {
        var kept = TreeEntry(path: .top, kind: .directory)
        kept.mode = entry.mode
        kept.time = entry.time
        kept.flags = entry.flags
        return kept
    }

    /// What can be set before a directory is filled; lets its owner write to it meanwhile.
    private func openUp(_ directory: borrowing FileDescriptor, _ entry: TreeEntry, isNew: Bool) {
        if isNew { FileAttributes.removeInheritedLists(of: directory) }
        metadata.setOwnerAndAttributes(entry, directory, isOpen: true)
        // An ordinary user needs these bits. The other entries of an ACL do not change with them.
        if let status = try? directory.status(), status.mode & 0o700 != 0o700 {
            _ = SystemCalls.fchmod(directory.number, status.permissions | 0o700)
        }
    }

    /// Goes to a directory, leaves those that it does not lie in, and makes what is missing on the way (mode 0777 less
    /// the umask).
    private func enter(_ wanted: TreePath) throws(SystemError) {
        while !wanted.isWithin(path) { try leave() }
        for name in wanted.bytes[path.bytes.count...].split(separator: UInt8(ascii: "/")) {
            let name = Array(name)
            guard let next = try? path.appending(name) else { return }
            try step(to: next, isNew: try isMade(name, 0o777, next), nil)
        }
    }

    /// Gives the last directory of the way what its entry says, and goes to its parent.
    private func leave() throws(SystemError) {
        let left = path
        let step = way.removeLast()
        path = path.parent
        guard var entry = step.entry else {
            here = try up()
            return
        }
        entry.path = left
        do throws(SystemError) {
            let directory = try here.reopenedForReading()
            // Before the mode is set, which may forbid to search it.
            here = try up()
            close(directory, entry)
        } catch {
            tell(TreeShortfall(path: left.bytes, part: .mode, code: error.code))
            here = try resolution.open(path.bytes[...], in: root)
        }
    }

    /// The directory above this one: `..` where that still is the one that the way came through, else from the top.
    private func up() throws(SystemError) -> FileDescriptor {
        do throws(SystemError) {
            let up = try FileDescriptor.openComponent(Array("..".utf8), in: here.number, path.bytes)
            if InodeNumber(try up.status()) == way[way.count - 1].inode { return up }
        } catch {}
        return try resolution.open(path.bytes[...], in: root)
    }

    private func close(_ directory: borrowing FileDescriptor, _ entry: TreeEntry) {
        metadata.setMode(entry, directory, isOpen: true)
        metadata.setTime(entry, directory, isOpen: true)
        metadata.setFlags(entry, directory)
    }

    private func enterParent(of entry: TreeEntry) throws(SystemError) -> Int32 {
        guard entry.path != .top else { throw SystemError("open", code: EISDIR, path: []) }
        try enter(entry.path.parent)
        return here.number
    }

    /// Gives something in a directory its final name.
    private func rename(_ old: [UInt8], in directory: Int32, to path: TreePath, in parent: Int32) throws(SystemError) {
        try renameEntry(directory, old, parent, Array(path.name), replace: options.replaces)
            .get("rename", path: path.bytes)
    }

    /// A regular file to be filled.
    /// - Returns: for writing. `complete` gives it its name; before that, it has a temporary one in its directory.
    public func makeFile(_ entry: TreeEntry) throws(SystemError) -> NewFile {
        guard entry.kind == .regular else { throw SystemError("open", code: EINVAL, path: entry.path.bytes) }
        let parent = try FileDescriptor.copy(of: enterParent(of: entry), path: entry.path.bytes)
        while true {
            let name = temporaries.next()
            let answer = SystemCalls.openat(parent.number, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
            if answer.code == EEXIST { continue }
            try answer.get("open", path: entry.path.bytes)
            let file = FileDescriptor(adopting: answer.number, path: entry.path.bytes)
            FileAttributes.removeInheritedLists(of: file)
            return NewFile(file, entry, name: name, in: parent)
        }
    }

    /// A regular file that is complete and lies in another directory of the same file system, from where it is moved.
    /// - Parameters:
    ///   - name: one component.
    ///   - directory: open, without a default ACL that the file would have from it.
    public func adoptFile(_ entry: TreeEntry, _ name: [UInt8], from directory: Int32) throws(SystemError) {
        guard entry.kind == .regular else { throw SystemError("open", code: EINVAL, path: entry.path.bytes) }
        let answer = SystemCalls.openat(directory, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0)
        try answer.get("open", path: name)
        let file = FileDescriptor(adopting: answer.number, path: entry.path.bytes)
        let parent = try FileDescriptor.copy(of: directory, path: entry.path.bytes)
        let made = NewFile(file, entry, name: name, in: parent)
        made.isAdopted = true
        try complete(made)
    }

    /// Sets what the entry says and gives the file its name. When that fails, a file of `makeFile` is gone.
    public func complete(_ made: NewFile) throws(SystemError) {
        let entry = made.entry
        let parent = try enterParent(of: entry)
        metadata.setOwnerAndAttributes(entry, made.file, isOpen: true)
        metadata.setMode(entry, made.file, isOpen: true)
        metadata.setTime(entry, made.file, isOpen: true)
        try rename(made.name, in: made.parent.number, to: entry.path, in: parent)
        made.hasName = true
        guard let flags = entry.flags, !flags.isEmpty else { return }
        if !flags.isDisjoint(with: .locking) && entry.links ?? 1 > 1 {
            lockLater(entry)
        } else {
            metadata.setFlags(entry, made.file)
        }
    }

    private func lockLater(_ entry: TreeEntry) {
        var kept = TreeEntry(path: entry.path, kind: .regular)
        kept.flags = entry.flags
        lockedSize += entry.path.bytes.count + 256
        guard lockedSize <= TreeWriter.mostLocked else {
            return tell(TreeShortfall(path: entry.path.bytes, part: .flags, code: ENOMEM))
        }
        locked.append(kept)
    }

    /// A symbolic link, a FIFO or a device node.
    /// - Throws: EPERM for a device node when they are not asked for.
    public func makeSpecial(_ entry: TreeEntry) throws(SystemError) {
        let parent = try enterParent(of: entry)
        let name = temporaries.next()
        try make(entry, name, in: parent).get("mknod", path: entry.path.bytes)
        do throws(SystemError) {
            let made = try FileDescriptor.openName(name, in: parent, entry.path.bytes)
            if entry.kind != .symbolicLink { FileAttributes.removeInheritedLists(of: made, isOpen: false) }
            metadata.setOwnerAndAttributes(entry, made, isOpen: false)
            if entry.kind != .symbolicLink { metadata.setMode(entry, made, isOpen: false) }
            metadata.setTime(entry, made, isOpen: false)
            try rename(name, in: parent, to: entry.path, in: parent)
        } catch {
            _ = SystemCalls.unlinkat(parent, name)
            throw error
        }
    }

    private func make(_ entry: TreeEntry, _ name: [UInt8], in parent: Int32) throws(SystemError) -> SystemCalls.Answer {
        var device: UInt64 = 0
        var type = UInt32(S_IFIFO)
        switch entry.kind {
        case .symbolicLink:
            return SystemCalls.symlinkat(entry.target, parent, name)
        case .fifo: break
        case .characterDevice, .blockDevice:
            guard options.makesDevices, let number = entry.device else {
                throw SystemError("mknod", code: EPERM, path: entry.path.bytes)
            }
            device = number.number
            type = UInt32(entry.kind == .blockDevice ? S_IFBLK : S_IFCHR)
        case .regular, .directory: throw SystemError("mknod", code: EINVAL, path: entry.path.bytes)
        }
        return SystemCalls.mknodat(parent, name, type | 0o600, device)
    }

    /// One more name for a file that was made before.
    public func link(_ entry: TreeEntry, to first: TreePath) throws(SystemError) {
        let parent = try enterParent(of: entry)
        let source = try resolution.open(first.parent.bytes[...], in: root)
        let old = Array(first.name)
        let name = temporaries.next()
        try SystemCalls.linkat(source.number, old, parent, name).get("link", path: entry.path.bytes)
        // Renaming one name of a file to another of the same file does nothing, and leaves both.
        defer { _ = SystemCalls.unlinkat(parent, name) }
        try rename(name, in: parent, to: entry.path, in: parent)
    }

    /// All entries have come: gives the directories on the way, and the top, what their entries say.
    public func finish() throws(SystemError) {
        while way.count > 1 { try leave() }
        for entry in locked {
            do throws(SystemError) {
                let parent = try resolution.open(entry.path.parent.bytes[...], in: root)
                let file = try FileDescriptor.open(
                    Array(entry.path.name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, in: parent.number)
                metadata.setFlags(entry, file)
            } catch {
                tell(TreeShortfall(path: entry.path.bytes, part: .flags, code: error.code))
            }
        }
        locked = []
        if let top = way[0].entry { close(root, top) }
        way[0].entry = nil
    }
}

/// A file that does not have its name yet. When it is let go before `TreeWriter.complete`, it is removed.
public final class NewFile {
    /// For writing its content.
    public let file: FileDescriptor
    public let entry: TreeEntry
    let name: [UInt8]
    let parent: FileDescriptor
    var hasName = false
    var isAdopted = false

    init(_ file: consuming FileDescriptor, _ entry: TreeEntry, name: [UInt8], in parent: consuming FileDescriptor) {
        self.file = file
        self.entry = entry
        self.name = name
        self.parent = parent
    }

    deinit {
        if !hasName && !isAdopted { _ = SystemCalls.unlinkat(parent.number, name) }
    }
}

extension FileDescriptor {
    static func copy(of number: Int32, path: [UInt8]) throws(SystemError) -> FileDescriptor {
        let answer = SystemCalls.dup(number)
        try answer.get("dup", path: path)
        return FileDescriptor(adopting: answer.number, path: path)
    }
}
