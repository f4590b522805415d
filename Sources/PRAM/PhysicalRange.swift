/// A range of physical addresses in bytes. Inclusive ends (`last`: /proc/iomem, LiME) and exclusive ends (`end`) come
/// in through differently named initialisers, so that no caller can mix them up.
public struct PhysicalRange: Equatable, Sendable {
    /// The first byte.
    public let start: UInt64
    /// The last byte: inclusive, so that a range may reach 2^64 - 1.
    public let last: UInt64

    /// nil when `last` lies before `start`.
    public init?(start: UInt64, last: UInt64) {
        guard start <= last else { return nil }
        self.start = start
        self.last = last
    }

    /// nil when the range is empty or inverted.
    public init?(start: UInt64, end: UInt64) {
        guard start < end else { return nil }
        self.start = start
        last = end - 1
    }

    /// nil when the range is empty or would pass 2^64.
    public init?(start: UInt64, size: UInt64) {
        guard size > 0 else { return nil }
        let (last, overflow) = start.addingReportingOverflow(size - 1)
        guard !overflow else { return nil }
        self.start = start
        self.last = last
    }

    /// The size in bytes; saturates at 2^64 - 1 for the one range that has 2^64.
    public var size: UInt64 {
        let (size, overflow) = (last - start).addingReportingOverflow(1)
        return overflow ? .max : size
    }

    public func contains(_ address: UInt64) -> Bool { start <= address && address <= last }

    /// Whether the whole page lies in the range.
    public func contains(_ page: PFN) -> Bool {
        guard let address = page.address else { return false }
        return start <= address && address | 0xfff <= last
    }

    /// Whether the whole of `other` lies in this range.
    public func contains(_ other: PhysicalRange) -> Bool { start <= other.start && other.last <= last }

    public func overlaps(_ other: PhysicalRange) -> Bool { start <= other.last && other.start <= last }
}
