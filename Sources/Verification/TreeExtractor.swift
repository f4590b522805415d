import Linux
import Manifest
import PRAM
import Text

/// Restores the tree that a chain's manifest tells of.
///
/// First the content goes, in the order of the chain, into a directory of its own within the target. Then the manifest
/// is read entry by entry, and everything gets its place, its name and what the entry says of it; so neither the order
/// of the chain nor that of the manifest matters, and memory does not grow with either. What no entry tells of keeps
/// its name in the chain.
public struct TreeExtractor {
    public struct Options {
        /// See `Extractor`.
        public var takesDamaged = false
        public var replaces = false
        public var keepsModeBits = false
        public var synchronizes = false
        public var makesDevices = false
        public var threads = 1

        public init() {}
    }

    public struct Outcome {
        public var extractions: [Extraction] = []
        /// What could not be set, in sentences, the first of them.
        public var shortfalls: [String] = []
        public var shortfallCount: UInt64 = 0
        /// Everything that is no regular file.
        public var others: UInt64 = 0
    }

    private let manifest: ChainManifest
    private let options: Options

    public init(_ manifest: ChainManifest, options: Options) {
        self.manifest = manifest
        self.options = options
    }

    /// - Parameters:
    ///   - names: paths of what to restore, directories with all below them; or names in the chain of what the manifest
    ///     does not tell of. Empty for everything.
    ///   - target: made where it does not exist.
    public func extract(_ names: [[UInt8]], into target: [UInt8]) throws(SystemError) -> Outcome {
        var writing = TreeWriter.Options()
        writing.replaces = options.replaces
        writing.keepsSpecialBits = options.keepsModeBits
        writing.makesDevices = options.makesDevices
        writing.changesTop = names.isEmpty
        let run = Run(manifest, options, WantedPaths(names))
        let writer = try TreeWriter(target, options: writing) { run.fell($0) }
        try Directory(target).removeLeftovers()
        let staging = try Directory(stagingIn: target)
        run.select()
        var extractor = Extractor(
            directory: staging, takesDamaged: options.takesDamaged, replaces: false, keepsModeBits: false,
            synchronizes: options.synchronizes)
        extractor.isStaging = true
        extractor.threads = options.threads
        extractor.extract(of: manifest.evaluation, head: manifest.head, memory: manifest.memory) {
            run.isSelected[$0]
        } told: {
            run.stage($0, $1)
        }
        run.place(writer, staging)
        run.placeUnnamed(writer, staging)
        for number in run.isStaged.indices where run.isStaged[number] {
            staging.remove(manifest.evaluation.files[number].name)
        }
        do throws(SystemError) { try staging.removeDirectory() } catch { run.fail([], error.message) }
        do throws(SystemError) {
            try writer.finish()
            if options.synchronizes { try Directory(target).synchronizeFileSystem() }
        } catch {
            run.fail([], error.message)
        }
        return run.outcome(names)
    }

    /// One restoration.
    private final class Run {
        private let manifest: ChainManifest
        private let files: [StoredFile]
        private let options: Options
        private var wanted: WantedPaths
        private let index: ChainNameIndex
        /// By the numbers of the chain's files.
        var isSelected: [Bool]
        var isStaged: [Bool]
        private var isNamed: [Bool]
        private var isPlaced: [Bool]
        private var results: [Extraction?]
        private var outcome = Outcome()
        private var omitted: UInt64 = 0
        private var recorded = 0
        private var serial = 0
        /// Of what no entry tells: whether one has its name, or a directory in which it lies has.
        private var isNameTaken: [Bool]
        private var hasUnnamed = false
        /// What is no regular file and has several names, by the numbers of the groups, which ascend.
        private var groups: [(number: UInt64, entry: TreeEntry)] = []

        private static let mostFailures = 10_000
        private static let mostGroups = 4096

        init(_ manifest: ChainManifest, _ options: Options, _ wanted: WantedPaths) {
            self.manifest = manifest
            self.options = options
            self.wanted = wanted
            files = manifest.evaluation.files
            index = ChainNameIndex(files)
            isSelected = [Bool](repeating: false, count: files.count)
            isStaged = isSelected
            isNamed = isSelected
            isPlaced = isSelected
            isNameTaken = isSelected
            results = files.map { _ in nil }
        }

