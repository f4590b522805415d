import ChainWriting
import Linux
import Machine
import Manifest
import PRAM
import Text
import Verification

/// `drop`: the chain without its damage.
enum Drop: Command {
    static let name: StaticString = "drop"
    static let task = Task.mend
    static let operands: StaticString = ""
    static let summary: StaticString = "cut out what is damaged, and keep everything else"
    static let example: StaticString = "drop --dry-run"
    static let options: [Option] = Option.ofCutting + [.keepHoles, .refit, .json]
    static let kernelParameters: [BootParameter] = []
    static let writes = true

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        try Cutting.run(call, streams, name, quarantines: false)
    }
}

/// `quarantine`: the same, but damaged files stay under other names.
enum Quarantine: Command {
    static let name: StaticString = "quarantine"
    static let task = Task.mend
    static let operands: StaticString = ""
    static let summary: StaticString = "keep what is damaged under other names, marked, and everything else as it is"
    static let example: StaticString = "quarantine --dry-run"
    static let options: [Option] = Option.ofCutting + [.json]
    static let kernelParameters: [BootParameter] = []
    static let writes = true

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        try Cutting.run(call, streams, name, quarantines: true)
    }
}

extension Option {
    static let ofCutting: [Option] = ofMemory + ofWriting + [.dryRun, .noRepair, .salvage, .cut]
}

/// Cutting damage out of a chain: looks, plans, refuses what can be refused, and writes.
enum Cutting {
    static func run(
        _ call: Call, _ streams: Streams, _ name: StaticString, quarantines: Bool
    ) throws(UsageError) -> ExitStatus {
        let report = try run(call, name, quarantines: quarantines)
        return report.print(.head, call, streams)
    }

    /// For `boot` as well, which prints nothing.
    static func run(_ call: Call, _ name: StaticString, quarantines: Bool) throws(UsageError) -> Report {
        var report = Report(command: name)
        do throws(Failure) { try cut(call, quarantines, &report) } catch { try report.end(by: error) }
        report.refreshRunFolder(call)
        return report
    }

    private static func cut(_ call: Call, _ quarantines: Bool, _ report: inout Report) throws(Failure) {
        try call.requireOperands(0...0)
        let threads = try call.threadCount()
        try WritingTarget.checkOptions(call)
        let target = try WritingTarget.open(call, size: nil, base: try call.base(), for: .cutting)
        let head = try Head.choose(call, target, image: target.image)
        report.head = head
        report.memory = Report.Memory(path: target.name, target.memory)
        guard let page = head.page else {
            report.written = Written(purpose: .cutting, head: nil, changed: false)
            return
        }
        if head.isRefused {
            throw .writing(
                WritingFailure(
                    .noChain,
                    "the kernel has refused this chain, or a mount has consumed it: its pages are in use again",
                    remedy: "look at what is left with check, and save what you can with extract"))
        }
        var survey = SurveyedChain(head: page, memory: target.memory, threads: threads, seed: randomNumber())
        let lying = survey
        defer { report.lookForLostHead(page, in: target.memory, ends: [target.memory.pages.upperBound &- 1]) }
        report.written = Written(purpose: .cutting, head: page, changed: false)
        if survey.evaluation.verdict != .intact && !call.has(.noRepair) {
            survey = try repaired(survey, call, target, page, threads: threads, &report)
        }
        // Where nothing is written, the chain is what it was.
        let isLeft = call.has(.dryRun) && survey.evaluation.verdict == .intact
        report.evaluation = isLeft ? lying.evaluation : survey.evaluation
        report.layout = isLeft ? lying.layout : survey.layout
        guard !survey.evaluation.links.isEmpty else {
            report.written?.head = nil
            report.written?.warnings = [
                "page \(hexadecimal(page.number)) is no head of a chain, so nothing was changed; --pfn names another"
            ]
            return
        }
        let plan = plan(call, survey, quarantines: quarantines)
        report.written?.files += describe(plan, survey.evaluation)
        guard try mayGoOn(call, plan, survey, target, page, &report) else { return }
        try write(plan, survey, target, page, threads: threads, &report)
    }

    /// First brings back what comes back; what stays lost is cut out afterwards.
    /// - Returns: the chain as it is then, or as it would be.
    private static func repaired(
        _ survey: SurveyedChain, _ call: Call, _ target: WritingTarget, _ page: PFN, threads: Int,
        _ report: inout Report
    ) throws(Failure) -> SurveyedChain {
        let repairing = Repairing(target: target, head: page, threads: threads)
        guard let found = repairing.find(&report), let repair = report.repair, repair.possible != .none else {
            return survey
        }
        let isDryRun = call.has(.dryRun)
        let after = try repairing.carryOut(found, isPartial: true, isDryRun: isDryRun, &report)
        if !isDryRun { return after ?? survey }
        return SurveyedChain(head: page, memory: found.memory, threads: threads, seed: randomNumber())
    }

    private static func plan(_ call: Call, _ survey: SurveyedChain, quarantines: Bool) -> DropPlan {
        var options = DropPlan.Options()
        options.keepsHoles = call.has(.keepHoles)
        options.quarantines = quarantines
        options.unproved = call.has(.salvage) ? .salvage : call.has(.cut) ? .cut : nil
        return DropPlan(survey, options: options, refits: call.has(.refit))
    }

