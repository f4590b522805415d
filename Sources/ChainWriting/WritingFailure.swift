import Linux
import Machine
import MemorySources
import Text

/// Why a chain was not written, or not changed.
public struct WritingFailure: Error, Sendable {
    /// A stable word for machines.
    public enum Cause: Int, Sendable {
        case systemCall, holdsChain, noChain, notSavable, changed, tooSmall, notVerified, decisionNeeded, noFreePages

        public var name: StaticString {
            switch self {
            case .systemCall: "system-call"
            case .holdsChain: "holds-chain"
            case .noChain: "no-chain"
            case .notSavable: "not-savable"
            case .changed: "changed"
            case .tooSmall: "too-small"
            case .notVerified: "not-verified"
            case .decisionNeeded: "decision-needed"
            case .noFreePages: "no-free-pages"
            }
        }
    }

    public let cause: Cause
    public let message: String
    public let remedy: String

    public init(_ cause: Cause, _ message: Phrase, remedy: Phrase = "") {
        self.cause = cause
        self.message = message.text
        self.remedy = remedy.text
    }

    /// The same with a remedy that suits what is written, where room is what is missing.
    public func wantingRoom(_ remedy: Phrase) -> WritingFailure {
        cause == .tooSmall ? WritingFailure(cause, Phrase(message), remedy: remedy) : self
    }

    /// Of memory that cannot be written as a whole.
    init(_ failure: MemoryFailure) {
        self.init(.systemCall, Phrase(failure.message), remedy: Phrase(failure.remedy))
    }

    public init(_ error: SystemError) {
        guard error.code != ErrorCode.stale else {
            self.init(changed: error.path)
            return
        }
        self.init(.systemCall, Phrase(error.message))
    }

    /// Of a file that is another one, or that holds more or less, than when it was looked at: somebody writes to it, or it
    /// is none that has a size of its own, as in proc and sysfs.
    init(changed path: [UInt8], _ whatIsLeft: StaticString = "") {
        self.init(
            .changed,
            Phrase("\(escaped(path)) changed while it was read, or does not hold as much as its size says")
                + (whatIsLeft.utf8CodeUnitCount > 0 ? "; \(whatIsLeft)" : ""),
            remedy: "wait until nobody writes to it, copy it first, or leave it out with --exclude=GLOB")
    }
}
