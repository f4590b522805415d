/// What can lie at a physical address, in rising order of what must not be overlooked: of all that a cell of a picture
/// covers, the last one here is drawn. So one damaged page among a million is seen.
public enum Content: UInt8, CaseIterable, Comparable, Sendable {
    // The background: what the machine, or a dump, says of its addresses.

    /// No one has claimed it.
    case nothing
    /// Devices, and what the firmware keeps for itself.
    case device
    /// System RAM; of a dump, what it holds.
    case memory
    /// EFI's run-time services and ACPI's tables.
    case firmware
    /// Persistent memory, and what is set aside for one use.
    case persistent
    /// RAM that the kernel was told to leave alone: where chains lie.
    case reserved
    case kernel
    case initrd
    case crashKernel
    /// `pram_banned=`
    case banned

    // Pages of a chain.

    case intact
    /// What brings lost pages back: the parity file, the links' copies and their parity, the locators.
    case parity
    case link
    /// Could not be looked at, or is listed by nothing that is proved.
    case unknown
    /// Lost, and comes back from parity.
    case repairable
    case damaged

    /// Whether it is said of single pages of a chain.
    public var isPage: Bool { self >= .intact }

    static let firstOfPages = Int(Content.intact.rawValue)
    static let pageKinds = Content.allCases.count - firstOfPages

    /// Counts in an array that has one for each kind of page; nil for background.
    var place: Int? { isPage ? Int(rawValue) - Content.firstOfPages : nil }

    public static func < (a: Content, b: Content) -> Bool { a.rawValue < b.rawValue }
}

/// Adjacent pages of one content. Page frame numbers, which stay below 2^52; never empty.
public struct Stretch: Equatable, Sendable {
    public static let pageLimit: UInt64 = 1 << 52

    public let first: UInt64
    /// The page after the last.
    public let end: UInt64
    public let content: Content

    /// nil when there is no page in it. What lies behind the last page that has an address is left out.
    public init?(first: UInt64, end: UInt64, _ content: Content) {
        let end = min(end, Stretch.pageLimit)
        guard first < end else { return nil }
        self.first = first
        self.end = end
        self.content = content
    }

    /// Every page that the bytes from `start` to `last`, both of them in it, touch.
    public init?(start: UInt64, last: UInt64, _ content: Content) {
        guard start <= last else { return nil }
        self.init(first: start >> 12, end: (last >> 12) + 1, content)
    }

    public var pages: UInt64 { end - first }
}
