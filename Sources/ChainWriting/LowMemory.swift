import PRAM

/// The first MiB of physical memory, which no kernel leaves to a chain: x86 kernels reserve all of it (reserve_bios_regions
/// and trim_low_memory_range in arch/x86/kernel), so a link there makes a kernel with pram refuse the chain.
public enum LowMemory {
    /// The first page behind it.
    public static let endPage: UInt64 = 0x100

    /// Images from this size on, in bytes, are taken for the memory of a machine.
    public static let machineSize: UInt64 = 16 << 20

    /// Where new pages of a chain may begin in memory that is written; what ends below 1 MiB is nobody's memory, and all
    /// of it is used but page 0.
    static func firstUsable(in pages: Range<UInt64>) -> UInt64 {
        max(pages.lowerBound, pages.upperBound > endPage ? endPage : 1)
    }

    /// Where a chain begins by default in a raw image.
    /// - Parameters:
    ///   - base: the physical address of the image's first byte.
    ///   - length: in bytes.
    public static func firstPage(ofImageAt base: UInt64, length: UInt64) -> PFN {
        // Page 0 can be no head: pram=0 says that there is no chain.
        let first = max(base / UInt64(pageSize), 1)
        return PFN(base == 0 && length >= machineSize ? endPage : first)
    }
}
