import PRAM
import Text

/// `check`: verify the chain, and report.
enum Check: Command {
    static let name: StaticString = "check"
    static let task = Task.look
    static let operands: StaticString = ""
    static let summary: StaticString = "verify the chain, link by link and page by page (the default)"
    static let example: StaticString = "check --memory dump.img --pfn 9b79"
    static let options: [Option] = Option.ofReading + [.linksOnly, .timeout, .json]
    static let kernelParameters: [BootParameter] = []
    static let writes = false

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        var report = Report(command: name)
        do throws(Failure) { try look(call, &report) } catch { try report.end(by: error) }
        return report.print(.text, call, streams)
    }

    private static func look(_ call: Call, _ report: inout Report) throws(Failure) {
        try call.requireOperands(0...0)
        let threads = try call.threadCount()
        var watch = OpenedChain.Watch()
        watch.deadline = try call.timeout().map { report.started &+ $0 * 1_000_000_000 }
        guard let chain = try OpenedChain.open(call, &report) else { return }
        let evaluation = chain.verify(&report, threads: threads, linksOnly: call.has(.linksOnly), watch: watch)
        if evaluation.verdict != .intact && !call.has(.linksOnly) {
            _ = Recovering.find(
                chain.head, chain.memory, ends: Recovering.ends(call, MemoryChoice(call[.memory]), head: chain.head),
                threads: threads, reads: false, &report)
        }
        chain.close()
    }
}

extension Option {
    /// What names the memory that is read and the head of the chain in it.
    static let ofMemory: [Option] = [.memory, .base, .pfn, .cmdline, .cmdlineFile, .threads]
    static let ofReading: [Option] = ofMemory + [.raw, .unpackLimit]
}
