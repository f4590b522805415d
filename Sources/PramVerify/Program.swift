import Linux
import PRAM
import Text

/// The program: takes a call apart, runs it, prints what it found, and says so once more in the exit status.
@_cdecl("pram_verify_main")
public func pramVerifyMain(
    _ count: Int32, _ words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
) -> Int32 {
    prepareSignals()
    let errors = Output(2, name: "standard error")
    let output = Output(1, name: "standard output")
    var status: ExitStatus
    do throws(UsageError) {
        let call = try Invocation(count, words)
        if call.has(.help) {
            output.write(Phrase(Usage.help))
            status = []
        } else if call.has(.version) {
            output.write("pram-verify \(Usage.version)\n")
            status = []
        } else if call.command == .cmdline {
            status = try CmdlineRun.run(call, output, errors)
        } else if call.command == .boot {
            status = try BootRun.run(call)
        } else if call.command == .status {
            status = try RunFolder.show(call, to: output, errors)
        } else {
            let report = call.command.writes ? try WritingRun.run(call) : try ChainRun.run(call)
            status = report.status
            if call.has(.json) {
                JSONReport.write(report, to: output)
            } else if call.command == .list {
                FileList.write(report, to: output)
            } else if call.command.printsHead {
                WrittenReport.write(report, to: output, errors)
            } else {
                TextReport.write(report, to: output)
            }
            explain(report, call, errors)
        }
    } catch {
        errors.write("pram-verify: \(error.message)\nTry: pram-verify --help\n")
        status = .usage
    }
    do throws(SystemError) {
        try output.finish()
    } catch {
        errors.write("pram-verify: \(error.message): the report is not complete\n")
        status = status.union(.failed)
    }
    errors.flush()
    return status.rawValue
}

/// What goes to standard error: why the run could not look, and what a list does not say.
private func explain(_ report: Report, _ call: Invocation, _ errors: Output) {
    if let failure = report.failure { return failure.explain(to: errors) }
    if report.verdict == .absent, report.head?.origin == .procCmdline, !MemoryChoice(call[.memory]).isLive {
        errors.write("pram-verify: no head was named for the dump: use --pfn, --cmdline or --cmdline-file\n")
    }
    guard call.command == .list && !call.has(.json) else { return }
    if report.verdict != .intact {
        errors.write("pram-verify: the chain is \(report.verdict.name); pram-verify check tells more\n")
    }
}
