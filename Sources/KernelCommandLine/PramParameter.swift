/// What a command line says about `pram=`, the page frame number where a PRAM chain starts, as the kernel's early
/// parameter takes it: kstrtoul() in radix 16, once for each occurrence. A malformed one leaves the value alone, so the
/// last one that parses wins.
public struct PramParameter: Equatable, Sendable {
    /// One `pram` on the line and what the kernel makes of it.
    public struct Occurrence: Equatable, Sendable {
        public let parameter: Parameter
        public let reading: Reading
    }

    public enum Reading: Equatable, Sendable {
        /// A page frame number, not an address; 0 means none.
        case pfn(UInt64)
        case malformed(Fault)
    }

    public enum Fault: Equatable, Sendable {
        /// `pram` without `=`. A hazard: the handler gets a NULL pointer and the kernels with the PRAM patches of 2013
        /// read through it, so the boot ends there. A stock kernel does not mind.
        case noValue
        /// `pram=`
        case empty
        case notHexadecimal
        /// 2^64 or more.
        case overflow
    }

    /// Every occurrence before a bare `--`, in order.
    public let occurrences: [Occurrence]

    /// Those after a bare `--`, which do not count in `pfn`. But kernels that know no `--` (3.14 and earlier) read them
    /// like the others.
    public let afterDoubleDash: [Occurrence]

    /// The occurrence the kernel goes by; nil when none parses.
    public let inEffect: Occurrence?

    /// The page frame number the kernel goes by; nil when no occurrence parses. 0 is a value, though one that means
    /// to the kernel what none means.
    public var pfn: UInt64? {
        if case .pfn(let pfn) = inEffect?.reading { pfn } else { nil }
    }

    /// The occurrences that do not parse.
    public var malformed: [Occurrence] {
        occurrences.filter { if case .malformed = $0.reading { true } else { false } }
    }

    /// Whether a bare `pram` would end the boot of a PRAM kernel: see `Fault.noValue`.
    public var hasBareName: Bool {
        for occurrence in occurrences where occurrence.reading == .malformed(.noValue) { return true }
        return false
    }

    public static func find(in line: ParameterLine) -> PramParameter {
        let occurrences = read(line.parameters)
        var inEffect: Occurrence?
        for occurrence in occurrences {
            if case .pfn = occurrence.reading { inEffect = occurrence }
        }
        return PramParameter(
            occurrences: occurrences, afterDoubleDash: read(line.initParameters), inEffect: inEffect)
    }

    private static func read(_ parameters: Parameters) -> [Occurrence] {
        var occurrences: [Occurrence] = []
        let pram: ParameterName = "pram"
        for parameter in parameters where parameter.isNamed(pram) {
            occurrences.append(Occurrence(parameter: parameter, reading: read(parameter.value)))
        }
        return occurrences
    }

    private static func read(_ value: ArraySlice<UInt8>?) -> Reading {
        guard let value else { return .malformed(.noValue) }
        guard !value.isEmpty else { return .malformed(.empty) }
        do throws(KernelNumber.Fault) {
            return .pfn(try KernelNumber.kstrtoul(value, .hexadecimal))
        } catch {
            return .malformed(error == .overflow ? .overflow : .notHexadecimal)
        }
    }
}
