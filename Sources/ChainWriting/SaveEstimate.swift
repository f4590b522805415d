import PRAM
import Parity

/// How much memory a save will take, before there is any.
public struct SaveEstimate {
    /// Files of the chain, the manifest among them.
    public let files: Int
    /// Pages of 4 KiB that a range must have: links, files, and everything that protects them.
    public let pages: UInt64

    /// - Parameter percent: parity pages for 100 pages, 0 to 50.
    /// - Returns: nil for a stream, whose length nobody knows, and for more than 2^63 pages.
    public init?(_ plan: SavePlan, parity percent: Int) {
        guard !plan.hasStream, let plain = plan.pagesNeeded, let entries = plan.entryCount else { return nil }
        files = plan.files.count
        if percent > 0, entries > 0 {
            guard let needed = ParityLayout.pagesNeeded(pages: entries, percent: percent) else { return nil }
            pages = UInt64(needed)
        } else {
            pages = max(plain, 1)
        }
        guard pages < 1 << 51 else { return nil }
    }

    public var bytes: UInt64 { pages * UInt64(pageSize) }

    /// In bytes: an image that has room for all of it behind what no chain is put into.
    /// - Parameter base: the physical address of the image's first byte.
    /// - Returns: nil where no image can be so large.
    public func imageSize(base: UInt64) -> UInt64? {
        // Whether the first MiB is left out depends on the size.
        let first = LowMemory.firstPage(ofImageAt: base, length: bytes + UInt64(pageSize)).number
        let (end, overflow) = first.addingReportingOverflow(pages)
        guard !overflow, end < 1 << 52, end > base >> 12 else { return nil }
        return (end - base >> 12) << 12
    }

    /// In MiB: a range to set aside, which has room for all of it and begins and ends at whole MiB.
    public var mebibytes: UInt64 { (bytes + (1 << 20) - 1) >> 20 }
}
