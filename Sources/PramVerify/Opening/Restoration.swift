import ChainWriting
import Linux
import Manifest
import PRAM
import Text
import Verification

/// Restoring the files of a checked chain, as the options of `extract` and `load` ask for.
struct Restoration {
    let call: Call
    private let synchronizes: Bool

    init(_ call: Call, synchronizes: Bool) {
        self.call = call
        self.synchronizes = synchronizes
    }

    /// Into a directory: the tree, or without a manifest, or with --flat, the files as the chain has them.
    /// - Parameter names: empty for everything.
    /// - Returns: whether everything in the chain is there now as it was saved.
    @discardableResult
    func restore(
        _ names: [[UInt8]], of chain: ChainEvaluation, head: PFN, memory: any PhysicalMemory, _ directory: Directory,
        _ report: inout Report
    ) throws(Failure) -> Bool {
        guard let manifest = report.manifest, !call.has(.flat) else {
            let extractor = Extractor(
                directory: directory, takesDamaged: call.has(.damaged), replaces: call.has(.force),
                keepsModeBits: call.has(.preserveMode), synchronizes: synchronizes)
            let extractions = extractor.extract(names, of: chain, head: head, memory: memory)
            report.extractions = extractions
            return chain.verdict == .intact && extractions.count == chain.files.count(where: { !$0.isParity })
                && extractions.allSatisfy { $0.outcome == .written }
        }
        var options = TreeExtractor.Options()
        options.takesDamaged = call.has(.damaged)
        options.replaces = call.has(.force)
        options.keepsModeBits = call.has(.preserveMode)
        options.makesDevices = call.has(.devices)
        options.synchronizes = synchronizes
        options.threads = (try? call.threadCount()) ?? 1
        let outcome = try calling { () throws(SystemError) in
            try TreeExtractor(manifest, options: options).extract(names, into: directory.path)
        }
        report.extractions = outcome.extractions
        var warnings = outcome.shortfalls
        if outcome.shortfallCount > UInt64(warnings.count) {
            warnings.append("\(outcome.shortfallCount - UInt64(warnings.count)) further things could not be set")
        }
        if !warnings.isEmpty { report.warnings = (report.warnings ?? []) + warnings }
        return chain.verdict == .intact && outcome.shortfallCount == 0
            && outcome.extractions.allSatisfy { $0.outcome == .written || $0.outcome == .writtenFlat }
    }

    /// Where there is no chain, what was asked for is missing: nothing is no file.
    static func refusePouring(_ call: Call) throws(Failure) {
        guard let name = call[.stdout] else { return }
        throw .writing(
            WritingFailure(
                .noChain, "there is no chain, and so no \(escaped(name)) in one",
                remedy: "name its head with --pfn, --cmdline or --cmdline-file"))
    }

    /// One file, to standard output.
    func pour(of chain: ChainEvaluation, head: PFN, memory: any PhysicalMemory, _ report: inout Report) {
        let name = call[.stdout] ?? []
        func end(_ outcome: Extraction.Outcome, _ message: String) {
            report.extractions = [Extraction(name: name, outcome: outcome, message: message)]
        }
        let index = ChainNameIndex(chain.files)
        var file = report.manifest == nil || call.has(.flat) ? index[name] : nil
        if let manifest = report.manifest, !call.has(.flat), let path = try? TreePath(name) {
            let found = Found()
            manifest.read { event in
                guard case .entry(let entry) = event, entry.path == path, entry.kind == .regular else { return }
                found.file = index.contents(of: entry)
            }
            // What the manifest does not tell of goes by its name in the chain.
            file = found.file ?? index[name]
        }
        guard let file else {
            return end(
                .failed,
                chain.verdict == .intact
                    ? "the chain has no file of this name"
                    : "no file of this name can be read of the chain, which is \(chain.verdict.name)")
        }
        let stored = chain.files[file]
        guard stored.status == .intact || call.has(.damaged) else {
            return end(.refused, "it is \(stored.status.name); --damaged extracts it all the same")
        }
        let sink = StreamSink(descriptor: 1, size: stored.size)
        var failure: SystemError?
        var holes: UInt64 = 0
        ChainExtraction(memory: memory, files: chain.files, seed: randomNumber()).run(head: head) {
            $0 == file ? sink : nil
        } end: { _, outcome in
            failure = outcome.failure
            holes = outcome.holeCount
        }
        if let failure { return end(.failed, failure.message) }
        if stored.status == .intact && holes > 0 {
            return end(.failed, "its pages have changed since they were checked")
        }
        do throws(SystemError) { try sink.finish() } catch { return end(.failed, error.message) }
        switch stored.status {
        case .intact: end(.written, "")
        case .quarantined, .indeterminate: end(.writtenUnproved, "it is \(stored.status.name)")
        case .incomplete, .damaged:
            end(.writtenWithHoles, "it is \(stored.status.name): what is missing of it reads as zeros")
        }
    }

    private final class Found { var file: Int? }
}
