import KernelCommandLine
import PRAM

/// The memory that a command line keeps a kernel off with `memmap=nn$ss` and `memmap=nn!ss`.
public struct ReservedMemory: Equatable {
    /// One for each element of a `memmap=` list, in the order of the line.
    public let elements: [PhysicalRange]
    /// All that is in them, in the order of addresses; neither overlapping nor touching.
    public let ranges: [PhysicalRange]

    /// Elements do not count whose numbers the kernel takes for others than those written, that come before an
    /// `exactmap`, or that touch on memory whose type another element changes.
    public init(_ line: ParameterLine) {
        let regions = MemmapParameters.find(in: line).inEffect
        let retyped = regions.compactMap { region -> PhysicalRange? in
            guard case .retyped = region.kind, let start = region.start else { return nil }
            return PhysicalRange(start: start, size: region.size) ?? PhysicalRange(start: start, last: .max)
        }
        var found: [PhysicalRange] = []
        for region in regions {
            guard region.kind == .reserved || region.kind == .persistent, !region.wrapped, !region.startIsMissing,
                let start = region.start, let range = PhysicalRange(start: start, size: region.size),
                !retyped.contains(where: { $0.overlaps(range) })
            else { continue }
            found.append(range)
        }
        elements = found
        ranges = ReservedMemory.merged(found)
    }

    /// Whether all of it is kept free.
    public func contains(_ range: PhysicalRange) -> Bool { ranges.contains { $0.contains(range) } }

    private static func merged(_ ranges: [PhysicalRange]) -> [PhysicalRange] {
        var merged: [PhysicalRange] = []
        for range in ranges.sorted(by: { ($0.start, $0.last) < ($1.start, $1.last) }) {
            if let last = merged.last, last.last == .max || range.start <= last.last + 1,
                let both = PhysicalRange(start: last.start, last: max(last.last, range.last))
            {
                merged[merged.count - 1] = both
            } else {
                merged.append(range)
            }
        }
        return merged
    }
}

/// The pages that a chain uses, as runs, in the order in which they came: 16 bytes for each run.
public struct PageRuns {
    public private(set) var ranges: [PhysicalRange] = []

    public init() {}

    /// A PFN without an address is no page.
    public mutating func insert(_ page: PFN) {
        guard let address = page.address,
            let range = PhysicalRange(start: address, size: UInt64(pageSize))
        else { return }
        if let last = ranges.last, last.last != .max, last.last + 1 == range.start,
            let both = PhysicalRange(start: last.start, last: range.last)
        {
            ranges[ranges.count - 1] = both
        } else {
            ranges.append(range)
        }
    }
}
