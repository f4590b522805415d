import ChainWriting
import KernelCommandLine
import Linux
import Machine
import PRAM
import Text
import Verification

/// `load`: the intact files of the chain, restored; with --erase the chain then gives way.
enum Load: Command {
    static let name: StaticString = "load"
    static let task = Task.carry
    static let operands: StaticString = " DIR"
    static let summary: StaticString = "check the chain, and restore its intact files into the directory DIR"
    static let example: StaticString = "load --erase /var/lib/pram-verify"
    static let options: [Option] =
        Option.ofReading + Option.ofWriting + [
            .flat, .stdout, .damaged, .repair, .force, .preserveMode, .devices, .partial, .erase, .json,
        ]
    static let kernelParameters: [BootParameter] = []
    static let writes = true

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        try perform(call).print(call.has(.stdout) ? .streamed : .text, call, streams)
    }

    static func perform(_ call: Call) throws(UsageError) -> Report {
        var report = Report(command: name, extractions: [])
        do throws(Failure) { try load(call, &report) } catch { try report.end(by: error) }
        // Memory is written when everything else is done, so a failure tells nothing new of the chain.
        if report.failure == nil { report.refreshRunFolder(call) }
        return report
    }

    private static func load(_ call: Call, _ report: inout Report) throws(Failure) {
        try call.requireOperands(call.has(.stdout) ? 0...0 : 1...1, "a directory")
        if let path = call.operands.first, FileDescriptor.isMadeByKernel(path) {
            throw .writing(
                WritingFailure(
                    .notSavable, "\(escaped(path)) is a file system of the kernel's own, which keeps no files",
                    remedy: "name a directory on a disk or a tmpfs"))
        }
        let threads = try call.threadCount()
        try WritingTarget.checkOptions(call)
        let choice = MemoryChoice(call[.memory])
        var target: WritingTarget?
        let arrived = Head.arrived(call)
        if arrived == nil && call.has(.erase) || call.has(.device) {
            target = try WritingTarget.open(call, size: nil, base: try call.base(), for: .clearing)
        }
        if choice.isLive { try refuseCrashKernel(call) }
        var opened = choice.isLive && !call.has(.device) ? nil : try open(call, choice, target, &report)
        let head: Head
        if let arrived { head = arrived } else { head = try Head.choose(call, target, image: opened?.memory) }
        report.head = head
        guard let page = head.page else { return try Restoration.refusePouring(call) }
        if opened == nil {
            do throws(Failure) {
                opened = try open(call, choice, target, &report)
            } catch {
                guard arrived != nil, case .memory = error else { throw error }
                opened = try openKept(page, instead: error, &report)
            }
        }
        guard let opened else { return }
        let lock = opened.lock
        var memory = opened.memory
        defer { lock?.release() }
        let end = target.map { [$0.memory.pages.upperBound &- 1] } ?? []
        let chain = check(page, &memory, call, end, threads, hasArrived: arrived != nil, &report)
        let isComplete = try restore(chain, page, memory, call, &report)
        guard call.has(.erase), target != nil || arrived != nil else { return }
        try clear(chain, page, target, isComplete: isComplete, &report)
    }

    /// Verifies all of the chain; with --repair it comes with what is brought back, and `memory` has that in it.
    /// - Parameter end: the last page of a range that is to be written.
    private static func check(
        _ page: PFN, _ memory: inout any PhysicalMemory, _ call: Call, _ end: [UInt64], _ threads: Int,
        hasArrived: Bool, _ report: inout Report
    ) -> ChainEvaluation {
        var options = ChainCheck.Options()
        options.threads = threads
        let frames = ChainFrames()
        options.observe = { link, _ in frames.take(link) }
        let check = ChainCheck(head: page, memory: memory, options: options, seed: randomNumber())
        var chain = check.run()
        report.evaluation = chain
        report.layout = check.layout
        let choice = MemoryChoice(call[.memory])
        if chain.verdict != .intact {
            let ends = end + Recovering.ends(call, choice, head: page)
            report.recover(call, page, ends: ends, threads: threads, &chain, &memory)
        }
        report.lookForLostHead(page, in: memory, ends: end + Recovering.ends(call, choice, head: page))
        if hasArrived { report.lookAtHandOver(page, frames) }
        report.lookAtManifest(of: chain, head: page, memory: memory)
        return chain
    }

    /// --erase: the chain gives way where all of it was restored.
    private static func clear(
        _ chain: ChainEvaluation, _ page: PFN, _ target: WritingTarget?, isComplete: Bool, _ report: inout Report
    ) throws(Failure) {
        guard isComplete else {
            let reason: StaticString =
                chain.verdict == .intact
                ? "not every file was restored" : "it is not intact; erase clears it all the same"
            report.written = Written(
                purpose: .clearing, head: page, changed: false, warnings: [Phrase("the chain stays: \(reason)").text])
            return
        }
        guard let target else {
            report.written = release(chain, page)
            // What was said of its session is true no more.
            if report.written?.changed == true { report.warnings = nil }
            return
        }
        report.written = try target.clear(page)
    }

    /// Gives the kernel the memory back.
    private static func release(_ chain: ChainEvaluation, _ head: PFN) -> Written {
        ArrivedSession.release(
            head, generation: chain.links.first?.generation,
            pages: chain.pagesChecked &+ UInt64(chain.links.count))
    }

    private static func open(
        _ call: Call, _ choice: MemoryChoice, _ target: WritingTarget?, _ report: inout Report
    ) throws(Failure) -> (memory: any PhysicalMemory, lock: ReadingLock?) {
        if let target, !choice.isLive || call.has(.device) {
            report.memory = Report.Memory(path: target.name, target.memory)
            return (target.memory, nil)
        }
        let lock = target == nil ? try ReadingLock(choice) : nil
        let memory = try choice.open(
            base: try call.base(), unpackLimit: try call.unpackLimit(), raw: call.has(.raw))
        report.memory = Report.Memory(choice, memory)
        return (memory, lock)
    }

    /// A chain that has arrived in memory that nobody may read, as its session gives it back.
    private static func openKept(
        _ head: PFN, instead failure: Failure, _ report: inout Report
    ) throws(Failure) -> (memory: any PhysicalMemory, lock: ReadingLock?) {
        guard let kept = try KeptMemory.take(head) else {
            report.warnings = [
                "\(unnamedSession)"
            ]
            throw failure
        }
        report.memory = Report.Memory(path: "memfd", kept.memory)
        report.warnings = kept.sentences
        return (kept.memory, nil)
    }

    private static let unnamedSession: StaticString =
        "the session that keeps the chain is named nowhere: pram-verify cmdline puts pram_verify.session= on the line"

    /// - Returns: whether every file of an intact chain is in the directory now.
    private static func restore(
        _ chain: ChainEvaluation, _ head: PFN, _ memory: any PhysicalMemory, _ call: Call, _ report: inout Report
    ) throws(Failure) -> Bool {
        let restoration = Restoration(call, synchronizes: true)
        if call.has(.stdout) {
            restoration.pour(of: chain, head: head, memory: memory, &report)
            return false
        }
        let manifest = report.manifest?.file
        let hasGood = chain.usersFiles(manifest: manifest).contains { chain.files[$0].status == .intact }
        guard hasGood || call.has(.damaged) || manifest != nil && chain.files.count(where: { !$0.isParity }) == 1 else {
            // Nothing was restored, so this is no success, also where the chain as such is intact.
            let paths = restoration.paths(of: chain, report)
            report.extractions = chain.usersFiles(manifest: manifest).map {
                Extraction(name: paths[$0], outcome: .refused, message: "it is \(chain.files[$0].status.name)")
            }
            return false
        }
        let directory = try calling { () throws(SystemError) in try Directory(call.operands[0]) }
        if let refused = restoration.refusal(of: chain, directory, report) {
            report.extractions = refused
            return false
        }
        return try restoration.restore([], of: chain, head: head, memory: memory, directory, &report)
    }

    private static func refuseCrashKernel(_ call: Call) throws(Failure) {
        guard !call.has(.pfn) else { return }
        let paths = MachinePaths()
        let line = try calling(remedy: "mount /proc") { () throws(SystemError) in
            try paths.parameterLine()
        }
        guard MachineEvidence.isCrashKernel(line, paths) else { return }
        throw .refused(
            WriteRefusal(
                .crashKernel, "this is a crash kernel: its command line's pram= may be meant for another",
                remedy: "name the head of the chain with --pfn"))
    }
}
