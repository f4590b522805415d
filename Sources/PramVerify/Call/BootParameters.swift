import ChainWriting
import KernelCommandLine
import MemorySources
import PRAM
import Text

/// The parameters `pram_verify.NAME` on the kernel command line: the one table behind `boot`, --help, and the checks of
/// the documentation. The kernel takes names with a dot for a module's, so PID 1 never sees them.
enum BootParameter: Int, CaseIterable, Sendable {
    case policy, onDamage, timeout, quick, region, device, session

    var name: StaticString {
        switch self {
        case .policy: "pram_verify.policy"
        case .onDamage: "pram_verify.on_damage"
        case .timeout: "pram_verify.timeout"
        case .quick: "pram_verify.quick"
        case .region: "pram_verify.region"
        case .device: "pram_verify.device"
        case .session: "pram_verify.session"
        }
    }

    var values: StaticString {
        switch self {
        case .policy: "report|repair|repair-drop|drop|quarantine|off"
        case .onDamage: "continue|shell|halt"
        case .timeout: "SECONDS"
        case .quick: "0|1"
        case .region: "START+SIZE"
        case .device: "PATH|PARTUUID=ID|PARTLABEL=NAME"
        case .session: "BOOT-SAVE"
        }
    }

    var summary: StaticString {
        switch self {
        case .policy: "what to do about a damaged chain (report)"
        case .onDamage: "how the boot goes on when it is damaged (continue)"
        case .timeout: "how long the check may take, 1 to 86400 (60)"
        case .quick: "look at links only; nothing is called intact then"
        case .region: "the reserved range to write, where there are several"
        case .device: "the pmem device to write"
        case .session: "the session that keeps the chain; put there by cmdline"
        }
    }
}

/// What the command line asks of `boot`.
struct BootConfiguration: Equatable {
    enum Policy: Int, CaseIterable {
        case report, repair, repairDrop, drop, quarantine, off

        var name: StaticString {
            switch self {
            case .report: "report"
            case .repair: "repair"
            case .repairDrop: "repair-drop"
            case .drop: "drop"
            case .quarantine: "quarantine"
            case .off: "off"
            }
        }
    }

    /// How the boot goes on: the word in /run/pram-verify/action, which the hooks read.
    enum Action: Int, CaseIterable {
        case proceed, shell, halt

        var name: StaticString {
            switch self {
            case .proceed: "continue"
            case .shell: "shell"
            case .halt: "halt"
            }
        }
    }

    var policy = Policy.report
    var onDamage = Action.proceed
    /// In seconds.
    var timeout = 60
    var isQuick = false
    var region: [UInt8]?
    var device: [UInt8]?
    /// A sentence for each parameter that was ignored.
    var problems: [String] = []

    private static let problemsKept = 8

    /// Of several parameters of one name the last one counts that is well-formed.
    init(_ line: ParameterLine) {
        let family: ParameterName = "pram_verify."
        let bare: ParameterName = "pram_verify"
        for parameter in line.parameters
        where family.matches(parameter.name.prefix(family.bytes.count)) || parameter.isNamed(bare) {
            let known = BootParameter.allCases.first {
                parameter.isNamed(ParameterName(stringLiteral: $0.name))
            }
            guard !take(known, parameter.value), problems.count < BootConfiguration.problemsKept else { continue }
            let text = escaped(line.bytes[parameter.range].prefix(80))
            let reason = known.map { "it takes \($0.values)" } ?? "there is no such parameter"
            problems.append("\(text) is ignored: \(reason)")
        }
    }

    /// - Returns: false when it cannot be understood.
    private mutating func take(_ known: BootParameter?, _ value: ArraySlice<UInt8>?) -> Bool {
        guard let known else { return false }
        guard let value else {
            if known == .quick { isQuick = true }
            return known == .quick
        }
        switch known {
        case .policy:
            guard let named = Policy.allCases.first(where: { spells($0.name, value) }) else { return false }
            policy = named
        case .onDamage:
            guard let named = Action.allCases.first(where: { spells($0.name, value) }) else { return false }
            onDamage = named
        case .timeout:
            guard let number = try? KernelNumber.kstrtoul(value, .decimal), 1...86400 ~= number else { return false }
            timeout = Int(number)
        case .quick:
            guard value.count == 1, let digit = value.first, digit == UInt8(ascii: "0") || digit == UInt8(ascii: "1")
            else { return false }
            isQuick = digit == UInt8(ascii: "1")
        case .region:
            guard (try? PhysicalRange(region: Array(value))) != nil else { return false }
            region = Array(value)
        case .device:
            guard DeviceName(Array(value)) != nil else { return false }
            device = Array(value)
        case .session: return KeptSession.generation(named: value) != nil
        }
        return true
    }

    private func spells(_ name: StaticString, _ value: ArraySlice<UInt8>) -> Bool {
        name.withUTF8Buffer { $0.elementsEqual(value) }
    }

    /// dracut halts a machine instead of giving it a shell where `rd.shell` is off.
    private func refusesShell(_ line: ParameterLine) -> Bool {
        guard let value = line.last(named: "rd.shell")?.value else { return false }
        return spells("0", value) || spells("no", value) || spells("off", value)
    }

    /// How the boot goes on.
    /// - Returns: also the warning, where that is not what was asked for.
    func action(_ status: RunStatus, on line: ParameterLine, isCrashKernel: Bool) -> (Action, warning: StaticString?) {
        guard status == .damaged || status == .lost, onDamage != .proceed else { return (.proceed, nil) }
        if isCrashKernel { return (.proceed, "this is a crash kernel, so the boot goes on") }
        if onDamage == .shell && line.contains(named: "panic") {
            return (.proceed, "panic= is on the command line, so there is no shell and the boot goes on")
        }
        if onDamage == .shell && refusesShell(line) {
            return (.proceed, "rd.shell is off, so there is no shell and the boot goes on")
        }
        return (onDamage, nil)
    }
}
