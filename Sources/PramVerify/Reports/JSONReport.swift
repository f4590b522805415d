import Linux
import Machine
import MemorySources
import PRAM
import Text
import Verification

/// The report for machines; its schema is Documentation/report.schema.json. Written piece by piece.
struct JSONReport {
    /// Raised whenever a consumer of the former format could misread the new one.
    static let schemaVersion = 1

    /// - Parameter most: how many links, files, findings and extractions each are listed.
    static func write(_ report: Report, to output: Output, listing most: Int = .max) {
        // Of a chain that was not handed over pages tell nothing.
        let limit = report.handOver?.loss == nil ? most : min(most, 16)
        var json = JSONWriter { output.write($0) }
        json.beginObject()
        json.number("schema", schemaVersion)
        json.string("version", Program.version)
        json.string("command", report.command)
        json.string("verdict", report.verdictName)
        json.number("exit", Int(report.status.rawValue))
        if let failure = report.failure { write(failure, &json) }
        if let memory = report.memory {
            json.beginObject("memory")
            json.string("path", memory.path)
            json.string("kind", memory.kind)
            json.beginArray("notes")
            for note in memory.notes { json.string(nil, note) }
            json.endArray()
            write("refusals", memory.refusals, &json)
            json.endObject()
        } else {
            json.null("memory")
        }
        writeHead(report.head, &json)
        if let layout = report.layout { json.string("layout", layout.name) } else { json.null("layout") }
        json.string("scope", report.linksOnly ? "links" : "pages")
        writeCounts(report, &json)
        writeOmitted(report, limit, &json)
        writeLinks(report, limit, &json)
        writeFiles(report, limit, &json)
        writeFindings(report, limit, &json)
        TreeJSON.write(report, &json)
        if let repair = report.repair { repair.write(to: &json) }
        if let extractions = report.extractions { write(extractions.prefix(limit), &json) }
        if let written = report.written { writeWritten(written, &json) }
        if let handOver = report.handOver { handOver.write(to: &json) }
        if let next = report.next { writeNext(next, &json) }
        report.estimate?.write(&json)
        if let warnings = report.warnings {
            json.beginArray("warnings")
            for warning in warnings { json.string(nil, warning) }
            json.endArray()
        }
        json.number("elapsed_ms", report.elapsedNanoseconds / 1_000_000)
        json.endObject()
        json.finish()
    }

    /// The object of a run that ended without an answer, for commands whose answers have a form of their own.
    /// - Parameter schema: the version of that form.
    static func write(_ failure: Failure, of command: StaticString, schema: Int, to output: Output) {
        var json = JSONWriter { output.write($0) }
        json.beginObject()
        json.number("schema", schema)
        json.string("version", Program.version)
        json.string("command", command)
        json.number("exit", Int(failure.status.rawValue))
        write(failure, &json)
        json.endObject()
        json.finish()
    }

    private static func write(_ failure: Failure, _ json: inout JSONWriter) {
        json.beginObject("failure")
        json.string("cause", failure.cause)
        json.string("message", failure.message)
        json.string("remedy", failure.remedy)
        write("reasons", failure.reasons, &json)
        json.endObject()
    }

    private static func write(_ key: StaticString, _ reasons: [MemoryFailure], _ json: inout JSONWriter) {
        json.beginArray(key)
        for reason in reasons {
            json.beginObject()
            json.string("cause", reason.cause.name)
            json.string("source", reason.source)
            json.string("message", reason.message)
            json.string("remedy", reason.remedy)
            json.endObject()
        }
        json.endArray()
    }

    private static func writeHead(_ head: Head?, _ json: inout JSONWriter) {
        guard let head else {
            json.null("head")
            return
        }
        json.beginObject("head")
        json.string("origin", head.origin.name)
        if let page = head.page { json.string("pfn", hexadecimal(page.number)) } else { json.null("pfn") }
        json.endObject()
    }

    private static func writeCounts(_ report: Report, _ json: inout JSONWriter) {
        let evaluation = report.evaluation
        let files = evaluation?.files ?? []
        json.beginObject("counts")
        json.number("links", evaluation?.links.count ?? 0)
        json.number("links_proved", evaluation?.links.count { $0.proved } ?? 0)
        json.number("entries", evaluation?.entryCount ?? 0)
        json.number("pages_checked", evaluation?.pagesChecked ?? 0)
        json.number("files", files.count)
        json.number("files_intact", files.count { $0.status == .intact })
        json.endObject()
    }

    private static func writeNext(_ next: NextBoot, _ json: inout JSONWriter) {
        json.beginObject("next")
        if let line = next.line {
            json.string("cmdline", escaped(line))
            json.string("cmdline_hex", hexadecimal(line))
        } else {
            json.null("cmdline")
        }
        json.string("pram", String(next.head?.number ?? 0, radix: 16))
        if let options = next.kexecOptions { json.string("kexec_options", options) } else { json.null("kexec_options") }
        json.beginArray("messages")
        for message in next.messages { json.string(nil, message) }
        json.endArray()
        json.endObject()
    }

