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

    static func open(_ source: any ByteSource, _ notes: [String]) throws(MemoryFailure) -> any PhysicalMemory {
        func malformed(_ message: Phrase) -> MemoryFailure { MemoryFailure(.malformed, source: source.name, message) }

        var segments: [Segment] = []
        var offset: UInt64 = 0
        while offset < source.size {
            let header = try source.bytes(at: offset, count: Int(headerSize))
            guard header.count == headerSize, let version = header.u32(4), let first = header.u64(8),
                let last = header.u64(16)
            else { throw malformed("the LiME header at offset \(offset) is cut short") }
            guard header.begins(with: "EMiL") else {
                throw malformed("no LiME header at offset \(offset), where one is due")
            }
            guard version == 1 else {
                throw MemoryFailure(
                    .unsupported, source: source.name, "LiME version \(version) at offset \(offset); version 1 is read")
            }
            guard let range = PhysicalRange(start: first, last: last), last - first < .max else {
                throw malformed(
                    "the LiME header at offset \(offset) has the range \(hexadecimal(first)) to \(hexadecimal(last))")
            }
            guard segments.count < rangeLimit else {
                throw MemoryFailure(.tooLarge, source: source.name, "more than \(rangeLimit) LiME ranges are not read")
            }
            offset += headerSize
            segments.append(Segment(address: first, count: range.size, offset: offset))
            // A range that passes the end of the file is the last one; `SegmentedMemory` says so.
            guard range.size <= source.size - offset else { break }
            offset += range.size
        }
        return SegmentedMemory(source, kind: "LiME image", segments: segments, notes: notes)
    }
}
