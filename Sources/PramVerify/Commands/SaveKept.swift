import ChainWriting
import Linux
import Machine
import MemorySources
import PRAM
import Parity
import Text
import Verification

/// `save --kho` and `save --again`: a chain in ordinary memory, which the kernel itself hands over to the next one.
///
/// The order: room is looked for; the memory is taken, sealed, kept by a session, and its page frames are read after
/// that; the chain is written and read back by frame; the head comes last; then somebody else holds the session.
extension Save {
    ///
    /// With --early the head alone is taken, which the first chain that is saved then gets.
    static func keep(_ call: Call, _ report: inout Report) throws(Failure) {
        try call.requireOperands((call.has(.stdin) ? 0 : 1)...1, "a directory")
        if call.has(.size) && !call.has(.stdin) {
            throw .usage(
                UsageError("--size goes with --kho only where --stdin does: what a directory takes is counted"))
        }
        let threads = try call.threadCount()
        let parity = try call.parityPercent()
        let lock = try MemoryLock.take()
        let machine = try supportingMachine()
        try refuseHeldOver(call, machine)
        let keeper = try Keeper.choose()
        let source = try SaveSource(call)
        try source.refuseEmpty()
        SavingSession.clearUnfinished()
        let pages = try takeRoom(try pageCount(source.plan, call), parity: parity, source.plan)
        let live = try readBackMemory()
        SaveNote(.unfinished).write()

        let old = HoldNote.read()
        let saving = try calling { () throws(SystemError) in try SavingSession.next() }
        let chainSave: ChainSave
        let head: PFN
        do throws(Failure) {
            let memory: FrameMemory
            do throws(SystemError) {
                memory = try FrameMemory(pages: pages, behind: saving.early, keptBy: saving.session, live) {
                    saving.begin()
                }
            } catch {
                throw .system(error, remedy: remedy(error))
            }
            report.memory = Report.Memory(path: "memfd", memory)
            let chain: ChainEvaluation
            do throws(WritingFailure) {
                var save = try ChainSave(
                    source.plan, from: source.directory, into: memory, generation: saving.generation, parity: parity)
                (head, chain) = try save.run(threads: threads, seed: randomNumber())
                chainSave = save
            } catch {
                throw .writing(error.wantingRoom("--size gives the chain more memory"))
            }
            report.evaluation = chain
        } catch {
            throw saving.givenUp(after: error)
        }
        report.head = Head(origin: .session, page: head)
        report.layout = .amd64
        let sentences: [String]
        do throws(Failure) {
            sentences = try keeper.take(saving.session, saving.name, head: head.number)
            if let old, case .process(let process, let started) = old.holder {
                ProcessFacts.end(process, started: started)
            }
        } catch {
            // Who held the early head has the chain by that.
            guard saving.early != nil, let old, old.keepsMemory else { throw error }
            let note = HoldNote(head: head.number, session: saving.name, holder: old.holder)
            note.write()
            sentences = [note.standing.sentence.text]
        }
        report.written = Written(
            purpose: .chain, head: head,
            warnings: source.plan.warnings + sentences + loadedKernelWarning(head, call)
                + shortfall(chainSave, of: parity, in: "memory"))
        withExtendedLifetime(lock) {}
    }

    private static func remedy(_ error: SystemError) -> String {
        switch error.code {
        case ErrorCode.notPermitted: "run this as root, with CAP_SYS_ADMIN"
        case ErrorCode.outOfMemory, ErrorCode.noSpace: "save less, or free memory"
        default: ""
        }
    }

    /// - Throws: what this machine lacks.
    private static func supportingMachine() throws(Failure) -> MachineEvidence {
        let machine: MachineEvidence
        do throws(MachineFailure) { machine = try MachineEvidence.collect() } catch { throw Failure(error) }
        do throws(WriteRefusal) { try WritableRegion.refuseCrashKernel(machine) } catch { throw .refused(error) }
        if let refusal = HandOverSupport.refusal(machine.line) { throw .memory(refusal) }
        return machine
    }