    /// What there is and is not listed: beyond a limit of this report, or of what a check keeps.
    private static func writeOmitted(_ report: Report, _ limit: Int, _ json: inout JSONWriter) {
        let evaluation = report.evaluation
        let links = UInt64(max(0, (evaluation?.links.count ?? 0) - limit)) + (evaluation?.linksOmitted ?? 0)
        let files = UInt64(max(0, (evaluation?.files.count ?? 0) - limit)) + (evaluation?.filesOmitted ?? 0)
        let findings = UInt64(max(0, report.findings.count - limit)) + (evaluation?.findingsOmitted ?? 0)
        guard links > 0 || files > 0 || findings > 0 else { return }
        json.beginObject("omitted")
        json.number("links", links)
        json.number("files", files)
        json.number("findings", findings)
        json.endObject()
    }

    private static func writeLinks(_ report: Report, _ limit: Int, _ json: inout JSONWriter) {
        json.beginArray("links")
        for (number, link) in (report.evaluation?.links ?? []).prefix(limit).enumerated() {
            json.beginObject()
            json.number("link", number)
            json.string("pfn", hexadecimal(link.page.number))
            json.number("entries", link.entries)
            json.bool("proved", link.proved)
            json.string("reading", link.reading.name)
            if case .intervalRestored(let interval) = link.reading {
                json.beginObject("interval")
                json.string("order", interval.order == .pfn ? "pfn" : "entry")
                json.number("first", interval.first)
                json.number("count", interval.count)
                json.endObject()
            }
            json.endObject()
        }
        json.endArray()
    }

    private static func writeFiles(_ report: Report, _ limit: Int, _ json: inout JSONWriter) {
        json.beginArray("files")
        for file in (report.evaluation?.files ?? []).prefix(limit) {
            json.beginObject()
            json.string("name", escaped(file.name))
            json.string("name_hex", hexadecimal(file.name))
            json.number("size", file.size)
            json.string("mode", octalMode(file.mode))
            json.string("status", file.status.name)
            json.number("link", file.link)
            json.number("entry", file.entry)
            json.number("pages", file.pages)
            json.number("bad_pages", file.badPages)
            json.bool("meta_fits", file.metaFits)
            json.bool("parity", file.isParity)
            json.endObject()
        }
        json.endArray()
    }

    private static func writeFindings(_ report: Report, _ limit: Int, _ json: inout JSONWriter) {
        json.beginArray("findings")
        for finding in report.findings.prefix(limit) {
            json.beginObject()
            json.string("kind", finding.kind.name)
            json.string("severity", finding.kind.severity.name)
            if finding.link >= 0 { json.number("link", finding.link) } else { json.null("link") }
            if finding.entry >= 0 { json.number("entry", finding.entry) } else { json.null("entry") }
            if let page = finding.page { json.string("pfn", hexadecimal(page.number)) } else { json.null("pfn") }
            if finding.file >= 0 { json.string("file", report.fileName(finding.file)) } else { json.null("file") }
            json.string("message", report.sentence(for: finding).text)
            json.endObject()
        }
        json.endArray()
    }

    private static func writeWritten(_ written: Written, _ json: inout JSONWriter) {
        json.beginObject("written")
        json.string("pram", String(written.head?.number ?? 0, radix: 16))
        json.bool("changed", written.changed)
        json.bool("atomic", written.isAtomic)
        if let released = written.released { json.number("released", released) }
        json.beginArray("files")
        for file in written.files {
            json.beginObject()
            json.string("name", escaped(file.name))
            json.string("name_hex", hexadecimal(file.name))
            json.string("fate", file.fate)
            json.string("message", file.message)
            json.endObject()
        }
        json.endArray()
        json.beginArray("warnings")
        for warning in written.warnings { json.string(nil, warning) }
        json.endArray()
        json.endObject()
    }

    private static func write(_ extractions: ArraySlice<Extraction>, _ json: inout JSONWriter) {
        json.beginArray("extracted")
        for extraction in extractions {
            json.beginObject()
            json.string("name", escaped(extraction.name))
            json.string("name_hex", hexadecimal(extraction.name))
            json.string("outcome", extraction.outcome.name)
            json.string("message", extraction.message)
            json.endObject()
        }
        json.endArray()
    }

    /// A mode as stat(2) has it, in octal with seven digits: "0100644".
    static func octalMode(_ mode: UInt32) -> String {
        let digits = String(mode, radix: 8)
        var text = ""
        for _ in 0..<max(0, 7 - digits.utf8.count) { text += "0" }
        return text + digits
    }
}
