import KernelCommandLine
import PRAM
import Text

/// One thing that decides whether this machine can carry data over a kexec: how it is, what follows, what would help.
public struct SetupCheck {
    /// Names that never change: fleets collect them.
    public enum ID: Int, CaseIterable, Sendable {
        case reservedRange, firmwareMap, devMem, lockdown, kexecTools, kexecLoaded, kaslr, nextKernel, commandLineRoom
        case crashkernel, ramoops, initrdHelper, units, kho, chain, rehearsal

        public var name: StaticString {
            switch self {
            case .reservedRange: "reserved-range"
            case .firmwareMap: "firmware-map"
            case .devMem: "dev-mem"
            case .lockdown: "lockdown"
            case .kexecTools: "kexec-tools"
            case .kexecLoaded: "kexec-loaded"
            case .kaslr: "kaslr"
            case .nextKernel: "next-kernel"
            case .commandLineRoom: "command-line-room"
            case .crashkernel: "crashkernel"
            case .ramoops: "ramoops"
            case .initrdHelper: "initrd-helper"
            case .units: "units"
            case .kho: "kho"
            case .chain: "chain"
            case .rehearsal: "rehearsal"
            }
        }
    }

    public enum State: Int, CaseIterable, Sendable {
        case ok
        /// It works, or may work; something else will not, or somebody has to know.
        case warning
        /// Data will not arrive.
        case problem
        /// What is known does not tell.
        case unknown

        public var name: StaticString {
            switch self {
            case .ok: "ok"
            case .warning: "warning"
            case .problem: "problem"
            case .unknown: "unknown"
            }
        }
    }

    /// What was found, before it is known whose it is.
    struct Judgement {
        let state: State
        let message: String
        let remedy: String

        init(_ state: State, _ message: Phrase, _ remedy: Phrase = "") {
            self.state = state
            self.message = message.text
            self.remedy = remedy.text
        }

        static func ok(_ message: Phrase) -> Judgement { Judgement(.ok, message) }
        static func warning(_ message: Phrase, _ remedy: Phrase) -> Judgement { Judgement(.warning, message, remedy) }
        static func problem(_ message: Phrase, _ remedy: Phrase) -> Judgement { Judgement(.problem, message, remedy) }
        static func unknown(_ message: Phrase, _ remedy: Phrase = "") -> Judgement {
            Judgement(.unknown, message, remedy)
        }
    }

    public let id: ID
    public let state: State
    /// One sentence without a full stop: state and consequence.
    public let message: String
    /// What would help; empty where nothing is to be done.
    public let remedy: String

    /// The table: a check is a row.
    private static func judge(_ id: ID, _ evidence: SetupEvidence) -> Judgement {
        switch id {
        case .reservedRange: evidence.judgeReservedRange()
        case .firmwareMap: evidence.judgeFirmwareMap()
        case .devMem: evidence.judgeDevMem()
        case .lockdown: evidence.judgeLockdown()
        case .kexecTools: evidence.judgeKexecTools()
        case .kexecLoaded: evidence.judgeKexecLoaded()
        case .kaslr: evidence.judgeKaslr()
        case .nextKernel: evidence.judgeNextKernel()
        case .commandLineRoom: evidence.judgeCommandLineRoom()
        case .crashkernel: evidence.judgeCrashkernel()
        case .ramoops: evidence.judgeRamoops()
        case .initrdHelper: evidence.judgeInitrdHelper()
        case .units: evidence.judgeUnits()
        case .kho: evidence.judgeKho()
        case .chain: evidence.judgeChain()
        case .rehearsal: evidence.judgeRehearsal()
        }
    }

    /// All checks, in the order of the table.
    public static func all(_ evidence: SetupEvidence) -> [SetupCheck] {
        ID.allCases.map { id in
            let judgement = judge(id, evidence)
            return SetupCheck(
                id: id, state: judgement.state, message: judgement.message, remedy: judgement.remedy)
        }
    }

    /// Whether data will arrive, as far as can be told without a trial: nothing stands against it, and what decides it is
    /// known.
    public static func isReady(_ checks: [SetupCheck]) -> Bool {
        !checks.contains { check in
            switch check.id {
            case .reservedRange, .firmwareMap, .devMem: check.state == .problem || check.state == .unknown
            default: check.state == .problem
            }
        }
    }
}
