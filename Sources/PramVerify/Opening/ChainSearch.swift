import ChainWriting
import KernelCommandLine
import Linux
import Machine
import MemorySources
import PRAM
import Text
import Verification

/// Finds the chain that the next kernel may be told of, wherever it may start, and verifies all of it.
struct ChainSearch {
    let call: Call
    let choice: MemoryChoice
    /// The line that the next one is made of.
    let template: ParameterLine
    /// The command line of the kernel in whose memory the chain lies.
    let thisLine: ParameterLine
    let known: Known?

    /// A chain that was verified a moment ago.
    struct Known {
        let head: PFN
        let evaluation: ChainEvaluation
        let layout: ChainLayout
        let pages: PageRuns
    }

    enum Outcome {
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
        /// The session of a head without a chain.
        var early: HoldNote?
    }

    func look(_ report: inout Report) throws(Failure) -> Outcome {
        let threads = try call.threadCount()
        let base = try call.base()
        let unpackLimit = try call.unpackLimit()
        let kernelsHead = choice.isLive ? MachineEvidence.kernelsHead() : nil
        let named = try namedHeads(kernelsHead)
        // A chain that `save` wrote starts at its range's first page, which is no secret.
        let isOpen = !call.has(.pfn) && kernelsHead == nil
        let ranges = isOpen ? ReservedMemory(thisLine).elements.compactMap(ChainSearch.firstPage) : []
        guard !named.isEmpty || !ranges.isEmpty else {
            return .none(reason: "none is named, and no range is reserved that could hold one")
        }

        // A chain that is being written is handed on by nobody.
        let lock = try ReadingLock(choice)
        defer { lock.release() }
        let memory = try choice.open(base: base, unpackLimit: unpackLimit, raw: call.has(.raw))
        report.memory = Report.Memory(choice, memory)
        let candidates = try candidates(named, ranges, memory)
        guard let candidate = candidates.first else {
            return named.isEmpty
                ? .none(reason: "none is named, and no reserved range starts with one")
                : .none(reason: "the head page holds zeros only", isCleared: true)
        }
        guard candidates.count == 1 else { return .several(candidates.map { $0.page }) }
        return .one(try verify(candidate, memory, threads, kernelsHead, &report))
    }

    private func verify(
        _ candidate: Candidate, _ memory: any PhysicalMemory, _ threads: Int, _ kernelsHead: UInt64?,
        _ report: inout Report
    ) throws(Failure) -> HandOver {
        var head = Head(origin: candidate.origin, page: candidate.page)
        head.isRefused = candidate.isRefused
        report.head = head
        if let note = candidate.early { return early(note) }
        if let live = memory as? LiveMemory { try report.memory?.explain(live, head: candidate.page) }
        let (evaluation, layout, pages) = evaluate(candidate.page, memory, threads, report.started)
        report.layout = layout
        report.memory?.notes = memory.notes
        report.evaluation = evaluation
        report.lookForLostHead(
            candidate.page, in: memory, ends: Recovering.ends(call, choice, head: candidate.page))
        report.duration = report.elapsedNanoseconds

        var chain = HandOver(head: candidate.page, verdict: evaluation.verdict, thisLine: thisLine)
        chain.linksToRefit = evaluation.links.count { $0.reading != .asIs }
        chain.layout = layout
        chain.generation = evaluation.links.first?.generation
        chain.pages = pages.ranges
        chain.isRefused = candidate.isRefused
        chain.kernelsHead = kernelsHead
        if choice.isLive {
            chain.keeping = keeping(candidate.page, kernelsHead)
            let paths = MachinePaths()
            chain.isCrashKernel = MachineEvidence.isCrashKernel(thisLine, paths)
            do throws(MemoryFailure) {
                chain.systemRAM = try Iomem.read(paths.iomem).kernelMemory
            } catch {
                throw .memory(error)
            }
        }
        return chain
    }

