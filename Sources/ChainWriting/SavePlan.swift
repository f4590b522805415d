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
        let size: UInt64
        let modified: FileStatus.Time
        let changed: FileStatus.Time

        init(_ status: FileStatus) {
            device = status.device
            inode = status.inode
            size = status.size
            modified = status.modified
            changed = status.changed
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
                guard status.isRegular else {
                    warnings.append("\(escaped(name)) is left out: \(SavePlan.typeName(status.kind))")
                    continue
                }
                let file = try directory.open(name)
                let identity = SavePlan.Identity(try file.status())
                guard identity == SavePlan.Identity(status) else {
                    throw SystemError("open", code: ErrorCode.stale, path: name)
                }
                var pages: UInt64 = 0
                var offset: UInt64 = 0
                while let run = file.nextPages(from: offset, size: identity.size) {
                    pages += run.upperBound - run.lowerBound
                    offset = run.upperBound * UInt64(pageSize)
                }
                if status.links > 1 {
                    warnings.append("\(escaped(name)) has \(status.links) links; it is saved as a file of its own")
                }
                if status.user != 0 || status.group != 0 {
                    warnings.append("\(escaped(name)) will lose its owner: the format has none")
                }
                files.append(
                    File(
                        name: name, size: identity.size, mode: status.mode, identity: identity,
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

    private static func typeName(_ kind: FileStatus.Kind) -> String {
        switch kind {
        case .directory: "the format holds no directories"
        case .symbolicLink: "the format holds no symbolic links"
        default: "the format holds regular files only"
        }
    }
}

extension FileDescriptor {
    /// The next run of pages that hold data, from a byte offset on: page indexes; nil behind the last.
    func nextPages(from offset: UInt64, size: UInt64) -> Range<UInt64>? {
        guard offset < size, let data = nextData(from: offset), data < size else { return nil }
        let first = max(data, offset) / UInt64(pageSize)
        let end = (size - 1) / UInt64(pageSize) + 1
        // Where the file system tells no holes, all of it is data.
        guard let hole = nextHole(from: data) else { return first..<end }
        return first..<min(end, (hole - 1) / UInt64(pageSize) + 1)
    }
}
