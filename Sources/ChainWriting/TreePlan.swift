import Linux
import Manifest
import PRAM
import Text

extension SavePlan {
    /// How a tree is saved.
    public struct TreeOptions {
        public var walk = TreeWalk.Options()
        /// Whatever is left out, and was not asked to be, is an error.
        public var isStrict = false
        /// Who saves it: the manifest's head.
        public var provenance = Provenance()
        /// A name in the top directory for what comes from a descriptor until it ends.
        public var stream: (name: [UInt8], descriptor: Int32)?

        public init() {}
    }

    /// Looks at everything below a directory, and writes the manifest in memory; nothing else is written.
    /// - Parameter path: nil for a stream alone.
    /// - Throws: a file that cannot be read or that changed meanwhile; with `isStrict`, whatever is left out.
    public init(tree path: [UInt8]?, options: TreeOptions) throws(WritingFailure) {
        var planner: TreePlanner
        do throws(SystemError) {
            planner = try TreePlanner(path, options)
        } catch {
            throw WritingFailure(error)
        }
        try planner.look()
        self.init(files: planner.files, warnings: planner.warnings, tree: planner.walk)
    }

    /// Pages that are needed for what is written behind a stream, links not counted.
    var pagesBehindStream: UInt64 {
        guard case .text(let text)? = files.last?.source else { return 0 }
        return SavePlan.pages(of: text.bound) + 1
    }

    /// Enters a stream, now that its length is known, in the manifest.
    func tell(streamed name: [UInt8], size: UInt64) {
        guard case .text(let text)? = files.last?.source, let path = try? TreePath(name) else { return }
        var entry = TreeEntry(path: path, kind: .regular)
        entry.mode = 0o600
        entry.uid = effectiveUser()
        entry.time = SystemIdentity.wallTime()
        entry.links = 1
        entry.size = size
        entry.contents = name
        text.write(entry)
    }

    static func pages(of length: UInt64) -> UInt64 { length == 0 ? 0 : (length - 1) / UInt64(pageSize) + 1 }
}

/// Goes through a tree, and collects what is to be saved of it.
private struct TreePlanner {
    let walk: TreeWalk?
    /// Bytes of extended attributes that every name of a file tells of.
    private static let repeated = 1024

    private let options: SavePlan.TreeOptions
    private let text: ManifestText
    private var names: ChainNames
    /// The chain names of files with several names, by their link groups, which are counted from 1.
    private var groups: [[UInt8]] = []
    private var hasContent = false
    private(set) var files: [SavePlan.File] = []
    private(set) var warnings: [String] = []

    init(_ path: [UInt8]?, _ options: SavePlan.TreeOptions) throws(SystemError) {
        self.options = options
        text = ManifestText(options.provenance)
        var top: [[UInt8]] = []
        if let path {
            let walk = try TreeWalk(path, options: options.walk)
            top = try walk.topNames()
            self.walk = walk
        } else {
            walk = nil
        }
        if let stream = options.stream { top.append(stream.name) }
        names = ChainNames(top: top, reserved: [bytes(FileImage.parityName)], seed: (randomNumber(), randomNumber()))
    }

    mutating func look() throws(WritingFailure) {
        while let event = walk?.next() {
            switch event {
            case .leftOut(let path, let reason): try leaveOut(path, reason)
            case .entry(let entry, let descriptor, let isRepeated):
                if entry.path != .top { hasContent = true }
                do throws(SystemError) {
                    try add(entry, descriptor, isRepeated)
                } catch {
                    throw WritingFailure(error)
                }
            }
        }
        if let stream = options.stream {
            hasContent = true
            files.append(
                SavePlan.File(
                    name: stream.name, size: 0, mode: 0o100600, source: .stream(stream.descriptor), pages: 0))
        }
        // A directory with nothing in it is no chain.
        guard hasContent else { return }
        let length = options.stream == nil ? text.finish() : text.bound
        guard length < TreeEntry.Limits().text else {
            throw WritingFailure(.notSavable, "the manifest would be longer than 4 GiB", remedy: "save it in parts")
        }
        let manifest = SavePlan.File(
            name: ManifestFile.name, size: length, mode: 0o100600, source: .text(text),
            pages: SavePlan.pages(of: length))
        if options.stream == nil { files.insert(manifest, at: 0) } else { files.append(manifest) }
    }

    private mutating func leaveOut(_ path: [UInt8], _ reason: TreeWalk.LeftOut) throws(WritingFailure) {
        let sentence: Phrase
        switch reason {
        case .excluded, .otherFileSystem: return
        case .changed: throw WritingFailure(.changed, "\(escaped(path)) changed while it was looked at")
        case .unreadable(let call, let code):
            throw WritingFailure(SystemError(call, code: code, path: path))
        case .socket: sentence = "it is a socket"
        case .leftover: sentence = "it is what an extraction has left that was ended"
        case .longPath: sentence = "its path is longer than \(TreePath.longest) bytes"
        case .attributesTooLarge:
            sentence = "its extended attributes are more than \(options.walk.attributes) bytes"
        }
        if options.isStrict {
            throw WritingFailure(
                .notSavable, "\(escaped(path)) would be left out, and --strict forbids that: \(sentence)")
        }
        let what: StaticString =
            reason == .attributesTooLarge ? "is saved without its extended attributes" : "is left out"
        warnings.append(Phrase("\(escaped(path)) \(what): \(sentence)").text)
    }

    private mutating func add(_ found: TreeEntry, _ descriptor: Int32, _ isRepeated: Bool) throws(SystemError) {
        var entry = found
        guard entry.kind == .regular else {
            text.write(entry)
            return
        }
        if isRepeated, let name = groupName(entry) {
            entry.contents = name
            // They are those of the first name. Small ones are told again, in case that its line is lost.
            if entry.attributes.reduce(0, { $0 + $1.value.count }) > TreePlanner.repeated { entry.attributes = [] }
        } else {
            let name = names.name(of: entry.path)
            entry.contents = name
            try addFile(entry, name, descriptor)
            remember(entry, name)
        }
        entry.linkGroup = nil
        text.write(entry)
    }

    private func groupName(_ entry: TreeEntry) -> [UInt8]? {
        guard let group = entry.linkGroup, group <= UInt64(groups.count), group > 0 else { return nil }
        let name = groups[Int(group) - 1]
        return name.isEmpty ? nil : name
    }

    private mutating func remember(_ entry: TreeEntry, _ name: [UInt8]) {
        guard let group = entry.linkGroup else { return }
        while UInt64(groups.count) < group { groups.append([]) }
        groups[Int(group) - 1] = name
    }

    private mutating func addFile(_ entry: TreeEntry, _ name: [UInt8], _ descriptor: Int32) throws(SystemError) {
        let file = try FileDescriptor.duplicated(descriptor, path: entry.path.bytes)
        let status = try file.status()
        guard try file.endsAt(status.size) else {
            // What is made up as it is read (/proc, FUSE) often has no size, or a wrong one.
            throw SystemError("read", code: ErrorCode.stale, path: entry.path.bytes)
        }
        files.append(
            SavePlan.File(
                name: name, size: status.size, mode: status.mode,
                source: .path(entry.path, SavePlan.Identity(status)),
                pages: try file.countDataPages(size: status.size)))
    }
}
