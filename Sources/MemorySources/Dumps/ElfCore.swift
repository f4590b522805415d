import Machine
import PRAM
import Text

/// ELF cores of whole machines: /proc/vmcore and copies of it, `makedumpfile -E`, QEMU's dump-guest-memory. 64-bit and
/// 32-bit, little-endian.
///
/// Source: elf(5) and the System V ABI. The offsets used, in bytes:
///
///              e_type e_phoff e_shoff e_phentsize e_phnum   p_type p_offset p_paddr p_filesz (entry)   sh_info
///     64-bit       16      32      40          54      56        0        8      24       32      56        44
///     32-bit       16      28      32          42      44        0        4      12       16      32        28
///
/// A PT_LOAD segment holds `p_filesz` bytes of memory from physical address `p_paddr` on. What lies between there and
/// `p_memsz` was left out of the dump (ELF would have it zeros, but makedumpfile leaves out pages of every kind so):
/// absent.
enum ElfCore {
    /// More segments than any kernel or tool writes; they take some 60 MiB here.
    static let segmentLimit: UInt64 = 1 << 20

    private static let core = 4
    private static let load = 1
    /// e_phnum when 16 bits do not hold the number: the real one is the sh_info of section header 0.
    private static let extended: UInt64 = 0xffff

    private static var takeOne: Phrase {
        "take it with makedumpfile, from /proc/vmcore or with QEMU's dump-guest-memory"
    }

    /// - Parameter start: the first 4096 bytes, which begin with the signature.
    static func open(
        _ source: any ByteSource, _ start: Bytes, _ notes: [String]
    ) throws(MemoryFailure) -> any PhysicalMemory {
        let header = try Header(source, start)
        let segments = try header.segments()
        guard !segments.isEmpty else {
            throw MemoryFailure(
                .malformed, source: source.name, "an ELF core without a segment of memory", remedy: takeOne)
        }
        if segments.count > 1, segments.allSatisfy({ $0.address == 0 }) {
            throw MemoryFailure(
                .unsupported, source: source.name,
                "an ELF core without physical addresses: that of a process, not of a machine",
                remedy: takeOne)
        }
        return SegmentedMemory(
            source, kind: header.is64 ? "ELF core" : "32-bit ELF core", segments: segments, notes: notes)
    }

    /// The ELF header of a core dump, and where its program headers lie: within the file.
    private struct Header {
        let is64: Bool
        private let source: any ByteSource
        private let tableOffset: UInt64
        /// At most `segmentLimit`.
        private let count: UInt64
        private var entrySize: Int { is64 ? 56 : 32 }

        init(_ source: any ByteSource, _ start: Bytes) throws(MemoryFailure) {
            let asRaw: Phrase = "if it is a raw image that only begins with an ELF file, use --raw"
            func failure(_ cause: MemoryFailure.Cause, _ message: Phrase, remedy: Phrase? = nil) -> MemoryFailure {
                MemoryFailure(cause, source: source.name, message, remedy: remedy ?? DumpFile.anew)
            }
            guard let wordSize = start.u8(4), let order = start.u8(5), let type = start.u16(16) else {
                throw failure(.malformed, "the ELF header is cut short", remedy: asRaw)
            }
            guard order == 1, wordSize == 1 || wordSize == 2 else {
                throw failure(
                    .unsupported, "an ELF file that is not little-endian, or of an unknown class", remedy: asRaw)
            }
            guard type == core else {
                throw failure(
                    .unsupported, "an ELF file of type \(type), but not a core dump (type 4)", remedy: asRaw)
            }
            self.source = source
            is64 = wordSize == 2
            guard let tableOffset = start.word(32, 28, is64), let sectionOffset = start.word(40, 32, is64),
                let statedSize = start.u16(is64 ? 54 : 42), let statedCount = start.u16(is64 ? 56 : 44)
            else { throw failure(.malformed, "the ELF header is cut short", remedy: asRaw) }
            self.tableOffset = tableOffset
            count = try Header.count(source, stated: UInt64(statedCount), sectionOffset, is64)
            guard Int(statedSize) == entrySize || statedCount == 0 else {
                throw failure(.malformed, "program headers of \(statedSize) bytes, where ELF has \(entrySize)")
            }
            guard count <= segmentLimit else {
                throw failure(.tooLarge, "\(count) program headers; more than \(segmentLimit) are not read")
            }
            // count * entrySize stays below 2^26.
            guard tableOffset <= source.size, count * UInt64(entrySize) <= source.size - tableOffset else {
                throw failure(
                    .malformed, "\(count) program headers at offset \(tableOffset) end past the end of the file")
            }
        }

        /// How many program headers there are: where 16 bits do not hold the number, section header 0 tells.
        private static func count(
            _ source: any ByteSource, stated: UInt64, _ sectionOffset: UInt64, _ is64: Bool
        ) throws(MemoryFailure) -> UInt64 {
            guard stated == extended, sectionOffset != 0 else { return stated }
            guard let real = try source.bytes(at: sectionOffset, count: 64).u32(is64 ? 44 : 28) else {
                throw MemoryFailure(
                    .malformed, source: source.name,
                    "section header 0, which counts the segments, lies past the end of the file",
                    remedy: DumpFile.anew)
            }
            return UInt64(real)
        }

        /// The segments of memory in the order of the file.
        func segments() throws(MemoryFailure) -> [Segment] {
            var segments: [Segment] = []
            var index: UInt64 = 0
            while index < count {
                let part = Int(min(count - index, 1024))
                let table = try source.bytes(at: tableOffset + index * UInt64(entrySize), count: part * entrySize)
                for entry in 0..<part {
                    let at = entry * entrySize
                    guard let type = table.u32(at), let offset = table.word(at + 8, at + 4, is64),
                        let address = table.word(at + 24, at + 12, is64), let size = table.word(at + 32, at + 16, is64)
                    else {
                        throw MemoryFailure(
                            .malformed, source: source.name, "the program headers are cut short", remedy: DumpFile.anew)
                    }
                    // An address of -1: memory that is not mapped one to one (modules, vmalloc).
                    if type == load, address != (is64 ? .max : 0xffff_ffff) {
                        segments.append(Segment(address: address, count: size, offset: offset))
                    }
                }
                index += UInt64(part)
            }
            return segments
        }
    }
}
