import ChainWriting
import KernelCommandLine
import Linux
import MemorySources
import PRAM
import Text
import Verification

/// What a command did to memory.
struct Written {
    /// The value for the next kernel's `pram=`; nil when no chain is left.
    var head: PFN?
    var changed = true
    /// Whether the old chain gave way to the new one in a single write.
    var isAtomic = true
    /// The files that did not simply stay: name, what became of it, why.
    var files: [(name: [UInt8], fate: StaticString, message: String)] = []
    /// Sentences for people.
    var warnings: [String] = []
}

/// One run of a command that writes memory.
struct WritingRun {
    private let call: Invocation
    private var report: Report
    private let started = monotonicNanoseconds()
    private let threads: Int
    private let base: UInt64

    /// Runs the command.
    /// - Throws: only what makes the call itself wrong; whatever else goes wrong is in the report.
    static func run(_ call: Invocation) throws(UsageError) -> Report {
        var report = Report(command: call.command)
        do throws(Failure) {
            var run = try WritingRun(call)
            do throws(Failure) { try run.act() } catch { run.report.failure = error }
            run.report.elapsedNanoseconds = monotonicNanoseconds() - run.started
            report = run.report
        } catch {
            report.failure = error
        }
        if case .usage(let usage) = report.failure { throw usage }
        if MemoryChoice(call[.memory]).isLive { RunFolder.refresh(report) }
        return report
    }

    private init(_ call: Invocation) throws(Failure) {
        self.call = call
        report = Report(command: call.command)
        threads = try call.threadCount()
        base = try call.size(.base) ?? 0
        let expected = call.command == .save || call.command == .load ? 1 : 0
        if call.operands.count < expected { throw .usage(UsageError("\(call.command.name) needs a directory")) }
        if call.operands.count > expected {
            throw .usage(UsageError("too many words: \(escaped(call.operands[expected]))"))
        }
        _ = try WritingTarget.wantedRegion(call)
        if call.has(.device), !MemoryChoice(call[.memory]).isLive {
            throw .usage(UsageError("--memory and --device exclude each other"))
        }
        if call.has(.salvage) && call.has(.cut) {
            throw .usage(UsageError("--salvage and --cut exclude each other"))
        }
    }

    private mutating func act() throws(Failure) {
        switch call.command {
        case .save: try save()
        case .load: try load()
        case .erase: try erase()
        default: try drop()
        }
    }

    // MARK: - save

    private mutating func save() throws(Failure) {
        let size = try call.size(.size)
        let directory = try calling { () throws(SystemError) in try SourceDirectory(call.operands[0]) }
        let plan = try writing { () throws(WritingFailure) in try SavePlan(directory) }
        let target = try WritingTarget.open(call, size: size, base: base, mayEditKernelMemory: false)
        do throws(Failure) {
            try save(plan, from: directory, into: target)
        } catch {
            target.growth?.undo()
            throw error
        }
    }

    private mutating func save(
        _ plan: SavePlan, from directory: SourceDirectory, into target: WritingTarget
    ) throws(Failure) {
        report.memory = Report.Memory(path: target.name, target.memory)
        report.head = Head(origin: .range, page: target.head)
        if holdsChain(target) && !call.has(.replace) {
            throw .writing(
                WritingFailure(
                    .holdsChain, "the range holds a chain already, or what is left of one",
                    remedy: "load it, erase it, or write over it with --replace"))
        }
        try refuseKernelsChain(target.head, target)
        var chainSave = try writing { () throws(WritingFailure) in
            try ChainSave(plan, from: directory, into: target.memory, generation: randomNumber())
        }
        let threads = threads
        let (head, chain) = try writing { () throws(WritingFailure) in
            try chainSave.run(threads: threads, seed: randomNumber())
        }
        report.evaluation = chain
        report.layout = .amd64
        report.written = Written(head: head, warnings: plan.warnings)
    }

    /// What lies at the range's first page, if it is a chain in any state.
    private func holdsChain(_ target: WritingTarget) -> Bool {
        var walk = ChainWalk(head: target.head, memory: target.memory)
        return walk.next()?.link != nil
    }

    // MARK: - load and erase

