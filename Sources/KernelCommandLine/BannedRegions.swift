/// What a command line says with `pram_banned=START-END[,...]`: physical memory that the kernel must not use for PRAM
/// pages.
///
/// START and END are bytes in memparse() form, END exclusive and above START; the kernel widens both to whole pages.
/// By a slip in its parser only the first region of a list counts; several parameters work.
public struct BannedRegions: Equatable, Sendable {
    public struct Region: Equatable, Sendable {
        /// The first byte.
        public let start: UInt64
        /// The byte after the last: exclusive.
        public let end: UInt64
        /// Whether START or END says 2^64 or more, so that the kernel took something else than what was written.
        public let wrapped: Bool
        /// What follows the region in its parameter and does not count: further regions of a list, or garbage. A
        /// slice of the line's bytes.
        public let ignored: ArraySlice<UInt8>
        public let parameter: Parameter
    }

    public struct Malformed: Equatable, Sendable {
        public let parameter: Parameter
        public let fault: Fault
    }

    public enum Fault: Equatable, Sendable {
        /// `pram_banned` without `=`. A hazard: the handler reads through a NULL pointer, like that of a bare `pram`.
        case noValue
        case noStart
        /// START is not followed by `-`.
        case noDash
        case noEnd
        case endNotAboveStart
    }

    /// The regions that count, in order. They may overlap.
    public let regions: [Region]
    public let malformed: [Malformed]

    public static func find(in line: ParameterLine) -> BannedRegions {
        var regions: [Region] = []
        var malformed: [Malformed] = []
        let name: ParameterName = "pram_banned"
        for parameter in line.parameters where parameter.isNamed(name) {
            do throws(Failure) {
                regions.append(try read(parameter))
            } catch {
                malformed.append(Malformed(parameter: parameter, fault: error.fault))
            }
        }
        return BannedRegions(regions: regions, malformed: malformed)
    }

    private struct Failure: Error {
        let fault: Fault
        init(_ fault: Fault) { self.fault = fault }
    }

    private static func read(_ parameter: Parameter) throws(Failure) -> Region {
        guard let value = parameter.value else { throw Failure(.noValue) }
        let start = KernelNumber.memparse(value)
        guard start.rest.count < value.count else { throw Failure(.noStart) }
        guard start.rest.first == UInt8(ascii: "-") else { throw Failure(.noDash) }
        let text = start.rest.dropFirst()
        let end = KernelNumber.memparse(text)
        guard end.rest.count < text.count else { throw Failure(.noEnd) }
        guard end.value > start.value else { throw Failure(.endNotAboveStart) }
        return Region(
            start: start.value, end: end.value, wrapped: start.wrapped || end.wrapped, ignored: end.rest,
            parameter: parameter)
    }
}
