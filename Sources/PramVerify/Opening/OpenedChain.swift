import Linux
import Machine
import MemorySources
import PRAM
import Text
import Verification

/// The chain that a call names, in memory that was opened for reading: what check, list, extract and boot begin with.
struct OpenedChain {
    let head: PFN
    let memory: any PhysicalMemory
    private let lock: ReadingLock
    private let call: Call

    /// What `boot` asks for besides what options name.
    struct Watch {
        /// See `ChainCheck.Options`.
        var deadline: UInt64?
        var progress: ((UInt64) -> Void)?
        var observe: ((WalkedLink, UnsafeBufferPointer<EntryResult>) -> Void)?
        var judged: ((ChainEvaluation, WalkedLink, UnsafeBufferPointer<EntryResult>) -> Void)?
    }

    /// - Returns: nil when no chain is named; the report says so then.
    static func open(_ call: Call, _ report: inout Report) throws(Failure) -> OpenedChain? {
        let base = try call.base()
        let unpackLimit = try call.unpackLimit()
        let choice = MemoryChoice(call[.memory])
        var head = try Head.find(call, live: choice.isLive)
        if choice.isLive && head.page == nil && head.origin == .procCmdline { head.lookForUnnamed(&report) }
        report.head = head
        guard let page = head.page else {
            // This machine's line says nothing of a dump. That there is one at all is the least.
            if !choice.isLive && head.origin == .procCmdline {
                _ = try choice.open(base: base, unpackLimit: unpackLimit, raw: call.has(.raw))
            }
            return nil
        }
        let lock = try ReadingLock(choice)
        let memory = try choice.open(base: base, unpackLimit: unpackLimit, raw: call.has(.raw))
        report.memory = Report.Memory(choice, memory)
        if let live = memory as? LiveMemory { try report.memory?.explain(live, head: page) }
        return OpenedChain(head: page, memory: memory, lock: lock, call: call)
    }

    /// Verifies all of it.
    func verify(
        _ report: inout Report, threads: Int, linksOnly: Bool = false, watch: Watch = Watch()
    ) -> ChainEvaluation {
        var options = ChainCheck.Options()
        options.threads = threads
        options.linksOnly = linksOnly
        report.linksOnly = linksOnly
        let progress = Progress(report.started)
        options.progress = watch.progress ?? { progress.show($0) }
        options.deadline = watch.deadline
        options.judged = watch.judged
        let witness = ParityWitness()
        let frames = ChainFrames()
        if !linksOnly {
            options.observe = { link, results in
                witness.take(link, results)
                frames.take(link)
                watch.observe?(link, results)
            }
        } else {
            options.observe = { link, results in
                frames.take(link)
                watch.observe?(link, results)
            }
        }
        let check = ChainCheck(head: head, memory: memory, options: options, seed: randomNumber())
        let evaluation = check.run()
        progress.clear()
        report.memory?.notes = memory.notes  // asked last: some only show while pages are read
        report.evaluation = evaluation
        if evaluation.links.isEmpty, let text = call[.pfn], let hint = Head.hint(text, in: memory) {
            report.warnings = (report.warnings ?? []) + [hint]
        }
        report.lookAtHandOver(head, frames)
        report.hasStaleParity = !linksOnly && witness.isStale(evaluation, in: memory)
        report.lookForLostHead(head, in: memory, ends: Recovering.ends(call, MemoryChoice(call[.memory]), head: head))
        if !linksOnly { report.lostCopies = lostCopies(evaluation, witness) }
        if !evaluation.links.isEmpty { report.layout = check.layout }
        if !linksOnly && evaluation.findingCounts[Finding.Kind.timeout.rawValue] == 0 {
            report.lookAtManifest(of: evaluation, head: head, memory: memory)
        }
        return evaluation
    }

    /// What is lost of what protects an intact chain, and no link lists; nil where there is no such thing.
    private func lostCopies(_ chain: ChainEvaluation, _ witness: ParityWitness) -> LostCopies? {
        let choice = MemoryChoice(call[.memory])
        // A kernel with pram keeps what links list, and has given the rest to others.
        if choice.isLive && MachineEvidence.kernelsHead() == head.number { return nil }
        let geometry = witness.geometry(of: chain, head: head, in: memory) {
            Recovering.ends(call, choice, head: head)
        }
        return geometry.map { LostCopies(of: $0, links: chain.links.map { $0.page.number }, in: memory) }
    }

    /// Lets writers go on.
    func close() { lock.release() }
}
