import PRAM

/// What `cmdline` has to say of the next kernel.
final class NextBoot {
    /// The command line, whole; nil where none is printed.
    var line: [UInt8]?
    /// The head that the line names; nil when it names none.
    var head: PFN?
    /// What kexec(8) is to be called with; nil without a chain that is handed on.
    var kexecOptions: String?
    /// Why a chain is not handed on, and what else is to be known: sentences.
    var messages: [String] = []
    var status: ExitStatus = []
}
