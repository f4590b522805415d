import PRAM
import Text

extension Report {
    /// How a command tells what it found where --json does not ask for JSON.
    enum Form {
        case text
        /// The files, one a line.
        case list
        /// One line for scripts, `pram=PFN`.
        case head
    }

    /// Prints the report, and on standard error what it does not hold: why the run could not look.
    /// - Returns: the exit status.
    func print(_ form: Form, _ call: Call, _ streams: Streams) -> ExitStatus {
        var report = self
        report.duration = elapsedNanoseconds
        if call.has(.json) {
            JSONReport.write(report, to: streams.output)
        } else {
            switch form {
            case .text: TextReport.write(report, to: streams.output)
            case .list: FileList.write(report, all: call.has(.all), to: streams.output)
            case .head: WrittenReport.write(report, to: streams.output, streams.errors)
            }
        }
        if let failure {
            failure.explain(to: streams.errors)
        } else if verdict == .absent, head?.origin == .procCmdline, !MemoryChoice(call[.memory]).isLive {
            streams.say("no head was named for the dump: use --pfn, --cmdline or --cmdline-file")
        }
        return report.status
    }
}
