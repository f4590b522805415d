import KernelCommandLine
import Linux
import PRAM
import Text

/// The one word in /run/pram-verify/status.
enum RunStatus: Int, CaseIterable {
    case intact, corrected, empty, absent, off, damaged, indeterminate, failed

    var name: StaticString {
        switch self {
        case .intact: "intact"
        case .corrected: "corrected"
        case .empty: "empty"
        case .absent: "absent"
        case .off: "off"
        case .damaged: "damaged"
        case .indeterminate: "indeterminate"
        case .failed: "failed"
        }
    }

    /// Whether there is, or may be, a chain.
    var isOfAChain: Bool { self != .absent && self != .empty && self != .off }

    var exit: ExitStatus {
        switch self {
        case .intact, .empty, .absent, .off: []
        case .corrected: .corrected
        case .damaged, .indeterminate: .damaged
        case .failed: .failed
        }
    }
}

extension Report {
    /// The same word for every command that has looked at this machine's memory.
    var runStatus: RunStatus {
        if failure != nil { return .failed }
        if let written, written.changed {
            if written.head == nil { return .empty }
            if command == .drop || command == .quarantine, verdict == .intact { return .corrected }
        }
        // A head page of zeros is what a chain leaves that was erased, and what a machine has after a cold boot.
        if let evaluation, evaluation.links.isEmpty,
            evaluation.findings.contains(where: { $0.kind == .noChain && $0.detail == 1 })
        {
            return .empty
        }
        switch verdict {
        case .intact: return .intact
        case .damaged: return .damaged
        case .indeterminate: return .indeterminate
        case .absent: return .absent
        }
    }
}

/// The files in /run/pram-verify. Each is replaced as a whole; file names are only in those that root alone may read.
/// Nothing here costs the boot: what cannot be written is left out.
struct RunFolder {
    private enum File: Int, CaseIterable {
        case status, action, metrics, text, json, cmdline

        var name: StaticString {
            switch self {
            case .status: "status"
            case .action: "action"
            case .metrics: "metrics.prom"
            case .text: "report.txt"
            case .json: "report.json"
            case .cmdline: "cmdline"
            }
        }

        var bytes: [UInt8] { name.withUTF8Buffer { Array($0) } }
        var path: [UInt8] { FileLock.directory + [UInt8(ascii: "/")] + bytes }
        var mode: UInt32 { self == .text || self == .json ? 0o600 : 0o644 }
    }

    /// Replaces all files; the next command line is gone until `publishLine`.
    /// - Parameter action: nil where there is none to take: the word of an earlier `boot` goes.
    /// - Returns: what went wrong first, if anything did.
    @discardableResult
    static func publish(_ report: Report, _ status: RunStatus, _ action: BootConfiguration.Action?) -> SystemError? {
        _ = try? Directory.make(FileLock.directory, mode: 0o755)
        var first: SystemError?
        do throws(SystemError) {
            let folder = try Directory(FileLock.directory)
            for file in File.allCases {
                if file == .action && action == nil || file == .cmdline
                    || status == .off && file.rawValue > File.action.rawValue
                {
                    folder.remove(file.bytes)
                    continue
                }
                do throws(SystemError) {
                    try write(file, in: folder) { output in
                        switch file {
                        case .status: output.write("\(status.name)\n")
                        case .action: output.write("\((action ?? .proceed).name)\n")
                        case .metrics: writeMetrics(report, status, output)
                        case .text: writeText(report, status, output)
                        case .json: JSONReport.write(report, to: output)
                        case .cmdline: break
                        }
                        return true
                    }
                } catch {
                    // An old one would be taken for the new one.
                    folder.remove(file.bytes)
                    first = first ?? error
                }
            }
        } catch {
            first = error
        }
        return first
    }

    /// The command line for the next kexec, for whoever wants to look before `cmdline` is asked.
    /// - Parameter body: false when there is none.
    static func publishLine(_ body: (Output) -> Bool) {
        do throws(SystemError) { try write(.cmdline, in: try Directory(FileLock.directory), body) } catch { return }
    }

