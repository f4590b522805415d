import Linux
import Manifest
import PRAM
import Text
import Verification

/// What is to be saved: the files of the chain, looked at before the first byte is written.
public struct SavePlan {
    struct File {
        /// In the chain.
        let name: [UInt8]
        let size: UInt64
        let mode: UInt32
        let source: Source
        /// Pages that hold data; holes are not stored. Of a stream, of which nobody knows: none.
        let pages: UInt64
    }

    /// Where a file's content comes from.
    enum Source {
        /// A file of the directory, by its name.
        case named([UInt8], Identity)
        /// A file of the tree.
        case path(TreePath, Identity)
        /// The manifest.
        case text(ManifestText)
        /// Standard input or the like, until it ends.
        case stream(Int32)
        /// A rehearsal's, made of its place.
        case canary(Canary)

        var identity: Identity? {
            switch self {
            case .named(_, let identity), .path(_, let identity): identity
            case .text, .stream, .canary: nil
            }
        }
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

        func isFile(_ other: FileStatus) -> Bool { device == other.device && inode == other.inode }
    }

    /// In the order of the chain. A manifest is the first, or, where it has to tell of a stream, the last.
    let files: [File]
    /// What is left out, and why: sentences.
    public let warnings: [String]
    /// The tree that files with paths are in.
    let tree: TreeWalk?

    init(files: [File], warnings: [String], tree: TreeWalk?) {
        self.files = files
        self.warnings = warnings
        self.tree = tree
    }

    /// Looks at every file; nothing is written.
    /// - Throws: a file that cannot be read, or has a size that the format does not hold.
    public init(_ directory: SourceDirectory) throws(WritingFailure) {
        var files: [File] = []
        var warnings: [String] = []
        let names: [[UInt8]]
        do throws(SystemError) { names = try directory.names() } catch { throw WritingFailure(error) }
        for name in names {
            if TemporaryName.process(of: name) != nil {
                warnings.append("\(escaped(name)) is left out: it is what an extraction has left that was ended")
                continue
            }
            if let file = try SavePlan.look(at: name, in: directory, &warnings) { files.append(file) }
        }
        self.init(files: files, warnings: warnings, tree: nil)
    }

    /// Opens what a file's content comes from; nil for what is no file.
    func open(_ file: File, in directory: SourceDirectory?) throws(SystemError) -> FileDescriptor? {
        switch file.source {
        case .named(let name, _): return try directory?.open(name)
        case .path(let path, _): return try tree?.open(path)
        case .text, .stream, .canary: return nil
        }
    }

    /// - Returns: nil for what is left out, with a warning.
    private static func look(
        at name: [UInt8], in directory: SourceDirectory, _ warnings: inout [String]
    ) throws(WritingFailure) -> File? {
        let refusal: WritingFailure
        do throws(SystemError) {
            let status = try directory.status(of: name)
            guard status.isRegular else {
                warnings.append("\(escaped(name)) is left out: \(typeName(status.kind))")
                return nil
            }
            guard !FileImage.isParity(name) else {
                warnings.append("\(escaped(name)) is left out: its name is reserved for parity")
                return nil
            }
            let file = try directory.open(name)
            let identity = Identity(try file.status())
            guard identity == Identity(status) else { throw SystemError("open", code: ErrorCode.stale, path: name) }
            if let refused = SavePlan.refusal(ofName: name) {
                refusal = refused
            } else if try !file.endsAt(identity.size) {
                refusal = WritingFailure(
                    .notSavable, "\(escaped(name)) does not end where its size of \(identity.size) bytes says",
                    remedy: "copy it elsewhere, and save the copy")
            } else {
                warn(of: status, name, &warnings)
                return File(
                    name: name, size: identity.size, mode: status.mode, source: .named(name, identity),
                    pages: try file.countDataPages(size: identity.size))
            }
        } catch {
            throw WritingFailure(error)
        }
        throw refusal
    }

