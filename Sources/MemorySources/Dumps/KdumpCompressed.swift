import Compression
import Linux
import Machine
import PRAM
import Synchronization
import Text

/// kdump-compressed dumps, makedumpfile's own form, which QEMU's dump-guest-memory writes too: pages each compressed by
/// itself, little-endian, of 64-bit and 32-bit machines.
///
/// In blocks of `block_size` bytes, which is the machine's page size:
///
///     block 0                             main header
///     block 1                             sub header, `sub_hdr_size` blocks
///     then                                two bitmaps together, `bitmap_blocks` blocks, a bit a PFN, lowest bit first:
///                                         the first tells which pages exist, the second which are in the dump
///     then                                page descriptors of 24 bytes, one for each bit of the second bitmap
///     then                                the pages
///
///     main header       64-bit  32-bit        sub header     64-bit  32-bit (i386)  32-bit (others)
///     signature              0       0        split              12              8                8
///     header_version         8       8        start_pfn          16             12               12
///     status               424     412        end_pfn            24             16               16
///     block_size           428     416        start_pfn_64       80             56               72
///     sub_hdr_size         432     420        end_pfn_64         88             64               80
///     bitmap_blocks        436     424        max_mapnr_64       96             72               88
///     max_mapnr            440     428
///
///     page descriptor: 0 i64 offset, 8 u32 size, 12 u32 flags, 16 u64 page_flags (of no concern here)
///
/// `split` and the two PFNs exist from header version 2 on, the 64-bit ones from version 6 on. A split dump's file
/// holds the pages from start_pfn to before end_pfn; its bitmaps cover all of memory, its descriptors only its own
/// pages.
///
/// Sources: makedumpfile's IMPLEMENTATION and diskdump_mod.h, QEMU's include/sysemu/dump.h, libkdumpfile's diskdump.c.
final class KdumpCompressed: PhysicalMemory {
    /// 64 TiB of physical addresses, all that x86-64 has with four-level page tables: an index of 32 MiB at most.
    static let pageLimit: UInt64 = 1 << 34

    let kind: String
    var zerosMayBeHoles: Bool { false }

    private let source: any ByteSource
    private let geometry: Geometry
    private let openingNotes: [String]
    /// How many bits of the second bitmap are set before each group of 4096.
    private let ranks: [UInt64]
    /// How many are set before the first page that this file holds.
    private let firstRank: UInt64
    /// What was met of pages that could not be read: their codecs, and `PageFlags.pastEnd`.
    private let met = Atomic<UInt32>(0)

    /// Bits of header.status and of page_desc.flags.
    private enum PageFlags {
        static let zlib: UInt32 = 0x01
        static let lzo: UInt32 = 0x02
        static let snappy: UInt32 = 0x04
        static let zstd: UInt32 = 0x20
        /// In the header only: the disk was full.
        static let incomplete: UInt32 = 0x08
        /// Of no file: a page or its descriptor lies past the end.
        static let pastEnd: UInt32 = 1 << 31
    }

    private static let groupPages: UInt64 = 4096
    private static let groupBytes = 512
    private static let descriptorSize = 24
    /// How many pages are read at once.
    private static let batch = 32

    /// - Parameter start: the first 4096 bytes, which begin with the signature.
    init(_ source: any ByteSource, _ start: Bytes, _ notes: [String]) throws(MemoryFailure) {
        let geometry = try Geometry(source, start)
        var notes = notes
        if geometry.status & PageFlags.incomplete != 0 {
            notes.append("the dump says of itself that it is incomplete: the disk was full when it was written")
        }
        if geometry.isSplit {
            notes.append(
                "one file of a split dump: it holds pfns \(geometry.firstPage) to before \(geometry.endPage) only; "
                    + "makedumpfile --reassemble makes one of all")
        }
        ranks = try Self.makeRanks(source, geometry)
        self.source = source
        self.geometry = geometry
        openingNotes = notes
        kind = geometry.is64 ? "kdump-compressed dump" : "32-bit kdump-compressed dump"
        firstRank = try Self.rank(of: geometry.firstPage, ranks, source, geometry)
    }

    var notes: [String] {
        let met = met.load(ordering: .relaxed)
        var notes = openingNotes
        if met & PageFlags.pastEnd != 0 {
            notes.append("pages were met that lie past the end of the file, as in one that is cut short")
        }
        if met & PageFlags.lzo != 0 { notes.append("pages compressed with lzo were met, which cannot be read") }
        if met & PageFlags.snappy != 0 { notes.append("pages compressed with snappy were met, which cannot be read") }
        return notes
    }

