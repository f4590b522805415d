import Linux
import Machine
import MemorySources
import PRAM
import Text
import Verification

/// The report for people.
struct TextReport {
    /// - Parameter limit: how many files and findings each are listed.
    static func write(_ report: Report, to output: Output, listing limit: Int = .max) {
        output.write("verdict: \(report.verdictName)\n")
        if let memory = report.memory { output.write("memory:  \(memory.path) (\(memory.kind))\n") }
        for note in report.memory?.notes ?? [] { output.write("         \(note)\n") }
        for refusal in report.memory?.refusals ?? [] {
            output.write("refused: \(refusal.source): \(refusal.message)\n")
            if !refusal.remedy.isEmpty { output.write("         \(refusal.remedy)\n") }
        }
        writeHead(report, output)
        report.handOver?.write(to: output)
        if let evaluation = report.evaluation, report.handOver?.loss == nil {
            writeChain(report, evaluation, output)
            writeFiles(evaluation, report.manifest?.file, limit, output)
            writeTree(report, output)
            report.repair?.write(
                to: output, isRestored: report.extractions != nil, isHandedOver: report.handOver != nil)
            if let wayOut = report.wayOut { output.write("way out: \(wayOut)\n") }
        }
        let findings = report.findings
        for finding in findings.prefix(limit) { writeFinding(finding, report, output) }
        if findings.count > limit {
            output.write("         \(findings.count - limit) further findings are not listed\n")
        }
        for extraction in report.extractions ?? [] where extraction.outcome != .written {
            output.write("\(label(extraction.outcome)): \(escaped(extraction.name)): \(extraction.message)\n")
        }
        if let rehearsal = report.rehearsal { output.write("rehearsal: \(rehearsal.sentence)\n") }
        for warning in report.warnings ?? [] { output.write("warning: \(warning)\n") }
        if let written = report.written {
            for warning in written.warnings { output.write("warning: \(warning)\n") }
            if written.changed && written.head == nil {
                output.write(
                    "erased:  \(written.released == nil ? "the head of the chain is clear" : "the session that kept the chain is ended")\n"
                )
            }
        }
        if let extractions = report.extractions, report.failure == nil {
            let written = extractions.count { $0.outcome != .refused && $0.outcome != .failed }
            output.write("extracted: \(counted(written, "file"))\n")
        }
    }

    private static func label(_ outcome: Extraction.Outcome) -> StaticString {
        switch outcome {
        case .written: "extracted"
        case .writtenFlat: "without metadata"
        case .writtenWithHoles: "with holes"
        case .writtenUnproved: "not proved"
        case .refused, .failed: "not extracted"
        }
    }

    static func writeHead(_ report: Report, _ output: Output) {
        guard let head = report.head else { return }
        let from: StaticString =
            switch head.origin {
            case .option: "--pfn"
            case .commandLineText: "--cmdline"
            case .commandLineFile: "--cmdline-file"
            case .procCmdline: "/proc/cmdline"
            case .sysKernelPram: "/sys/kernel/pram"
            case .range: "the range's first page"
            case .session: "the session that is held"
            }
        if let page = head.page {
            output.write("head:    page \(hexadecimal(page.number)), from \(from)\n")
        } else if head.isReleased {
            output.write("head:    none; the chain that \(from) names was loaded, and its memory given back\n")
        } else {
            output.write("head:    none; \(from) names no chain\n")
            if head.origin == .procCmdline, let memory = report.memory, !memory.isLive {
                output.write("         (this machine's; a dump's is named with --pfn, --cmdline or --cmdline-file)\n")
            }
        }
    }

    private static func writeChain(_ report: Report, _ evaluation: ChainEvaluation, _ output: Output) {
        let links = evaluation.links
        let layout: StaticString = report.layout?.name ?? ""
        output.write(
            "chain:   \(counted(links.count, "link")), \(counted(Int(clamping: evaluation.entryCount), "entry"))")
        output.write(links.isEmpty ? "\n" : ", layout \(layout)\n")
        let restored = links.count { $0.reading == .allRestored }
        if restored > 0 {
            output.write(
                "         \(counted(restored, "link")) read with the LRU flags that a kernel cleared restored\n")
        }
        let intervals = links.count { if case .intervalRestored = $0.reading { true } else { false } }
        if intervals > 0 {
            output.write(
                "         \(counted(intervals, "link")) read with the LRU flags of one interval of entries restored\n")
        }
        let unproved = links.count { !$0.proved }
        if unproved > 0 { output.write("         \(counted(unproved, "link")) not proved\n") }
        let pages = evaluation.pagesChecked
        let milliseconds = report.elapsedNanoseconds / 1_000_000
        output.write("pages:   \(pages) checked, \(byteCount(pages &* UInt64(pageSize))), \(milliseconds) ms\n")
    }

    /// - Parameter manifest: the number of a file that is not the user's.
    private static func writeFiles(
        _ evaluation: ChainEvaluation, _ manifest: Int?, _ limit: Int, _ output: Output
    ) {
        let files = evaluation.files
        var counts = [Int](repeating: 0, count: 5)
        var users = 0
        for (number, file) in files.enumerated() where number != manifest && !file.isParity {
            counts[file.status.rawValue] += 1
            users += 1
        }
        if users > 0 || manifest != nil {
            output.write("files:   \(users)")
            for status: StoredFile.Status in [.intact, .quarantined, .indeterminate, .incomplete, .damaged]
            where counts[status.rawValue] > 0 {
                output.write(", \(counts[status.rawValue]) \(status.name)")
            }
            output.write("\n")
        }
        var listed = 0
        for (number, file) in files.enumerated() where file.status != .intact && !file.isParity && listed < limit {
            listed += 1
            let name = file.name.isEmpty ? "(name not known)" : escaped(file.name)
            let what = number == manifest ? " (the manifest)" : file.metaFits ? "" : " (unverified)"
            output.write("         \(file.status.name): \(name)\(what)\n")
        }
        for file in files where file.isParity {
            output.write("parity:  \(file.status.name), \(counted(Int(clamping: file.pages), "page"))\n")
        }
    }

    private static func writeTree(_ report: Report, _ output: Output) {
        guard let survey = report.survey, let manifest = report.manifest else { return }
        let entries = counted(Int(clamping: survey.entries), "entry")
        output.write("tree:    \(entries) in the manifest, which is \(manifest.stored.status.name)\n")
        if let origin = report.origin { output.write("saved:   \(origin.sentence)\n") }
    }

    private static func writeFinding(_ finding: Finding, _ report: Report, _ output: Output) {
        let kind = finding.kind
        output.write("\(kind.severity.name): \(kind.name)\(place(of: finding)): \(report.sentence(for: finding))\n")
    }

    /// " link 0 entry 3 page 0x10", as far as it has any.
    static func place(of finding: Finding) -> String {
        var place = ""
        if finding.link >= 0 { place += " link \(finding.link)" }
        if finding.entry >= 0 { place += " entry \(finding.entry)" }
        if let page = finding.page { place += " page \(hexadecimal(page.number))" }
        return place
    }
}
