import Linux
import Machine
import Manifest
import MemorySources
import PRAM
import Text
import Verification

/// All that one run has to say, before it is put into words or JSON.
struct Report {
    /// The command's name.
    var command: StaticString
    /// nil when no memory was opened.
    var memory: Memory?
    var head: Head?
    /// nil when there was no chain to judge.
    var evaluation: ChainEvaluation?
    var layout: ChainLayout?
    /// The chain's manifest, and what it says as a whole; nil where there is none, or only links were looked at.
    var manifest: ChainManifest?
    var survey: ManifestSurvey?
    /// Whether the entries of the manifest are to be listed.
    var listsTree = false
    var linksOnly = false
    /// What the run was kept from doing.
    var failure: Failure?
    /// What became of each file that was to be extracted; nil where nothing was to be.
    var extractions: [Extraction]?
    /// What of the damage can be repaired; nil where nobody has looked.
    var repair: RepairReport?
    /// Whether the chain holds parity of what it was, or of another one.
    var hasStaleParity = false
    /// The head page holds zeros, and a locator says that a chain begins there.
    var isHeadLost = false
    /// What is lost of what protects an intact chain besides its parity; nil where nobody has looked, or nothing does.
    var lostCopies: LostCopies?
    /// What there is to say of memory that the former kernel has handed over, or should have; nil where the chain is
    /// none of that kind.
    var handOver: HandOverReport?
    /// What was done to memory, by the commands that write it.
    var written: Written?
    /// What `save --dry-run` says.
    var estimate: EstimateReport?
    /// What `cmdline` says of the next kernel.
    var next: NextBoot?
    /// What became of a rehearsal, where the chain is a canary; nil where it is not.
    var rehearsal: RehearsalRecord?
    /// Sentences of `boot` about what is wrong around the chain; nil in the reports of other commands.
    var warnings: [String]?
    /// Until when a chain that nobody names is looked for; nil where there is time for all of it. As `started`.
    var searchDeadline: UInt64?
    /// In nanoseconds of the monotonic clock.
    let started = monotonicNanoseconds()
    /// How long it took; nil while the run goes on.
    var duration: UInt64?

    init(command: StaticString, extractions: [Extraction]? = nil, warnings: [String]? = nil) {
        self.command = command
        self.extractions = extractions
        self.warnings = warnings
    }

    /// Reads the manifest of a chain that was checked, where it has one.
    mutating func lookAtManifest(of evaluation: ChainEvaluation, head: PFN, memory: any PhysicalMemory) {
        guard let manifest = ChainManifest(of: evaluation, head: head, memory: memory) else { return }
        self.manifest = manifest
        survey = ManifestSurvey(manifest)
    }

    /// Where the chain comes from, by its manifest's head.
    var origin: Origin? {
        guard let provenance = survey?.provenance else { return nil }
        return Origin(provenance, isLive: memory?.isLive ?? false)
    }

    var elapsedNanoseconds: UInt64 { duration ?? monotonicNanoseconds() - started }

    /// Takes in what has ended the run.
    /// - Throws: what makes the call itself wrong: that is nothing to report.
    mutating func end(by failure: Failure) throws(UsageError) {
        if case .usage(let usage) = failure { throw usage }
        self.failure = failure
    }

    struct Memory {
        let path: String
        let kind: String
        /// Whatever else there is to say about the source.
        var notes: [String] = []
        let zerosMayBeHoles: Bool
        /// Whether it is this machine's.
        var isLive = false
        /// What was refused, why, and what would help.
        var refusals: [MemoryFailure] = []

        init(_ choice: MemoryChoice, _ memory: any PhysicalMemory) {
            self.init(path: escaped(choice.path), memory)
            isLive = choice.isLive
        }

        init(path: String, _ memory: any PhysicalMemory) {
            self.path = path
            kind = memory.kind
            zerosMayBeHoles = memory.zerosMayBeHoles
        }

        /// Adds why parts of this machine's memory cannot be read.
        /// - Throws: when the head of the chain itself lies in such a part: then there is nothing to look at. A head that is
        ///   no memory at all is another matter: a finding.
        mutating func explain(_ live: LiveMemory, head: PFN) throws(Failure) {
            refusals = live.refusals
            let reasons = live.explain(head)
            if let first = reasons.first, !reasons.contains(where: { $0.cause == .noSuchMemory }) {
                throw .memory(
                    MemoryFailure(
                        first.cause, source: "head of the chain, page \(hexadecimal(head.number))",
                        Phrase(reasons.map { "\($0.source): \($0.message)" }.joined(separator: "; ")),
                        remedy: Phrase(first.remedy),
                        reasons: reasons))
            }
        }
    }

    var verdict: Verdict {
        if failure != nil { return .indeterminate }
        if let evaluation { return head?.isRefused == true || handOver?.loss != nil ? .damaged : evaluation.verdict }
        return .absent
    }

    /// As it is shown: what was never handed over is not damaged.
    var verdictName: StaticString { handOver?.loss != nil && failure == nil ? "lost" : verdict.name }

    var status: ExitStatus {
        if let next { return next.status }
        if let failure { return failure.status }
        switch written?.purpose {
        case .repairing?:
            if verdict != .intact && evaluation != nil { return .damaged }
            return written?.changed == true ? .corrected : []
        case .cutting?:
            if written?.changed == true { return .corrected }
            return verdict == .intact || evaluation == nil ? [] : .damaged
        case .chain?, .head?, .clearing?, nil:
            var status: ExitStatus =
                switch verdict {
                case .damaged, .indeterminate: .damaged
                case .intact, .absent: []
                }
            for extraction in extractions ?? [] { status.formUnion(extraction.outcome.status) }
            return status
        }
    }

    /// How many files there are but those that hold the tree's manifest and the parity.
    var usersFileCount: Int {
        let manifest = bytes(ChainNames.manifest)
        return evaluation?.files.count { !$0.isParity && !$0.name.elementsEqual(manifest) } ?? 0
    }

    /// Every finding in the order of the report: those of the command line, those of the chain, and what was left out.
    var findings: [Finding] {
        var all = (head?.malformed ?? []).indices.map { Finding(.malformedParameter, detail: UInt64($0)) }
        if let head, head.isRefused { all.append(Finding(.kernelRefused, page: head.page)) }
        if let loss = handOver?.loss {
            // What has become of pages that nobody has kept tells nothing.
            all.append(Finding(.handoverLost, page: head?.page, detail: loss.rawValue))
            return all
        }
        if let head, head.isUnnamed { all.append(Finding(.chainUnnamed, page: head.page)) }
        guard let evaluation else { return all }
        all += evaluation.findings
        if hasStaleParity { all.append(Finding(.parityStale)) }
        if let lost = lostCopies?.pages.first {
            all.append(Finding(.copiesLost, page: PFN(lost.page), detail: UInt64(lostCopies?.pages.count ?? 0)))
        }
        if evaluation.findingsOmitted > 0 {
            all.append(Finding(.findingsOmitted, detail: evaluation.findingsOmitted))
        }
        return all
    }
}

extension Extraction.Outcome {
    /// What it adds to the exit status.
    fileprivate var status: ExitStatus {
        switch self {
        case .failed: .failed
        case .refused: .damaged
        case .written, .writtenFlat, .writtenWithHoles, .writtenUnproved: []
        }
    }
}
