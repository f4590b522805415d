import KernelCommandLine
import Linux
import Machine
import PRAM
import Text

/// Where the chain starts, and who said so.
struct Head {
    enum Origin: Int {
        case option, commandLineText, commandLineFile, procCmdline, sysKernelPram, range, session

        var name: StaticString {
            switch self {
            case .option: "option"
            case .commandLineText: "command-line-text"
            case .commandLineFile: "command-line-file"
            case .procCmdline: "proc-cmdline"
            case .sysKernelPram: "sys-kernel-pram"
            case .range: "range"
            case .session: "session"
            }
        }
    }

    var origin: Origin
    /// nil when no chain is named: no `pram=`, none that parses, or 0.
    var page: PFN?
    /// The command line names a chain whose memory was given back since.
    var isReleased = false
    /// A sentence for each `pram=` that the kernel cannot parse.
    var malformed: [String] = []
    /// The kernel has pram and holds no chain, though its command line named this head: it has refused the chain, or a
    /// mount has consumed it. To be looked at, and never handed on.
    var isRefused = false
    /// No `pram=` names the chain that lies there: it was found in memory that the command line reserves.
    var isUnnamed = false

    /// - Parameter kernels: what /sys/kernel/pram says; nil on a kernel without pram.
    func heeding(_ kernels: UInt64?) -> Head {
        guard let kernels else { return self }
        if kernels != 0 { return Head(origin: .sysKernelPram, page: PFN(kernels), malformed: malformed) }
        var head = self
        head.isRefused = page != nil
        return head
    }

    /// Without an option, on a live machine, /sys/kernel/pram rules where it exists: after a mount the command line is
    /// stale.
    /// - Parameter live: whether the memory looked at is this machine's own.
    /// - Throws: `Failure.usage` for a malformed --pfn, `.system` when no command line can be read.
    static func find(_ call: Call, live: Bool) throws(Failure) -> Head {
        if let text = call[.pfn] {
            guard let number = try? KernelNumber.kstrtoul(text[...], .hexadecimal) else {
                throw .usage(UsageError("--pfn takes a hexadecimal page frame number, not \(escaped(text))"))
            }
            return Head(origin: .option, page: number == 0 ? nil : PFN(number))
        }
        if let text = call[.cmdline] { return Head(origin: .commandLineText, line: ParameterLine(text)) }
        let path = call[.cmdlineFile] ?? Array("/proc/cmdline".utf8)
        do throws(SystemError) {
            let line = try ParameterLine(file: path)
            if call.has(.cmdlineFile) { return Head(origin: .commandLineFile, line: line) }
            let head = Head(origin: .procCmdline, line: line)
            if live, HoldNote.isReleased(head.page) {
                var none = Head(origin: .procCmdline, page: nil, malformed: head.malformed)
                none.isReleased = true
                return none
            }
            return live ? head.heeding(MachineEvidence.kernelsHead()) : head
        } catch {
            throw .system(
                error,
                remedy: call.has(.cmdlineFile)
                    ? "" : "mount /proc, or name the head of the chain with --pfn or --cmdline")
        }
    }

    init(origin: Origin, page: PFN?, malformed: [String] = []) {
        self.origin = origin
        self.page = page
        self.malformed = malformed
    }

    private init(origin: Origin, line: ParameterLine) {
        let pram = PramParameter.find(in: line)
        self.origin = origin
        if let number = pram.pfn, number != 0 { page = PFN(number) } else { page = nil }
        for occurrence in pram.malformed {
            let text = escaped(line.bytes[occurrence.parameter.range])
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
