/// The size of a page in bytes: the chain exists for 4096-byte pages only.
public let pageSize = 4096

/// A page frame number: a physical address divided by 4096, as links, entries and `pram=` give it.
///
/// Every PFN that a program meets comes from memory or from a command line and may be any 64-bit number. Its address
/// exists only below 2^52 (2^52 * 4096 wraps to 0), so the conversion can fail.
public struct PFN: Comparable, Sendable {
    public let number: UInt64

    public init(_ number: UInt64) { self.number = number }

    /// The page that holds a physical address.
    public init(containing address: UInt64) { number = address >> 12 }

    /// The physical address of the page's first byte, or nil when 64 bits cannot hold it.
    public var address: UInt64? { number < 1 << 52 ? number << 12 : nil }

    /// The page `count` pages behind this one, or nil past 2^64 - 1.
    public func advanced(by count: UInt64) -> PFN? {
        let (sum, overflow) = number.addingReportingOverflow(count)
        return overflow ? nil : PFN(sum)
    }

    public static func < (a: PFN, b: PFN) -> Bool { a.number < b.number }
}
