import Machine
import PRAM
import Text

/// A piece of physical memory in /proc/kcore.
public struct KcoreSegment: Equatable, Sendable {
    /// In bytes, both ends belong to it.
    public let range: PhysicalRange
    /// Where its first byte lies in the file.
    public let offset: UInt64

    public init(range: PhysicalRange, offset: UInt64) {
        self.range = range
        self.offset = offset
    }
}

/// What is wrong with the headers of a /proc/kcore.
public struct KcoreProblem: Error, Sendable {
    public let cause: MemoryFailure.Cause
    /// One sentence without a full stop.
    public let words: StaticString

    init(_ cause: MemoryFailure.Cause, _ words: StaticString) {
        self.cause = cause
        self.words = words
    }
}

/// The ELF headers of /proc/kcore: pure functions from bytes to segments. Offsets are those of Elf64_Ehdr and
/// Elf64_Phdr (include/uapi/linux/elf.h), little endian.
public struct KcoreHeaders: Sendable {
    /// Bytes of the ELF header.
    public static let size = 64
    /// Bytes of one program header.
    public static let programHeaderSize = 56

    /// e_machine: 62 is x86-64.
    public let machine: UInt16
    /// Where the program headers begin in the file.
    public let tableOffset: UInt64
    /// How many there are, at most 65535. /proc/kcore has no more: it does not know PN_XNUM.
    public let tableCount: Int

    /// Bytes of all program headers, at most 3.5 MiB.
    public var tableSize: Int { tableCount * KcoreHeaders.programHeaderSize }

    /// - Parameter header: the file's first 64 bytes; fewer are a malformed file.
    public init(parsing header: [UInt8]) throws(KcoreProblem) {
        guard header.count >= KcoreHeaders.size, header[0] == 0x7f, header[1...3].spell("ELF") else {
            throw KcoreProblem(.malformed, "it is not an ELF file")
        }
        guard header[4] == 2, header[5] == 1 else {
            throw KcoreProblem(.unsupported, "it is not a 64-bit little-endian ELF file")
        }
        guard number(header, 16, bytes: 2) == 4 else { throw KcoreProblem(.malformed, "it is not a core file") }
        guard number(header, 54, bytes: 2) == UInt64(KcoreHeaders.programHeaderSize) else {
            throw KcoreProblem(.malformed, "its program headers are not 56 bytes long")
        }
        machine = UInt16(truncatingIfNeeded: number(header, 18, bytes: 2))
        tableOffset = number(header, 32, bytes: 8)
        tableCount = Int(number(header, 56, bytes: 2))
    }

    /// Physical memory in ascending order and without overlap.
    ///
    /// Since 4.11 p_paddr is the physical address for RAM and the kernel's own image, and all ones for the rest
    /// (vmalloc, modules, vmemmap). The image is left out on x86-64 (at 0xffffffff80000000 and above): it is part of
    /// RAM, and may be readable there only in part. Before 4.11 every p_paddr is 0: see `matching`.
    ///
    /// - Parameters:
    ///   - table: the program headers; a cut one counts as not there.
    ///   - systemRAM: the ranges of /proc/iomem, nil when they are not known.
    public func segments(
        table: [UInt8], systemRAM: [PhysicalRange]?
    ) throws(KcoreProblem) -> [KcoreSegment] {
        var loads: [Load] = []
        for index in 0..<min(tableCount, table.count / KcoreHeaders.programHeaderSize) {
            let at = index * KcoreHeaders.programHeaderSize
            guard number(table, at, bytes: 4) == 1 else { continue }  // PT_LOAD
            loads.append(
                Load(
                    offset: number(table, at + 8, bytes: 8), virtual: number(table, at + 16, bytes: 8),
                    physical: number(table, at + 24, bytes: 8), size: number(table, at + 32, bytes: 8)))
        }
        guard !loads.isEmpty else { throw KcoreProblem(.malformed, "it has no segments") }
        if loads.allSatisfy({ $0.physical == 0 }) {
            return try KcoreHeaders.matching(loads, systemRAM)
        }
        let segments = loads.compactMap { load -> KcoreSegment? in
            guard load.physical != .max, machine != 62 || load.virtual < 0xffff_ffff_8000_0000 else { return nil }
            return KcoreHeaders.segment(load, at: load.physical)
        }
        guard !segments.isEmpty else { throw KcoreProblem(.malformed, "none of its segments is physical memory") }
        return KcoreHeaders.ordered(segments)
    }

