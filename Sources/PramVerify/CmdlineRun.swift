import KernelCommandLine
import Linux
import MemorySources
import PRAM
import Text
import Verification

/// One run of `cmdline`: the command line for the next kexec, or how kexec has to be called, or a last look at the
/// chain.
///
/// Whatever is found, a line that is printed is whole, and safe to start a kernel with: it names a chain only when
/// nothing stands in the way of that one.
struct CmdlineRun {
    private let call: Invocation
    private let choice: MemoryChoice
    private let wish: KexecOptions.Wish
    private let started = monotonicNanoseconds()
    private let errors: Output
    private var report = Report(command: .cmdline)

    /// Runs the command.
    /// - Throws: only what makes the call itself wrong.
    static func run(_ call: Invocation, _ output: Output, _ errors: Output) throws(UsageError) -> ExitStatus {
        do throws(Failure) {
            var run = try CmdlineRun(call, errors)
            return try run.act(output)
        } catch {
            if case .usage(let usage) = error { throw usage }
            error.explain(to: errors)
            return error.status
        }
    }

    private init(_ call: Invocation, _ errors: Output) throws(Failure) {
        if let word = call.operands.first { throw .usage(UsageError("too many words: \(escaped(word))")) }
        if call.has(.cmdline) && call.has(.from) {
            throw .usage(UsageError("--cmdline and --from exclude each other"))
        }
        if call.has(.kexecFile) && call.has(.kexecLoad) {
            throw .usage(UsageError("--kexec-file and --kexec-load exclude each other"))
        }
        if call.has(.kexecOptions) && call.has(.checkLoaded) {
            throw .usage(UsageError("--kexec-options and --check-loaded exclude each other"))
        }
        self.call = call
        self.errors = errors
        choice = MemoryChoice(call[.memory])
        wish = call.has(.kexecFile) ? .file : call.has(.kexecLoad) ? .load : .any
    }

    private mutating func act(_ output: Output) throws(Failure) -> ExitStatus {
        let template = ParameterLine(try templateText())
        let next = try edited(template)
        let thisLine = choice.isLive ? ParameterLine(try contents("/proc/cmdline")) : template
        if call.has(.checkLoaded) {
            try requireLoaded()
            return try checkAgain(next, template, thisLine, output)
        }

        var search = Search.none(reason: "")
        var status: ExitStatus = []
        do throws(Failure) {
            search = try look(template, thisLine)
        } catch {
            if case .usage = error { throw error }
            error.explain(to: errors)
            say("no chain is handed on: it could not be looked at")
            status = .failed
        }
        let chain = qualified(search, next, &status)
        return call.has(.kexecOptions)
            ? printOptions(chain, status, output) : printLine(next, chain, template, status, output)
    }

    // MARK: - The lines

    private func templateText() throws(Failure) -> [UInt8] {
        if let text = call[.cmdline] { return text }
        guard let path = call[.from] else { return try contents("/proc/cmdline") }
        return try calling { () throws(SystemError) in
            try FileDescriptor.contents(of: path, limit: Head.lineLimit)
        }
    }

    private func contents(_ path: StaticString) throws(Failure) -> [UInt8] {
        let path = path.withUTF8Buffer { Array($0) }
        return try calling(remedy: "mount /proc") { () throws(SystemError) in
            try FileDescriptor.contents(of: path, limit: Head.lineLimit)
        }
    }

    private func edited(_ template: ParameterLine) throws(Failure) -> NextLine {
        var names: [ParameterName] = []
        for name in call.all(.remove) {
            guard !name.isEmpty, !name.contains(UInt8(ascii: "=")) else {
                throw .usage(UsageError("--remove takes the name of a parameter, not \"\(escaped(name))\""))
            }
            names.append(ParameterName(name))
        }
        var next = NextLine(after: template, removing: names)
        for text in call.all(.append) {
            do throws(NextLine.Fault) {
                try next.append(text)
            } catch {
                let reason: StaticString =
                    switch error {
                    case .doubleDash: "it has a bare --, and what follows that is not the kernel's"
                    case .pram: "pram= comes from a chain that was verified; name its head with --pfn"
                    case .edit(.overriddenByUnclosed):
                        "the line ends in an open quote within the parameter of the same name; --remove that"
                    case .edit: "it leaves a quote open"
                    }
                throw .usage(UsageError("--append does not take \"\(escaped(text))\": \(reason)"))
            }
        }
        return next
    }

