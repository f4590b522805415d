import CLinux
import Manifest

/// Goes through everything below a directory, depth first, each directory before what is in it and names in the order
/// of their bytes. It follows no symbolic link, has at most four descriptors open however deep the tree is, and keeps
/// the names of the directories on the way.
public final class TreeWalk {
    public struct Options: Sendable {
        /// Directories that something is mounted on are told, and not entered.
        public var isWithinOneFileSystem = false
        /// Patterns of fnmatch(3), compared as bytes. One without a slash is matched with each name, one with a slash
        /// with the whole path from the top, where `*` and `?` match no slash; a slash at its front means nothing else.
        /// What matches is left out with all below it.
        public var excluded: [[UInt8]] = []
        /// Bytes of one file's extended attributes.
        public var attributes = TreeEntry.Limits().attributes

        public init() {}
    }

    public enum Event {
        /// What was found, and a descriptor for reading it, of regular files alone, which is open until the next one is
        /// asked for; -1 for all else. Of several names of one inode only the first is not `isRepeated`. `contents` is
        /// nil; `linkGroup` is set for regular files too.
        case entry(TreeEntry, descriptor: Int32, isRepeated: Bool)
        /// Something that is not, or not wholly, among the entries. The path is relative to the top.
        case leftOut([UInt8], LeftOut)
    }

    public enum LeftOut: Equatable, Sendable {
        /// Sockets are of a running process.
        case socket
        /// It, or for a directory what is in it, matches a pattern of `excluded`.
        case excluded
        /// What a run of this program has left that was ended while it restored a file.
        case leftover
        /// A directory that something is mounted on; it is an entry itself.
        case otherFileSystem
        /// Longer than `TreePath.longest`.
        case longPath
        /// An entry without its extended attributes: they are more than `attributes`.
        case attributesTooLarge
        /// Not found any more, or something else than a moment before.
        case changed
        /// A system call failed: its errno.
        case unreadable(call: StaticString, code: Int32)

        public static func == (a: LeftOut, b: LeftOut) -> Bool {
            switch (a, b) {
            case (.socket, .socket), (.leftover, .leftover), (.excluded, .excluded),
                (.otherFileSystem, .otherFileSystem):
                true
            case (.longPath, .longPath), (.attributesTooLarge, .attributesTooLarge), (.changed, .changed): true
            case (.unreadable(_, let a), .unreadable(_, let b)): a == b
            default: false
            }
        }
    }

    /// A directory on the way from the top to where the walk is.
    private struct Step {
        var names: DirectoryNames
        var next = 0
        var inode: InodeNumber
    }

    private let root: FileDescriptor
    private let options: Options
    private let resolution = PathResolution(isByComponents: false)
    private var links = LinkTable()
    private var way: [Step] = []
    /// Where the last step is. Each step's own path would take as much memory as the depth squared.
    private var path = TreePath.top
    /// The directory at the end of the way.
    private var here: FileDescriptor
    /// The regular file that was told last.
    private var file: FileDescriptor?
    /// What was found out and not told yet, the next one last.
    private var untold: [Event] = []
    private var hasBegun = false
    /// The device of the top directory.
    private var device: UInt64 = 0