    private mutating func load() throws(Failure) {
        let erases = call.has(.erase)
        let choice = MemoryChoice(call[.memory])
        var target: WritingTarget?
        if erases || call.has(.device) {
            target = try WritingTarget.open(call, size: nil, base: base, mayEditKernelMemory: false)
        }
        if choice.isLive { try refuseCrashKernel(erases: erases) }
        let head = try chosenHead(choice, target)
        report.head = head
        guard let page = head.page else { return }
        var lock: ReadingLock?
        defer { lock?.release() }
        let memory: any PhysicalMemory
        if let target, !choice.isLive || call.has(.device) {
            memory = target.memory
            report.memory = Report.Memory(path: target.name, memory)
        } else {
            if target == nil { lock = try ReadingLock(choice) }
            memory = try choice.open(
                base: base, unpackLimit: try call.size(.unpackLimit) ?? 1 << 40, raw: call.has(.raw))
            report.memory = Report.Memory(choice, memory)
        }
        var options = ChainCheck.Options()
        options.threads = threads
        let check = ChainCheck(head: page, memory: memory, options: options, seed: randomNumber())
        let chain = check.run()
        report.evaluation = chain
        report.layout = check.layout
        guard chain.files.contains(where: { $0.status == .intact }) || call.has(.damaged) else {
            // Nothing was restored, so this is no success, also where the chain as such is intact.
            report.extractions = chain.files.map {
                Extraction(name: $0.name, outcome: .refused, message: "it is \($0.status.name)")
            }
            if erases {
                report.written = Written(
                    head: page, changed: false, warnings: ["the chain stays: not every file was restored"])
            }
            return
        }

        let directory = try calling { () throws(SystemError) in try Directory(call.operands[0]) }
        let extractor = Extractor(
            directory: directory, takesDamaged: call.has(.damaged), replaces: call.has(.force),
            keepsModeBits: call.has(.preserveMode), synchronizes: true)
        report.extractions = extractor.extract([], of: chain, head: page, memory: memory)
        let isComplete =
            chain.verdict == .intact
            && report.extractions.count == chain.files.count
            && report.extractions.allSatisfy { $0.outcome == .written }
        guard erases, let target else { return }
        guard isComplete else {
            let reason: StaticString =
                chain.verdict == .intact
                ? "not every file was restored" : "it is not intact; erase clears it all the same"
            report.written = Written(head: page, changed: false, warnings: ["the chain stays: \(reason)"])
            return
        }
        try clear(page, target)
    }

    private mutating func erase() throws(Failure) {
        let target = try WritingTarget.open(call, size: nil, base: base, mayEditKernelMemory: false)
        let head = try chosenHead(MemoryChoice(call[.memory]), target)
        report.head = head
        report.memory = Report.Memory(path: target.name, target.memory)
        guard let page = head.page else { return }
        try clear(page, target)
    }

    private mutating func clear(_ page: PFN, _ target: WritingTarget) throws(Failure) {
        guard target.memory.pages.contains(page.number) else {
            throw .writing(
                WritingFailure(
                    .noChain,
                    "the head, page \(hexadecimal(page.number)), does not lie in the range that may be written",
                    remedy: "name the right range with --region, or the head with --pfn"))
        }
        try refuseKernelsChain(page, target)
        var before = PageState.absent
        if PageBytes(page, of: target.memory, state: &before).isZero && before == .present {
            report.written = Written(head: nil, changed: false, warnings: ["the head page holds zeros already"])
            return
        }
        var walk = ChainWalk(head: page, memory: target.memory)
        guard walk.next()?.link != nil else {
            throw .writing(
                WritingFailure(
                    .noChain, "page \(hexadecimal(page.number)) is no head of a chain, so it is not cleared",
                    remedy: "name the head with --pfn"))
        }
        try calling { () throws(SystemError) in
            try target.memory.write(page, PageBytes())
            try target.memory.synchronize()
        }
        var state = PageState.absent
        guard PageBytes(page, of: target.memory, state: &state).isZero, state == .present else {
            throw .writing(WritingFailure(.notVerified, "the head page does not read back as zeros"))
        }
        report.written = Written(head: nil)
    }

    /// A kernel with pram has taken in the chain that /sys/kernel/pram names, and will follow its links when it is
    /// mounted.
    private func refuseKernelsChain(_ page: PFN, _ target: WritingTarget) throws(Failure) {
        guard target.machine != nil, Head.kernelsHead() == page.number else { return }
        throw .writing(
            WritingFailure(
                .holdsChain, "this kernel has pram and holds the chain: only a mount may take it away",
                remedy: "mount -t pram, and copy the files"))
    }

    private func refuseCrashKernel(erases: Bool) throws(Failure) {
        guard let machine = try? MachineEvidence.collect(), machine.isCrashKernel, !call.has(.pfn) else { return }
        throw .refused(
            WriteRefusal(
                .crashKernel, "this is a crash kernel: its command line's pram= may be meant for another",
                remedy: "name the head of the chain with --pfn"))
    }

    /// The head of the chain that is meant. Where the command line and the range that is written disagree, nobody
    /// guesses.
    private func chosenHead(_ choice: MemoryChoice, _ target: WritingTarget?) throws(Failure) -> Head {
        if call.has(.pfn) || call.has(.cmdline) || call.has(.cmdlineFile) { return try Head.find(call, live: false) }
        guard choice.isLive && !call.has(.device) else {
            // An image that save wrote has its head on its first page, or on page 1, for page 0 can be no head.
            let first = try WritingTarget.wantedRegion(call)?.start ?? max(base, UInt64(pageSize))
            return Head(origin: .range, page: target?.head ?? PFN(containing: first))
        }
        let named = try Head.find(call, live: true)
        if named.origin == .sysKernelPram || named.isRefused { return named }
        var ranges = target?.head
        if ranges == nil, let machine = try? MachineEvidence.collect() {
            let wanted = try WritingTarget.wantedRegion(call)
            if let region = try? WritableRegion.find(wanted, in: machine) {
                ranges = PFN(containing: region.range.start)
            }
        }
        guard let ranges, headHoldsChain(ranges) else { return named }
        guard let page = named.page else { return Head(origin: .range, page: ranges) }
        guard page == ranges else {
            throw .writing(
                WritingFailure(
                    .decisionNeeded,
                    "the command line names page \(hexadecimal(page.number)), and the range has a chain at page "
                        + "\(hexadecimal(ranges.number))",
                    remedy: "choose one of them with --pfn"))
        }
        return named
    }