    /// What was saved before, or has arrived, does not give way without a word.
    private static func refuseHeldOver(_ call: Call, _ machine: MachineEvidence) throws(Failure) {
        guard !call.has(.replace) else { return }
        if let note = HoldNote.read(), note.standing.isHeld, !note.isEarly {
            throw .writing(
                WritingFailure(
                    .holdsChain, "a chain is saved already: \(note.standing.sentence)",
                    remedy: call.has(.early)
                        ? "kexec to hand it on, or erase it"
                        : "kexec to hand it on, or save another in its place with --replace"))
        }
        var named = try Head.find(call, live: true)
        if named.page == nil, !named.isReleased, case .head(let found)? = UnnamedHandOver.find() { named.page = found }
        guard let page = named.page, !HoldNote.isReleased(page), !(call.has(.early) && HoldNote.isRestored(page)),
            HandOverEvidence.collect(machine.line).concerns(
                page, machine, kernelsHead: MachineEvidence.kernelsHead()),
            let memory = try? MemoryChoice.thisMachine.open(base: 0, unpackLimit: 0, raw: false),
            try Head.startsChain(page, in: memory)
                || GeometryPage(locator: page.number &+ 1, in: memory)?.head == page.number
        else { return }
        throw .writing(
            WritingFailure(
                .holdsChain, "the chain at page \(hexadecimal(page.number)) has arrived, and was not loaded",
                remedy:
                    "load it with --erase, hand it on with --again, both with --pfn where the command line does not name "
                    + "it, or leave it behind with --replace"))
    }

    private static func pageCount(_ plan: SavePlan, _ call: Call) throws(Failure) -> Int {
        if let size = plan.size {
            guard let count = Int(exactly: max(size, 2)), count < 1 << 40 else {
                throw .writing(WritingFailure(.tooSmall, "no machine has so much memory"))
            }
            return count
        }
        guard let size = try call.size(.size) else {
            throw .usage(UsageError("--kho with --stdin needs --size: how much memory the chain may take"))
        }
        let pages = min(size, 1 << 50) / UInt64(pageSize)
        guard let needed = plan.pagesNeeded, needed <= pages else {
            throw .writing(
                WritingFailure(
                    .tooSmall, "what is saved beside the stream needs more than --size gives the chain",
                    remedy: "--size gives the chain more memory"))
        }
        return Int(clamping: pages)
    }

    /// Looks before anything is taken: where memory runs out, the kernel ends processes, or panics.
    /// - Parameter least: pages that the chain has without parity.
    /// - Returns: how many it is to have, with as much parity as there is room for.
    private static func takeRoom(_ least: Int, parity: Int = 0, _ plan: SavePlan? = nil) throws(Failure) -> Int {
        let wanted = parity > 0 ? plan.flatMap { SaveEstimate($0, parity: parity) }?.pages ?? 0 : 0
        let most = max(least, Int(clamping: wanted))
        let forKernel = 2 * NextKernelFiles.size()
        var free: UInt64 = 0
        for attempt in 0..<2 {
            guard let now = HandOverRoom.freeNow() else {
                throw .writing(WritingFailure(.tooSmall, "/proc/meminfo does not tell how much memory is free"))
            }
            free = now
            if HandOverRoom(free: free, forKernel: forKernel).hasRoom(for: UInt64(most) &* UInt64(pageSize)) {
                return most
            }
            if attempt == 0 { HandOverRoom.dropCaches() }
        }
        let bytes = UInt64(least) &* UInt64(pageSize)
        guard HandOverRoom(free: free, forKernel: forKernel).hasRoom(for: bytes) else {
            throw .writing(
                WritingFailure(
                    .tooSmall,
                    "the chain needs \(byteCount(bytes)), loading the next kernel \(byteCount(forKernel)), and "
                        + "\(byteCount(free)) are free outside of what the kernel sets aside for the next one",
                    remedy: "save less, end what takes memory, or set aside less with kho_scratch="))
        }
        return max(least, Int(clamping: (free - forKernel - 1) / UInt64(pageSize)))
    }

    private static func readBackMemory() throws(Failure) -> LiveMemory {
        do throws(MemoryFailure) { return try LiveMemory.open(only: .kcore) } catch { throw .memory(error) }
    }
}

// MARK: - The head before the chain

