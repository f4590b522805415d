import Linux
import PRAM
import Text

/// `erase`: no chain is left.
enum Erase: Command {
    static let name: StaticString = "erase"
    static let task = Task.carry
    static let operands: StaticString = ""
    static let summary: StaticString = "clear the head of the chain, so that no chain is left"
    static let example: StaticString = "erase"
    static let options: [Option] = Option.ofMemory + Option.ofWriting + [.json]
    static let kernelParameters: [BootParameter] = []
    static let writes = true

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        try perform(call).print(.text, call, streams)
    }

    static func perform(_ call: Call) throws(UsageError) -> Report {
        var report = Report(command: name)
        do throws(Failure) { try erase(call, &report) } catch { try report.end(by: error) }
        report.refreshRunFolder(call)
        return report
    }

    private static func erase(_ call: Call, _ report: inout Report) throws(Failure) {
        try call.requireOperands(0...0)
        _ = try call.threadCount()
        try WritingTarget.checkOptions(call)
        if try eraseKept(call, &report) { return }
        let target = try WritingTarget.open(call, size: nil, base: try call.base(), for: .clearing)
        let head = try Head.choose(call, target, image: target.image)
        report.head = head
        report.memory = Report.Memory(path: target.name, target.memory)
        guard let page = head.page else { return }
        report.written = try target.clear(page)
    }

    /// What a process holds for the next kernel. Nobody saves meanwhile.
    private static func eraseHeld(_ meant: PFN?, _ report: inout Report) throws(Failure) -> Bool {
        let lock = try MemoryLock.take()
        defer { withExtendedLifetime(lock) {} }
        guard let note = HoldNote.read(), case .process = note.holder, note.keepsMemory,
            meant == nil || meant == PFN(note.head)
        else { return false }
        report.head = Head(origin: .session, page: PFN(note.head))
        let isTold = LoadNote.current()?.head == note.head
        note.end()
        RunFolder.removeNote(.saved)
        report.written = Written(
            purpose: .clearing, head: nil, released: 0,
            warnings: isTold
                ? ["the kernel that is loaded was told of it: load it once more with pram-verify kexec"] : [])
        return true
    }

    /// A chain that the kernel hands over is no more when its session ends.
    /// - Returns: false where it is none of that kind.
    private static func eraseKept(_ call: Call, _ report: inout Report) throws(Failure) -> Bool {
        guard MemoryChoice(call[.memory]).isLive, !call.has(.device), !call.has(.region) else { return false }
        let meant = call.has(.pfn) ? try Head.find(call, live: true).page : nil
        if HoldNote.read() != nil, try eraseHeld(meant, &report) { return true }
        guard let head = Head.arrived(call), let page = head.page else { return false }
        let memory = try MemoryChoice.thisMachine.open(base: 0, unpackLimit: 0, raw: false)
        report.head = head
        report.memory = Report.Memory(MemoryChoice.thisMachine, memory)
        var walk = ChainWalk(head: page, memory: memory, seed: randomNumber())
        report.written = ArrivedSession.release(page, generation: walk.next()?.link?.stamp?.generation, pages: nil)
        return true
    }
}
