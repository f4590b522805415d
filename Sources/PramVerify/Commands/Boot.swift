import KernelCommandLine
import Linux
import Machine
import MemorySources
import PRAM
import Text
import Verification

/// `boot`: what the hooks of an initramfs run. All it does is asked for on the kernel command line, what it finds is in
/// /run/pram-verify, and whatever happens it ends in time, with status 0.
struct Boot: Command {
    static let name: StaticString = "boot"
    static let task = Task.boot
    static let operands: StaticString = ""
    static let summary: StaticString =
        "check at boot, as the kernel command line asks for: what the hooks of an initramfs run"
    static let example: StaticString = "boot"
    static let options: [Option] = [.resume]
    static let kernelParameters: [BootParameter] = BootParameter.allCases
    /// `drop` and `quarantine` write, by calls of their own.
    static let writes = false

    private let line: ParameterLine
    private let configuration: BootConfiguration
    private let started = monotonicNanoseconds()
    private let log = KernelLog()
    /// How far the supervised process has come (`Stage`).
    private let reached = SharedNumber()

    /// From each of these on, what was reached stays, whatever becomes of the process.
    private enum Stage: UInt64 {
        case looking
        /// What was found is in /run.
        case published
        /// It is in the kernel's log as well.
        case announced
    }

    /// The work is done in a process of its own, so that nothing that happens to it happens to the boot.
    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        if let word = call.operands.first { throw UsageError("too many words: \(escaped(word))") }
        let run = Boot()
        if let device = call[.resume] {
            // In a process of its own too, for a device may take its time.
            if case .ended = runSupervised(milliseconds: 10_000, { run.lookBeforeResuming(device) }) { return [] }
            run.warn(.unknown(escaped(device.prefix(80))))
            return []
        }
        let milliseconds = Int32(run.configuration.timeout * 1000 + 2000)
        switch runSupervised(milliseconds: milliseconds, { run.look() }) {
        case .ended: break
        case .notStarted: _ = run.look()
        case .late: run.giveUp(nil)
        case .killed(let signal): run.giveUp(signal)
        }
        return []
    }

    private init() {
        line = (try? MachinePaths().parameterLine()) ?? ParameterLine([])
        configuration = BootConfiguration(line)
    }

    /// For the supervising process: what the other one has not come to.
    private func giveUp(_ signal: Int32?) {
        let end: Phrase = signal.map { "was ended by signal \($0)" } ?? "was not finished in time"
        switch Stage(rawValue: reached.value) ?? .looking {
        case .announced:
            return log.write(.information, "what follows the check \(end); what was found stands")
        case .published:
            let status = RunFolder.lastStatus ?? .indeterminate
            return log.write(level(of: status), "\(status.name); what follows the check \(end)")
        case .looking: break
        }
        var report = Report(command: Boot.name, warnings: [])
        if let signal {
            report.failure = .memory(
                MemoryFailure(.outOfResources, source: "boot", "the check was ended by signal \(signal)"))
        } else {
            let evaluation = ChainEvaluation(seed: 0)
            evaluation.interrupt()
            evaluation.finish()
            report.evaluation = evaluation
        }
        finish(&report, isCrashKernel: false)
    }

    private func look() -> Int32 {
        var report = Report(command: Boot.name, warnings: configuration.problems)
        guard configuration.policy != .off else {
            finish(&report, isCrashKernel: false)
            return 0
        }
        waitForDevice()
        let machine = try? MachineEvidence.collect()
        let isCrashKernel = machine?.isCrashKernel ?? MachineEvidence.isCrashKernel(line)
        let hazards = machine.map { Hazards($0, kernelsHead: MachineEvidence.kernelsHead()) }
        report = check(hazards)
        report.warnings = configuration.problems + (report.warnings ?? [])
        if report.head?.page != nil, let hazards, report.runStatus != .empty {
            if report.handOver != nil { hazards.disregard(managed: true) }
            report.warnings? += hazards.sentences
        }
        if !isCrashKernel, let sentence = report.origin?.warning { warn(Phrase(sentence), &report) }
        if let record = report.rehearsal {
            RunFolder.publishNote(.rehearsal) { $0.write(record.text) }
            log.write(record.state == .passed ? .information : .warning, "rehearsal \(record.sentence)")
        }
        if isToBeCorrected(report.runStatus) && !isCrashKernel && report.rehearsal == nil {
            // Should correcting it not come to an end, this is what is known.
            publish(report, action(for: report, isCrashKernel).0)
            reached.value = Stage.published.rawValue
            correct(&report)
        }
        let action = finish(&report, isCrashKernel: isCrashKernel)

        // Last, for it asks a device, which may take its time: all that is to be known of the chain is written by now.
        if report.evaluation?.links.isEmpty == false {
            let hibernation = findHibernation()
            if let sentence = hibernation.sentence {
                warn(hibernation)
                report.warnings?.append(sentence)
                publish(report, action)
            }
        }
        if !isCrashKernel { publishLine(report, hazards) }
        return 0
    }

    /// In a process of its own: a device may hang, and the rest of `boot` is not to hang with it.
    private func findHibernation() -> Hibernation {
        let found = SharedNumber()
        var hibernation = Hibernation.none
        let outcome = runSupervised(milliseconds: 10_000) {
            found.value = Hibernation.find(line).code
            return 0
        }
        if case .ended = outcome {
            hibernation = Hibernation(code: found.value, line)
        } else {
            hibernation = Hibernation.unknownDevice(line)
        }
        return hibernation
    }

    /// What udev asks in the initramfs when a device appears that a hibernated system may wait on, before anything is
    /// resumed.
    private func lookBeforeResuming(_ device: [UInt8]) -> Int32 {
        // Where nothing could be written there may be a chain, too.
        if RunFolder.lastStatus?.isOfAChain ?? true { warn(Hibernation.find(on: device, line)) }
        return 0
    }

    private func warn(_ hibernation: Hibernation) {
        guard let sentence = hibernation.sentence else { return }
        if case .notThere = hibernation {
            log.write(.information, Phrase(sentence))
        } else {
            log.write(.warning, Phrase(sentence))
        }
    }

    private func publishLine(_ report: Report, _ hazards: Hazards?) {
        var known: ChainSearch.Known?
        if let page = report.head?.page, let evaluation = report.evaluation, let hazards, report.written == nil {
            known = ChainSearch.Known(
                head: page, evaluation: evaluation, layout: report.layout ?? .amd64, pages: hazards.pages)
        }
        RunFolder.publishLine { output in
            // Why a chain is not handed on is told to those who ask: what goes nowhere here is what `cmdline` says.
            let streams = Streams(output: output, errors: Output(-1, name: "nowhere"))
            guard let status = try? Cmdline.run(Call(Cmdline.self), streams, known: known) else { return false }
            return !status.contains(.failed)
        }
    }

    private func check(_ hazards: Hazards?) -> Report {
        let call = Call(Boot.self)
        var report = Report(command: Boot.name, warnings: [])
        report.searchDeadline = started + UInt64(configuration.timeout) * 1_000_000_000
        do throws(Failure) {
            let threads = try call.threadCount()
            guard let chain = try OpenedChain.open(call, &report) else { return report }
            let evaluation = chain.verify(
                &report, threads: threads, linksOnly: configuration.isQuick, watch: watch(hazards))
            if let (canary, name) = Rehearsal.canary(at: chain.head, in: chain.memory) {
                let deadline = started + UInt64(configuration.timeout) * 1_000_000_000
                report.rehearsal = Rehearsal.look(at: canary, name, in: chain.memory, deadline: deadline)
            }
            chain.close()
            report.duration = report.elapsedNanoseconds
            if configuration.isQuick, let hazards {
                for link in evaluation.links { hazards.look(at: link.page) }
            }
        } catch {
            report.failure = error
        }
        return report
    }

    private func watch(_ hazards: Hazards?) -> OpenedChain.Watch {
        var watch = OpenedChain.Watch()
        watch.deadline = started + UInt64(configuration.timeout) * 1_000_000_000
        var next = started + 5_000_000_000
        watch.progress = { [log] pages in
            let now = monotonicNanoseconds()
            guard now >= next else { return }
            next = now + 5_000_000_000
            log.write(.information, "still at it: \(byteCount(pages &* UInt64(pageSize))) checked")
        }
        if let hazards {
            watch.observe = { walked, _ in
                guard let link = walked.link else { return }
                hazards.look(at: walked.page)
                for entry in link.entries { hazards.look(at: entry.page) }
            }
        }
        return watch
    }

    /// Where a head page of zeros is a lost one, something may be left that brings it back, though no locator says so.
    private func isToBeCorrected(_ status: RunStatus) -> Bool {
        switch configuration.policy {
        case .repair, .repairDrop: status == .damaged || status == .indeterminate || status == .empty
        case .drop, .quarantine: status == .damaged
        case .report, .off: false
        }
    }

    /// Does what the policy asks for, by the same code as the command of that name.
    private func correct(_ report: inout Report) {
        let name = configuration.policy.name
        let quarantines: Bool
        switch configuration.policy {
        case .report, .off: return
        case .repair, .repairDrop, .drop: quarantines = false
        case .quarantine: quarantines = true
        }
        let isRepair = configuration.policy == .repair
        // The chain is read two or three times more. What is begun is to be finished before the time is over.
        guard report.elapsedNanoseconds < UInt64(configuration.timeout) * 250_000_000 else {
            return warn("there is no time left to \(name) what is damaged; raise pram_verify.timeout", &report)
        }
        var call = quarantines ? Call(Quarantine.self) : isRepair ? Call(Repair.self) : Call(Drop.self)
        if let region = configuration.region { call.set(.region, region) }
        if let device = configuration.device { call.set(.device, device) }
        let done =
            isRepair ? try? Repair.run(call) : try? Cutting.run(call, call.command.name, quarantines: quarantines)
        guard let outcome = done else { return }
        if let failure = outcome.failure {
            return warn("\(name): \(failure.message); \(failure.remedy)", &report)
        }
        let warnings = report.warnings
        report = outcome
        report.warnings = warnings
        if let repair = report.repair {
            log.write(
                .information,
                "repair: \(repair.possible.name) of what was lost comes back: \(repair.lostInWords)")
        }
    }

    /// It is said with the result, behind the verdict.
    private func warn(_ phrase: Phrase, _ report: inout Report) { report.warnings?.append(phrase.text) }

    /// - Returns: how the boot is to go on.
    @discardableResult
    private func finish(_ report: inout Report, isCrashKernel: Bool) -> BootConfiguration.Action {
        let (action, warning) = action(for: report, isCrashKernel)
        if let warning { warn("\(warning)", &report) }
        publish(report, action)
        reached.value = Stage.published.rawValue
        announce(report, status(of: report))
        if action != .proceed { log.write(.error, "pram_verify.on_damage=\(action.name)") }
        reached.value = Stage.announced.rawValue
        return action
    }

    private func action(for report: Report, _ isCrashKernel: Bool) -> (BootConfiguration.Action, StaticString?) {
        // Nobody misses a canary.
        if report.rehearsal != nil { return (.proceed, nil) }
        return configuration.action(status(of: report), on: line, isCrashKernel: isCrashKernel)
    }

    private func status(of report: Report) -> RunStatus { configuration.policy == .off ? .off : report.runStatus }

    private func publish(_ report: Report, _ action: BootConfiguration.Action) {
        guard let error = RunFolder.publish(report, status(of: report), action) else { return }
        log.write(.warning, Phrase(error.message))
    }

    private func level(of status: RunStatus) -> KernelLog.Level {
        switch status {
        case .damaged, .lost: .error
        case .unnamed, .corrected, .indeterminate, .failed: .warning
        case .intact, .empty, .absent, .off: .information
        }
    }

    /// A few lines for the kernel's log, the verdict first. It is there for everybody to read, so no names of files. The
    /// kernel drops lines where there are more than ten within five seconds: with the action these are nine at most.
    private func announce(_ report: Report, _ status: RunStatus) {
        let level = status == .indeterminate && report.linksOnly ? .information : level(of: status)
        var phrase: Phrase = "\(status.name)"
        if let failure = report.failure {
            phrase = "\(status.name): \(failure.message)"
        } else if report.handOver?.loss != nil {
            phrase = "\(status.name): \(report.handOverSentence)"
        } else if let evaluation = report.evaluation, !evaluation.links.isEmpty {
            let files = report.filesInWords
            let links = counted(evaluation.links.count, "link")
            let pages = counted(Int(clamping: evaluation.pagesChecked), "page")
            phrase = "\(status.name): \(files), \(links), \(pages) checked"
        }
        log.write(level, phrase)
        if status == .damaged || status == .indeterminate || status == .unnamed {
            for finding in report.findings.filter({ $0.kind.severity != .note }).prefix(3) {
                log.write(level, "\(finding.kind.name)\(TextReport.place(of: finding))")
            }
        }
        let warnings = report.warnings ?? []
        for warning in warnings.prefix(4) { log.write(.warning, Phrase(warning)) }
        if warnings.count > 4 {
            log.write(.warning, "\(counted(warnings.count - 4, "warning")) more: pram-verify status")
        }
    }

    /// Modules make devices out of `memmap=nn!ss` in the background: a moment later the first one is there.
    private func waitForDevice() {
        let isPersistent = MemmapParameters.find(in: line).inEffect.contains { $0.kind == .persistent }
        guard isPersistent, FileDescriptor.exists(MachinePaths().pmemDriver) else { return }
        for _ in 0..<100 where !FileDescriptor.exists(Array("/dev/pmem0".utf8)) { pause(microseconds: 20_000) }
    }
}
