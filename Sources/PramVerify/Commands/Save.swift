import ChainWriting
import Linux
import PRAM
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
            .flat, .oneFileSystem, .exclude, .strict, .stdin, .size, .replace, .force, .json,
        ]
    static let kernelParameters: [BootParameter] = []
    static let writes = true

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        var report = Report(command: name)
        do throws(Failure) { try save(call, &report) } catch { try report.end(by: error) }
        report.refreshRunFolder(call)
        return report.print(.head, call, streams)
    }

    private static func save(_ call: Call, _ report: inout Report) throws(Failure) {
        try call.requireOperands((call.has(.stdin) ? 0 : 1)...1, "a directory")
        let threads = try call.threadCount()
        let size = try call.size(.size)
        let base = try call.base()
        try WritingTarget.checkOptions(call)
        let source = try SaveSource(call)
        let target = try WritingTarget.open(call, size: size, base: base, mayEditKernelMemory: false)
        do throws(Failure) {
            report.memory = Report.Memory(path: target.name, target.memory)
            report.head = Head(origin: .range, page: target.head)
            try source.refuseWithin(call[.memory])
            try refuseHeldChain(target, replaces: call.has(.replace))
            var chainSave = try writing { () throws(WritingFailure) in
                try ChainSave(source.plan, from: source.directory, into: target.memory, generation: randomNumber())
            }
            let (head, chain) = try writing { () throws(WritingFailure) in
                try chainSave.run(threads: threads, seed: randomNumber())
            }
            report.evaluation = chain
            report.layout = .amd64
            report.written = Written(purpose: .chain, head: head, warnings: source.plan.warnings)
        } catch {
            target.growth?.undo()
            throw error
        }
    }

    /// What lies at the range's first page, if it is a chain in any state, is not written over without a word.
    private static func refuseHeldChain(_ target: WritingTarget, replaces: Bool) throws(Failure) {
        var walk = ChainWalk(head: target.head, memory: target.memory, seed: randomNumber())
        if walk.next()?.link != nil && !replaces {
            throw .writing(
                WritingFailure(
                    .holdsChain, "the range holds a chain already, or what is left of one",
                    remedy: "load it, erase it, or write over it with --replace"))
        }
        try target.refuseKernelsChain(target.head)
    }
}

extension Option {
    /// What names the memory that is written.
    static let ofWriting: [Option] = [.region, .device]
}
