import InitrdImages
import Linux
import Text

/// The program: takes a call apart, runs the command, and sees that all it said has arrived.
enum Program {
    /// Said once, where the marker is made by which images are searched for the program.
    static let version = String(decoding: ProgramMarker.version, as: UTF8.self)

    #if hasFeature(Embedded)
        private static let mode: StaticString = "embedded"
    #else
        private static let mode: StaticString = "full"
    #endif

    /// What --version says: version, commit, and which Swift it was built in.
    private static var versionLine: Phrase {
        let commit = ProgramMarker.commit.isEmpty ? "unknown" : escaped(ProgramMarker.commit)
        return "pram-verify \(version) (commit \(commit), \(mode) Swift)\n"
    }

    static func run(
        _ count: Int32, _ words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>, _ streams: Streams
    ) -> ExitStatus {
        var asked: CommandEntry?
        do throws(UsageError) {
            let call = try Call(count, words)
            asked = call.isCommandNamed ? call.command : nil
            if call.has(.help) {
                let ofGroup = call.group.map { Help.of($0) }
                streams.output.write(Phrase(ofGroup ?? asked.map { Help.of($0) } ?? Help.ofProgram))
                return []
            }
            if call.has(.version) {
                streams.output.write(versionLine)
                return []
            }
            return try call.command.run(call, streams)
        } catch {
            streams.say(Phrase(error.message))
            let name = asked?.name ?? Call.nameOfCommand(count, words)
            streams.errors.write("Try: pram-verify \(name.map { "\($0) " } ?? "")--help\n")
            return .usage
        }
    }
}

@_cdecl("pram_verify_main")
public func pramVerifyMain(
    _ count: Int32, _ words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
) -> Int32 {
    prepareSignals()
    let streams = Streams(output: Output(1, name: "standard output"), errors: Output(2, name: "standard error"))
    var status = Program.run(count, words, streams)
    do throws(SystemError) {
        try streams.output.finish()
    } catch {
        streams.say("\(error.message): the report is not complete")
        status = status.union(.failed)
    }
    streams.errors.flush()
    return status.rawValue
}
