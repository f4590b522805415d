import ChainWriting
import Linux
import Machine
import PRAM
import Text
import Verification

/// `repair`: what was lost of the chain, brought back where it was.
enum Repair: Command {
    static let name: StaticString = "repair"
    static let task = Task.mend
    static let operands: StaticString = ""
    static let summary: StaticString = "bring back what is lost, from parity and the second copy of links, bit by bit"
    static let example: StaticString = "repair --dry-run"
    static let options: [Option] = Option.ofMemory + Option.ofWriting + [.dryRun, .partial, .json]
    static let kernelParameters: [BootParameter] = []
    static let writes = true

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        let report = try run(call)
        return report.print(.head, call, streams)
    }

    /// For `boot` as well, which prints nothing.
    static func run(_ call: Call) throws(UsageError) -> Report {
        var report = Report(command: name)
        do throws(Failure) { try repair(call, &report) } catch { try report.end(by: error) }
        report.refreshRunFolder(call)
        return report
    }

    private static func repair(_ call: Call, _ report: inout Report) throws(Failure) {
        try call.requireOperands(0...0)
        let threads = try call.threadCount()
        try WritingTarget.checkOptions(call)
        let target = try WritingTarget.open(call, size: nil, base: try call.base(), for: .cutting)
        var head = try Head.choose(call, target, image: target.image)
        // A lost head is no chain to be seen; what the range says of one is.
        if head.page == nil, target.freePages != .none, Repairing.names(target.head, in: target) {
            head = Head(origin: .range, page: target.head)
        }
        report.head = head
        report.memory = Report.Memory(path: target.name, target.memory)
        report.written = Written(purpose: .repairing, head: head.page, changed: false)
        guard let page = head.page else { return }
        defer { report.lookForLostHead(page, in: target.memory, ends: [target.memory.pages.upperBound &- 1]) }
        try refuseConsumed(head)
        let repairing = Repairing(target: target, head: page, threads: threads)
        guard let found = repairing.find(&report) else {
            let survey = repairing.survey()
            report.evaluation = survey.evaluation
            if !survey.evaluation.links.isEmpty { report.layout = survey.layout }
            if survey.evaluation.verdict != .intact {
                report.written?.warnings = [
                    Phrase("nothing was changed: \(report.repair?.reason ?? RepairReport(.noParity).reason)").text
                ]
            }
            return
        }
        try repairing.carryOut(found, isPartial: call.has(.partial), isDryRun: call.has(.dryRun), &report)
    }

    private static func refuseConsumed(_ head: Head) throws(Failure) {
        guard head.isRefused else { return }
        throw .writing(
            WritingFailure(
                .noChain,
                "the kernel has refused this chain, or a mount has consumed it: its pages are in use again",
                remedy: "look at what is left with check, and save what you can with extract --repair"))
    }
}

/// Bringing back what is lost, for `repair` and for those that cut out what stays lost.
struct Repairing {
    let target: WritingTarget
    let head: PFN
    let threads: Int

    /// Whether a locator of the range names this head.
    static func names(_ head: PFN, in target: WritingTarget) -> Bool {
        Locators.name(head, in: target.memory)
    }

    /// The chain as it lies.
    /// - Parameter recovery: what was just repaired: its links, its META pages and whatever is still lost are read anew,
    ///   of all other pages each was read and compared once already, before it was needed or behind its being written.
    func survey(behind recovery: ChainRecovery? = nil) -> SurveyedChain {
        let pages = target.memory.pages
        return SurveyedChain(
            head: head, memory: target.memory, threads: threads, seed: randomNumber(),
            // What lies outside was not written.
            knows: recovery.map { recovery in { pages.contains($0) && recovery.fitsOnceRepaired($0, $1) } })
    }

    func find(_ report: inout Report) -> Recovering? {
        let pages = target.memory.pages
        let ends = target.freePages != .none && pages.upperBound > 0 ? [pages.upperBound - 1] : []
        return Recovering.find(head, target.memory, ends: ends, threads: threads, reads: false, &report)
    }

    /// - Parameters:
    ///   - isPartial: whether to do what can be done where not all comes back.
    ///   - isDryRun: whether to say what would be done, and do nothing.
    /// - Returns: the chain as it is then; nil where nothing was written.
    @discardableResult
    func carryOut(
        _ found: Recovering, isPartial: Bool, isDryRun: Bool, _ report: inout Report
    ) throws(Failure) -> SurveyedChain? {
        let recovery = found.recovery
        if !isDryRun, !recovery.isNeedless, let kernels = target.memory as? PramKernelMemory,
            let refusal = kernels.refusal
        {
            throw .memory(refusal)
        }
        let repair = ChainRepair(recovery, in: target.memory, writesCopies: target.freePages != .none) {
            () throws(WritingFailure) in
            guard target.freePages == .none else { return }
            if MachineEvidence.kernelsHead() != head.number {
                throw WritingFailure(.changed, "/sys/kernel/pram no longer names this chain, so its pages are not ours")
            }
        }
        if isDryRun && recovery.isWhole && !isPartial {
            try writing { () throws(WritingFailure) in try repair.refuseOutside() }
        }
        guard !isDryRun, recovery.isWhole || isPartial && !repair.plan.isNothing else {
            report.evaluation = recovery.evaluation
            report.layout = found.layout
            // As it lies, lost links included.
            if recovery.lostLinks > 0 { report.evaluation = survey().evaluation }
            let (files, warnings) = (
                describe(report, done: false), unchanged(repair.plan, recovery, isPartial: isPartial, report)
            )
            report.written?.files = files
            report.written?.warnings += warnings
            return nil
        }
        let outcome = try writing { () throws(WritingFailure) in
            try repair.run(isPartial: isPartial, threads: threads)
        }
        report.written?.changed = !outcome.isNothing
        report.written?.isAtomic = outcome.pages + outcome.links + outcome.copies <= 1
        report.repair?.doing = .done
        let files = describe(report, done: true)
        report.written?.files = files
        if !outcome.isNothing {
            report.written?.warnings.append("written anew: \(outcome.inWords)")
        }
        let after = outcome.isNothing && recovery.isNeedless ? nil : survey(behind: recovery)
        report.evaluation = after?.evaluation ?? recovery.evaluation
        report.layout = after?.layout ?? found.layout
        return after
    }

    /// What could have been written, and why it was not.
    private func unchanged(
        _ plan: ChainRepair.Outcome, _ recovery: ChainRecovery, isPartial: Bool, _ report: Report
    ) -> [String] {
        if recovery.isNeedless && plan.isNothing { return [] }
        if plan.isNothing {
            let reason: StaticString =
                report.repair?.possible == RepairReport.Possible.none
                ? report.repair?.reason ?? "" : "what comes back does not lie in the range that may be written"
            return [Phrase("nothing was changed: \(reason)").text]
        }
        if recovery.isWhole || isPartial {
            return [Phrase("would be written anew: \(plan.inWords)").text, "nothing was changed"]
        }
        return [
            "nothing was changed: not all of it comes back",
            Phrase("repair --partial writes what does: \(plan.inWords)").text,
        ]
    }

    private func describe(_ report: Report, done: Bool) -> [(name: [UInt8], fate: StaticString, message: String)] {
        (report.repair?.files ?? []).map { file in
            (file.name, file.isRepairable ? (done ? "repaired" : "repairable") : "lost", file.inWords(done: done))
        }
    }
}
