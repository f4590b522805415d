import KernelCommandLine
import Linux
import Machine
import PRAM
import Text
import Verification

/// `kexec`: loads the next kernel with kexec(8), so that it finds the chain and the chain lives.
///
/// A chain that exists and is not handed on is a failure, at the moment when it can still be helped: then nothing is
/// loaded, unless --without-chain says that this is what is wanted.
struct Kexec: Command {
    static let name: StaticString = "kexec"
    static let task = Task.next
    static let operands: StaticString = " KERNEL [INITRD]"
    static let summary: StaticString =
        "load the next kernel with kexec(8) so that it finds the chain; where a chain cannot be handed on, load none"
    static let example: StaticString = "kexec /vmlinuz /initrd.img && systemctl kexec"
    static let options: [Option] = [
        .withoutChain, .ifChain, .from, .cmdline, .append, .remove, .kexecFile, .kexecLoad, .pfn, .threads,
    ]
    static let kernelParameters: [BootParameter] = []
    static let writes = false

    private let call: Call
    private let streams: Streams
    private let kernel: [UInt8]
    private let initrd: [UInt8]?

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        do throws(Failure) {
            try call.requireOperands(1...2, "a kernel")
            // Also where nothing will be loaded here, but by the caller.
            _ = LoadNote.current()
            var lookup = call.turned(into: Cmdline.self)
            lookup.set(.kernel, call.operands[0])
            if !call.has(.withoutChain) { try handOnArrived(call, streams) }
            var search = try Cmdline(lookup, streams)
            let next = try search.nextKernel()
            return try Kexec(call, streams).load(next)
        } catch {
            if case .usage(let usage) = error { throw usage }
            error.explain(to: streams.errors)
            return error.status
        }
    }

    private init(_ call: Call, _ streams: Streams) {
        self.call = call
        self.streams = streams
        kernel = call.operands[0]
        // An empty one is none: scripts hand over what a setting says.
        initrd = call.operands.count > 1 && !call.operands[1].isEmpty ? call.operands[1] : nil
    }

    /// A chain that has arrived is in no session for the next kernel: `save --again` puts it into one. Where that fails, the
    /// chain is not handed on, which is said then.
    private static func handOnArrived(_ call: Call, _ streams: Streams) throws(Failure) {
        let report: Report
        do throws(UsageError) {
            let again = try Call(Save.self, [bytes("--again")], nil)
            guard !call.has(.pfn), let head = Head.arrivedChain(again)?.page, !HoldNote.isReleased(head),
                HoldNote.read()?.standing.isHeld != true
            else { return }
            report = try Save.perform(again)
        } catch {
            throw .usage(error)
        }
        for warning in report.written?.warnings ?? [] { streams.say(Phrase(warning)) }
        report.failure?.explain(to: streams.errors)
    }

    private func load(_ next: Cmdline.NextKernel) throws(Failure) -> ExitStatus {
        let goesOn = call.has(.withoutChain)
        if next.status != [] && !goesOn {
            say("no kernel is loaded; with --without-chain it is, and what the chain holds does not arrive")
            return next.status
        }
        if let chain = next.chain {
            let status = try load(chain, next)
            if status == [] || !goesOn { return status }
        } else if call.has(.ifChain) {
            return []
        }
        return try loadPlainly(next)
    }

    /// With the chain; verified once more afterwards.
    private func load(_ chain: Cmdline.NextKernel.Chain, _ next: Cmdline.NextKernel) throws(Failure) -> ExitStatus {
        let words = chain.options.text.utf8.split(separator: UInt8(ascii: " ")).map { Array($0) }
        guard try kexec(words, chain.line) else {
            say("kexec did not load the kernel so that the chain lives")
            return .failed
        }
        let now = try lookAgain()
        guard now.status == [], now.chain?.head == chain.head else {
            say(
                now.status.contains(.failed)
                    ? "whether the chain has outlived the loading of the kernel cannot be told, so it is unloaded"
                    : "the chain did not outlive the loading of the kernel, which is unloaded")
            try unload()
            return now.status.union(.damaged)
        }
        LoadNote(kernel: kernel, initrd: initrd, line: chain.line).write()
        say(
            "loaded \(escaped(kernel)), which will find the chain at page \(hexadecimal(chain.head.number)): \(chain.contents)"
        )
        return []
    }

    /// Somebody may be saving at this moment, which takes the lock.
    private func lookAgain() throws(Failure) -> Cmdline.NextKernel {
        for _ in 0..<20 {
            var again = try Cmdline(call.turned(into: Cmdline.self), Streams(output: streams.output, errors: nowhere))
            let now = try again.nextKernel()
            if !now.status.contains(.failed) { return now }
            pause(microseconds: 250_000)
        }
        var again = try Cmdline(call.turned(into: Cmdline.self), streams)
        return try again.nextKernel()
    }

    private func loadPlainly(_ next: Cmdline.NextKernel) throws(Failure) -> ExitStatus {
        guard let line = next.plain else {
            say("the line is longer than the kernel takes, so none is loaded")
            return .failed
        }
        // Under lockdown only the second one is possible.
        var isLoaded = try kexec([], line)
        if !isLoaded { isLoaded = try kexec([Array("-s".utf8)], line) }
        guard isLoaded else { return .failed }
        LoadNote(kernel: kernel, initrd: initrd, line: line).write()
        say("loaded \(escaped(kernel)), without a chain")
        return []
    }

    /// - Returns: whether a kernel is loaded now.
    private func kexec(_ options: [[UInt8]], _ line: [UInt8]) throws(Failure) -> Bool {
        RunFolder.removeNote(.loaded)
        var words = [Array("kexec".utf8)] + options + [Array("-l".utf8), kernel]
        if let initrd { words.append(Array("--initrd=".utf8) + initrd) }
        words.append(Array("--command-line=".utf8) + line)
        streams.errors.flush()
        let ending = try calling(remedy: "install kexec-tools") { () throws(SystemError) in
            try ChildProgram.run(words)
        }
        return ending == .exited(0) && LoadNote.isKernelLoaded()
    }

    private func unload() throws(Failure) {
        _ = try calling { () throws(SystemError) in
            try ChildProgram.run([Array("kexec".utf8), Array("-u".utf8)])
        }
    }

    /// Why a chain is not handed on was said the first time.
    private var nowhere: Output { Output(-1, name: "nowhere") }

    private func say(_ text: Phrase) { streams.say(text) }
}

