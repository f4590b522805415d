import ChainWriting
import InitrdImages
import Linux
import Machine
import Text

/// Why a run ended without an answer. Findings are no failures: they are answers.
enum Failure: Error {
    case usage(UsageError)
    case system(SystemError, remedy: String)
    case memory(MemoryFailure)
    case writing(WritingFailure)
    case refused(WriteRefusal)
    /// The lock on this machine's memory.
    case locked(LockFailure)
    /// The lock on an image.
    case imageLocked(LockFailure)
    case image(ImageFailure)

    init(_ failure: MachineFailure) {
        switch failure {
        case .system(let error, let remedy): self = .system(error, remedy: "\(remedy)")
        case .memory(let failure): self = .memory(failure)
        }
    }

    var status: ExitStatus {
        if case .usage = self { .usage } else { .failed }
    }

    /// Whether memory may have been written before it.
    var mayHaveWritten: Bool {
        switch self {
        case .usage, .refused, .locked, .imageLocked, .image: false
        case .writing(let failure): failure.cause != .holdsChain && failure.cause != .decisionNeeded
        case .system, .memory: true
        }
    }

    /// A stable word for machines.
    var cause: StaticString {
        switch self {
        case .usage: "usage"
        case .system: "system-call"
        case .memory(let failure): failure.cause.name
        case .writing(let failure): failure.cause.name
        case .refused(let refusal): refusal.cause.name
        case .locked(.held), .imageLocked(.held): "locked"
        case .locked, .imageLocked: "no-lock"
        case .image(let failure): failure.causeName
        }
    }

    var message: String {
        switch self {
        case .usage(let error): error.message
        case .system(let error, _): error.message
        case .memory(let failure): "\(failure.source): \(failure.message)"
        case .writing(let failure): failure.message
        case .refused(let refusal): refusal.message
        case .locked(let failure), .imageLocked(let failure): failure.message
        case .image(let failure): failure.message
        }
    }

    /// Each source with its own reason, where there were several.
    var reasons: [MemoryFailure] {
        if case .memory(let failure) = self { failure.reasons } else { [] }
    }

    /// What would help; empty where nothing would.
    var remedy: String {
        switch self {
        case .usage: "see pram-verify --help"
        case .system(_, let remedy): remedy
        case .memory(let failure): failure.remedy
        case .writing(let failure): failure.remedy
        case .refused(let refusal): refusal.remedy
        case .locked(.held), .imageLocked(.held): "wait until it is done"
        case .imageLocked: "use a file system that has locks (flock), or copy the image to one"
        case .image(let failure): failure.remedy ?? ""
        case .locked: effectiveUser() != 0 ? "run it as root" : "let /run be a writable file system of the root user"
        }
    }
}

extension Failure {
    /// What happened and what would help, on standard error.
    func explain(to errors: Output) {
        errors.write("pram-verify: \(message)\n")
        if !remedy.isEmpty { errors.write("pram-verify: \(remedy)\n") }
    }
}

/// Makes a failed system call the failure of the run.
func calling<Result: ~Copyable>(
    remedy: String = "", _ body: () throws(SystemError) -> Result
) throws(Failure) -> Result {
    do throws(SystemError) { return try body() } catch { throw .system(error, remedy: remedy) }
}

/// The same for a chain that was not written.
func writing<Result>(_ body: () throws(WritingFailure) -> Result) throws(Failure) -> Result {
    do throws(WritingFailure) { return try body() } catch { throw .writing(error) }
}
