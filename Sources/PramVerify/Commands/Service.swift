import KernelCommandLine
import Linux
import Machine
import PRAM
import Text

/// `service start` and `service stop`: what the unit of systemd runs. All that they decide is decided here; settings
/// come from the environment, and what is said goes to the journal.
struct Service: Command {
    static let name: StaticString = "service"
    static let task = Task.boot
    static let operands: StaticString = " start|stop"
    static let summary: StaticString =
        "what the unit runs: start restores the files after a kexec, stop saves them on the way to one"
    static let example: StaticString = "service start"
    static let options: [Option] = []
    static let kernelParameters: [BootParameter] = []
    static let writes = true

    private let settings = ServiceSettings()
    private let streams: Streams
    /// systemd takes a number at the start of a line for its level.
    private let marksErrors = environment("INVOCATION_ID") != nil

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        guard call.operands.count == 1, let word = call.operands.first else {
            throw UsageError("service needs one word, start or stop")
        }
        let service = Service(streams: streams)
        if word.elementsEqual("start".utf8) {
            let status = try service.start()
            return status == [] ? try service.takeHeadEarly() : status
        }
        if word.elementsEqual("stop".utf8) { return try service.stop() }
        throw UsageError("service takes start or stop, not \(escaped(word))")
    }

    private init(streams: Streams) { self.streams = streams }

    private func say(_ text: Phrase) { streams.say(text) }
    private func complain(_ text: Phrase) { streams.errors.write("\(marksErrors ? "<3>" : "")pram-verify: \(text)\n") }

    /// The line as the kernel itself reads it; nil, with the reason said, where it cannot be read or is a crash kernel's.
    private func normalLine() -> (line: ParameterLine?, status: ExitStatus) {
        let paths = MachinePaths()
        do throws(SystemError) {
            let line = try paths.parameterLine()
            guard try !MachineEvidence.tellsCrashKernel(line, paths) else {
                say("this is a crash kernel, which touches nothing")
                return (nil, [])
            }
            return (line, [])
        } catch {
            complain(Phrase(error.message))
            return (nil, .failed)
        }
    }
}

// MARK: - start

extension Service {
    private func start() throws(UsageError) -> ExitStatus {
        let (line, status) = normalLine()
        guard let line else { return status }
        if RunFolder.lastStatus == .unnamed {
            complain(
                "a chain lies in memory, and no pram= names it: it is not restored, as nobody has handed it on; what can be "
                    + "done with it is told by `pram-verify check`")
            return .damaged
        }
        guard PramParameter.find(in: line).pfn ?? 0 != 0 || MachineEvidence.kernelsHead() ?? 0 != 0 else {
            say("nothing is restored: the kernel was told of no chain (pram=)")
            return []
        }
        if let record = rehearsal(line) {
            return try endRehearsal(record, try Call(Load.self, settings.loadOptions, settings.loadDirectory))
        }
        guard !settings.loadDirectory.isEmpty else {
            say("nothing is restored: LOAD_DIR is empty")
            return []
        }
        // A pram= that stays on the line for good names a page of zeros after a cold boot.
        guard RunFolder.lastStatus != .empty else {
            say("nothing is restored: the range is empty")
            return []
        }
        let call = try Call(Load.self, settings.loadOptions, settings.loadDirectory)
        let report = try Load.perform(call)
        if report.runStatus == .empty && report.written?.changed != true {
            say("nothing is restored: the range is empty")
            return []
        }
        guard report.status == [] else {
            complain("not all files were restored into \(escaped(settings.loadDirectory)); the chain stays")
            return report.print(.text, call, streams)
        }
        if let head = report.head?.page { HoldNote.noteRestored(head) }
        for warning in report.written?.warnings ?? [] { say(Phrase(warning)) }
        let count = report.extractions?.count ?? 0
        say("restored \(counted(count, "file")) into \(escaped(settings.loadDirectory))")
        return []
    }
}

