import Linux
import Machine
import Text

/// `status`: what the last run that looked at this machine's memory has left in /run.
enum Status: Command {
    static let name: StaticString = "status"
    static let task = Task.boot
    static let operands: StaticString = ""
    static let summary: StaticString = "show what boot has found"
    static let example: StaticString = "status"
    static let options: [Option] = [.json]
    static let kernelParameters: [BootParameter] = []
    static let writes = false

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        if let word = call.operands.first { throw UsageError("too many words: \(escaped(word))") }
        do throws(SystemError) {
            let status = try RunFolder.readStatus()
            if status == .off && !call.has(.json) {
                streams.output.write("status:  \(status.name)\n")
            } else {
                try show(status, call, streams)
            }
            if !call.has(.json), let rehearsal = Rehearsal.last(MachinePaths()) {
                streams.output.write("last rehearsal: \(rehearsal.sentence)\n")
            }
            return status.exit.union(holding(call, streams)).union(age(streams))
        } catch {
            var report = Report(command: name)
            report.failure = .system(
                error,
                remedy: error.code == ErrorCode.noSuchFile
                    ? "boot did not run, or memory was written since; look now with check" : "")
            report.failure?.explain(to: streams.errors)
            if call.has(.json) { JSONReport.write(report, to: streams.output) }
            return ExitStatus.failed.union(holding(call, streams))
        }
    }

    /// What nobody can replace may be older than what memory holds.
    private static func age(_ streams: Streams) -> ExitStatus {
        guard FileDescriptor.isOnReadOnlyMount(RunFolder.File.status.path) else { return [] }
        streams.say("/run/pram-verify is read-only, so what it says may be true no more; look now with check")
        return .damaged
    }

    /// The report, which has names of files and so is for root alone; the word is for everybody.
    private static func show(_ status: RunStatus, _ call: Call, _ streams: Streams) throws(SystemError) {
        do throws(SystemError) {
            streams.output.write(try RunFolder.contents(call.has(.json) ? .json : .text))
        } catch {
            guard error.code == ErrorCode.accessDenied, !call.has(.json) else { throw error }
            streams.output.write("status:  \(status.name)\n")
            streams.say("the report is for root alone")
        }
    }

    /// Whether the session is held still that is to keep what was saved over the next kexec. Damaged where it is not.
    private static func holding(_ call: Call, _ streams: Streams) -> ExitStatus {
        guard let note = HoldNote.read() else { return [] }
        if case .released = note.holder {
            guard let loaded = LoadNote.current(), loaded.head == note.head else { return [] }
            streams.say(
                "the kernel that is loaded was told of page \(hexadecimal(note.head)), which nobody holds any more")
            return .damaged
        }
        let standing = note.standing
        if !call.has(.json) {
            streams.output.write("held:    \(standing.isHeld ? "yes" : "no"): \(standing.sentence)\n")
        } else if !standing.isHeld {
            streams.say(standing.sentence)
        }
        return standing.isHeld ? [] : .damaged
    }
}
