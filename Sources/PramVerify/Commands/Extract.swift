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
    static let options: [Option] = Option.ofReading + [.damaged, .repair, .force, .preserveMode, .json]
    static let kernelParameters: [BootParameter] = []
    static let writes = false

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        var report = Report(command: name, extractions: [])
        do throws(Failure) { try look(call, &report) } catch { try report.end(by: error) }
        return report.print(.text, call, streams)
    }

    private static func look(_ call: Call, _ report: inout Report) throws(Failure) {
        try call.requireOperands(1...Int.max, "a directory")
        let threads = try call.threadCount()
        guard let chain = try OpenedChain.open(call, &report) else { return }
        defer { chain.close() }
        // Before the work, not behind it.
        let directory = try calling { () throws(SystemError) in try Directory(call.operands[0]) }
        var evaluation = chain.verify(&report, threads: threads)
        var memory = chain.memory
        if call.has(.repair) && evaluation.verdict != .intact {
            let ends = Recovering.ends(call, MemoryChoice(call[.memory]), head: chain.head)
            if let found = Recovering.find(chain.head, memory, ends: ends, threads: threads, reads: true, &report) {
                (evaluation, memory) = (found.evaluation, found.memory)
                report.useRecovered(found)
            }
        }
        let extractor = Extractor(
            directory: directory, takesDamaged: call.has(.damaged), replaces: call.has(.force),
            keepsModeBits: call.has(.preserveMode))
        report.extractions = extractor.extract(
            Array(call.operands.dropFirst()), of: evaluation, head: chain.head, memory: memory)
    }
}
