import CLinux
import Manifest

/// Finds directories below an open one without ever leaving it and without following a symbolic link: by openat2(2)
/// where the kernel has it (5.6), else component by component.
struct PathResolution {
    /// Tests look at the way without openat2 on kernels that have it.
    let isByComponents: Bool

    /// In bytes, so that a piece of a path with its NUL stays below PATH_MAX.
    private static let longestPiece = 4000

    /// Opens a directory with O_PATH: it can be named and searched, not read.
    /// - Parameter path: relative, as `TreePath` makes them; empty for `directory` itself.
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
            let number = withCString(path) { pv_open_beneath(directory.number, $0) }
            if number >= 0 { return FileDescriptor(adopting: number, path: path) }
            // EPERM is what filters of containers answer instead.
            guard pv_errno() == ENOSYS || pv_errno() == EPERM else { throw SystemError(last: "openat2", path: path) }
        }
        var here = try directory.duplicated()
        for name in piece.split(separator: UInt8(ascii: "/")) {
            let name = Array(name)
            let number = withCString(name) { pv_open_component(here.number, $0) }
            guard number >= 0 else { throw SystemError(last: "openat", path: path) }
            here = FileDescriptor(adopting: number, path: name)
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

    init(_ status: stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
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

    /// The path below /proc that stands for what is open, also for O_PATH and a symbolic link.
    var procPath: [UInt8] { Array("/proc/self/fd/\(number)".utf8) }
}
