import Linux
import Manifest
import PRAM
import Text
import Verification

extension Restoration {
    /// `load` writes all or nothing where the directory holds older files of the same names: what is intact is not to
    /// be mixed with what damaged files were before.
    /// - Returns: what becomes of each file then; nil where everything can be restored, or nothing older is there.
    func refusal(of chain: ChainEvaluation, _ directory: Directory, _ report: Report) -> [Extraction]? {
        guard !call.has(.partial) else { return nil }
        let isEmpty = directory.isEmpty
        let isWhole = chain.verdict == .intact || call.has(.damaged)
        let cause: [UInt8]?
        let reason: Phrase
        let remedy: StaticString
        if !isEmpty, let other = conflict(in: directory, of: chain, report) {
            cause = other
            reason = "exists and is of another kind, a directory or none"
            remedy = "--partial restores the others"
        } else if let room = directory.freeSpace, needed(of: chain) > room {
            cause = nil
            reason = "\(byteCount(needed(of: chain))) are needed and \(byteCount(room)) are free"
            remedy = "--partial restores what fits"
        } else {
            guard !isEmpty, !isWhole || !call.has(.force) else { return nil }
            guard let older = olderFile(in: directory, of: chain, report) else { return nil }
            cause = older
            reason = isWhole ? "exists" : "exists, and not all of the chain is intact"
            remedy =
                isWhole ? "--force replaces what exists, --partial restores the others" : "--partial restores what is"
        }
        let paths = paths(of: chain, report)
        let files = chain.usersFiles(manifest: report.manifest?.file)
        var refused = files.map { number in
            let file = chain.files[number]
            let message: Phrase
            if let cause, cause == paths[number] {
                message = "it \(reason); \(remedy)"
            } else if file.status != .intact && !call.has(.damaged) {
                message = "it is \(file.status.name)"
            } else if let cause {
                message = "nothing is restored because of \(escaped(cause))"
            } else {
                message = "\(reason); \(remedy)"
            }
            // Nothing is wrong with a file for which there is no room: it could not be written.
            let lacksRoom = cause == nil && (file.status == .intact || call.has(.damaged))
            return Extraction(name: paths[number], outcome: lacksRoom ? .failed : .refused, message: message.text)
        }
        // A directory or a link has no file in the chain.
        if let cause, !files.contains(where: { paths[$0] == cause }) {
            refused.insert(
                Extraction(name: cause, outcome: .refused, message: Phrase("it \(reason); \(remedy)").text), at: 0)
        }
        return refused
    }

    /// Where each file of the chain goes, by its number: its first path in the manifest, or its name in the chain.
    func paths(of chain: ChainEvaluation, _ report: Report) -> [[UInt8]] {
        guard let manifest = report.manifest, !call.has(.flat) else { return chain.files.map { $0.name } }
        let found = Paths(chain)
        manifest.read { event in
            guard case .entry(let entry) = event, entry.kind == .regular,
                let file = found.index.contents(of: entry), found.isNamed[file] == false
            else { return }
            found.isNamed[file] = true
            found.paths[file] = entry.path.bytes
        }
        return found.paths
    }

    private final class Paths {
        let index: ChainNameIndex
        var paths: [[UInt8]]
        var isNamed: [Bool]

        init(_ chain: ChainEvaluation) {
            index = ChainNameIndex(chain.files)
            paths = chain.files.map { $0.name }
            isNamed = paths.map { _ in false }
        }
    }

    /// How many bytes the files take, holes left out. What gives way does so only when all of them are there.
    private func needed(of chain: ChainEvaluation) -> UInt64 {
        var pages: UInt64 = 0
        for file in chain.files where !file.isParity && (file.status == .intact || call.has(.damaged)) {
            pages = min(pages &+ file.pages, .max / UInt64(pageSize))
        }
        return pages * UInt64(pageSize)
    }

    /// The first that stands where a directory is to be and is none, or the other way round: nothing replaces that.
    private func conflict(in directory: Directory, of chain: ChainEvaluation, _ report: Report) -> [UInt8]? {
        let top = directory.path + [UInt8(ascii: "/")]
        guard let manifest = report.manifest, !call.has(.flat) else {
            return chain.files.first { !$0.isParity && FileDescriptor.isDirectory(top + $0.name) == true }?.name
        }
        let found = Found()
        manifest.read { event in
            guard found.path == nil, case .entry(let entry) = event, entry.path != .top,
                let isDirectory = FileDescriptor.isDirectory(top + entry.path.bytes)
            else { return }
            if isDirectory != (entry.kind == .directory) { found.path = entry.path.bytes }
        }
        return found.path
    }

    /// The first that is found, by its path.
    private func olderFile(in directory: Directory, of chain: ChainEvaluation, _ report: Report) -> [UInt8]? {
        let top = directory.path + [UInt8(ascii: "/")]
        guard let manifest = report.manifest, !call.has(.flat) else {
            return chain.files.first { !$0.isParity && FileDescriptor.isTaken(top + $0.name) }?.name
        }
        let found = Found()
        manifest.read { event in
            guard found.path == nil, case .entry(let entry) = event, entry.kind != .directory else { return }
            if FileDescriptor.isTaken(top + entry.path.bytes) { found.path = entry.path.bytes }
        }
        return found.path
    }

    private final class Found { var path: [UInt8]? }
}
