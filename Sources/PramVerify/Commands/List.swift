import PRAM
import Text

/// `list`: the tree that the chain holds, or with --flat its files, one a line.
enum List: Command {
    static let name: StaticString = "list"
    static let task = Task.look
    static let operands: StaticString = ""
    static let summary: StaticString = "list the files of the chain, like ls -l, with what is known of each"
    static let example: StaticString = "list --memory dump.img --pfn 9b79"
    static let options: [Option] = Option.ofReading + [.flat, .all, .json]
    static let kernelParameters: [BootParameter] = []
    static let writes = false

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        var report = Report(command: name)
        var chain: OpenedChain?
        do throws(Failure) { chain = try look(call, &report) } catch { try report.end(by: error) }
        report.listsTree = report.manifest != nil && !call.has(.flat)
        // What the manifest says is read once more while it is printed.
        let status = report.print(.list, call, streams)
        chain?.close()
        if report.failure == nil && report.verdict != .intact && !call.has(.json) {
            streams.say("the chain is \(report.verdict.name); pram-verify check tells more")
        }
        return status
    }

    private static func look(_ call: Call, _ report: inout Report) throws(Failure) -> OpenedChain? {
        try call.requireOperands(0...0)
        let threads = try call.threadCount()
        guard let chain = try OpenedChain.open(call, &report) else { return nil }
        _ = chain.verify(&report, threads: threads)
        return chain
    }
}
