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
        let target = try WritingTarget.open(call, size: nil, base: try call.base(), for: .clearing)
        let head = try Head.choose(call, target, image: target.image)
        report.head = head
        report.memory = Report.Memory(path: target.name, target.memory)
        guard let page = head.page else { return }
        report.written = try target.clear(page)
    }
}
