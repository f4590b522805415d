import KernelCommandLine
import Linux
import MemorySources
import PRAM
import Text
import Verification

/// One run of check, list or extract: all of them look first, and differ in what they do with the answer.
struct ChainRun {
    private let call: Invocation
    private var report: Report
    private let started = monotonicNanoseconds()

    private init(_ call: Invocation) {
        self.call = call
        report = Report(command: call.command)
    }

    /// Runs the command.
    /// - Throws: only what makes the call itself wrong; whatever else goes wrong is in the report.
    static func run(_ call: Invocation) throws(UsageError) -> Report {
        var run = ChainRun(call)
        do throws(Failure) {
            try run.look()
        } catch {
            if case .usage(let usage) = error { throw usage }
            run.report.failure = error
        }
        run.report.elapsedNanoseconds = monotonicNanoseconds() - run.started
        return run.report
    }

    private mutating func look() throws(Failure) {
        var options = ChainCheck.Options()
        options.threads = try call.threadCount()
        options.linksOnly = call.has(.linksOnly)
        report.linksOnly = options.linksOnly
        let base = try call.size(.base) ?? 0
        let unpackLimit = try call.size(.unpackLimit) ?? 1 << 40
        try checkOperands()
        let choice = MemoryChoice(call[.memory])
        let head = try Head.find(call, live: choice.isLive)
        report.head = head
        guard let page = head.page else {
            // This machine's line says nothing of a dump. That there is one at all is the least.
            if !choice.isLive && head.origin == .procCmdline {
                _ = try choice.open(base: base, unpackLimit: unpackLimit, raw: call.has(.raw))
            }
            return
        }

        let lock = try ReadingLock(choice)
        defer { lock.release() }
        let memory = try choice.open(base: base, unpackLimit: unpackLimit, raw: call.has(.raw))
        report.memory = Report.Memory(choice, memory)
        if let live = memory as? LiveMemory { try report.memory?.explain(live, head: page) }
        // Before the work, not behind it.
        let directory = try call.operands.first.map { path throws(Failure) in try open(path) }
        let progress = Progress(started)
        options.progress = call.progress ?? { progress.show($0) }
        options.deadline = call.deadline
        options.observe = call.observe
        let check = ChainCheck(head: page, memory: memory, options: options, seed: randomNumber())
        let evaluation = check.run()
        progress.clear()
        report.memory?.notes = memory.notes  // asked last: some only show while pages are read
        report.evaluation = evaluation
        if !evaluation.links.isEmpty { report.layout = check.layout }

        if let directory {
            let extractor = Extractor(
                directory: directory, takesDamaged: call.has(.damaged), replaces: call.has(.force),
                keepsModeBits: call.has(.preserveMode))
            report.extractions = extractor.extract(
                Array(call.operands.dropFirst()), of: evaluation, head: page, memory: memory)
        }
    }

    private func checkOperands() throws(Failure) {
        if call.command == .extract {
            if call.operands.isEmpty { throw .usage(UsageError("extract needs a directory")) }
        } else if let word = call.operands.first {
            throw .usage(UsageError("too many words: \(escaped(word))"))
        }
    }

    private func open(_ directory: [UInt8]) throws(Failure) -> Directory {
        do throws(SystemError) { return try Directory(directory) } catch { throw .system(error, remedy: "") }
    }
}

/// How far a check is, on a terminal, once it takes longer than a second.
final class Progress {
    private let started: UInt64
    private var next: UInt64
    private let isShown = Output(2, name: "standard error").isTerminal
    private var hasShown = false

    init(_ started: UInt64) {
        self.started = started
        next = started + 1_000_000_000
    }

    func show(_ pages: UInt64) {
        guard isShown else { return }
        let now = monotonicNanoseconds()
        guard now >= next else { return }
        next = now + 200_000_000
        hasShown = true
        let output = Output(2, name: "standard error")
        output.write("\r\(TextReport.byteCount(pages &* UInt64(pageSize))) checked\u{1b}[K")
        output.flush()
    }

    func clear() {
        guard hasShown else { return }
        let output = Output(2, name: "standard error")
        output.write("\r\u{1b}[K")
        output.flush()
    }
}
