import CLinux
import Manifest

/// A directory that stands for the root of a tree that is being made: paths, `..` and symbolic links in the tree lead to
/// places below it and to nowhere else, whatever they say.
public final class RootDirectory {
    public let path: [UInt8]
    private let top: FileDescriptor
    private let resolution: PathResolution
    /// The directory that was used last, since neighbours follow each other.
    private var lastParent: [UInt8] = []
    private var last: FileDescriptor

    /// Opens the directory, and makes it first where it does not exist.
    /// - Parameter withoutOpenat2: as on a kernel before 5.6, where no link is followed at all.
    /// - Throws: ENOTEMPTY when there is anything in it.
    public init(empty path: [UInt8], withoutOpenat2: Bool = false) throws(SystemError) {
        guard !path.isEmpty else { throw SystemError("open", code: ENOENT, path: path) }
        try Directory.make(path, mode: 0o777)
        guard try Directory.names(in: path).isEmpty else { throw SystemError("open", code: ENOTEMPTY, path: path) }
        let top = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY)
        last = try top.duplicated()
        self.top = top
        self.path = path
        resolution = PathResolution(.withinRoot, isByComponents: withoutOpenat2)
    }

    /// Makes a directory, or gives the one that is there its permissions. A file of the name gives way.
    public func makeDirectory(_ path: [UInt8], permissions: UInt32) throws(SystemError) {
        let (parent, name) = try place(path)
        var made = SystemCalls.mkdirat(parent, name, 0o700)
        if made.code == EEXIST, try FileDescriptor.status(of: name, in: parent, path).kind != .directory {
            try clear(parent, name, path)
            made = SystemCalls.mkdirat(parent, name, 0o700)
            try made.get("mkdir", path: path)
        }
        if made.code != EEXIST { try made.get("mkdir", path: path) }
        // Whoever is not root must be able to write into it for what follows.
        _ = SystemCalls.fchmodat(parent, name, permissions & 0o1777 | 0o700)
    }

    /// The directories that a path lies in, where there are none; what is there stays, links too.
    private func makeParents(of path: [UInt8]) throws(SystemError) {
        for slash in path.indices where path[slash] == UInt8(ascii: "/") {
            let (parent, name) = try place(Array(path[..<slash]))
            let made = SystemCalls.mkdirat(parent, name, 0o755)
            if made.code != EEXIST { try made.get("mkdir", path: path) }
        }
    }

    /// An empty file: a new one, or the one that is there, with all its names, as the kernel unpacks. What else has the
    /// name gives way.
    public func openFile(_ path: [UInt8]) throws(SystemError) -> FileDescriptor {
        let (parent, name) = try place(path)
        let flags = O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
        let isThere: Bool
        do throws(SystemError) {
            isThere = try FileDescriptor.status(of: name, in: parent, path).kind == .regular
        } catch {
            guard error.code == ENOENT else { throw error }
            isThere = false
        }
        if isThere {
            // Its permissions may keep its owner from writing.
            _ = SystemCalls.fchmodat(parent, name, 0o600)
        } else {
            try clear(parent, name, path)
        }
        let answer = SystemCalls.openat(parent, name, flags | (isThere ? O_TRUNC : O_CREAT | O_EXCL), 0o600)
        try answer.get("open", path: path)
        return FileDescriptor(adopting: answer.number, path: path)
    }

    public func makeLink(_ path: [UInt8], to target: [UInt8]) throws(SystemError) {
        let (parent, name) = try place(path)
        try clear(parent, name, path)
        try SystemCalls.symlinkat(target, parent, name).get("symlink", path: path)
    }

    /// A second name for a file that was made before.
    public func makeHardLink(_ path: [UInt8], to existing: [UInt8]) throws(SystemError) {
        // The file's directory, kept while the cache goes on to the other one.
        let (found, oldName) = try place(existing)
        let oldParent = try FileDescriptor.copy(of: found, path: existing)
        let (parent, name) = try place(path)
        try clear(parent, name, path)
        // A link that has taken the file's place is not followed.
        try SystemCalls.linkat(oldParent.number, oldName, parent, name).get("link", path: path)
    }

    /// A device node, a FIFO or a socket.
    /// - Parameter mode: type and permissions as in st_mode.
    public func makeNode(_ path: [UInt8], mode: UInt32, major: UInt32, minor: UInt32) throws(SystemError) {
        let (parent, name) = try place(path)
        try clear(parent, name, path)
        try SystemCalls.mknodat(parent, name, mode, DeviceNumber(major: major, minor: minor).number)
            .get("mknod", path: path)
        _ = SystemCalls.fchmodat(parent, name, mode & 0o7777)
    }

    /// lchown(2).
    public func setOwner(_ path: [UInt8], user: UInt32, group: UInt32) throws(SystemError) {
        let (parent, name) = try place(path)
        try SystemCalls.fchownat(parent, name, user, group).get("chown", path: path)
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
        guard let cut else { return (top.number, name) }
        let parent = Array(path[..<cut])
        if lastParent != parent {
            do throws(SystemError) {
                last = try resolution.open(parent[...], in: top)
            } catch {
                // An archive that is to be unpacked behind others lies in directories of theirs.
                guard error.code == ENOENT else { throw error }
                try makeParents(of: path)
                last = try resolution.open(parent[...], in: top)
            }
            lastParent = parent
        }
        return (last.number, name)
    }

    /// Takes away what has the name: an empty directory, or anything else.
    private func clear(_ parent: Int32, _ name: [UInt8], _ path: [UInt8]) throws(SystemError) {
        let answer = SystemCalls.unlinkat(parent, name)
        if answer.code == ENOENT { return }
        // Paths may have led through a link of this name. The directory itself stays open: the caller is in it.
        lastParent = []
        if answer.code == EISDIR {
            try SystemCalls.rmdir(parent, name).get("rmdir", path: path)
        } else {
            try answer.get("unlink", path: path)
        }
    }
}