        func fell(_ shortfall: TreeShortfall) {
            outcome.shortfallCount += 1
            guard outcome.shortfalls.count < 20 else { return }
            let attribute = shortfall.attribute.isEmpty ? "" : " \(escaped(shortfall.attribute))"
            let path = shortfall.path.isEmpty ? "the directory" : escaped(shortfall.path)
            let reason = SystemError("set", code: shortfall.code).message
            outcome.shortfalls.append(
                Phrase("\(path): its \(shortfall.part.name)\(attribute) could not be set: \(reason)").text)
        }

        /// Which files of the chain are needed.
        func select() {
            manifest.read { [self] event in
                guard case .entry(let entry) = event, entry.kind == .regular, let file = index.contents(of: entry)
                else { return }
                isNamed[file] = true
                if wanted.holds(entry.path) { isSelected[file] = true }
            }
            for number in files.indices where !isNamed[number] {
                // The manifest itself is given to those who ask for it.
                isSelected[number] =
                    wanted.isEverything ? number != manifest.file : wanted.take(files[number].name)
            }
            hasUnnamed = files.indices.contains { isSelected[$0] && !isNamed[$0] && !files[$0].isParity }
        }

        func stage(_ number: Int, _ result: Extraction) {
            guard number >= 0 else { return fail(result.name, result.message) }
            results[number] = result
            switch result.outcome {
            case .refused, .failed: break
            default: isStaged[number] = true
            }
        }

        /// A failure that is listed, up to a number of them.
        func fail(_ path: [UInt8], _ message: String, _ kind: Extraction.Outcome = .failed) {
            recorded += 1
            guard recorded <= Run.mostFailures else {
                omitted += 1
                return
            }
            outcome.extractions.append(Extraction(name: path, outcome: kind, message: message))
        }

        func place(_ writer: TreeWriter, _ staging: Directory) {
            manifest.read { [self] event in
                guard case .entry(let entry) = event, wanted.holds(entry.path, takes: true) else { return }
                takeName(of: entry)
                do throws(SystemError) {
                    switch entry.kind {
                    case .directory: try writer.makeDirectory(entry)
                    case .regular: return try placeFile(entry, writer, staging)
                    default:
                        if entry.kind == .characterDevice || entry.kind == .blockDevice, !options.makesDevices {
                            return fail(entry.path.bytes, "it is a device node; --devices makes it", .refused)
                        }
                        try placeSpecial(entry, writer)
                    }
                    outcome.others += 1
                } catch {
                    fail(entry.path.bytes, Run.sentence(error))
                }
            }
        }

        private static let gone = "its content has gone to an earlier entry"

        private static func sentence(_ error: SystemError) -> String {
            error.code == ErrorCode.exists ? "something of this name exists; --force replaces it" : error.message
        }

        /// The first of a group makes what the others are further names of, if they say the same of it.
        private func placeSpecial(_ entry: TreeEntry, _ writer: TreeWriter) throws(SystemError) {
            guard let number = entry.linkGroup else { return try writer.makeSpecial(entry) }
            var (low, high) = (0, groups.count)
            while low < high {
                let middle = (low + high) / 2
                if groups[middle].number < number { low = middle + 1 } else { high = middle }
            }
            guard low < groups.count, groups[low].number == number else {
                try writer.makeSpecial(entry)
                if groups.count < Run.mostGroups { groups.insert((number, entry), at: low) }
                return
            }
            let first = groups[low].entry
            if first.kind == entry.kind && first.target == entry.target {
                try writer.link(entry, to: first.path)
            } else {
                try writer.makeSpecial(entry)
            }
        }

        /// What no entry tells of keeps its name in the chain only where no entry has that name.
        private func takeName(of entry: TreeEntry) {
            guard hasUnnamed else { return }
            let name = entry.path.bytes.prefix { $0 != UInt8(ascii: "/") }
            if !name.isEmpty, let file = index[Array(name)], !isNamed[file] { isNameTaken[file] = true }
        }

