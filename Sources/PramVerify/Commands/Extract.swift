import Linux
import PRAM
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
            .flat, .stdout, .damaged, .repair, .force, .preserveMode, .devices, .json,
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
        var evaluation = chain.verify(&report, threads: threads)
        var memory = chain.memory
        recover(call, chain, threads, &evaluation, &memory, &report)
        report.extractions = []
        try Restoration(call, synchronizes: false).restore(
            Array(call.operands.dropFirst()), of: evaluation, head: chain.head, memory: memory, directory, &report)
    }

    /// With --repair: what is lost and comes back, for reading alone.
    private static func recover(
        _ call: Call, _ chain: OpenedChain, _ threads: Int, _ evaluation: inout ChainEvaluation,
        _ memory: inout any PhysicalMemory, _ report: inout Report
    ) {
        guard evaluation.verdict != .intact else { return }
        let ends = Recovering.ends(call, MemoryChoice(call[.memory]), head: chain.head)
        report.recover(call, chain.head, ends: ends, threads: threads, &evaluation, &memory)
        if call.has(.repair) { report.lookAtManifest(of: evaluation, head: chain.head, memory: memory) }
    }

    private static func pour(_ call: Call, _ threads: Int, _ report: inout Report) throws(Failure) {
        try call.requireOperands(0...0)
        guard let chain = try OpenedChain.open(call, &report) else { return try Restoration.refusePouring(call) }
        defer { chain.close() }
        var evaluation = chain.verify(&report, threads: threads)
        var memory = chain.memory
        recover(call, chain, threads, &evaluation, &memory, &report)
        Restoration(call, synchronizes: false).pour(of: evaluation, head: chain.head, memory: memory, &report)
    }
}