    // MARK: Pages

    func contains(_ page: PFN) -> Bool {
        guard geometry.firstPage <= page.number, page.number < geometry.endPage else { return false }
        var byte: UInt8 = 0
        let got = try? withUnsafeMutableBytes(of: &byte) { buffer throws(SystemError) in
            try source.read(at: geometry.bitmap + page.number / 8, into: buffer)
        }
        return got == 1 && byte >> (page.number % 8) & 1 == 1
    }

    /// In steps of 4096 pages, where any page of them is in the dump.
    func ranges(limit: Int) -> [PhysicalRange] {
        var found: [PhysicalRange] = []
        for group in ranks.indices.dropLast() where ranks[group + 1] > ranks[group] {
            let first = UInt64(group) * Self.groupPages
            let start = max(first, geometry.firstPage) << 12
            let end = min(first + Self.groupPages, geometry.endPage) << 12
            guard let range = PhysicalRange(start: start, end: end) else { continue }
            if let before = found.last, before.last + 1 == range.start,
                let joined = PhysicalRange(start: before.start, last: range.last)
            {
                found[found.count - 1] = joined
            } else if found.count < limit {
                found.append(range)
            } else {
                break
            }
        }
        return found
    }

    func mapped(_ page: PFN) -> UnsafeRawPointer? { nil }