        private func placeFile(_ entry: TreeEntry, _ writer: TreeWriter, _ staging: Directory) throws(SystemError) {
            guard let file = index.contents(of: entry) else {
                return fail(entry.path.bytes, "no readable file of the chain has its content", .refused)
            }
            guard isStaged[file], let staged = results[file] else {
                if isPlaced[file] { return fail(entry.path.bytes, Run.gone) }
                // Each name of a file that cannot be had is named.
                let result = results[file]
                return fail(entry.path.bytes, result?.message ?? "its content is missing", result?.outcome ?? .failed)
            }
            let name = files[file].name
            if entry.links ?? 1 > 1 {
                serial += 1
                let link = Array(".pram-verify-link-\(serial)".utf8)
                try staging.link(name, to: link)
                do throws(SystemError) {
                    try writer.adoptFile(entry, link, from: staging.number)
                } catch {
                    staging.remove(link)
                    throw error
                }
            } else {
                guard !isPlaced[file] else {
                    return fail(entry.path.bytes, Run.gone)
                }
                try writer.adoptFile(entry, name, from: staging.number)
                isStaged[file] = false
            }
            isPlaced[file] = true
            outcome.extractions.append(
                Extraction(name: entry.path.bytes, outcome: staged.outcome, message: staged.message))
        }

        /// What no entry tells of, under its name in the chain.
        func placeUnnamed(_ writer: TreeWriter, _ staging: Directory) {
            for number in files.indices where isSelected[number] && !isNamed[number] {
                guard let result = results[number] else { continue }
                let name = files[number].name
                guard isStaged[number], let path = try? TreePath(name) else {
                    fail(name, result.message, result.outcome)
                    continue
                }
                guard !isNameTaken[number] else {
                    fail(name, "something else has its name in the tree; --flat extracts it", .refused)
                    continue
                }
                var entry = TreeEntry(path: path, kind: .regular)
                entry.mode = files[number].mode & 0o777
                do throws(SystemError) {
                    try writer.adoptFile(entry, name, from: staging.number)
                    isStaged[number] = false
                    let isPlain = result.outcome == .written
                    outcome.extractions.append(
                        Extraction(
                            name: name, outcome: isPlain ? .writtenFlat : result.outcome,
                            message: isPlain
                                ? "the manifest does not tell of it: this is its name in the chain"
                                : result.message))
                } catch {
                    fail(name, Run.sentence(error))
                }
            }
        }

        func outcome(_ names: [[UInt8]]) -> Outcome {
            for name in wanted.notTaken {
                fail(name, "the chain has no file of this name")
            }
            if omitted > 0 {
                outcome.extractions.append(
                    Extraction(name: [], outcome: .failed, message: "\(omitted) further failures are not listed"))
            }
            return outcome
        }
    }
}

/// Paths that were asked for.
struct WantedPaths {
    private var sorted: [[UInt8]] = []
    private var isTaken: [Bool] = []
    let isEverything: Bool

    init(_ names: [[UInt8]]) {
        isEverything = names.isEmpty
        for name in names {
            var name = name
            while name.count > 1, name.last == UInt8(ascii: "/") { name.removeLast() }
            sorted.append((try? TreePath(name))?.bytes ?? name)
        }
        sorted.sort { $0.lexicographicallyPrecedes($1) }
        isTaken = sorted.map { _ in false }
    }

    /// Those of which nothing was found.
    var notTaken: [[UInt8]] {
        var list: [[UInt8]] = []
        for (number, name) in sorted.enumerated() where !isTaken[number] { list.append(name) }
        return list
    }

    private func place(of name: ArraySlice<UInt8>) -> Int? {
        var low = 0
        var high = sorted.count
        while low < high {
            let middle = (low + high) / 2
            if sorted[middle].lexicographicallyPrecedes(name) { low = middle + 1 } else { high = middle }
        }
        return low < sorted.count && sorted[low].elementsEqual(name) ? low : nil
    }

    mutating func take(_ name: [UInt8]) -> Bool {
        guard let place = place(of: name[...]) else { return false }
        var next = place
        while next < sorted.count, sorted[next] == name {
            isTaken[next] = true
            next += 1
        }
        return true
    }

    /// Whether the path, or a directory that it lies in, was asked for.
    mutating func holds(_ path: TreePath, takes: Bool = false) -> Bool {
        if isEverything { return true }
        var end = path.bytes.count
        while true {
            if place(of: path.bytes[..<end]) != nil {
                return takes ? take(Array(path.bytes[..<end])) : true
            }
            guard end > 0 else { return false }
            end = path.bytes[..<end].lastIndex(of: UInt8(ascii: "/")) ?? 0
        }
    }
}
