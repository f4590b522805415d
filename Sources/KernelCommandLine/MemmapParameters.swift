/// One element of a `memmap=` list on x86 (arch/x86/kernel/e820.c parse_memmap_one()).
public struct MemoryMapRegion: Equatable, Sendable {
    public enum Kind: Equatable, Sendable {
        /// `nn@ss`: usable memory.
        case ram
        /// `nn#ss`: ACPI data.
        case acpi
        /// `nn$ss`: reserved, so that the kernel never manages it. What a chain on a stock kernel lives in.
        case reserved
        /// `nn!ss`: protected, seen as /dev/pmemN where the driver is there.
        case persistent
        /// `nn%ss-from+to`: the e820 type changed; 0 stands for the type that is not given.
        case retyped(from: UInt32, to: UInt32)
        /// `exactmap`: empties the map. Elements before it no longer count.
        case exactMap
        /// `nn`: no usable memory from `size` on. Where the author meant `nn$ss` with a decimal address, a boot
        /// loader that took `$ss` for a variable leaves exactly this, and nothing can tell the two apart.
        case limit
        /// `nn` and something that is no address mark: taken as a limit all the same, so that the kernel boots with
        /// `size` bytes of memory or not at all. It is what is left of `nn$ss` when `$0` was taken for a variable:
        /// GRUB makes 32Mx10000000 of `32M$0x10000000`, the shell that reads /etc/default/grub
        /// 32M/usr/sbin/grub-mkconfigx10000000.
        case suspectLostDollar
    }

    public let kind: Kind

    /// Bytes; 0 for `exactMap`.
    public let size: UInt64

    /// The first byte; nil for `exactMap`, `limit` and `suspectLostDollar`. 0 when no number follows the mark
    /// (`32M$`): the kernel takes it so.
    public let start: UInt64?

    /// Whether a number says 2^64 or more, so that the kernel took something else than what was written.
    public let wrapped: Bool

    /// Whether no number follows the mark, as in `32M$`.
    public let startIsMissing: Bool

    /// What the kernel did not understand behind the element. It calls that an error, but the element is in effect by
    /// then.
    public let trailing: ArraySlice<UInt8>

    /// Where the element stands in `ParameterLine.bytes`.
    public let range: Range<Int>

    public let parameter: Parameter

    /// The last byte, inclusive; nil where there is no range: no start, no size, or past 2^64.
    public var last: UInt64? {
        guard let start, size > 0 else { return nil }
        let (last, overflow) = start.addingReportingOverflow(size - 1)
        return overflow ? nil : last
    }
}

/// What a command line says with `memmap=`: any number of parameters, each a list separated by commas.
/// The kernel applies the elements in order. The rules are those of x86; other architectures have other ones.
public struct MemmapParameters: Equatable, Sendable {
    public struct Malformed: Equatable, Sendable {
        public let parameter: Parameter
        /// Where the element stands in `ParameterLine.bytes`.
        public let range: Range<Int>
        public let fault: Fault
    }

    public enum Fault: Equatable, Sendable {
        /// `memmap` without `=`: does nothing.
        case noValue
        /// No number in front: does nothing.
        case noSize
        /// Something behind `nn%ss-from+to`: does nothing. Only here does the kernel look at the end before it acts.
        case garbageAfterTypes
    }

    public let regions: [MemoryMapRegion]
    public let malformed: [Malformed]

    /// The regions after the last `exactmap`, all without one: those in effect.
    public var inEffect: [MemoryMapRegion] {
        var inEffect: [MemoryMapRegion] = []
        for region in regions {
            if region.kind == .exactMap { inEffect.removeAll() } else { inEffect.append(region) }
        }
        return inEffect
    }

    public static func find(in line: ParameterLine) -> MemmapParameters {
        var regions: [MemoryMapRegion] = []
        var malformed: [Malformed] = []
        let name: ParameterName = "memmap"
        for parameter in line.parameters where parameter.isNamed(name) {
            guard let value = parameter.value else {
                malformed.append(Malformed(parameter: parameter, range: parameter.range, fault: .noValue))
                continue
            }
            var start = value.startIndex
            while true {
                let end = value[start...].firstIndex(of: UInt8(ascii: ",")) ?? value.endIndex
                do throws(Failure) {
                    regions.append(try read(value[start..<end], of: parameter))
                } catch {
                    malformed.append(Malformed(parameter: parameter, range: start..<end, fault: error.fault))
                }
                guard end < value.endIndex else { break }
                start = end + 1
            }
        }
        return MemmapParameters(regions: regions, malformed: malformed)
    }

    private struct Failure: Error {
        let fault: Fault
        init(_ fault: Fault) { self.fault = fault }
    }

    private static let exactMap: [UInt8] = [0x65, 0x78, 0x61, 0x63, 0x74, 0x6d, 0x61, 0x70]  // "exactmap"

    private static func read(_ element: ArraySlice<UInt8>, of parameter: Parameter) throws(Failure) -> MemoryMapRegion {
        // Compared by its first eight bytes: `exactmapping` counts.
        if element.starts(with: exactMap) {
            return MemoryMapRegion(
                kind: .exactMap, size: 0, start: nil, wrapped: false, startIsMissing: false,
                trailing: element.dropFirst(exactMap.count), range: element.startIndex..<element.endIndex,
                parameter: parameter)
        }
        let size = KernelNumber.memparse(element)
        guard size.rest.count < element.count else { throw Failure(.noSize) }

        let afterMark = size.rest.dropFirst()
        let start = KernelNumber.memparse(afterMark)
        var trailing = start.rest
        let kind: MemoryMapRegion.Kind
        switch size.rest.first {
        case UInt8(ascii: "@"): kind = .ram
        case UInt8(ascii: "#"): kind = .acpi
        case UInt8(ascii: "$"): kind = .reserved
        case UInt8(ascii: "!"): kind = .persistent
        case UInt8(ascii: "%"):
            // The kernel keeps the types in an int: the low 32 bits.
            var types: (from: UInt64, to: UInt64) = (0, 0)
            if trailing.first == UInt8(ascii: "-") {
                let number = KernelNumber.simpleStrtoull(trailing.dropFirst())
                types.from = number.value
                trailing = number.rest
            }
            if trailing.first == UInt8(ascii: "+") {
                let number = KernelNumber.simpleStrtoull(trailing.dropFirst())
                types.to = number.value
                trailing = number.rest
            }
            guard trailing.isEmpty else { throw Failure(.garbageAfterTypes) }
            kind = .retyped(from: UInt32(truncatingIfNeeded: types.from), to: UInt32(truncatingIfNeeded: types.to))
        default:
            return MemoryMapRegion(
                kind: size.rest.isEmpty ? .limit : .suspectLostDollar, size: size.value, start: nil,
                wrapped: size.wrapped, startIsMissing: false, trailing: size.rest,
                range: element.startIndex..<element.endIndex, parameter: parameter)
        }
        return MemoryMapRegion(
            kind: kind, size: size.value, start: start.value, wrapped: size.wrapped || start.wrapped,
            startIsMissing: start.rest.count == afterMark.count, trailing: trailing,
            range: element.startIndex..<element.endIndex, parameter: parameter)
    }
}