    func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) {
        var batch = Batch(capacity: min(count, Self.batch))
        var done = 0
        while done < count {
            let number = first.advanced(by: UInt64(done))?.number ?? .max
            if number >= geometry.endPage {
                for index in done..<count { states[index] = .absent }
                return
            }
            if number < geometry.firstPage {
                states[done] = .absent
                done += 1
                continue
            }
            let pages = Int(min(UInt64(min(count - done, Self.batch)), geometry.endPage - number))
            read(number, count: pages, &batch, into: destination + done * pageSize, states: states + done)
            done += pages
        }
    }

    /// What one call of `read` needs to work with.
    private struct Batch: ~Copyable {
        let packed: UnsafeMutableRawBufferPointer
        var decoder = PageDecoder()

        init(capacity: Int) {
            packed = UnsafeMutableRawBufferPointer.allocate(byteCount: max(capacity, 1) * pageSize, alignment: 16)
        }

        deinit { packed.deallocate() }
    }

    private struct Descriptor {
        /// Which of the pages asked for.
        let page: Int
        let offset: UInt64
        let size: Int
        let flags: UInt32
    }

    /// Up to `batch` pages, all of them between firstPage and endPage.
    private func read(
        _ first: UInt64, count: Int, _ batch: inout Batch, into destination: UnsafeMutableRawPointer,
        states: UnsafeMutablePointer<PageState>
    ) {
        for index in 0..<count { states[index] = .unreadable }
        guard let descriptors = try? descriptors(first, count: count, states: states) else { return }
        var index = 0
        while index < descriptors.count {
            // As many pages as lie one behind the other, in one read.
            let start = descriptors[index].offset
            var length = descriptors[index].size
            var end = index + 1
            while end < descriptors.count, descriptors[end].offset == start &+ UInt64(length),
                length + descriptors[end].size <= batch.packed.count
            {
                length += descriptors[end].size
                end += 1
            }
            var held = packedBytes(at: start, UnsafeMutableRawBufferPointer(rebasing: batch.packed[..<length]))
            if held == nil {
                // One bad sector is not to cost the other pages.
                end = index + 1
                length = descriptors[index].size
                held = packedBytes(at: start, UnsafeMutableRawBufferPointer(rebasing: batch.packed[..<length]))
            }
            var position = 0
            for descriptor in descriptors[index..<end] {
                let packed = UnsafeRawBufferPointer(rebasing: batch.packed[position..<position + descriptor.size])
                position += descriptor.size
                let page = UnsafeMutableRawBufferPointer(
                    start: destination + descriptor.page * pageSize, count: pageSize)
                if let held, held >= position, unpack(packed, descriptor.flags, &batch.decoder, into: page) {
                    states[descriptor.page] = .present
                }
            }
            index = end
        }
    }

    /// How many bytes could be read; nil after an error.
    private func packedBytes(at offset: UInt64, _ buffer: UnsafeMutableRawBufferPointer) -> Int? {
        try? source.read(at: offset, into: buffer)
    }

    /// The descriptors of those of the pages that are in the dump; the others become `.absent`. Descriptors that cannot
    /// be right are left out.
    private func descriptors(
        _ first: UInt64, count: Int, states: UnsafeMutablePointer<PageState>
    ) throws(MemoryFailure) -> [Descriptor] {
        // The bitmap from the start of the group on to the last page: for the rank of the first one, and for their own
        // bits.
        let groupStart = first / Self.groupPages * Self.groupPages
        let bits = try source.bytes(
            at: geometry.bitmap + groupStart / 8, count: Int((first + UInt64(count) - 1) / 8 - groupStart / 8) + 1)
        func isSet(_ page: Int) -> Bool {
            let bit = Int(first - groupStart) + page
            return bit / 8 < bits.count && bits.bytes[bit / 8] >> (bit % 8) & 1 == 1
        }
        let inDump = (0..<count).filter(isSet)
        for page in 0..<count where !isSet(page) { states[page] = .absent }
        guard !inDump.isEmpty else { return [] }

        // A bitmap that changed since the index was made may put the rank before firstRank.
        let rank = ranks[Int(groupStart / Self.groupPages)] + bits.ones(before: Int(first - groupStart))
        guard rank >= firstRank else { return [] }
        let table = try source.bytes(
            at: geometry.descriptors + (rank - firstRank) * UInt64(Self.descriptorSize),
            count: inDump.count * Self.descriptorSize)
        if table.count < inDump.count * Self.descriptorSize { met.bitwiseOr(PageFlags.pastEnd, ordering: .relaxed) }
        var descriptors: [Descriptor] = []
        for (index, page) in inDump.enumerated() {
            let at = index * Self.descriptorSize
            guard let offset = table.u64(at), let size = table.u32(at + 8), let flags = table.u32(at + 12) else {
                break
            }
            if offset == 0, geometry.status & PageFlags.incomplete != 0 {
                states[page] = .absent
            } else if 1...UInt32(pageSize) ~= size {
                if offset >= source.size || UInt64(size) > source.size - offset {
                    met.bitwiseOr(PageFlags.pastEnd, ordering: .relaxed)
                }
                guard offset < source.size else { continue }
                descriptors.append(Descriptor(page: page, offset: offset, size: Int(size), flags: flags))
            }
        }
        return descriptors
    }

    private func unpack(
        _ packed: UnsafeRawBufferPointer, _ flags: UInt32, _ decoder: inout PageDecoder,
        into page: UnsafeMutableRawBufferPointer
    ) -> Bool {
        if flags & PageFlags.zlib != 0 { return decoder.inflate(packed, into: page) }
        if flags & (PageFlags.lzo | PageFlags.snappy) != 0 {
            met.bitwiseOr(flags & (PageFlags.lzo | PageFlags.snappy), ordering: .relaxed)
            return false
        }
        if flags & PageFlags.zstd != 0 { return decoder.unzstd(packed, into: page) }
        guard packed.count == page.count else { return false }
        page.copyMemory(from: packed)
        return true
    }

    // MARK: The index

    private static func makeRanks(_ source: any ByteSource, _ geometry: Geometry) throws(MemoryFailure) -> [UInt64] {
        var ranks: [UInt64] = [0]
        let end = (geometry.endPage + 7) / 8
        var rank: UInt64 = 0
        var position: UInt64 = 0
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
        defer { chunk.deallocate() }
        while position < end {
            // The bitmap of a machine with much address space and little memory is mostly a hole, in a sparse file.
            let hole = source.endOfHole(at: geometry.bitmap + position) - geometry.bitmap
            while position + UInt64(groupBytes) <= min(hole, end) {
                ranks.append(rank)
                position += UInt64(groupBytes)
            }
            let count = Int(min(UInt64(chunk.count), end - position))
            let wanted = UnsafeMutableRawBufferPointer(rebasing: chunk[..<count])
            let got: Int
            do throws(SystemError) {
                got = try source.read(at: geometry.bitmap + position, into: wanted)
            } catch {
                throw MemoryFailure(
                    .inputOutput, source: source.name, "\(error.call) of the page bitmap: \(error.reason)",
                    remedy: "copy it with ddrescue, which passes over what cannot be read")
            }
            guard got == count else {
                throw MemoryFailure(
                    .malformed, source: source.name, "the page bitmap ends past the end of the file",
                    remedy: DumpFile.anew)
            }
            var start = 0
            while start < got {
                let size = min(groupBytes, got - start)
                rank += UnsafeRawBufferPointer(rebasing: wanted[start..<start + size]).ones
                ranks.append(rank)
                start += size
            }
            position += UInt64(got)
        }
        return ranks
    }

    /// How many bits are set before the page's own.
    private static func rank(
        of page: UInt64, _ ranks: [UInt64], _ source: any ByteSource, _ geometry: Geometry
    ) throws(MemoryFailure) -> UInt64 {
        let group = page / groupPages
        guard group < UInt64(ranks.count) else { return ranks[ranks.count - 1] }
        let bits = try source.bytes(at: geometry.bitmap + group * UInt64(groupBytes), count: groupBytes)
        return ranks[Int(group)] + bits.ones(before: Int(page % groupPages))
    }
}