    /// - Parameter path: the top directory; here, and only here, a symbolic link is followed.
    public init(_ path: [UInt8], options: Options = Options()) throws(SystemError) {
        let root = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY)
        here = try root.duplicated()
        self.root = root
        self.options = options
    }

    /// The names of everything in the top directory.
    public func topNames() throws(SystemError) -> [[UInt8]] {
        try DirectoryNames(of: root).all
    }

    /// Opens a regular file for reading once more, on the same way as the walk did.
    public func open(_ path: TreePath) throws(SystemError) -> FileDescriptor {
        let parent = try resolution.open(path.parent.bytes[...], in: root)
        return try FileDescriptor.open(
            Array(path.name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, in: parent.number)
    }

    /// What comes next; nil at the end. Never throws: what the system refuses is told.
    public func next() -> Event? {
        file = nil
        if !hasBegun {
            hasBegun = true
            begin()
        }
        while untold.isEmpty {
            guard let step = way.indices.last else { return nil }
            if way[step].next < way[step].names.count {
                let name = way[step].names[way[step].next]
                way[step].next += 1
                look(at: name)
            } else {
                goBack()
            }
        }
        return untold.removeLast()
    }

    private func begin() {
        do throws(SystemError) {
            let status = try root.status()
            device = status.device
            tell(entry(status, .top, .directory), root, status, isOpen: true)
            way.append(Step(names: try DirectoryNames(of: root), inode: InodeNumber(status)))
        } catch {
            leaveOut([], error)
        }
    }

    /// Goes to the parent of where the walk is. That `..` is still the same directory is checked: when somebody has
    /// moved this one, the way is gone once more from the top.
    private func goBack() {
        way.removeLast()
        path = path.parent
        guard let parent = way.last else { return }
        do throws(SystemError) {
            let up = try FileDescriptor.open(
                [UInt8(ascii: "."), UInt8(ascii: ".")], O_RDONLY | O_DIRECTORY, in: here.number)
            if InodeNumber(try up.status()) == parent.inode {
                here = up
                return
            }
        } catch {}
        do throws(SystemError) {
            let found = try resolution.open(path.bytes[...], in: root)
            guard InodeNumber(try found.status()) == parent.inode else {
                throw SystemError("open", code: ESTALE, path: path.bytes)
            }
            here = try found.reopenedForReading()
        } catch {
            // What is left of that directory cannot be seen any more.
            leaveOut(path.bytes, error)
            way[way.count - 1].next = parent.names.count
        }
    }

    private func leaveOut(_ path: [UInt8], _ error: SystemError) {
        let isGone = error.code == ENOENT || error.code == ESTALE || error.code == ELOOP || error.code == ENOTDIR
        untold.append(.leftOut(path, isGone ? .changed : .unreadable(call: error.call, code: error.code)))
    }

    private func look(at name: [UInt8]) {
        let path: TreePath
        do throws(TreePath.Fault) {
            path = try self.path.appending(name)
        } catch {
            untold.append(.leftOut(self.path.bytes + [UInt8(ascii: "/")] + name, .longPath))
            return
        }
        if TemporaryName.process(of: name) != nil {
            untold.append(.leftOut(path.bytes, .leftover))
            return
        }
        if isExcluded(path) {
            untold.append(.leftOut(path.bytes, .excluded))
            return
        }
        do throws(SystemError) {
            try look(at: path, try FileDescriptor.status(of: name, in: here.number, path.bytes))
        } catch {
            leaveOut(path.bytes, error)
        }
    }

    private func look(at path: TreePath, _ status: FileStatus) throws(SystemError) {
        let name = Array(path.name)
        switch status.kind {
        case .regular:
            let opened = try FileDescriptor.open(
                name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, in: here.number)
            let status = try same(opened, status, path)
            tell(entry(status, path, .regular), opened, status, isOpen: true)
            file = consume opened
        case .directory:
            let opened = try FileDescriptor.open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, in: here.number)
            let status = try same(opened, status, path)
            enter(opened, status, path)
        case .symbolicLink:
            let target = try target(of: name)
            var link = entry(status, path, .symbolicLink)
            link.target = target
            try tellNamed(link, status)
        case .fifo: try tellNamed(entry(status, path, .fifo), status)
        case .characterDevice, .blockDevice:
            var node = entry(status, path, status.kind == .blockDevice ? .blockDevice : .characterDevice)
            node.device = DeviceNumber(number: status.represented)
            try tellNamed(node, status)
        case .socket, .unknown: untold.append(.leftOut(path.bytes, .socket))
        }
    }

    /// The status of what was opened, when it is what was looked at.
    private func same(
        _ opened: borrowing FileDescriptor, _ old: FileStatus, _ path: TreePath
    ) throws(SystemError) -> FileStatus {
        let status = try opened.status()
        guard status.isSameFile(as: old), status.kind == old.kind else {
            throw SystemError("open", code: ESTALE, path: path.bytes)
        }
        return status
    }

    private func enter(_ opened: consuming FileDescriptor, _ status: FileStatus, _ path: TreePath) {
        if options.isWithinOneFileSystem && status.device != device {
            untold.append(.leftOut(path.bytes, .otherFileSystem))
            tell(entry(status, path, .directory), opened, status, isOpen: true)
            return
        }
        do throws(SystemError) {
            let names = try DirectoryNames(of: opened)
            way.append(Step(names: names, inode: InodeNumber(status)))
        } catch {
            leaveOut(path.bytes, error)
            tell(entry(status, path, .directory), opened, status, isOpen: true)
            return
        }
        tell(entry(status, path, .directory), opened, status, isOpen: true)
        here = opened
        self.path = path
    }

    /// A symbolic link's text.
    private func target(of name: [UInt8]) throws(SystemError) -> [UInt8] {
        var text = [UInt8](repeating: 0, count: 4096)
        let length = try text.withUnsafeMutableBytes { SystemCalls.readlinkat(here.number, name, $0) }
            .get("readlink", path: name)
        return Array(text[..<length])
    }

    /// Something that is not opened but by its name.
    private func tellNamed(_ entry: TreeEntry, _ status: FileStatus) throws(SystemError) {
        let named = try FileDescriptor.openName(Array(entry.path.name), in: here.number, entry.path.bytes)
        _ = try same(named, status, entry.path)
        tell(entry, named, status, isOpen: false)
    }

    private func entry(_ status: FileStatus, _ path: TreePath, _ kind: TreeEntry.Kind) -> TreeEntry {
        var entry = TreeEntry(path: path, kind: kind)
        entry.mode = status.permissions
        entry.uid = status.user
        entry.gid = status.group
        entry.time = FileTime(
            seconds: Int64(status.modified.seconds),
            nanoseconds: UInt32(truncatingIfNeeded: status.modified.nanoseconds))
        entry.links = status.links
        if kind == .regular { entry.size = status.size }
        return entry
    }

    /// Adds what stat(2) does not tell. What is told of it besides comes after it.
    private func tell(_ found: TreeEntry, _ opened: borrowing FileDescriptor, _ status: FileStatus, isOpen: Bool) {
        var entry = found
        do throws(SystemError) {
            entry.attributes = try FileAttributes.read(of: opened, isOpen: isOpen, limit: options.attributes)
        } catch {
            if error.code == E2BIG {
                untold.append(.leftOut(entry.path.bytes, .attributesTooLarge))
            } else {
                leaveOut(entry.path.bytes, error)
            }
        }
        if isOpen { entry.flags = FileAttributes.flags(of: opened) }
        var isRepeated = false
        if entry.kind != .directory && status.links > 1 {
            let link = links.insert(InodeNumber(status))
            entry.linkGroup = link.number
            isRepeated = link.isRepeated
        }
        untold.append(.entry(entry, descriptor: entry.kind == .regular ? opened.number : -1, isRepeated: isRepeated))
    }

    private func isExcluded(_ path: TreePath) -> Bool {
        for pattern in options.excluded {
            let isPath = pattern.contains(UInt8(ascii: "/"))
            let text = isPath ? path.bytes : Array(path.name)
            let bare = pattern.first == UInt8(ascii: "/") ? Array(pattern.dropFirst()) : pattern
            let fits = withCString(bare) { pattern in withCString(text) { pv_matches(pattern, $0, isPath) } }
            if fits { return true }
        }
        return false
    }
}