    /// A head that was taken before there is a chain: what is saved until the kexec is what arrives.
    private func early(_ note: HoldNote) -> HandOver {
        var chain = HandOver(head: PFN(note.head), verdict: .absent, thisLine: thisLine)
        chain.keeping = note.standing.isHeld ? .early : .gone(note.standing.sentence.text)
        chain.generation = KeptSession.generation(named: note.session.dropFirst(12))
        chain.isCrashKernel = MachineEvidence.isCrashKernel(thisLine, MachinePaths())
        return chain
    }

    /// nil for a chain that only a reserved range can carry.
    private func keeping(_ head: PFN, _ kernelsHead: UInt64?) -> HandOver.Keeping? {
        if let note = HoldNote.read(), note.head == head.number {
            let standing = note.standing
            return standing.isHeld ? .held : .gone(standing.sentence.text)
        }
        guard let machine = try? MachineEvidence.collect(),
            HandOverEvidence.collect(machine.line).concerns(head, machine, kernelsHead: kernelsHead)
        else { return nil }
        return .arrived
    }

    private func evaluate(
        _ head: PFN, _ memory: any PhysicalMemory, _ threads: Int, _ started: UInt64
    ) -> (ChainEvaluation, ChainLayout, PageRuns) {
        if let known, known.head == head { return (known.evaluation, known.layout, known.pages) }
        let collected = Collected()
        var options = ChainCheck.Options()
        options.threads = threads
        options.observe = { walked, _ in
            collected.pages.insert(walked.page)
            for entry in walked.link?.entries ?? [] { collected.pages.insert(entry.page) }
        }
        let progress = Progress(started)
        options.progress = { progress.show($0) }
        let check = ChainCheck(head: head, memory: memory, options: options, seed: randomNumber())
        let evaluation = check.run()
        progress.clear()
        return (evaluation, check.layout, collected.pages)
    }

    private final class Collected {
        var pages = PageRuns()
    }

    private func namedHeads(_ kernelsHead: UInt64?) throws(Failure) -> [Candidate] {
        if call.has(.pfn) {
            let head = try Head.find(call, live: false)
            let note = HoldNote.read().flatMap { choice.isLive && $0.isEarly ? $0 : nil }
            return head.page.map {
                [Candidate(page: $0, origin: .option, early: note?.head == $0.number ? note : nil)]
            } ?? []
        }
        if let kernelsHead, kernelsHead != 0 { return [Candidate(page: PFN(kernelsHead), origin: .sysKernelPram)] }
        var found: [Candidate] = []
        let origin: Head.Origin =
            call.has(.cmdline) ? .commandLineText : call.has(.from) ? .commandLineFile : .procCmdline
        // What was saved in this boot takes the place of what has arrived, and of what a line names that was made before.
        if choice.isLive, kernelsHead == nil, let note = HoldNote.read() {
            guard case .released = note.holder else {
                return [Candidate(page: PFN(note.head), origin: .session, early: note.isEarly ? note : nil)]
            }
        }
        for (line, origin) in [(template, origin), (thisLine, .procCmdline)] {
            guard let number = PramParameter.find(in: line).pfn, number != 0,
                !(choice.isLive && HoldNote.isReleased(PFN(number))),
                !found.contains(where: { $0.page.number == number })
            else { continue }
            found.append(Candidate(page: PFN(number), origin: origin, isRefused: kernelsHead == 0))
        }
        return found
    }

    /// The named heads that are not cleared, and the first pages of ranges that hold one.
    private func candidates(
        _ named: [Candidate], _ ranges: [PFN], _ memory: any PhysicalMemory
    ) throws(Failure) -> [Candidate] {
        var candidates = named.filter { $0.early != nil || !ChainSearch.isCleared($0.page, memory) }
        for page in ranges where !candidates.contains(where: { $0.page == page }) {
            if try Head.startsChain(page, in: memory) { candidates.append(Candidate(page: page, origin: .range)) }
        }
        return candidates
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
}
