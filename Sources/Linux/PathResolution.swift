import CLinux
import Manifest

/// Finds directories below an open one without ever leaving it: by openat2(2) where the kernel has it (5.6), else
/// component by component, and then through no symbolic link.
struct PathResolution {
    enum Links {
        /// None is followed.
        case none
        /// Where openat2 can be had, they are followed, and the upper directory is the root for them and for `..`.
        case withinRoot
    }

    let links: Links
    /// Tests look at the way without openat2 on kernels that have it.
    let isByComponents: Bool

    init(_ links: Links = .none, isByComponents: Bool) {
        self.links = links
        self.isByComponents = isByComponents
    }

    /// In bytes, so that a piece of a path with its NUL stays below PATH_MAX.
    private static let longestPiece = 4000

    /// Opens a directory with O_PATH: it can be named and searched, not read.
    /// - Parameter path: relative; empty for `directory` itself.
    /// - Throws: ENOENT, ELOOP or ENOTDIR for what is no directory, with `path`.
    func open(_ path: ArraySlice<UInt8>, in directory: borrowing FileDescriptor) throws(SystemError) -> FileDescriptor {
        var here = try directory.duplicated()
        var rest = path
        while !rest.isEmpty {
            let piece = PathResolution.piece(of: rest)
            rest = rest.dropFirst(piece.count + 1)
            here = try step(piece, from: here)
        }
        return here
    }

    private func step(
        _ piece: ArraySlice<UInt8>, from directory: borrowing FileDescriptor
    ) throws(SystemError) -> FileDescriptor {
        let path = Array(piece)
        if !isByComponents {
            let answer = SystemCalls.openBelow(directory.number, path, linksAllowed: links == .withinRoot)
            // EPERM is what filters of containers answer instead.
            if answer.code != ENOSYS && answer.code != EPERM {
                try answer.get("open", path: path)
                return FileDescriptor(adopting: answer.number, path: path)
            }
        }
        var here = try directory.duplicated()
        for name in piece.split(separator: UInt8(ascii: "/")) {
            guard !name.elementsEqual("..".utf8) else { throw SystemError("open", code: EINVAL, path: path) }
            here = try FileDescriptor.openComponent(Array(name), in: here.number, path)
        }
        return here
    }

    /// As many whole components as one call can take.
    private static func piece(of path: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard path.count > longestPiece else { return path }
        let slash = path.prefix(longestPiece).lastIndex(of: UInt8(ascii: "/")) ?? path.endIndex
        return path[..<slash]
    }
}

/// Which inode something is.
struct InodeNumber: Equatable {
    var device: UInt64
    var inode: UInt64

    init(_ status: FileStatus) {
        device = status.device
        inode = status.inode
    }

    init(device: UInt64, inode: UInt64) {
        self.device = device
        self.inode = inode
    }
}

extension FileDescriptor {
    /// A directory opened for reading, from one that was opened with O_PATH.
    func reopenedForReading() throws(SystemError) -> FileDescriptor {
        try FileDescriptor.open([UInt8(ascii: ".")], O_RDONLY | O_DIRECTORY, in: number)
    }

    /// A directory in another one, for naming it alone (O_PATH).
    /// - Parameter path: for errors.
    static func openComponent(
        _ name: [UInt8], in directory: Int32, _ path: [UInt8]
    ) throws(SystemError) -> FileDescriptor {
        let answer = SystemCalls.openName(directory, name, O_DIRECTORY)
        try answer.get("open", path: path)
        return FileDescriptor(adopting: answer.number, path: name)
    }

    /// Anything in a directory, for naming it alone (O_PATH), a symbolic link itself too.
    /// - Parameter path: for errors.
    static func openName(_ name: [UInt8], in directory: Int32, _ path: [UInt8]) throws(SystemError) -> FileDescriptor {
        let answer = SystemCalls.openName(directory, name, 0)
        try answer.get("open", path: path)
        return FileDescriptor(adopting: answer.number, path: path)
    }

    /// lstat(2) of a name in a directory.
    /// - Parameter path: for errors.
    static func status(of name: [UInt8], in directory: Int32, _ path: [UInt8]) throws(SystemError) -> FileStatus {
        var status = stat()
        try SystemCalls.fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW).get("stat", path: path)
        return FileStatus(status)
    }

    /// The path below /proc that stands for what is open, also for O_PATH and a symbolic link.
    var procPath: [UInt8] { Array("/proc/self/fd/\(number)".utf8) }
}

extension DeviceNumber {
    /// As glibc's makedev(3) packs it: 32 bits of each, the lower ones in the old places.
    var number: UInt64 {
        let high = UInt64(major & 0xffff_f000) << 32 | UInt64(major & 0xfff) << 8
        return high | UInt64(minor & 0xffff_ff00) << 12 | UInt64(minor & 0xff)
    }

    init(number: UInt64) {
        self.init(
            major: UInt32(truncatingIfNeeded: number >> 32 & 0xffff_f000 | number >> 8 & 0xfff),
            minor: UInt32(truncatingIfNeeded: number >> 12 & 0xffff_ff00 | number & 0xff))
    }
}
