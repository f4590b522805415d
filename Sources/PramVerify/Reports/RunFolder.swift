import KernelCommandLine
import Linux
import PRAM
import Text

/// The files in /run/pram-verify. Each is replaced as a whole; file names are only in those that root alone may read.
/// Nothing here costs the boot: what cannot be written is left out.
struct RunFolder {
    enum File: Int, CaseIterable {
        case status, action, metrics, text, json, cmdline, saved, loaded, held, restored, rehearsal

        var name: StaticString {
            switch self {
            case .status: "status"
            case .action: "action"
            case .metrics: "metrics.prom"
            case .text: "report.txt"
            case .json: "report.json"
            case .cmdline: "cmdline"
            case .saved: "saved"
            case .loaded: "loaded"
            case .held: "held"
            case .restored: "restored"
            case .rehearsal: "rehearsal"
            }
        }

        var bytes: [UInt8] { name.withUTF8Buffer { Array($0) } }
        var path: [UInt8] { FileLock.directory + [UInt8(ascii: "/")] + bytes }
        var mode: UInt32 {
            switch self {
            case .text, .json, .saved: 0o600
            case .status, .action, .metrics, .cmdline, .loaded, .held, .restored, .rehearsal: 0o644
            }
        }

        /// What a report leaves, and the next one replaces. The others are notes about what was done.
        static var ofReport: [File] { [.status, .action, .metrics, .text, .json, .cmdline] }
    }

    /// How many links, files and findings each the reports there list: /run is memory, and a hostile chain has millions.
    private static let listLimit = 4096

    /// Replaces all files; the next command line is gone until `publishLine`.
    /// - Parameter action: nil where there is none to take: the word of an earlier `boot` goes.
    /// - Returns: what went wrong first, if anything did.
    @discardableResult
    static func publish(_ report: Report, _ status: RunStatus, _ action: BootConfiguration.Action?) -> SystemError? {
        _ = try? Directory.make(FileLock.directory, mode: 0o755)
        var first: SystemError?
        do throws(SystemError) {
            let folder = try Directory(FileLock.directory)
            for file in File.ofReport {
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
                        case .metrics: report.writeMetrics(status, output)
                        case .text: writeText(report, status, output)
                        case .json: JSONReport.write(report, to: output, listing: listLimit)
                        case .cmdline, .saved, .loaded, .held, .restored, .rehearsal: break
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

    /// A note about what was done.
    /// - Parameter keepsOld: whether an older one stays where this one cannot be written, or would be taken for it.
    static func publishNote(_ file: File, keepsOld: Bool = false, _ body: (Output) -> Void) {
        do throws(SystemError) {
            try Directory.make(FileLock.directory, mode: 0o755)
            let folder = try Directory(FileLock.directory)
            do throws(SystemError) {
                try write(file, in: folder) { output in
                    body(output)
                    return true
                }
            } catch {
                if !keepsOld { folder.remove(file.bytes) }
            }
        } catch { return }
    }

    static func removeNote(_ file: File) {
        guard FileDescriptor.exists(file.path), let folder = try? Directory(FileLock.directory) else { return }
        folder.remove(file.bytes)
    }

    /// A note's lines; none where there is no note.
    static func fields(of file: File) -> NoteFields {
        NoteFields((try? FileDescriptor.contents(of: file.path, limit: 1 << 16)) ?? [])
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
        output.write("status:  \(status.name), by pram-verify \(report.command)\n")
        TextReport.write(report, to: output, listing: listLimit)
        if let failure = report.failure { output.write("failure: \(failure.message)\nremedy:  \(failure.remedy)\n") }
    }

    /// nil when nothing has been left, or cannot be read.
    static var lastStatus: RunStatus? { try? readStatus() }

    static func readStatus() throws(SystemError) -> RunStatus {
        let word = try contents(.status)
        guard
            let status = RunStatus.allCases.first(where: {
                $0.name.withUTF8Buffer { $0.elementsEqual(word.dropLast()) }
            })
        else { throw SystemError("read", code: ErrorCode.badMessage, path: File.status.path) }
        return status
    }

    static func contents(_ file: File) throws(SystemError) -> [UInt8] {
        try FileDescriptor.contents(of: file.path, limit: 1 << 30)
    }
}

/// Lines of a name, a blank and a value.
struct NoteFields {
    private let text: [UInt8]

    init(_ text: [UInt8]) { self.text = text }

    func value(_ name: StaticString) -> [UInt8]? {
        for line in text.split(separator: UInt8(ascii: "\n")) {
            guard let blank = line.firstIndex(of: UInt8(ascii: " ")),
                name.withUTF8Buffer({ $0.elementsEqual(line[..<blank]) })
            else { continue }
            return Array(line[(blank + 1)...])
        }
        return nil
    }

    /// Hexadecimal.
    func number(_ name: StaticString) -> UInt64? {
        guard let text = value(name) else { return nil }
        return try? KernelNumber.kstrtoul(text[...], .hexadecimal)
    }
}

extension Report {
    /// After a command that has looked at this machine's memory or written it: what is in /run is of this run, or gone.
    func refreshRunFolder(_ call: Call) {
        guard MemoryChoice(call[.memory]).isLive, memory != nil, FileDescriptor.exists(FileLock.directory)
        else { return }
        followSave()
        if let failure {
            // Some failures come before the first byte is written.
            guard failure.mayHaveWritten, let folder = try? Directory(FileLock.directory) else { return }
            for file in RunFolder.File.ofReport { folder.remove(file.bytes) }
            return
        }
        guard evaluation != nil || written?.changed == true else { return }
        if let written, written.changed, written.purpose == .chain || written.purpose == .clearing {
            Rehearsal.forgetWaiting()
        }
        var report = self
        report.duration = elapsedNanoseconds
        RunFolder.publish(report, report.runStatus, nil)
    }
}