extension Service {
    /// What became of the rehearsal that this boot is; nil where it is none. Where no initramfs has looked, it is looked
    /// at now.
    private func rehearsal(_ line: ParameterLine) -> RehearsalRecord? {
        if let record = Rehearsal.read(RunFolder.File.rehearsal.path) { return record }
        guard let kept = Rehearsal.read(Rehearsal.path), kept.state == .waiting, kept.boot != Rehearsal.bootID(),
            PramParameter.find(in: line).pfn == PFN(containing: kept.range.start).number
        else { return nil }
        return try? RehearsalResult.look(kept)
    }

    /// A canary is nothing to restore: its result goes to the disk, and it gives way.
    private func endRehearsal(_ record: RehearsalRecord, _ load: Call) throws(UsageError) -> ExitStatus {
        do throws(SystemError) {
            try Rehearsal.keep(record)
            RunFolder.removeNote(.rehearsal)
        } catch {
            complain(Phrase(error.message))
        }
        let report = try Erase.perform(load.turned(into: Erase.self))
        if let failure = report.failure { say(Phrase(failure.message)) }
        guard record.state == .passed else {
            complain("nothing is restored: the last boot was a rehearsal, which \(record.sentence)")
            return .damaged
        }
        say("nothing is restored: the last boot was a rehearsal, which \(record.sentence)")
        return []
    }
}

// MARK: - The head of what is saved at stop

extension Service {
    /// With --early in SAVE_OPTIONS the next kernel may be loaded at any time.
    private func takeHeadEarly() throws(UsageError) -> ExitStatus {
        guard settings.takesHeadEarly, normalLine().line != nil else { return [] }
        let report = try Save.perform(try Call(Save.self, [bytes("--kho"), bytes("--early")], nil))
        if let failure = report.failure {
            failure.explain(to: streams.errors)
            complain(
                "no head is taken early, so a kernel that is loaded before the files are saved is not told of them")
            return report.status
        }
        sayWarnings(of: report)
        return report.status
    }
}

// MARK: - stop

extension Service {
    /// What the shutdown is on the way to.
    private enum Way {
        case elsewhere
        case toKexec
        /// To another one of the targets at which files are saved.
        case toTarget
    }

    private func stop() throws(UsageError) -> ExitStatus {
        let (line, status) = normalLine()
        guard line != nil else { return status }
        let way: Way
        do throws(Failure) {
            way = try wayOfShutdown()
        } catch {
            complain("nothing is saved: whether this is the way to a kexec cannot be told: \(error.message)")
            return .failed
        }
        if case .elsewhere = way { return [] }
        if let kept = Rehearsal.read(Rehearsal.path), kept.state == .waiting, kept.boot == Rehearsal.bootID() {
            say("nothing is saved: a rehearsal is under way, and its canary has the range; pram-verify erase ends it")
            return []
        }
        if let head = try handOnArrived() { return try loadAgain(way, head) }
        let call = try Call(Save.self, settings.saveOptions, settings.saveDirectory)
        let report = try Save.perform(call)
        guard report.failure == nil, report.status == [] else {
            report.failure?.explain(to: streams.errors)
            complain("saving \(escaped(settings.saveDirectory)) failed: its files will not arrive in the next kernel")
            try eraseOlder(call)
            return report.status.union(.failed)
        }
        sayWarnings(of: report)
        let head = report.written?.head
        let pages = byteCount((report.evaluation?.pagesChecked ?? 0) &* UInt64(pageSize))
        say(
            "saved \(counted(report.usersFileCount, "file")) (\(pages)) of "
                + "\(escaped(settings.saveDirectory)) at page \(hexadecimal(head?.number ?? 0))")
        return try loadAgain(way, head)
    }

    /// That a kernel is loaded already is nobody's concern: one is loaded next.
    private func sayWarnings(of report: Report) {
        let usual = bytes(Save.loadedKernel)
        for warning in report.written?.warnings ?? [] where !warning.utf8.elementsEqual(usual) {
            say(Phrase(warning))
        }
    }

