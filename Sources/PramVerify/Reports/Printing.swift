import PRAM
import Text
import Verification

extension Report {
    /// How a command tells what it found where --json does not ask for JSON.
    enum Form {
        case text
        /// The files, one a line.
        case list
        /// One line for scripts, `pram=PFN`.
        case head
        /// Nothing but what went wrong, on standard error: a file's content is on standard output.
        case streamed
    }

    /// Prints the report, and on standard error what it does not hold: why the run could not look.
    /// - Returns: the exit status.
    func print(_ form: Form, _ call: Call, _ streams: Streams) -> ExitStatus {
        var report = self
        report.duration = elapsedNanoseconds
        if call.has(.json) && !call.has(.stdout) {
            JSONReport.write(report, to: streams.output)
        } else {
            switch form {
            case .text: TextReport.write(report, to: streams.output)
            case .list:
                if let manifest = report.manifest, report.listsTree {
                    TreeList.write(manifest, all: call.has(.all), to: streams.output)
                } else {
                    FileList.write(report, all: call.has(.all), to: streams.output)
                }
                if verdict == .damaged, let wayOut { streams.say("\(filesInWords); \(wayOut)") }
            case .streamed:
                for extraction in report.extractions ?? [] where extraction.outcome != .written {
                    streams.say("\(escaped(extraction.name)): \(extraction.message)")
                    if let repair, repair.doing == .possible, repair.possible != .none {
                        streams.say("\(repair.possible.name) of what is lost comes back with --repair")
                    }
                }
            case .head where estimate != nil: estimate?.write(to: streams.output, streams.errors)
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
