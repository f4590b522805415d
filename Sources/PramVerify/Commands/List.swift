import PRAM
import Text

/// `list`: the files of the chain, one a line.
enum List: Command {
    static let name: StaticString = "list"
    static let task = Task.look
    static let operands: StaticString = ""
    static let summary: StaticString = "list the files of the chain, like ls -l, with what is known of each"
    static let example: StaticString = "list --memory dump.img --pfn 9b79"
    static let options: [Option] = Option.ofReading + [.all, .json]
    static let kernelParameters: [BootParameter] = []
    static let writes = false

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        var report = Report(command: name)
        do throws(Failure) { try look(call, &report) } catch { try report.end(by: error) }
        let status = report.print(.list, call, streams)
        if report.failure == nil && report.verdict != .intact && !call.has(.json) {
            streams.say("the chain is \(report.verdict.name); pram-verify check tells more")
        }
        return status
    }

    private static func look(_ call: Call, _ report: inout Report) throws(Failure) {
        try call.requireOperands(0...0)
        let threads = try call.threadCount()
        guard let chain = try OpenedChain.open(call, &report) else { return }
        _ = chain.verify(&report, threads: threads)
        chain.close()
    }
}
