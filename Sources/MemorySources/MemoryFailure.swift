import PRAM
import Text

/// Why a memory source could not be looked at. Every refusal names its cause and, where there is one, the way out.
public struct MemoryFailure: Error, Sendable {
    /// A stable word for machines.
    public enum Cause: Int, Sendable {
        case noSuchFile, notPermitted, notAFile, inputOutput, unsupported, malformed, tooLarge, strictDevmem, lockdown
        case notConfigured, rangeNotReserved, noSuchMemory, outOfResources
        /// A device that another program has, or that is mounted.
        case inUse
        /// A device on which something lies that would be lost.
        case occupied

        public var name: StaticString {
            switch self {
            case .noSuchFile: "no-such-file"
            case .notPermitted: "not-permitted"
            case .notAFile: "not-a-file"
            case .inputOutput: "input-output"
            case .unsupported: "unsupported"
            case .malformed: "malformed"
            case .tooLarge: "too-large"
            case .strictDevmem: "strict-devmem"
            case .lockdown: "lockdown"
            case .notConfigured: "not-configured"
            case .rangeNotReserved: "range-not-reserved"
            case .noSuchMemory: "no-such-memory"
            case .outOfResources: "out-of-resources"
            case .inUse: "in-use"
            case .occupied: "occupied"
            }
        }
    }

    public let cause: Cause
    /// The source: a path, escaped, or the kernel's name for it.
    public let source: String
    /// One sentence without a full stop: what was refused and why.
    public let message: String
    /// What would help; empty where nothing would.
    public let remedy: String
    /// Where several ways were tried: why each of them failed, in the order in which they were tried.
    public let reasons: [MemoryFailure]

    public init(
        _ cause: Cause, source: String, _ message: Phrase, remedy: Phrase = "", reasons: [MemoryFailure] = []
    ) {
        self.cause = cause
        self.source = source
        self.message = message.text
        self.remedy = remedy.text
        self.reasons = reasons
    }
}
