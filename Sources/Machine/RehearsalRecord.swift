import KernelCommandLine
import PRAM
import Text

/// A trial of the way over a kexec: what was saved for it, and what became of it.
///
/// As lines of a name, a blank and a value, in /run/pram-verify/rehearsal and /var/lib/pram-verify-state/rehearsal.
public struct RehearsalRecord: Equatable, Sendable {
    public enum State: Int, CaseIterable, Sendable {
        /// The canary is in memory, and no kernel has looked at it.
        case waiting
        /// Every page arrived.
        case passed
        case failed

        public var name: StaticString {
            switch self {
            case .waiting: "waiting"
            case .passed: "passed"
            case .failed: "failed"
            }
        }
    }

    /// How many overwritten ranges are told of.
    public static let listed = 64

    public var state: State
    /// Whole pages.
    public var range: PhysicalRange
    /// What the canary's pages are made of.
    public var seed: UInt64
    /// When it was saved, in seconds since 1970.
    public var saved: UInt64 = 0
    /// When it was looked at; 0 for not yet.
    public var checked: UInt64 = 0
    /// /proc/sys/kernel/random/boot_id of the kernel that saved it.
    public var boot: [UInt8] = []
    /// The releases of the kernel that saved it and of the one that looked at it; empty where they are not known.
    public var from: [UInt8] = []
    public var to: [UInt8] = []
    /// What the one that looked at it had started as: a flavour of an initramfs, or `system` for later than that.
    public var flavour: [UInt8] = []
    /// How many pages the range has, and how many of them are not what was saved.
    public var pages: UInt64 = 0
    public var lost: UInt64 = 0
    /// How long looking took.
    public var milliseconds: UInt64 = 0
    /// Where pages were lost, in the order of addresses; the first ones, where there are many.
    public var overwritten: [PhysicalRange] = []

    public init(state: State, range: PhysicalRange, seed: UInt64) {
        self.state = state
        self.range = range
        self.seed = seed
    }

    /// nil for what is no such record.
    public init?(_ text: [UInt8]) {
        var state: State?
        var range: PhysicalRange?
        var record = RehearsalRecord(state: .waiting, range: PhysicalRange(start: 0, last: 0)!, seed: 0)
        for line in text.split(separator: UInt8(ascii: "\n")) {
            guard let blank = line.firstIndex(of: UInt8(ascii: " ")) else { continue }
            let (name, value) = (line[..<blank], line[(blank + 1)...])
            if name.spell("state") {
                state = State.allCases.first { value.spell($0.name) }
            } else if name.spell("range") {
                range = RehearsalRecord.range(value)
            } else if name.spell("overwritten") {
                if record.overwritten.count < RehearsalRecord.listed, let range = RehearsalRecord.range(value) {
                    record.overwritten.append(range)
                }
            } else {
                record.take(name, value)
            }
        }
        guard let state, let range else { return nil }
        record.state = state
        record.range = range
        self = record
    }

    private mutating func take(_ name: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>) {
        // What others may have written is not to be long.
        let text = Array(value.prefix(128))
        if name.spell("boot") { boot = text }
        if name.spell("from") { from = text }
        if name.spell("to") { to = text }
        if name.spell("flavour") { flavour = text }
        if name.spell("seed") { seed = hexadecimalNumber(value) ?? 0 }
        guard let number = decimalNumber(value) else { return }
        if name.spell("saved") { saved = number }
        if name.spell("checked") { checked = number }
        if name.spell("pages") { pages = number }
        if name.spell("lost") { lost = number }
        if name.spell("milliseconds") { milliseconds = number }
    }

    /// START+SIZE
    private static func range(_ text: ArraySlice<UInt8>) -> PhysicalRange? {
        guard let plus = text.firstIndex(of: UInt8(ascii: "+")), let start = hexadecimalNumber(text[..<plus]),
            let size = hexadecimalNumber(text[(plus + 1)...])
        else { return nil }
        return PhysicalRange(start: start, size: size)
    }

    /// The lines.
    public var text: [UInt8] {
        var text = bytes("state ") + bytes(state.name) + [UInt8(ascii: "\n")]
        func add(_ name: StaticString, _ value: String) { text += Array(Phrase("\(name) \(value)\n").text.utf8) }
        add("range", range.text)
        add("seed", String(seed, radix: 16))
        add("saved", String(saved))
        if !boot.isEmpty { add("boot", escaped(boot)) }
        if !from.isEmpty { add("from", escaped(from)) }
        guard state != .waiting else { return text }
        add("checked", String(checked))
        if !to.isEmpty { add("to", escaped(to)) }
        if !flavour.isEmpty { add("flavour", escaped(flavour)) }
        add("pages", String(pages))
        add("lost", String(lost))
        add("milliseconds", String(milliseconds))
        for range in overwritten { add("overwritten", range.text) }
        return text
    }

    /// "passed: 6.1.0 to 6.12.0, 64.0 MiB at 0x10000000"
    public var sentence: String {
        func known(_ release: [UInt8]) -> String { release.isEmpty ? "an unknown kernel" : escaped(release) }
        let place: Phrase = "\(byteCount(range.size)) at \(hexadecimal(range.start))"
        switch state {
        case .waiting: return Phrase("waiting: \(place), saved by \(known(from)), and no kernel has looked yet").text
        case .passed: return Phrase("passed: from \(known(from)) to \(known(to)), \(place)").text
        case .failed:
            return Phrase(
                "failed: from \(known(from)) to \(known(to)), \(lost) of \(pages) pages of \(place) were overwritten"
            ).text
        }
    }
}