extension Save {
    /// Takes a page for the head, which the next kernel can be told of at once. Until something is saved, it holds zeros.
    static func takeHead(_ call: Call, _ report: inout Report) throws(Failure) {
        try call.requireOperands(0...0)
        let lock = try MemoryLock.take()
        let machine = try supportingMachine()
        try refuseHeldOver(call, machine)
        SavingSession.clearUnfinished()
        if let note = HoldNote.early() {
            report.head = Head(origin: .session, page: PFN(note.head))
            report.written = Written(
                purpose: .head, head: PFN(note.head), changed: false, warnings: [note.standing.sentence.text])
            return
        }
        // Whoever cannot read memory back saves nothing later.
        _ = try readBackMemory()
        _ = try takeRoom(EarlyHead.pages)
        let holder = try calling { () throws(SystemError) in try SessionHolder.start() }
        let saving = try calling { () throws(SystemError) in try SavingSession.create() }
        let early: EarlyHead
        do throws(SystemError) { early = try EarlyHead(keptBy: saving.session) } catch {
            throw .system(error, remedy: remedy(error))
        }
        report.head = Head(origin: .session, page: early.page)
        let sentences = try Keeper.process(holder, isStoreFull: false).take(
            saving.session, saving.name, head: early.page.number, [early.file], isEarly: true)
        // What cannot be had again is no promise.
        do throws(SystemError) { _ = try SavingSession.early() } catch {
            HoldNote.early()?.end()
            throw .system(error, remedy: "run this as root, with CAP_SYS_PTRACE")
        }
        report.written = Written(
            purpose: .head, head: early.page, warnings: sentences + loadedKernelWarning(early.page, call))
        withExtendedLifetime(lock) {}
    }
}

// MARK: - Once more

extension Save {
    /// Takes the chain that has arrived out of its session, and puts it into a new one: the same frames, the same links.
    static func keepAgain(_ call: Call, _ report: inout Report) throws(Failure) {
        try call.requireOperands(0...0)
        let threads = try call.threadCount()
        let lock = try MemoryLock.take()
        _ = try supportingMachine()
        let keeper = try Keeper.choose()
        let named = try Head.find(call, live: true)
        report.head = named
        guard let head = named.page else {
            throw .writing(WritingFailure(.noChain, "no chain has arrived: the command line names none (pram=)"))
        }
        if let note = HoldNote.read(), note.keepsMemory {
            guard note.head == head.number, !note.isEarly else {
                throw .writing(
                    WritingFailure(
                        .holdsChain, "something else waits for the next kernel already: \(note.standing.sentence)",
                        remedy: "erase that first"))
            }
            if note.standing.isHeld {
                report.written = Written(
                    purpose: .chain, head: head, changed: false, warnings: [note.standing.sentence.text])
                return
            }
        }
        let live = try readBackMemory()
        report.memory = Report.Memory(MemoryChoice.thisMachine, live)
        let chain = check(head, live, threads)
        report.evaluation = chain
        report.layout = .amd64
        guard chain.verdict == .intact, let generation = chain.links.first?.generation else {
            throw .writing(
                WritingFailure(
                    .notVerified, "the chain at page \(hexadecimal(head.number)) is not intact",
                    remedy: "load what is good of it, with --repair what parity brings back, and save that"))
        }
        let name = KeptSession.name(generation)
        let device = try calling { () throws(SystemError) in try LiveUpdate.open() }
        let moved = try ArrivedSession.move(name, device)
        var reason = moved.obstacle?.message
        if reason == nil, check(head, live, threads).verdict != .intact {
            reason = "the chain does not lie where it was once it is kept again"
        }
        if let reason { throw handOver(keeper, moved.files, name, head, reason) }
        report.written = Written(
            purpose: .chain, head: head,
            warnings: try keeper.take(moved.session, name, head: head.number)
                + loadedKernelWarning(head, call))
        withExtendedLifetime(lock) {}
    }

    /// What the next kernel does not get stays in this one, and can be loaded.
    private static func handOver(
        _ keeper: consuming Keeper, _ files: [MemoryFileDescriptor], _ name: [UInt8], _ head: PFN, _ reason: String
    ) -> Failure {
        do throws(Failure) {
            let sentence = try keeper.take(files, of: name, head: head.number).first ?? ""
            return .writing(
                WritingFailure(
                    .notVerified, "the next kernel does not get the chain: \(reason); \(sentence)",
                    remedy: "load it, and save it anew"))
        } catch {
            return .writing(
                WritingFailure(.noChain, "the chain is lost: \(reason); and nobody takes it: \(error.message)"))
        }
    }

    private static func check(_ head: PFN, _ memory: LiveMemory, _ threads: Int) -> ChainEvaluation {
        var options = ChainCheck.Options()
        options.threads = threads
        return ChainCheck(head: head, memory: memory, options: options, seed: randomNumber()).run()
    }
}