    private func headHoldsChain(_ page: PFN) -> Bool {
        guard let memory = try? LiveMemory.open() else { return false }
        var walk = ChainWalk(head: page, memory: memory)
        return walk.next()?.link?.magic == Link.magic
    }

    // MARK: - drop and quarantine

    private mutating func drop() throws(Failure) {
        let isDry = call.has(.dryRun)
        let target = try WritingTarget.open(call, size: nil, base: base, mayEditKernelMemory: true)
        let head = try chosenHead(MemoryChoice(call[.memory]), target)
        report.head = head
        report.memory = Report.Memory(path: target.name, target.memory)
        guard let page = head.page else {
            report.written = Written(head: nil, changed: false)
            return
        }
        if head.isRefused {
            throw .writing(
                WritingFailure(
                    .noChain,
                    "the kernel has refused this chain, or a mount has consumed it: its pages are in use again",
                    remedy: "look at what is left with check, and save what you can with extract"))
        }
        let survey = SurveyedChain(head: page, memory: target.memory, threads: threads, seed: randomNumber())
        report.evaluation = survey.evaluation
        report.layout = survey.layout
        guard !survey.evaluation.links.isEmpty else {
            report.written = Written(
                head: nil, changed: false,
                warnings: [
                    "page \(hexadecimal(page.number)) is no head of a chain, so nothing was changed; --pfn names another"
                ])
            return
        }

        var options = DropPlan.Options()
        options.keepsHoles = call.has(.keepHoles)
        options.quarantines = call.command == .quarantine
        options.unproved = call.has(.salvage) ? .salvage : call.has(.cut) ? .cut : nil
        let isRefit = call.has(.refit)
        let plan = DropPlan(survey, options: options, refits: isRefit)
        var written = Written(head: page, changed: false, files: describe(plan, survey.evaluation))
        report.written = written
        if isRefit && (survey.evaluation.verdict == .damaged || plan.fates.contains(where: { $0 != .kept })) {
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
            return
        }
        if !plan.isNeeded && survey.evaluation.links.contains(where: { $0.reading != .asIs }) {
            report.written?.warnings = [
                "some links do not fit as they lie, so the next kernel with pram would refuse the "
                    + "chain: drop --refit makes them fit"
            ]
        }
        guard plan.isNeeded else { return }
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
        if isDry {
            let refits = survey.evaluation.links.count { $0.reading != .asIs }
            if plan.leavesNothing { report.written?.head = nil }
            report.written?.warnings.append(
                isRefit
                    ? "\(TextReport.counted(refits, "link")) would be made to fit; nothing was changed"
                    : "nothing was changed")
            return
        }
        if let kernels = target.memory as? PramKernelMemory, let refusal = kernels.refusal { throw .memory(refusal) }
        let drop = ChainDrop(survey, plan, in: target.memory) { () throws(WritingFailure) in
            guard target.freePages == .none else { return }
            if Head.kernelsHead() != page.number {
                throw WritingFailure(.changed, "/sys/kernel/pram no longer names this chain, so its pages are not ours")
            }
        }
        let threads = threads
        let outcome = try writing { () throws(WritingFailure) in
            try drop.run(taking: target.freePages, generation: randomNumber(), threads: threads, seed: randomNumber())
        }
        written.head = outcome.head
        written.changed = true
        written.isAtomic = outcome.isAtomic
        if !outcome.isAtomic {
            written.warnings.append("there was no free page, so links were changed one by one, not in a single step")
        }
        report.written = written
        report.evaluation = outcome.chain
    }

    private func describe(
        _ plan: DropPlan, _ evaluation: ChainEvaluation
    ) -> [(name: [UInt8], fate: StaticString, message: String)] {
        var files: [(name: [UInt8], fate: StaticString, message: String)] = []
        for (number, fate) in plan.fates.enumerated() {
            let name = evaluation.files[number].name
            switch fate {
            case .kept: break
            case .quarantined(let new): files.append((name, "quarantined", "kept as \(escaped(new)), marked"))
            case .dropped(let reason): files.append((name, "dropped", "\(reason.sentence)"))
            case .undecided: files.append((name, "undecided", "nothing proves that it belongs to this chain"))
            }
        }
        return files
    }
}
