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

    public init(_ error: SystemError) { self.init(.systemCall, Phrase(error.message)) }
}