    private struct Load {
        let offset, virtual, physical, size: UInt64
    }

    /// nil for a segment that is empty, or that passes the end of what addresses or file offsets can say.
    private static func segment(_ load: Load, at physical: UInt64) -> KcoreSegment? {
        let (end, overflow) = load.offset.addingReportingOverflow(load.size)
        guard !overflow, end <= UInt64(Int64.max), let range = PhysicalRange(start: physical, size: load.size) else {
            return nil
        }
        return KcoreSegment(range: range, offset: load.offset)
    }

    /// Sorted by address; where two overlap, the one that begins first keeps what both claim.
    private static func ordered(_ segments: [KcoreSegment]) -> [KcoreSegment] {
        var ordered: [KcoreSegment] = []
        for segment in segments.sorted(by: { $0.range.start < $1.range.start }) {
            guard let before = ordered.last, segment.range.start <= before.range.last else {
                ordered.append(segment)
                continue
            }
            guard segment.range.last > before.range.last,
                let rest = PhysicalRange(start: before.range.last + 1, last: segment.range.last)
            else { continue }
            ordered.append(KcoreSegment(range: rest, offset: segment.offset + (rest.start - segment.range.start)))
        }
        return ordered
    }

    /// Kernels before 4.11: virtual addresses only. RAM lies in the direct map at one base plus its physical address,
    /// but KASLR moves the base (since 4.8, in steps of 1 GiB). One segment belongs to each System RAM range
    /// (kclist_add_private, whole pages), so the base is what puts a segment of the right size at every range. It must
    /// be the only one.
    private static func matching(
        _ loads: [Load], _ systemRAM: [PhysicalRange]?
    ) throws(KcoreProblem) -> [KcoreSegment] {
        guard let systemRAM else {
            throw KcoreProblem(
                .unsupported, "it gives no physical addresses (Linux before 4.11), and /proc/iomem is of no help")
        }
        let ranges = systemRAM.compactMap(wholePages(of:))
        guard let first = ranges.first else {
            throw KcoreProblem(.unsupported, "it gives no physical addresses, and /proc/iomem names no System RAM")
        }
        let byAddress = LoadsByAddress(loads)
        var found: [KcoreSegment]?
        for load in loads where load.size == first.size {
            let base = load.virtual &- first.start
            guard base >> 63 == 1, base & (1 << 30 - 1) == 0 else { continue }
            var segments: [KcoreSegment] = []
            for range in ranges {
                guard let match = byAddress.load(at: base &+ range.start), match.size == range.size,
                    let segment = segment(match, at: range.start)
                else { break }
                segments.append(segment)
            }
            guard segments.count == ranges.count else { continue }
            guard found == nil else {
                throw KcoreProblem(
                    .unsupported, "it gives no physical addresses, and /proc/iomem fits it in more than one way")
            }
            found = segments
        }
        guard let found else {
            throw KcoreProblem(
                .unsupported, "it gives no physical addresses (Linux before 4.11), and /proc/iomem does not fit it")
        }
        return ordered(found)
    }

    /// Finds a segment by its virtual address; of several with the same one the last.
    private struct LoadsByAddress {
        private let sorted: [Load]

        init(_ loads: [Load]) {
            let order = loads.indices.sorted { (loads[$0].virtual, $0) < (loads[$1].virtual, $1) }
            sorted = order.map { loads[$0] }
        }

        func load(at address: UInt64) -> Load? {
            var (low, high) = (0, sorted.count)
            while low < high {
                let middle = low + (high - low) / 2
                if sorted[middle].virtual <= address { low = middle + 1 } else { high = middle }
            }
            return low > 0 && sorted[low - 1].virtual == address ? sorted[low - 1] : nil
        }
    }

    private static func wholePages(of range: PhysicalRange) -> PhysicalRange? {
        let (up, overflow) = range.start.addingReportingOverflow(0xfff)
        guard !overflow else { return nil }
        if range.last == .max { return PhysicalRange(start: up & ~0xfff, last: .max) }
        return PhysicalRange(start: up & ~0xfff, end: (range.last + 1) & ~0xfff)
    }
}

/// A little-endian number; `count` bytes from `at` on must be there.
private func number(_ source: [UInt8], _ at: Int, bytes count: Int) -> UInt64 {
    var number: UInt64 = 0
    for index in (0..<count).reversed() { number = number << 8 | UInt64(source[at + index]) }
    return number
}