    // MARK: - The chain

    private enum Search {
        /// `isCleared`: a page was named as the head, and holds zeros only.
        case none(reason: String, isCleared: Bool = false)
        case several([PFN])
        case one(HandOver)
    }

    /// A page at which the chain may start.
    private struct Candidate {
        let page: PFN
        let origin: Head.Origin
        var isRefused = false
    }

    /// Finds the chain and verifies all of it.
    private mutating func look(_ template: ParameterLine, _ thisLine: ParameterLine) throws(Failure) -> Search {
        var options = ChainCheck.Options()
        options.threads = try call.threadCount()
        let base = try call.size(.base) ?? 0
        let unpackLimit = try call.size(.unpackLimit) ?? 1 << 40
        let kernelsHead = choice.isLive ? Head.kernelsHead() : nil
        let named = try namedHeads(template, thisLine, kernelsHead)
        // A chain that `save` wrote starts at its range's first page, which is no secret.
        let isOpen = !call.has(.pfn) && kernelsHead == nil
        let ranges = isOpen ? ReservedMemory(thisLine).elements.compactMap(CmdlineRun.firstPage) : []
        guard !named.isEmpty || !ranges.isEmpty else {
            return .none(reason: "none is named, and no range is reserved that could hold one")
        }

        // A chain that is being written is handed on by nobody.
        let lock = try ReadingLock(choice)
        defer { lock.release() }
        let memory = try choice.open(base: base, unpackLimit: unpackLimit, raw: call.has(.raw))
        report.memory = Report.Memory(choice, memory)
        var candidates = named.filter { !CmdlineRun.isCleared($0.page, memory) }
        for page in ranges where !candidates.contains(where: { $0.page == page }) {
            // A page of data can fit the checksum of a link by accident: when most of it is zeros, say.
            var walk = ChainWalk(head: page, memory: memory)
            if walk.next()?.link?.magic == Link.magic { candidates.append(Candidate(page: page, origin: .range)) }
        }
        guard let candidate = candidates.first else {
            return named.isEmpty
                ? .none(reason: "none is named, and no reserved range starts with one")
                : .none(reason: "the head page holds zeros only", isCleared: true)
        }
        guard candidates.count == 1 else { return .several(candidates.map { $0.page }) }

        var head = Head(origin: candidate.origin, page: candidate.page)
        head.isRefused = candidate.isRefused
        report.head = head
        if let live = memory as? LiveMemory { try report.memory?.explain(live, head: candidate.page) }
        let collected = Collected()
        options.observe = { walked, _ in
            collected.pages.insert(walked.page)
            for entry in walked.link?.entries ?? [] { collected.pages.insert(entry.page) }
        }
        let evaluation: ChainEvaluation
        if let known = call.known, known.head == candidate.page {
            evaluation = known.evaluation
            report.layout = known.layout
            collected.pages = known.pages
        } else {
            let progress = Progress(started)
            options.progress = { progress.show($0) }
            let check = ChainCheck(head: candidate.page, memory: memory, options: options, seed: randomNumber())
            evaluation = check.run()
            progress.clear()
            report.layout = check.layout
        }
        report.memory?.notes = memory.notes
        report.evaluation = evaluation
        report.elapsedNanoseconds = monotonicNanoseconds() - started

        var chain = HandOver(head: candidate.page, verdict: evaluation.verdict, thisLine: thisLine)
        chain.linksToRefit = evaluation.links.count { $0.reading != .asIs }
        chain.layout = report.layout ?? .amd64
        chain.pages = collected.pages.ranges
        chain.isRefused = candidate.isRefused
        chain.kernelsHead = kernelsHead
        if choice.isLive {
            chain.isCrashKernel = CmdlineRun.isCrashKernel(thisLine)
            do throws(MemoryFailure) {
                chain.systemRAM = try Iomem.read(LivePaths().iomem).systemRAM
            } catch {
                throw .memory(error)
            }
        }
        return .one(chain)
    }

