import Linux
import Machine
import Text

/// `doctor`: whether this machine can carry data over a kexec, and what to change. It tells; the administrator does.
enum Doctor: Command {
    static let name: StaticString = "doctor"
    static let task = Task.prepare
    static let operands: StaticString = ""
    static let summary: StaticString =
        "say whether this machine can carry data over a kexec, what to change, and which range to set aside"
    static let example: StaticString = "doctor --size=256M"
    static let options: [Option] = [.size, .root, .json]
    static let kernelParameters: [BootParameter] = []
    static let writes = false

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        do throws(Failure) {
            try call.requireOperands(0...0)
            let report = try SetupReport(call)
            if call.has(.json) { report.writeJSON(to: streams.output) } else { report.writeText(to: streams.output) }
            return report.status
        } catch {
            if case .usage(let usage) = error { throw usage }
            error.explain(to: streams.errors)
            if call.has(.json) {
                JSONReport.write(error, of: name, schema: SetupReport.schemaVersion, to: streams.output)
            }
            return error.status
        }
    }
}