/// What the headers say of where things are.
private struct Geometry {
    let is64: Bool
    let status: UInt32
    let isSplit: Bool
    /// The pages that this file may hold: from `firstPage` to before `endPage`.
    let firstPage: UInt64
    let endPage: UInt64
    /// The file offset of the second bitmap, or of the only one.
    let bitmap: UInt64
    /// The file offset of the page descriptors.
    let descriptors: UInt64

    init(_ source: any ByteSource, _ start: Bytes) throws(MemoryFailure) {
        func malformed(_ message: Phrase) -> MemoryFailure {
            MemoryFailure(.malformed, source: source.name, message, remedy: DumpFile.anew)
        }
        let main = try Main.recognise(start, source.name)
        let sub = try SubHeader(source, main)
        // 32-bit numbers times 4096: far from 2^64.
        let bitmaps = (1 + UInt64(main.subHeaderBlocks)) * UInt64(pageSize)
        let bitmapBytes = UInt64(main.bitmapBlocks) * UInt64(pageSize)
        guard sub.pages <= bitmapBytes * 8 else {
            throw malformed("its bitmaps of \(bitmapBytes) bytes are too small for \(sub.pages) pages")
        }
        guard sub.pages <= KdumpCompressed.pageLimit else {
            throw MemoryFailure(
                .tooLarge, source: source.name,
                "\(sub.pages) pages; more than \(KdumpCompressed.pageLimit) (64 TiB) are not read",
                remedy: DumpFile.anew)
        }
        // A file with one bitmap only has no bits to spare for a second one.
        let hasTwo = sub.pages <= bitmapBytes / 2 * 8
        bitmap = bitmaps + (hasTwo ? UInt64(main.bitmapBlocks / 2) * UInt64(pageSize) : 0)
        descriptors = bitmaps + bitmapBytes
        guard bitmap + (sub.pages + 7) / 8 <= source.size else {
            throw malformed("the page bitmap at offset \(bitmap) ends past the end of the file")
        }
        if let range = sub.range {
            guard range.start <= range.end else {
                throw malformed("a part of a split dump from pfn \(range.start) to before \(range.end)")
            }
            firstPage = range.start
            endPage = min(range.end, sub.pages)
        } else {
            firstPage = 0
            endPage = sub.pages
        }
        is64 = main.is64
        isSplit = sub.range != nil
        status = main.status
    }

    /// What the sub header says of the pages.
    private struct SubHeader {
        /// How many pages the bitmaps cover.
        let pages: UInt64
        /// The pages of a split dump's file, the end not among them.
        let range: (start: UInt64, end: UInt64)?

        init(_ source: any ByteSource, _ main: Main) throws(MemoryFailure) {
            let cutShort = MemoryFailure(
                .malformed, source: source.name, "the sub header is cut short", remedy: DumpFile.anew)
            let sub = try source.bytes(at: UInt64(pageSize), count: 104)
            var pages = UInt64(main.maxMapNumber)
            var range: (start: UInt64, end: UInt64)?
            if main.version >= 2 {
                guard let split = sub.u32(main.is64 ? 12 : 8) else { throw cutShort }
                if split != 0 {
                    guard let start = sub.word(16, 12, main.is64), let end = sub.word(24, 16, main.is64) else {
                        throw cutShort
                    }
                    range = (start, end)
                }
            }
            if main.version >= 6 {
                // i386 aligns 64-bit numbers to 4, others to 8: the number that the main header holds too tells which.
                let at = main.is64 ? 80 : sub.u64(72) == UInt64(main.maxMapNumber) ? 56 : 72
                guard let start = sub.u64(at), let end = sub.u64(at + 8), let count = sub.u64(at + 16) else {
                    throw cutShort
                }
                pages = count
                if range != nil { range = (start, end) }
            }
            self.pages = pages
            self.range = range
        }
    }