    private func namedHeads(
        _ template: ParameterLine, _ thisLine: ParameterLine, _ kernelsHead: UInt64?
    ) throws(Failure) -> [Candidate] {
        if call.has(.pfn) {
            let head = try Head.find(call, live: false)
            return head.page.map { [Candidate(page: $0, origin: .option)] } ?? []
        }
        if let kernelsHead, kernelsHead != 0 { return [Candidate(page: PFN(kernelsHead), origin: .sysKernelPram)] }
        var found: [Candidate] = []
        let origin: Head.Origin =
            call.has(.cmdline) ? .commandLineText : call.has(.from) ? .commandLineFile : .procCmdline
        for (line, origin) in [(template, origin), (thisLine, .procCmdline)] {
            guard let number = PramParameter.find(in: line).pfn, number != 0,
                !found.contains(where: { $0.page.number == number })
            else { continue }
            found.append(Candidate(page: PFN(number), origin: origin, isRefused: kernelsHead == 0))
        }
        return found
    }

    /// The page that `save` makes the head of a chain in this range; nil when not all of it lies there.
    private static func firstPage(of range: PhysicalRange) -> PFN? {
        let (up, overflow) = range.start.addingReportingOverflow(UInt64(pageSize) - 1)
        // Page 0 can be no head.
        let page = PFN(max(up >> 12, 1))
        return !overflow && range.contains(page) ? page : nil
    }

    private static func isCleared(_ page: PFN, _ memory: any PhysicalMemory) -> Bool {
        guard page.number != 0, page.address != nil else { return false }
        var state = PageState.absent
        let bytes = PageBytes(page, of: memory, state: &state)
        return state == .present && bytes.isZero
    }

    private static func isCrashKernel(_ line: ParameterLine) -> Bool {
        FileDescriptor.exists(MachinePaths().vmcore) || MachineEvidence.isCrashKernel(line)
    }

    private final class Collected {
        var pages = PageRuns()
    }

    /// The chain when the next kernel may be told of it. Says why not, and adds that to the status.
    private func qualified(_ search: Search, _ next: NextLine, _ status: inout ExitStatus) -> HandOver? {
        switch search {
        case .none(let reason, _):
            if !reason.isEmpty { say("no chain is handed on: \(reason)") }
            return nil
        case .several(let pages):
            let list = pages.map { String($0.number, radix: 16) }.joined(separator: ", ")
            say("no chain is handed on: it could start at any of these pages: \(list)")
            say("choose one of them with --pfn")
            status.insert(.damaged)
            return nil
        case .one(let chain):
            let obstacle = chain.obstacle(on: next.line) ?? (chain.isPramKernel && wish == .file ? .fileLoad : nil)
            guard let obstacle else { return chain }
            // With --kexec-options there is no line to print without pram=: the call itself cannot be had.
            if obstacle == .fileLoad && call.has(.kexecOptions) { return chain }
            say("the chain at page \(hexadecimal(chain.head.number)) is not handed on: \(obstacle.sentence)")
            if !obstacle.remedy.isEmpty { say(obstacle.remedy) }
            status.insert(.damaged)
            return nil
        }
    }

    // MARK: - What is printed

    private func kexecOptions(_ chain: HandOver) throws(KexecOptions.Obstacle) -> KexecOptions {
        let lockdown = KernelPolicy(LivePaths()).lockdown
        let disabled = try? FileDescriptor.contents(
            of: Array("/proc/sys/kernel/kexec_load_disabled".utf8), limit: 4096)
        return try KexecOptions.find(
            for: chain, wish, isLocked: choice.isLive && (lockdown == .integrity || lockdown == .confidentiality),
            isSwitchedOff: choice.isLive && disabled?.first == UInt8(ascii: "1"))
    }

