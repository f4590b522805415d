import KernelCommandLine
import Linux
import Machine
import MemorySources
import PRAM
import Text
import Verification

/// `cmdline`: the command line for the next kexec, or how kexec has to be called, or a last look at the chain.
///
/// Whatever is found, a line that is printed is whole, and safe to start a kernel with: it names a chain only when
/// nothing stands in the way of that one.
struct Cmdline: Command {
    static let name: StaticString = "cmdline"
    static let task = Task.next
    static let operands: StaticString = ""
    static let summary: StaticString =
        "print the command line for the next kexec, with pram= when the chain may be handed on"
    static let example: StaticString = "cmdline --append nokaslr"
    static let options: [Option] = [
        .from, .append, .remove, .kexecOptions, .kexecFile, .kexecLoad, .checkLoaded, .memory, .base, .raw,
        .unpackLimit, .pfn, .cmdline, .threads, .kernel, .json,
    ]
    static let kernelParameters: [BootParameter] = []
    static let writes = false

    private let call: Call
    var nextKernelPath: [UInt8]? { call[.kernel] }
    private let choice: MemoryChoice
    let request: KexecOptions.Request
    let streams: Streams
    var report = Report(command: name)
    let next = NextBoot()

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        try run(call, streams, known: nil)
    }

    /// - Parameter known: a chain that was verified a moment ago, and need not be again.
    static func run(
        _ call: Call, _ streams: Streams, known: ChainSearch.Known?
    ) throws(UsageError) -> ExitStatus {
        do throws(Failure) {
            var run = try Cmdline(call, streams)
            do throws(Failure) {
                run.next.status = try run.act(known)
            } catch {
                if case .usage(let usage) = error { throw .usage(usage) }
                run.report.failure = error
                run.next.status = error.status
            }
            return run.finish()
        } catch {
            if case .usage(let usage) = error { throw usage }
            error.explain(to: streams.errors)
            return error.status
        }
    }

    private mutating func finish() -> ExitStatus {
        guard call.has(.json) else {
            report.failure?.explain(to: streams.errors)
            return next.status
        }
        report.next = next
        report.duration = report.elapsedNanoseconds
        JSONReport.write(report, to: streams.output)
        return next.status
    }

    init(_ call: Call, _ streams: Streams) throws(Failure) {
        try call.requireOperands(0...0)
        self.call = call
        self.streams = streams
        choice = MemoryChoice(call[.memory])
        request = call.has(.kexecFile) ? .file : call.has(.kexecLoad) ? .load : .any
    }

    private mutating func act(_ known: ChainSearch.Known?) throws(Failure) -> ExitStatus {
        if let path = nextKernelPath {
            _ = try calling { () throws(SystemError) in try FileDescriptor.status(of: path) }
        }
        let template = try template()
        let next = try edited(template)
        let search = try search(template, known)
        if call.has(.checkLoaded) {
            try requireLoaded()
            return try checkAgain(search, next, template)
        }

        var found = ChainSearch.Outcome.none(reason: "")
        var status: ExitStatus = []
        do throws(Failure) {
            found = try search.look(&report)
        } catch {
            if case .usage = error { throw error }
            say(error.message)
            if !error.remedy.isEmpty { say(error.remedy) }
            say("no chain is handed on: it could not be looked at")
            status = .failed
        }
        let chain = qualified(found, next, &status)
        return call.has(.kexecOptions) ? printOptions(chain, status) : printLine(next, chain, template, status)
    }

    private func search(_ template: ParameterLine, _ known: ChainSearch.Known?) throws(Failure) -> ChainSearch {
        let thisLine = choice.isLive ? try runningLine() : template
        return ChainSearch(call: call, choice: choice, template: template, thisLine: thisLine, known: known)
    }

    /// What the next kernel may be told of, looked for and verified.
    mutating func look(_ template: ParameterLine) throws(Failure) -> ChainSearch.Outcome {
        try search(template, nil).look(&report)
    }

    // MARK: - The lines

    func template() throws(Failure) -> ParameterLine {
        if let text = call[.cmdline] { return ParameterLine(text) }
        guard let path = call[.from] else { return try runningLine() }
        return try calling { () throws(SystemError) in
            try ParameterLine(file: path)
        }
    }

    private func runningLine() throws(Failure) -> ParameterLine {
        try calling(remedy: "mount /proc") { () throws(SystemError) in try MachinePaths().parameterLine() }
    }

    func edited(_ template: ParameterLine) throws(Failure) -> NextLine {
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
        for word in FirstBootWords.find(on: next.line) {
            say(Phrase("\(word) on the line is meant for the first boot alone: --remove=\(word)").text)
        }
        return next
    }

    // MARK: - The chain

    /// The chain when the next kernel may be told of it. Says why not, and adds that to the status.
    func qualified(_ found: ChainSearch.Outcome, _ next: NextLine, _ status: inout ExitStatus) -> HandOver? {
        switch found {
        case .none(let reason, _):
            if !reason.isEmpty { say("no chain is handed on: \(reason)") }
            if let objection = objection(nil) {
                say("\(objection): save once more, or erase to go on without")
                status.insert(.damaged)
            }
            return nil
        case .several(let pages):
            let list = pages.map { String($0.number, radix: 16) }.joined(separator: ", ")
            say("no chain is handed on: it could start at any of these pages: \(list)")
            say("choose one of them with --pfn")
            status.insert(.damaged)
            return nil
        case .one(let chain):
            let obstacle =
                chain.obstacle(on: next.line) ?? keepingObstacle(chain)
                ?? (chain.isPramKernel && request == .file ? .fileLoad : nil)
            guard let obstacle else {
                guard let objection = objection(chain) else { return chain }
                let head = String(chain.head.number, radix: 16)
                say("the chain at page 0x\(head) is not handed on: \(objection)")
                say("save once more, or name this one with --pfn=\(head)")
                status.insert(.damaged)
                return nil
            }
            // With --kexec-options there is no line to print without pram=: the call itself cannot be had.
            if obstacle == .fileLoad && call.has(.kexecOptions) { return chain }
            say("the chain at page \(hexadecimal(chain.head.number)) is not handed on: \(obstacle.sentence)")
            let remedy = chain.remedy(for: obstacle)
            if !remedy.isEmpty { say(remedy) }
            status.insert(.damaged)
            return nil
        }
    }

    /// Why what was found is not what was saved last; whoever names a head means that one.
    private func objection(_ chain: HandOver?) -> StaticString? {
        // Where there is a head alone, nothing older can arrive.
        guard choice.isLive, !call.has(.pfn), chain?.keeping != .early, let note = SaveNote.read() else { return nil }
        return note.objection(to: chain?.head.number, generation: report.evaluation?.links.first?.generation)
    }

    // MARK: - What is printed

    func kexecOptions(_ chain: HandOver) throws(KexecOptions.Obstacle) -> KexecOptions {
        let paths = MachinePaths()
        let lockdown = KernelPolicy(paths).lockdown
        let disabled = try? FileDescriptor.contents(of: paths.kexecLoadDisabled, limit: 4096)
        return try KexecOptions.find(
            for: chain, request, isLocked: choice.isLive && (lockdown == .integrity || lockdown == .confidentiality),
            isSwitchedOff: choice.isLive && disabled?.first == UInt8(ascii: "1"))
    }

    private func printOptions(_ chain: HandOver?, _ status: ExitStatus) -> ExitStatus {
        guard let chain else {
            if !call.has(.json) { streams.output.write("\n") }
            return status
        }
        do throws(KexecOptions.Obstacle) {
            let text = try kexecOptions(chain).text
            next.kexecOptions = text
            if !call.has(.json) { streams.output.write("\(text)\n") }
            return status
        } catch {
            say(error.sentence)
            if !error.remedy.isEmpty { say(error.remedy) }
            return status.union(.failed)
        }
    }

    private func printLine(
        _ next: NextLine, _ chain: HandOver?, _ template: ParameterLine, _ status: ExitStatus
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
        self.next.line = line.text
        self.next.head = chain.flatMap { line.line.contains(named: pram) ? $0.head : nil }
        if !call.has(.json) { streams.output.write(line.text + [UInt8(ascii: "\n")]) }
        return status
    }

    /// The line with the chain on it, as far as there is one; nil when the kernel could not take it.
    private func completed(_ next: NextLine, _ chain: HandOver?, _ status: inout ExitStatus) -> NextLine? {
        var line = next
        var limit = request == .file ? LengthLimit.x86KexecFileLoad : LengthLimit.x86
        if let chain {
            if let handing = next.handingOn(chain) {
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
            self.next.kexecOptions = options.text
            return options
        } catch {
            say("but kexec would not spare it: \(error.sentence)")
            return nil
        }
    }

    func say(_ text: String) {
        if call.has(.json) { next.messages.append(text) } else { streams.say(Phrase(text)) }
    }

    // MARK: - After kexec -l

    private func requireLoaded() throws(Failure) {
        let path = MachinePaths().kexecLoaded
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
        _ search: ChainSearch, _ next: NextLine, _ template: ParameterLine
    ) throws(Failure) -> ExitStatus {
        let found = try search.look(&report)
        var status: ExitStatus = []
        if case .several = found {
            _ = qualified(found, next, &status)
            return status
        }
        if case .none(let reason, let isCleared) = found {
            say("no chain: \(reason)")
            // What was loaded may name it all the same.
            if isCleared { status.insert(.damaged) }
            if objection(nil) != nil { _ = qualified(.none(reason: ""), next, &status) }
            _ = completed(next, nil, &status)
            compareLoaded(nil, &status)
        } else {
            let chain = qualified(found, next, &status)
            _ = completed(next, chain, &status)
            compareLoaded(chain, &status)
        }
        report.duration = report.elapsedNanoseconds
        if !call.has(.json) { TextReport.write(report, to: streams.output) }
        return report.status.union(status)
    }

    /// Whether the kernel that is loaded was given what it would be given now, as far as that is known.
    private func compareLoaded(_ chain: HandOver?, _ status: inout ExitStatus) {
        guard choice.isLive else { return }
        guard let loaded = LoadNote.current() else {
            return say("the loaded kernel's line cannot be known: pram-verify kexec did not load it")
        }
        let head = chain?.head.number ?? 0
        guard loaded.head != head else { return }
        let has = loaded.head == 0 ? "no pram=" : "pram=\(String(loaded.head, radix: 16))"
        say(
            "the loaded kernel's line has \(has), and should have \(head == 0 ? "none" : "pram=\(String(head, radix: 16))")"
        )
        say("load it once more with pram-verify kexec")
        status.insert(.damaged)
    }
}