    /// A chain that the former kernel has handed over, and that was not restored, is the only copy: it goes on as it is.
    /// - Returns: its head; nil where there is none, or it is not intact, so that what the directory holds is saved.
    private func handOnArrived() throws(UsageError) -> PFN? {
        let call = try Call(Save.self, [bytes("--again")], nil)
        guard let head = Head.arrivedChain(call)?.page, !HoldNote.isReleased(head), !HoldNote.isRestored(head) else {
            return nil
        }
        if let note = HoldNote.read(), note.isEarly || note.head != head.number, note.standing.isHeld { return nil }
        let report = try Save.perform(call)
        guard report.failure == nil, report.status == [] else {
            report.failure?.explain(to: streams.errors)
            complain("the chain that has arrived was not restored, and is not handed on")
            return nil
        }
        sayWarnings(of: report)
        say(
            "the chain at page \(hexadecimal(head.number)) was not restored: it is handed on as it is, and "
                + "\(escaped(settings.saveDirectory)) is not saved")
        return head
    }

    /// - Throws: where systemctl does not answer.
    private func wayOfShutdown() throws(Failure) -> Way {
        // Asked for no unit systemctl tells of all.
        guard !settings.saveTargets.isEmpty else { return .elsewhere }
        let words = [Array("systemctl".utf8), Array("list-jobs".utf8)] + settings.saveTargets
        let (ending, output) = try calling { () throws(SystemError) in
            try ChildProgram.output(of: words, limit: 1 << 16)
        }
        guard ending == .exited(0) else {
            throw .system(SystemError("exec", code: ErrorCode.noData, path: words[0]), remedy: "")
        }
        // JOB UNIT TYPE STATE
        var way = Way.elsewhere
        for line in output.split(separator: UInt8(ascii: "\n")) {
            for word in line.split(separator: UInt8(ascii: " ")) {
                if word.elementsEqual("kexec.target".utf8) { return .toKexec }
                if word.count > 7, word.suffix(7).elementsEqual(".target".utf8) { way = .toTarget }
            }
        }
        return way
    }

    /// What memory holds is older than what the directory holds, and is not to be restored over it. Where the directory
    /// has no files, memory may hold the only copy.
    private func eraseOlder(_ save: Call) throws(UsageError) {
        // A head without a chain is nothing that could be restored.
        guard save.has(.replace), HoldNote.early() == nil, hasFiles() else { return }
        let report = try Erase.perform(save.turned(into: Erase.self))
        if let failure = report.failure {
            failure.explain(to: streams.errors)
        } else if report.written?.changed == true {
            say("the older chain was erased, so that it is not restored over newer files")
        }
    }

    private func hasFiles() -> Bool {
        guard let directory = try? SourceDirectory(settings.saveDirectory), let names = try? directory.names() else {
            return false
        }
        return names.contains { name in (try? directory.status(of: name))?.isRegular == true }
    }

    /// A kernel that was loaded before the files were saved does not know of them.
    private func loadAgain(_ way: Way, _ head: PFN?) throws(UsageError) -> ExitStatus {
        let loaded = LoadNote.current()
        var words: [[UInt8]] = []
        if let kernel = settings.kernel, !kernel.isEmpty {
            if let loaded, loaded.head == head?.number, loaded.kernel == kernel, loaded.initrd == settings.initrd {
                return []
            }
            words = [kernel] + [settings.initrd].compactMap { $0 }
        } else if loaded?.head == head?.number, loaded != nil {
            return []
        } else if settings.kernel == nil, let loaded {
            let template = [Array("--cmdline".utf8), loaded.line]
            words = template + [loaded.kernel] + [loaded.initrd].compactMap { $0 }
        } else if settings.kernel == nil, case .toKexec = way {
            words = usualKernel()
        }
        guard !words.isEmpty else {
            if case .toKexec = way {
                complain(
                    "no kernel is loaded that knows of the files, so they will not arrive; set KEXEC_KERNEL and "
                        + "KEXEC_INITRD in /etc/default/pram-verify")
                return .damaged
            }
            return []
        }
        let status = try Kexec.run(try Call(Kexec.self, words, nil), streams)
        if status != [] { complain("the next kernel will not be told of the files, so they will not arrive") }
        return status
    }

    /// Where Debian's kernel packages put links.
    private func usualKernel() -> [[UInt8]] {
        let (kernel, initrd) = (Array("/vmlinuz".utf8), Array("/initrd.img".utf8))
        guard FileDescriptor.exists(kernel) else { return [] }
        if let initrd = settings.initrd { return [kernel, initrd] }
        return FileDescriptor.exists(initrd) ? [kernel, initrd] : [kernel]
    }
}
