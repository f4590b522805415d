import ChainWriting
import Linux
import PRAM
import Parity
import Text

/// `save`: a directory, with all below it, as a chain.
enum Save: Command {
    static let name: StaticString = "save"
    static let task = Task.carry
    static let operands: StaticString = " DIR"
    static let summary: StaticString =
        "write the directory DIR, with all below it, as a chain into a reserved range of memory"
    static let example: StaticString = "save /var/lib/pram-verify"
    static let options: [Option] =
        Option.ofMemory + Option.ofWriting + [
            .kho, .early, .again, .flat, .oneFileSystem, .exclude, .strict, .stdin, .parity, .size, .replace, .force,
            .dryRun,
            .json,
        ]
    static let kernelParameters: [BootParameter] = []
    static let writes = true

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        try perform(call).print(.head, call, streams)
    }

    static func perform(_ call: Call) throws(UsageError) -> Report {
        var report = Report(command: name)
        do throws(Failure) {
            if call.has(.early) {
                try takeHead(call, &report)
            } else if call.has(.kho) && !call.has(.dryRun) {
                try keep(call, &report)
            } else if call.has(.again) {
                try keepAgain(call, &report)
            } else {
                try save(call, &report)
            }
        } catch {
            try report.end(by: error)
        }
        // A head without a chain is none that was saved.
        if call.has(.dryRun) || call.has(.early) { return report }
        // Handing on writes nothing: where it fails, what was saved is what it was.
        if !call.has(.again) || report.failure == nil { report.noteSave(call) }
        report.refreshRunFolder(call)
        return report
    }

    /// A kernel that was loaded before does not know what was saved, unless its line names this very head.
    static func loadedKernelWarning(_ head: PFN, _ call: Call) -> [String] {
        guard MemoryChoice(call[.memory]).isLive, LoadNote.isKernelLoaded(), LoadNote.current()?.head != head.number
        else { return [] }
        return ["\(loadedKernel)"]
    }

    static let loadedKernel: StaticString =
        "a kernel is loaded already, which may not be told of this chain: load it once more with pram-verify kexec"

    private static func save(_ call: Call, _ report: inout Report) throws(Failure) {
        try call.requireOperands((call.has(.stdin) ? 0 : 1)...1, "a directory")
        let threads = try call.threadCount()
        let size = try call.size(.size)
        let parity = try call.parityPercent()
        let base = try call.base()
        try WritingTarget.checkOptions(call)
        let source = try SaveSource(call)
        if call.has(.dryRun) {
            report.estimate = try estimate(source.plan, parity: parity)
            return
        }
        let target = try WritingTarget.open(call, size: size, base: base, for: .chain)
        do throws(Failure) {
            report.memory = Report.Memory(path: target.name, target.memory)
            report.head = Head(origin: .range, page: target.head)
            try source.refuseWithin(call[.memory])
            try target.refuseHeldChains(call)
            if MemoryChoice(call[.memory]).isLive { SaveNote(.unfinished).write() }
            let standing =
                call.has(.replace) ? StandingChain(in: target.memory, threads: threads, seed: randomNumber()) : nil
            var chainSave: ChainSave
            let head: PFN
            let chain: ChainEvaluation
            do throws(WritingFailure) {
                // What can be refused is refused before the first byte is written.
                chainSave = try ChainSave(
                    source.plan, from: source.directory, into: target.memory, generation: randomNumber(),
                    parity: parity, replacing: standing)
                // A signal from then on must not take the new chain away.
                let growth = target.growth
                chainSave.beforeHead = { growth?.keep() }
                (head, chain) = try chainSave.run(threads: threads, seed: randomNumber())
            } catch {
                throw .writing(error.wantingRoom(room(for: source.plan, in: target, base: base, parity: parity)))
            }
            report.evaluation = chain
            report.layout = .amd64
            report.written = Written(
                purpose: .chain, head: head, warnings: source.plan.warnings + loadedKernelWarning(head, call))
            report.written?.warnings += shortfall(chainSave, of: parity)
        } catch {
            target.growth?.undo()
            throw error
        }
    }

    /// What would have room for all of it.
    private static func room(for plan: SavePlan, in target: WritingTarget, base: UInt64, parity: Int) -> Phrase {
        if target.isDevice { return "take a larger device, or save less" }
        guard target.machine == nil else { return "reserve a larger range, or save less" }
        guard let size = SaveEstimate(plan, parity: parity)?.imageSize(base: base) else {
            return "make the image larger with --size, or save less"
        }
        return "an image with --size=\(size >> 10)K has room for all of it"
    }

    private static func estimate(_ plan: SavePlan, parity: Int) throws(Failure) -> EstimateReport {
        guard !plan.isEmpty else {
            throw .writing(WritingFailure(.notSavable, "there is nothing to save: a chain cannot be empty"))
        }
        guard let estimate = SaveEstimate(plan, parity: parity) else {
            throw .writing(
                WritingFailure(.notSavable, "nobody can tell how much a stream takes before it has ended"))
        }
        return EstimateReport(estimate: estimate, parity: parity, warnings: plan.warnings)
    }

    /// Says what a small range, or memory, has no room for.
    static func shortfall(_ save: ChainSave, of percent: Int, in place: StaticString = "the range") -> [String] {
        guard percent > 0, let wanted = save.parityWanted(percent) else { return [] }
        if save.isOfStream { return ["a stream is saved without parity, and links once: what is lost stays lost"] }
        if save.isScattered {
            return ["the page frames lie too scattered for parity: what is lost stays lost; --parity=0 asks for none"]
        }
        guard let layout = save.protection else {
            let reason: StaticString =
                "has no room for parity, nor for a second copy of the links: what is lost stays lost"
            return [Phrase("\(place) \(reason)").text]
        }
        guard let code = layout.code else {
            return [Phrase("\(place) has no room for parity: links come back, and no other page").text]
        }
        guard code.parityPages < wanted else { return [] }
        let needed = save.pagesNeeded(percent) ?? 0
        return [
            Phrase(
                "\(place) has room for \(code.parityPages) of \(wanted) parity pages; a run of "
                    + "\(counted(layout.longestRun, "lost page")) comes back; \(needed) pages have room for all"
            ).text
        ]
    }
}

extension Call {
    /// How many parity pages `save` makes for 100 pages; 0 for none.
    func parityPercent() throws(Failure) -> Int {
        guard let text = self[.parity] else { return 5 }
        guard let number = decimalNumber(text[...]), number <= 50 else {
            throw .usage(UsageError("--parity takes a number from 0 to 50, not \(escaped(text))"))
        }
        return Int(number)
    }
}

extension Option {
    /// What names the memory that is written.
    static let ofWriting: [Option] = [.region, .device]
}