    /// Some file systems have longer names than a META page holds (NTFS; FUSE).
    static func refusal(ofName name: [UInt8]) -> WritingFailure? {
        guard name.count > FileImage.nameCapacity else { return nil }
        return WritingFailure(
            .notSavable,
            "\(escaped(name)): its name has \(name.count) bytes, and the format holds \(FileImage.nameCapacity)",
            remedy: "give it a shorter name")
    }

    /// What of the file the format has no place for.
    private static func warn(of status: FileStatus, _ name: [UInt8], _ warnings: inout [String]) {
        if status.links > 1 {
            warnings.append("\(escaped(name)) has \(status.links) links; it is saved as a file of its own")
        }
        if status.user != 0 || status.group != 0 {
            warnings.append("\(escaped(name)) will lose its owner: the format has none")
        }
    }

    /// How many pages the chain takes: links, META and DATA; nil past 2^64.
    public var pagesNeeded: UInt64? {
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
    /// Whether its length is only known when it is written.
    var hasStream: Bool { files.contains { if case .stream = $0.source { true } else { false } } }

    private static func typeName(_ kind: FileStatus.Kind) -> String {
        switch kind {
        case .directory: "the format holds no directories"
        case .symbolicLink: "the format holds no symbolic links"
        default: "the format holds regular files only"
        }
    }
}

extension FileDescriptor {
    /// Whether the file's last byte is where its size says, and nothing comes behind it. Files that are made up as they
    /// are read (/proc, FUSE) often have no size, or a wrong one.
    borrowing func endsAt(_ size: UInt64) throws(SystemError) -> Bool {
        let start = size > 0 ? size - 1 : 0
        var bytes: (UInt8, UInt8) = (0, 0)
        let (number, path) = (number, path)
        let got = try withUnsafeMutableBytes(of: &bytes) { (buffer) throws(SystemError) in
            try FileDescriptor.read(number, path, at: start, into: buffer)
        }
        return UInt64(got) == size - start
    }

    /// How many pages hold data.
    borrowing func countDataPages(size: UInt64) throws(SystemError) -> UInt64 {
        let isExact = tellsHolesExactly
        var pages: UInt64 = 0
        var offset: UInt64 = 0
        while let run = try nextPages(from: offset, size: size, holesAreExact: isExact) {
            pages += run.upperBound - run.lowerBound
            offset = run.upperBound * UInt64(pageSize)
        }
        return pages
    }

    /// The next run of pages that hold data, from a byte offset on: page indexes; nil behind the last.
    /// - Parameter holesAreExact: where they are not, what is called a hole is read, and believed as far as it reads as
    ///   zeros.
    borrowing func nextPages(
        from offset: UInt64, size: UInt64, holesAreExact: Bool
    ) throws(SystemError) -> Range<UInt64>? {
        guard offset < size else { return nil }
        let data = min(nextData(from: offset) ?? size, size)
        if !holesAreExact, let page = try firstPageWithData(from: offset, to: data) { return page..<page + 1 }
        guard data < size else { return nil }
        let first = max(data, offset) / UInt64(pageSize)
        let end = (size - 1) / UInt64(pageSize) + 1
        // Where the file system tells no holes, all of it is data.
        guard let hole = nextHole(from: data) else { return first..<end }
        return first..<min(end, (hole - 1) / UInt64(pageSize) + 1)
    }

    /// The first page between two byte offsets that does not read as zeros.
    /// - Parameter start: at a page's start.
    borrowing func firstPageWithData(from start: UInt64, to end: UInt64) throws(SystemError) -> UInt64? {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: pageSize)
        defer { buffer.deallocate() }
        var offset = start
        while offset < end {
            let count = Int(min(UInt64(buffer.count), end - offset))
            let got = try read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]))
            guard got == count else { throw SystemError("read", code: ErrorCode.stale, path: path) }
            for place in stride(from: 0, to: count, by: pageSize)
            where !isAllZeros(UnsafeRawBufferPointer(rebasing: buffer[place..<min(place + pageSize, count)])) {
                return (offset + UInt64(place)) / UInt64(pageSize)
            }
            offset += UInt64(count)
        }
        return nil
    }
}
