import KernelCommandLine
import Linux
import PRAM
import Text

/// Where the chain starts, and who said so.
struct Head {
    enum Origin: Int {
        case option, commandLineText, commandLineFile, procCmdline

        var name: StaticString {
            switch self {
            case .option: "option"
            case .commandLineText: "command-line-text"
            case .commandLineFile: "command-line-file"
            case .procCmdline: "proc-cmdline"
            }
        }
    }

    let origin: Origin
    /// nil when no chain is named: no `pram=`, none that parses, or 0.
    let page: PFN?
    /// A sentence for each `pram=` that the kernel cannot parse.
    var malformed: [String] = []

    /// Longest command line that is read from a file. The kernel's own limit is 2047 bytes on x86 and at most 64 KiB anywhere.
    static let lineLimit = 1 << 20

    /// - Throws: `Failure.usage` for a malformed --pfn, `.system` when no command line can be read.
    static func find(_ call: Invocation) throws(Failure) -> Head {
        if let text = call[.pfn] {
            guard let number = try? KernelNumber.kstrtoul(text[...], .hexadecimal) else {
                throw .usage(UsageError("--pfn takes a hexadecimal page frame number, not \(escaped(text))"))
            }
            return Head(origin: .option, page: number == 0 ? nil : PFN(number))
        }
        if let text = call[.cmdline] { return Head(origin: .commandLineText, line: text) }
        let path = call[.cmdlineFile] ?? Array("/proc/cmdline".utf8)
        do throws(SystemError) {
            let text = try FileDescriptor.contents(of: path, limit: lineLimit)
            return Head(origin: call.has(.cmdlineFile) ? .commandLineFile : .procCmdline, line: text)
        } catch {
            throw .system(error, remedy: call.has(.cmdlineFile)
                ? "" : "mount /proc, or name the head of the chain with --pfn or --cmdline")
        }
    }

    private init(origin: Origin, page: PFN?) {
        self.origin = origin
        self.page = page
    }

    private init(origin: Origin, line: [UInt8]) {
        let pram = PramParameter.find(in: ParameterLine(line))
        self.origin = origin
        if let number = pram.pfn, number != 0 { page = PFN(number) } else { page = nil }
        for occurrence in pram.malformed {
            let text = escaped(line[occurrence.parameter.range])
            guard case .malformed(let fault) = occurrence.reading else { continue }
            let reason: StaticString =
                switch fault {
                case .noValue: "it has no value, and a kernel with the RFC's code crashes on it"
                case .empty: "its value is empty"
                case .notHexadecimal: "its value is not a hexadecimal number"
                case .overflow: "its value does not fit 64 bits"
                }
            malformed.append("the kernel does not take \"\(text)\": \(reason)")
        }
    }
}