    /// - Parameter body: writes the content; false when there is to be no such file.
    private static func write(_ file: File, in folder: Directory, _ body: (Output) -> Bool) throws(SystemError) {
        let temporary = try folder.createTemporary()
        do throws(SystemError) {
            let output = Output(temporary.number, name: file.name)
            guard body(output) else { return folder.remove(temporary.path) }
            try output.finish()
            try temporary.setMode(file.mode)
            try folder.rename(temporary.path, to: file.bytes, replace: true)
        } catch {
            folder.remove(temporary.path)
            throw error
        }
    }

    private static func writeText(_ report: Report, _ status: RunStatus, _ output: Output) {
        output.write("status:  \(status.name), by pram-verify \(report.command.name)\n")
        TextReport.write(report, to: output)
        if let failure = report.failure { output.write("failure: \(failure.message)\nremedy:  \(failure.remedy)\n") }
    }

    /// For node_exporter's textfile collector.
    private static func writeMetrics(_ report: Report, _ status: RunStatus, _ output: Output) {
        func gauge(_ name: StaticString, _ help: StaticString, _ value: UInt64) {
            head(name, help)
            output.write("pram_verify_\(name) \(value)\n")
        }
        func head(_ name: StaticString, _ help: StaticString) {
            output.write("# HELP pram_verify_\(name) \(help)\n# TYPE pram_verify_\(name) gauge\n")
        }
        head("status", "1 for what is known of the chain, 0 for everything else.")
        for word in RunStatus.allCases {
            output.write("pram_verify_status{status=\"\(word.name)\"} \(word == status ? 1 : 0)\n")
        }
        let evaluation = report.evaluation
        gauge("links", "Links of the chain.", UInt64(evaluation?.links.count ?? 0))
        gauge("files", "Files of the chain.", UInt64(evaluation?.files.count ?? 0))
        gauge("files_intact", "Files that are intact.", UInt64(evaluation?.files.count { $0.status == .intact } ?? 0))
        gauge("pages_checked", "Pages whose checksums were computed.", evaluation?.pagesChecked ?? 0)
        gauge("findings", "What was found.", UInt64(report.findings.count))
        gauge("check_milliseconds", "How long the check took.", report.elapsedNanoseconds / 1_000_000)
        gauge("check_time_seconds", "When it was done, in seconds since 1970.", secondsSince1970())
    }

    /// After a command that has looked at this machine's memory or written it: what is there is of this run, or gone.
    static func refresh(_ report: Report) {
        guard report.memory != nil, FileDescriptor.exists(FileLock.directory) else { return }
        if let failure = report.failure {
            // Some failures come before the first byte is written. load alone never writes before it is sure.
            guard report.command != .load, failure.mayHaveWritten else { return }
            guard let folder = try? Directory(FileLock.directory) else { return }
            for file in File.allCases { folder.remove(file.bytes) }
            return
        }
        guard report.evaluation != nil || report.written?.changed == true else { return }
        publish(report, report.runStatus, nil)
    }

    /// `status`: what the last run has left.
    static func show(_ call: Invocation, to output: Output, _ errors: Output) throws(UsageError) -> ExitStatus {
        if let word = call.operands.first { throw UsageError("too many words: \(escaped(word))") }
        do throws(SystemError) {
            let status = try readStatus()
            if status == .off && !call.has(.json) {
                output.write("status:  \(status.name)\n")
            } else {
                output.write(try contents(call.has(.json) ? .json : .text))
            }
            return status.exit
        } catch {
            errors.write("pram-verify: \(error.message)\n")
            if error.code == ErrorCode.noSuchFile {
                errors.write("pram-verify: boot did not run, or memory was written since; look now with check\n")
            }
            return .failed
        }
    }

    /// nil when nothing has been left, or cannot be read.
    static var lastStatus: RunStatus? { try? readStatus() }

    private static func readStatus() throws(SystemError) -> RunStatus {
        let word = try contents(.status)
        guard
            let status = RunStatus.allCases.first(where: {
                $0.name.withUTF8Buffer { $0.elementsEqual(word.dropLast()) }
            })
        else { throw SystemError("read", code: ErrorCode.badMessage, path: File.status.path) }
        return status
    }

    private static func contents(_ file: File) throws(SystemError) -> [UInt8] {
        try FileDescriptor.contents(of: file.path, limit: 1 << 30)
    }
}
