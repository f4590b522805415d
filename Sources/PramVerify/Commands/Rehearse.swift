import ChainWriting
import Linux
import Machine
import MemorySources
import PRAM
import Text
import Verification

/// `rehearse`: a trial of the way over a kexec. It saves a canary as `save` saves files, over the whole range, and loads
/// the next kernel as `kexec` does; what arrives there says what would become of files.
struct Rehearse: Command {
    static let name: StaticString = "rehearse"
    static let task = Task.prepare
    static let operands: StaticString = " [KERNEL [INITRD]]"
    static let summary: StaticString =
        "try the way over a kexec with a canary in place of files, and load the next kernel for it"
    static let example: StaticString = "rehearse && systemctl kexec"
    static let options: [Option] = [
        .result, .size, .region, .device, .noLoad, .append, .remove, .kexecFile, .kexecLoad, .threads, .json,
    ]
    static let kernelParameters: [BootParameter] = []
    static let writes = true

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        do throws(Failure) {
            if call.has(.result) {
                try call.requireOperands(0...0)
                return try RehearsalResult.find(call).print(call, streams)
            }
            if call.has(.json) { throw .usage(UsageError("--json goes with --result")) }
            try call.requireOperands(0...2)
            let (record, report) = try save(call)
            report.noteSave(call)
            report.refreshRunFolder(call)
            return try goOn(record, report, call, streams)
        } catch {
            if case .usage(let usage) = error { throw usage }
            error.explain(to: streams.errors)
            if call.has(.json) {
                JSONReport.write(error, of: name, schema: SetupReport.schemaVersion, to: streams.output)
            }
            return error.status
        }
    }

    // MARK: - The canary

    /// By the same steps as `save`.
    private static func save(_ call: Call) throws(Failure) -> (RehearsalRecord, Report) {
        let threads = try call.threadCount()
        let size = try call.size(.size)
        if size == 0 { throw .usage(UsageError("--size takes a number of bytes, not 0")) }
        let target = try WritingTarget.open(call, size: nil, base: 0, for: .chain)
        let memory = target.memory
        try refuseChain(target, call)
        let whole = UInt64(memory.pages.count)
        let room = size.map { min($0 / UInt64(pageSize), whole) } ?? whole
        let name = CanaryName(
            saved: secondsSince1970(), boot: Rehearsal.bootID(), release: SystemIdentity.kernelRelease())
        guard let (plan, canary) = SavePlan.canary(seed: randomNumber(), head: target.head, room: room, name: name),
            let start = target.head.address,
            let range = PhysicalRange(start: start, size: canary.pages * UInt64(pageSize))
        else {
            throw .writing(
                WritingFailure(.tooSmall, "so few pages have no room for a canary", remedy: "make it larger"))
        }
        RunFolder.removeNote(.rehearsal)
        // Whatever becomes of it, nobody misses a chain.
        RunFolder.removeNote(.saved)
        var report = Report(command: self.name)
        report.memory = Report.Memory(path: target.name, memory)
        report.memory?.isLive = true
        report.head = Head(origin: .range, page: target.head)
        var chain = try writing { () throws(WritingFailure) in
            try ChainSave(plan, from: nil, into: memory, generation: randomNumber())
        }
        let (head, evaluation) = try writing { () throws(WritingFailure) in
            try chain.run(threads: threads, seed: randomNumber())
        }
        report.evaluation = evaluation
        report.layout = .amd64
        report.written = Written(purpose: .chain, head: head)
        var record = RehearsalRecord(state: .waiting, range: range, seed: canary.seed)
        record.saved = name.saved
        record.boot = name.boot
        record.from = name.release
        record.pages = canary.pages
        return (record, report)
    }

    /// A chain of files is not to give way to a trial; a canary is.
    private static func refuseChain(_ target: WritingTarget, _ call: Call) throws(Failure) {
        var call = call
        if Rehearsal.canary(at: target.head, in: target.memory) != nil { call.set(.replace) }
        do throws(Failure) {
            try target.refuseHeldChains(call)
        } catch {
            guard case .writing(let failure) = error, failure.cause == .holdsChain else { throw error }
            throw .writing(
                WritingFailure(
                    .holdsChain, "\(Phrase(failure.message)); a rehearsal writes over no chain of files",
                    remedy: "load the files, and erase the chain"))
        }
    }

    // MARK: - The next kernel

    private static func goOn(
        _ record: RehearsalRecord, _ report: Report, _ call: Call, _ streams: Streams
    ) throws(Failure) -> ExitStatus {
        do throws(SystemError) {
            try Rehearsal.keep(record)
        } catch {
            streams.say("\(error.message): where no initramfs looks at the canary, nothing will be known of it")
        }
        streams.output.write(
            "a canary is saved: \(byteCount(record.range.size)) at \(hexadecimal(record.range.start))\n")
        let words = try nextKernel(call)
        if call.has(.noLoad) {
            let text = words.map { escaped($0) }.joined(separator: " ")
            streams.output.write(
                "load the next kernel: pram-verify kexec \(text.utf8.isEmpty ? "KERNEL INITRD" : text)\n")
        } else {
            guard !words.isEmpty else {
                throw .usage(UsageError("no kernel was found in /boot: name one, rehearse KERNEL [INITRD]"))
            }
            var load = call.turned(into: Kexec.self)
            load.operands = words
            let status: ExitStatus
            do throws(UsageError) { status = try Kexec.run(load, streams) } catch { throw .usage(error) }
            guard status == [] else {
                streams.say(
                    "no kernel is loaded, so this fails as a save would; pram-verify erase takes the canary away")
                return status
            }
        }
        streams.output.write("start it: systemctl kexec (without systemd: kexec -e)\n")
        streams.output.write("and there: pram-verify rehearse --result\n")
        return []
    }

    /// A kernel, and its initrd where it has one.
    private static func nextKernel(_ call: Call) throws(Failure) -> [[UInt8]] {
        if !call.operands.isEmpty { return call.operands }
        let settings = ServiceSettings()
        if let kernel = settings.kernel, !kernel.isEmpty { return [kernel] + [settings.initrd].compactMap { $0 } }
        guard let found = BootKernels(MachinePaths()).next else { return [] }
        return [found.path] + [found.initrd].compactMap { $0 }
    }
}
