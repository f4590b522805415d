import CLinux
import Linux
import PRAM
import Text

/// What is to be saved from a directory: its regular files, looked at before the first byte is written.
public struct SavePlan {
    struct File {
        let name: [UInt8]
        let size: UInt64
        let mode: UInt32
        let identity: Identity
        /// Pages that hold data; holes are not stored.
        let pages: UInt64
    }

    /// What must not change while a file is saved.
    struct Identity: Equatable {
        let device: UInt64
        let inode: UInt64
        let size: Int64
        let modified: [Int]

        init(_ status: stat) {
            device = UInt64(status.st_dev)
            inode = UInt64(status.st_ino)
            size = Int64(status.st_size)
            modified = [
                Int(status.st_mtim.tv_sec), Int(status.st_mtim.tv_nsec), Int(status.st_ctim.tv_sec),
                Int(status.st_ctim.tv_nsec),
            ]
        }
    }

    let files: [File]
    /// What is left out, and why: sentences.
    public let warnings: [String]

    /// Looks at every file; nothing is written.
    /// - Throws: a file that cannot be read, or has a size that the format does not hold.
    public init(_ directory: SourceDirectory) throws(WritingFailure) {
        var files: [File] = []
        var warnings: [String] = []
        do throws(SystemError) {
            for name in try directory.names() {
                let status = try directory.status(of: name)
                guard status.st_mode & UInt32(S_IFMT) == UInt32(S_IFREG) else {
                    warnings.append("\(escaped(name)) is left out: \(SavePlan.typeName(status.st_mode))")
                    continue
                }
                let file = try directory.open(name)
                let identity = SavePlan.Identity(try file.status())
                guard identity == SavePlan.Identity(status) else {
                    throw SystemError("open", code: ESTALE, path: name)
                }
                var pages: UInt64 = 0
                var offset: UInt64 = 0
                while let run = file.nextPages(from: offset, size: UInt64(identity.size)) {
                    pages += run.upperBound - run.lowerBound
                    offset = run.upperBound * UInt64(pageSize)
                }
                if status.st_nlink > 1 {
                    warnings.append("\(escaped(name)) has \(status.st_nlink) links; it is saved as a file of its own")
                }
                if status.st_uid != 0 || status.st_gid != 0 {
                    warnings.append("\(escaped(name)) will lose its owner: the format has none")
                }
                files.append(
                    File(
                        name: name, size: UInt64(identity.size), mode: UInt32(status.st_mode), identity: identity,
                        pages: pages))
            }
        } catch {
            throw WritingFailure(error)
        }
        self.files = files
        self.warnings = warnings
    }

    /// How many pages the chain takes: links, META and DATA; nil past 2^64.
    var pagesNeeded: UInt64? {
        var entries: UInt64 = 0
        for file in files {
            let (sum, overflow) = entries.addingReportingOverflow(file.pages + 1)
            if overflow { return nil }
            entries = sum
        }
        let links = entries / UInt64(Link.capacity) + (entries % UInt64(Link.capacity) == 0 ? 0 : 1)
        let (sum, overflow) = entries.addingReportingOverflow(links)
        return overflow ? nil : sum
    }

    public var isEmpty: Bool { files.isEmpty }

    private static func typeName(_ mode: mode_t) -> String {
        switch mode & UInt32(S_IFMT) {
        case UInt32(S_IFDIR): "the format holds no directories"
        case UInt32(S_IFLNK): "the format holds no symbolic links"
        default: "the format holds regular files only"
        }
    }
}

extension FileDescriptor {
    /// The next run of pages that hold data, from a byte offset on: page indexes; nil behind the last.
    func nextPages(from offset: UInt64, size: UInt64) -> Range<UInt64>? {
        guard offset < size, let start = off_t(exactly: offset) else { return nil }
        let end = (size - 1) / UInt64(pageSize) + 1
        let data = pv_next_data(number, start)
        if data < 0 {
            // ENXIO: only a hole follows. Anything else: the file system does not tell holes, so all of it is data.
            return pv_errno() == ENXIO ? nil : offset / UInt64(pageSize)..<end
        }
        guard UInt64(data) < size else { return nil }
        let hole = pv_next_hole(number, data)
        let first = max(UInt64(data), offset) / UInt64(pageSize)
        guard hole > data else { return first..<end }
        return first..<min(end, (UInt64(hole) - 1) / UInt64(pageSize) + 1)
    }
}
