import Linux
import Machine
import Text

/// `status`: what the last run that looked at this machine's memory has left in /run.
enum Status: Command {
    static let name: StaticString = "status"
    static let task = Task.boot
    static let operands: StaticString = ""
    static let summary: StaticString = "show what boot has found"
    static let example: StaticString = "status"
    static let options: [Option] = [.json]
    static let kernelParameters: [BootParameter] = []
    static let writes = false

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        if let word = call.operands.first { throw UsageError("too many words: \(escaped(word))") }
        do throws(SystemError) {
            let status = try RunFolder.readStatus()
            if status == .off && !call.has(.json) {
                streams.output.write("status:  \(status.name)\n")
            } else {
                streams.output.write(try RunFolder.contents(call.has(.json) ? .json : .text))
            }
            if !call.has(.json), let rehearsal = Rehearsal.last(MachinePaths()) {
                streams.output.write("last rehearsal: \(rehearsal.sentence)\n")
            }
            return status.exit
        } catch {
            streams.say(Phrase(error.message))
            if error.code == ErrorCode.noSuchFile {
                streams.say("boot did not run, or memory was written since; look now with check")
            }
            return .failed
        }
    }
}
