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
        let isWhole = chain.verdict == .intact || call.has(.damaged)
        let reason: Phrase
        if let other = conflict(in: directory, of: chain, report) {
            reason =
                "\(escaped(other)) exists and is of another kind, a directory or none; --partial restores the others"
        } else if let room = directory.freeSpace, needed(of: chain) > room {
            reason =
                "\(byteCount(needed(of: chain))) are needed and \(byteCount(room)) are free; --partial restores what fits"
        } else {
            guard !isWhole || !call.has(.force) else { return nil }
            guard let older = olderFile(in: directory, of: chain, report) else { return nil }
            reason =
                isWhole
                ? "\(escaped(older)) exists; --force replaces what exists, --partial restores the others"
                : "\(escaped(older)) exists, and not all of the chain is intact; --partial restores what is"
        }
        return chain.usersFiles(manifest: report.manifest?.file).map { number in
            let file = chain.files[number]
            return Extraction(
                name: file.name, outcome: .refused,
                message: file.status == .intact || call.has(.damaged) ? reason.text : "it is \(file.status.name)")
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
            return chain.files.first { !$0.isParity && FileDescriptor.exists(top + $0.name) }?.name
        }
        let found = Found()
        manifest.read { event in
            guard found.path == nil, case .entry(let entry) = event, entry.kind != .directory else { return }
            if FileDescriptor.exists(top + entry.path.bytes) { found.path = entry.path.bytes }
        }
        return found.path
    }

    private final class Found { var path: [UInt8]? }
}