    /// The main header, with words of either width.
    struct Main {
        let is64: Bool
        let version: Int32
        let status: UInt32
        let blockSize: UInt32
        let subHeaderBlocks: UInt32
        let bitmapBlocks: UInt32
        let maxMapNumber: UInt32

        private static var x86Alone: Phrase { "name a dump of an x86 machine: only those have pram" }

        /// Sizes of pages that there are machines of.
        static let pageSizes: [UInt32] = [4096, 8192, 16384, 65536]

        init?(_ start: Bytes, is64: Bool) {
            let at = is64 ? 424 : 412
            guard let version = start.u32(8), let status = start.u32(at), let blockSize = start.u32(at + 4),
                let subHeaderBlocks = start.u32(at + 8), let bitmapBlocks = start.u32(at + 12),
                let maxMapNumber = start.u32(at + 16)
            else { return nil }
            self.is64 = is64
            self.version = Int32(bitPattern: version)
            self.status = status
            self.blockSize = blockSize
            self.subHeaderBlocks = subHeaderBlocks
            self.bitmapBlocks = bitmapBlocks
            self.maxMapNumber = maxMapNumber
        }

        /// Nothing in the header says how wide its words are; the numbers make sense in one way only.
        static func recognise(_ start: Bytes, _ source: String) throws(MemoryFailure) -> Main {
            func malformed(_ message: Phrase) -> MemoryFailure {
                MemoryFailure(.malformed, source: source, message, remedy: DumpFile.anew)
            }
            func unsupported(_ message: Phrase, _ remedy: Phrase) -> MemoryFailure {
                MemoryFailure(.unsupported, source: source, message, remedy: remedy)
            }
            guard let wide = Main(start, is64: true), let narrow = Main(start, is64: false) else {
                throw malformed("the dump's header is cut short")
            }
            let main = wide.isSane || !narrow.isSane ? wide : narrow
            guard main.version >= 0, main.version <= 6 else {
                throw main.version.byteSwapped & ~0xff == 0
                    ? unsupported("a big-endian dump", x86Alone)
                    : unsupported(
                        "a kdump-compressed dump of version \(main.version); versions up to 6 are read",
                        "take it as an ELF core, with makedumpfile -E; " + DumpFile.ifRaw)
            }
            guard main.blockSize == UInt32(pageSize) else {
                throw Main.pageSizes.contains(main.blockSize)
                    ? unsupported(
                        "a dump with pages of \(main.blockSize) bytes; a pram chain has pages of 4096", x86Alone)
                    : malformed("the header's block_size is \(main.blockSize)")
            }
            guard main.isSane else {
                throw malformed(
                    "the header's sub_hdr_size is \(main.subHeaderBlocks), its bitmap_blocks is \(main.bitmapBlocks)")
            }
            for (flag, codec) in [(UInt32(2), "lzo"), (4, "snappy")] where main.status & flag != 0 {
                throw unsupported(
                    "its pages are compressed with \(codec)", "convert it with makedumpfile -c, which uses zlib")
            }
            return main
        }

        /// Whether the numbers fit together: a sub header of a few blocks (notes lie in it too), and a bitmap.
        var isSane: Bool {
            Self.pageSizes.contains(blockSize) && 1...0xffff ~= subHeaderBlocks && bitmapBlocks > 0
        }
    }
}

extension UnsafeRawBufferPointer {
    /// How many bits are set.
    fileprivate var ones: UInt64 {
        var total = 0
        var at = 0
        while at + 8 <= count {
            let word = loadUnaligned(fromByteOffset: at, as: UInt64.self)
            if word != 0 { total += word.nonzeroBitCount }
            at += 8
        }
        while at < count {
            total += self[at].nonzeroBitCount
            at += 1
        }
        return UInt64(total)
    }
}

extension Bytes {
    /// How many of the first `bits` bits are set, the lowest of each byte first. Bits past the end count as clear.
    fileprivate func ones(before bits: Int) -> UInt64 {
        let whole = min(bits / 8, count)
        var total = bytes.withUnsafeBytes { UnsafeRawBufferPointer(rebasing: $0[..<whole]).ones }
        if bits / 8 < count { total += UInt64((bytes[bits / 8] & (1 << (bits % 8) - 1)).nonzeroBitCount) }
        return total
    }
}