    /// Whether there is something to write, and nothing forbids it.
    private static func mayGoOn(
        _ call: Call, _ plan: DropPlan, _ survey: SurveyedChain, _ target: WritingTarget, _ page: PFN,
        _ report: inout Report
    ) throws(Failure) -> Bool {
        let isRefit = call.has(.refit)
        let evaluation = survey.evaluation
        if isRefit && (evaluation.verdict == .damaged || plan.fates.contains(where: { $0 != .kept })) {
            throw .writing(
                WritingFailure(
                    .decisionNeeded, "the chain is damaged: --refit alone would hide that",
                    remedy: "pram-verify drop without --refit cuts the damage out, and refits what is left"))
        }
        if plan.isUndecided {
            report.written?.warnings = [
                "nothing was changed: what lies behind the damaged link cannot prove that it belongs to this chain; "
                    + "--salvage keeps it, marked, --cut drops it"
            ]
            return false
        }
        guard plan.isNeeded else {
            if evaluation.links.contains(where: { $0.reading != .asIs }) {
                report.written?.warnings = [
                    "some links do not fit as they lie, so the next kernel with pram would refuse the "
                        + "chain: drop --refit makes them fit"
                ]
            }
            return false
        }
        guard target.memory.pages.contains(page.number) else {
            throw .writing(WritingFailure(.noChain, "the head does not lie in the range that may be written"))
        }
        if plan.leavesNothing && target.freePages == .none {
            throw .writing(
                WritingFailure(
                    .noFreePages,
                    "no file would be left, and a kernel that is made to mount an empty chain reads past it",
                    remedy: "do not mount it, and start the next kernel without pram="))
        }
        guard call.has(.dryRun) else { return true }
        let refits = evaluation.links.count { $0.reading != .asIs }
        if plan.leavesNothing { report.written?.head = nil }
        report.written?.warnings.append(
            isRefit ? "\(counted(refits, "link")) would be made to fit; nothing was changed" : "nothing was changed")
        return false
    }

    private static func write(
        _ plan: DropPlan, _ survey: SurveyedChain, _ target: WritingTarget, _ page: PFN, threads: Int,
        _ report: inout Report
    ) throws(Failure) {
        if let kernels = target.memory as? PramKernelMemory, let refusal = kernels.refusal { throw .memory(refusal) }
        let former = FormerProtection(of: survey, in: target.memory)
        let drop = ChainDrop(survey, plan, in: target.memory, former: former) { () throws(WritingFailure) in
            guard target.freePages == .none else { return }
            if MachineEvidence.kernelsHead() != page.number {
                throw WritingFailure(.changed, "/sys/kernel/pram no longer names this chain, so its pages are not ours")
            }
        }
        let outcome = try writing { () throws(WritingFailure) in
            try drop.run(taking: target.freePages, generation: randomNumber(), threads: threads, seed: randomNumber())
        }
        report.written?.head = outcome.head
        report.written?.changed = true
        report.written?.isAtomic = outcome.isAtomic
        if !outcome.isAtomic {
            report.written?.warnings.append(
                "there was no free page, so links were changed one by one, not in a single step")
        }
        if !outcome.manifestFits {
            report.written?.warnings.append(
                "there was no free page for the manifest, so it still tells of the chain as it was")
        }
        report.evaluation = outcome.chain
        if let former, outcome.isAtomic, let head = outcome.head {
            try protect(head, as: former, target, threads: threads, &report)
        }
    }

    /// Makes parity of what was left, where the range has room.
    private static func protect(
        _ head: PFN, as former: FormerProtection, _ target: WritingTarget, threads: Int, _ report: inout Report
    ) throws(Failure) {
        // All of it was read back a moment ago, and is once more before the head is written.
        let survey = SurveyedChain(head: head, memory: target.memory, threads: threads, seed: randomNumber()) { _, _ in
            true
        }
        guard
            let protection = ChainProtection(
                survey, as: former, in: target.memory, taking: target.freePages, generation: randomNumber(),
                threads: threads)
        else {
            report.written?.warnings.append(
                "no parity was made of what was left, as the range has no room for it or the pages lie too scattered: "
                    + "what is lost from now on stays lost")
            return
        }
        let outcome = try writing { () throws(WritingFailure) in try protection.run(seed: randomNumber()) }
        if let chain = outcome.chain { report.evaluation = chain }
        if let obstacle = outcome.obstacle {
            report.written?.warnings.append("what was left has no parity: \(obstacle.message)")
        } else if outcome.longestRun == 0 {
            report.written?.warnings.append(
                "the range has no room for parity of what was left: links come back, and no other page")
        } else if outcome.lacking > 0 {
            report.written?.warnings.append(
                Phrase(
                    "the range has room for \(outcome.longestRun) of \(outcome.longestRun + outcome.lacking) parity pages "
                        + "of what was left; a run of \(counted(outcome.longestRun, "lost page")) comes back"
                ).text)
        }
    }

    private static func describe(
        _ plan: DropPlan, _ evaluation: ChainEvaluation
    ) -> [(name: [UInt8], fate: StaticString, message: String)] {
        var files: [(name: [UInt8], fate: StaticString, message: String)] = []
        for (number, fate) in plan.fates.enumerated() {
            let name = evaluation.files[number].name
            switch fate {
            case .kept: break
            case .quarantined(let new): files.append((name, "quarantined", "kept as \(escaped(new)), marked"))
            case .dropped(let reason):
                let isManifest = name == ManifestFile.name && evaluation.files[number].metaFits
                files.append(
                    (name, "dropped", "\(reason.sentence)\(isManifest ? "; what can be read of it is kept" : "")"))
            case .undecided: files.append((name, "undecided", "nothing proves that it belongs to this chain"))
            }
        }
        return files
    }
}