extension Cmdline {
    /// What the next kernel may be told, and how it has to be loaded.
    struct NextKernel {
        struct Chain {
            let head: PFN
            let line: [UInt8]
            let options: KexecOptions
            /// For people: how much it holds.
            let contents: String
        }

        /// nil where there is none, or none that may be handed on.
        var chain: Chain?
        /// The line without `pram=`; nil when it is longer than the kernel takes.
        var plain: [UInt8]?
        /// 0 also where there is no chain; `damaged` for one that does not qualify, `failed` when none could be looked
        /// for.
        var status: ExitStatus = []
    }

    /// Looks for the chain, and verifies all of it. Says why one is not handed on.
    mutating func nextKernel() throws(Failure) -> NextKernel {
        let template = try template()
        let line = try edited(template)
        var next = NextKernel()
        let limit = request == .file ? LengthLimit.x86KexecFileLoad : LengthLimit.x86
        next.plain = line.line.exceeds(limit) == nil ? line.text : nil
        do throws(Failure) {
            // First: what is judged next goes by what this has put into the report.
            let outcome = try look(template)
            guard let found = qualified(outcome, line, &next.status) else { return next }
            next.chain = try chain(found, line)
            if next.chain == nil { next.status.insert(.damaged) }
        } catch {
            if case .usage = error { throw error }
            error.explain(to: streams.errors)
            say("no chain is handed on: it could not be looked at")
            next.status.insert(.failed)
        }
        return next
    }

    /// nil when there is no way to load a kernel so that the chain lives. Says why.
    private func chain(_ found: HandOver, _ next: NextLine) throws(Failure) -> NextKernel.Chain? {
        let options: KexecOptions
        do throws(KexecOptions.Obstacle) {
            options = try kexecOptions(found)
        } catch {
            say("the chain at page \(hexadecimal(found.head.number)) is not handed on: \(error.sentence)")
            if !error.remedy.isEmpty { say(error.remedy) }
            return nil
        }
        guard let line = next.handingOn(found) else {
            say("the chain is not handed on: pram= cannot be put into this line")
            return nil
        }
        let limit = options == .file ? LengthLimit.x86KexecFileLoad : LengthLimit.x86
        if let long = line.line.exceeds(limit) {
            say("the chain is not handed on: the line would have \(long.length) bytes, and \(limit.bytes) are possible")
            return nil
        }
        if found.isPramKernel && !next.line.contains(named: "nokaslr") {
            say("with KASLR the next kernel may come to lie on the chain: --append nokaslr")
        }
        let files = counted(report.usersFileCount, "file")
        let bytes = byteCount((report.evaluation?.pagesChecked ?? 0) &* UInt64(pageSize))
        return NextKernel.Chain(
            head: found.head, line: line.text, options: options,
            contents: found.keeping == .early ? "what is saved with save --kho until then" : "\(files), \(bytes)")
    }
}
