import Linux
import Text
import Verification

/// `extract`: the intact files of the chain, into a directory.
enum Extract: Command {
    static let name: StaticString = "extract"
    static let task = Task.look
    static let operands: StaticString = " DIR [NAME...]"
    static let summary: StaticString = "write the intact files of the chain into the directory DIR"
    static let example: StaticString = "extract --memory dump.img --pfn 9b79 out"
    static let options: [Option] =
        Option.ofReading + [
            .flat, .stdout, .damaged, .force, .preserveMode, .devices, .json,
        ]
    static let kernelParameters: [BootParameter] = []
    static let writes = false

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        var report = Report(command: name, extractions: [])
        do throws(Failure) { try look(call, &report) } catch { try report.end(by: error) }
        return report.print(call.has(.stdout) ? .streamed : .text, call, streams)
    }

    private static func look(_ call: Call, _ report: inout Report) throws(Failure) {
        let threads = try call.threadCount()
        if call.has(.stdout) { return try pour(call, threads, &report) }
        try call.requireOperands(1...Int.max, "a directory")
        guard let chain = try OpenedChain.open(call, &report) else { return }
        defer { chain.close() }
        // Before the work, not behind it.
        let directory = try calling { () throws(SystemError) in try Directory(call.operands[0]) }
        let evaluation = chain.verify(&report, threads: threads)
        report.extractions = []
        try Restoration(call, synchronizes: false).restore(
            Array(call.operands.dropFirst()), of: evaluation, head: chain.head, memory: chain.memory, directory, &report
        )
    }

    private static func pour(_ call: Call, _ threads: Int, _ report: inout Report) throws(Failure) {
        try call.requireOperands(0...0)
        guard let chain = try OpenedChain.open(call, &report) else { return }
        defer { chain.close() }
        let evaluation = chain.verify(&report, threads: threads)
        Restoration(call, synchronizes: false).pour(of: evaluation, head: chain.head, memory: chain.memory, &report)
    }
}
