import Machine
import PRAM
import Text

/// LiME images, as the LiME module and AVML (without --compress) write them: ranges of memory one after the other, each
/// behind a header of 32 bytes, little-endian.
///
///      0  u32  magic 0x4C694D45 ("EMiL" in the file)
///      4  u32  version, 1
///      8  u64  physical address of the first byte
///     16  u64  physical address of the last byte: inclusive
///     24       8 reserved bytes
///
/// Source: "LiME Memory Range Header Version 1 Specification". AVML's own form, version 2, whose ranges are compressed
/// with snappy, has the magic 0x4C4D5641 ("AVML" in the file) and is not read.
enum LimeImage {
    static let rangeLimit = 1 << 20
    private static let headerSize: UInt64 = 32

    /// The ranges up to the first place where there is none: what lies behind that costs no range before it, and is not
    /// in the image.
    /// - Throws: where not even the first header can be read.
    static func open(_ source: any ByteSource, _ notes: [String]) throws(MemoryFailure) -> any PhysicalMemory {
        var segments: [Segment] = []
        var notes = notes
        var offset: UInt64 = 0
        while offset < source.size {
            do throws(MemoryFailure) {
                guard segments.count < rangeLimit else {
                    throw MemoryFailure(
                        .tooLarge, source: source.name, "more than \(rangeLimit) LiME ranges are not read",
                        remedy: DumpFile.anew)
                }
                let range = try range(source, at: offset)
                offset += headerSize
                segments.append(Segment(address: range.start, count: range.size, offset: offset))
                // A range that passes the end of the file is the last one; `SegmentedMemory` says so.
                offset = range.size <= source.size - offset ? offset + range.size : source.size
            } catch {
                guard !segments.isEmpty, error.cause != .inputOutput else { throw error }
                notes.append("\(error.message): what follows is left out")
                break
            }
        }
        return SegmentedMemory(source, kind: "LiME image", segments: segments, notes: notes)
    }

    /// What the header at `offset` says.
    private static func range(_ source: any ByteSource, at offset: UInt64) throws(MemoryFailure) -> PhysicalRange {
        func failure(_ cause: MemoryFailure.Cause, _ message: Phrase) -> MemoryFailure {
            MemoryFailure(cause, source: source.name, message, remedy: DumpFile.anew)
        }
        let header = try source.bytes(at: offset, count: Int(headerSize))
        guard !header.bytes.allSatisfy({ $0 == 0 }) else {
            throw failure(.malformed, "zeros at offset \(offset), where a LiME header is due")
        }
        guard header.begins(with: "EMiL") || header.count < 4 else {
            throw failure(.malformed, "no LiME header at offset \(offset), where one is due")
        }
        guard header.count == headerSize, let version = header.u32(4), let first = header.u64(8),
            let last = header.u64(16)
        else { throw failure(.malformed, "the LiME header at offset \(offset) is cut short") }
        guard version == 1 else {
            throw failure(.unsupported, "LiME version \(version) at offset \(offset); version 1 is read")
        }
        guard let range = PhysicalRange(start: first, last: last), last - first < .max else {
            throw failure(
                .malformed,
                "the LiME header at offset \(offset) has the range \(hexadecimal(first)) to \(hexadecimal(last))")
        }
        return range
    }
}