    private func printOptions(_ chain: HandOver?, _ status: ExitStatus, _ output: Output) -> ExitStatus {
        guard let chain else {
            output.write("\n")
            return status
        }
        do throws(KexecOptions.Obstacle) {
            output.write("\(try kexecOptions(chain).text)\n")
            return status
        } catch {
            say(error.sentence)
            if !error.remedy.isEmpty { say(error.remedy) }
            return status.union(.failed)
        }
    }

    private func printLine(
        _ next: NextLine, _ chain: HandOver?, _ template: ParameterLine, _ status: ExitStatus, _ output: Output
    ) -> ExitStatus {
        var status = status
        guard let line = completed(next, chain, &status) else { return status }
        if template.contains(named: "elfcorehdr") {
            say("the line is a crash kernel's: what else kdump put there stays, so better take that of a normal boot")
        }
        let pram: ParameterName = "pram"
        if line.line.initParameters.contains(where: { $0.isNamed(pram) }) {
            say("a pram= behind -- is left alone, as it is init's; kernels up to 3.14 would read it")
        }
        output.write(line.text + [UInt8(ascii: "\n")])
        return status
    }

    /// The line with the chain on it, as far as there is one; nil when the kernel could not take it.
    private func completed(_ next: NextLine, _ chain: HandOver?, _ status: inout ExitStatus) -> NextLine? {
        var line = next
        var limit = wish == .file ? LengthLimit.x86KexecFileLoad : LengthLimit.x86
        if let chain {
            if let handing = next.handingOn(chain.head.number) {
                line = handing
                if advise(chain, next) == .file { limit = .x86KexecFileLoad }
            } else {
                say("the chain is not handed on: pram= cannot be put into this line")
                status.insert(.damaged)
            }
        }
        if let long = line.line.exceeds(limit) {
            say(
                "the line would have \(long.length) bytes, and \(limit.bytes) are possible"
                    + (limit == .x86 ? "" : " through kexec_file_load (kexec -s)"))
            status.insert(.failed)
            return nil
        }
        return line
    }

    /// Says what else is needed for the chain to live.
    private func advise(_ chain: HandOver, _ next: NextLine) -> KexecOptions? {
        if chain.isPramKernel && !next.line.contains(named: "nokaslr") {
            say("with KASLR the next kernel may come to lie on the chain: --append nokaslr")
        }
        do throws(KexecOptions.Obstacle) {
            let options = try kexecOptions(chain)
            // After kexec -l that comes too late.
            if !call.has(.checkLoaded) { say("the chain lives when kexec is called with \(options.text)") }
            return options
        } catch {
            say("but kexec would not spare it: \(error.sentence)")
            return nil
        }
    }

    private func say(_ text: String) { errors.write("pram-verify: \(text)\n") }

    // MARK: - After kexec -l

    private func requireLoaded() throws(Failure) {
        let path = Array("/sys/kernel/kexec_loaded".utf8)
        let text = try calling(remedy: "mount /sys, or use a kernel with CONFIG_KEXEC") { () throws(SystemError) in
            try FileDescriptor.contents(of: path, limit: 4096)
        }
        guard text.first == UInt8(ascii: "1") else {
            throw .memory(
                MemoryFailure(
                    .noSuchMemory, source: "/sys/kernel/kexec_loaded", "no kernel is loaded",
                    remedy: "load one with kexec -l"))
        }
    }

    /// The exit status is that of `check`, and not 0 when the line would not have been handed the chain.
    private mutating func checkAgain(
        _ next: NextLine, _ template: ParameterLine, _ thisLine: ParameterLine, _ output: Output
    ) throws(Failure) -> ExitStatus {
        let search = try look(template, thisLine)
        var status: ExitStatus = []
        if case .several = search {
            _ = qualified(search, next, &status)
            return status
        }
        if case .none(let reason, let isCleared) = search {
            say("no chain: \(reason)")
            // What was loaded may name it all the same.
            if isCleared { status.insert(.damaged) }
            _ = completed(next, nil, &status)
        } else {
            _ = completed(next, qualified(search, next, &status), &status)
        }
        TextReport.write(report, to: output)
        return report.status.union(status)
    }
}
