import Machine
import PRAM
import Text

/// A raw image: the bytes of physical memory and nothing else, as `dd` of a reserved range, QEMU's `pmemsave` and files
/// of QEMU's `memory-backend-file` give them. Byte 0 is the address that the user says. There is no magic to tell it
/// by: it is what is left when no other form fits.
enum RawImage {
    /// - Parameter base: the physical address of byte 0.
    /// - Throws: `.malformed` for a base that is no page's address, `.tooLarge` where the image would pass 2^64.
    static func open(
        _ source: any ByteSource, base: UInt64, notes: [String]
    ) throws(MemoryFailure) -> any PhysicalMemory {
        guard base % UInt64(pageSize) == 0 else {
            throw MemoryFailure(
                .malformed, source: source.name, "the base address \(hexadecimal(base)) is not a multiple of 4096",
                remedy: "give with --base the address of the image's first byte: that of a page")
        }
        guard source.size == 0 || PhysicalRange(start: base, size: source.size) != nil else {
            throw MemoryFailure(
                .tooLarge, source: source.name,
                "\(source.size) bytes from address \(hexadecimal(base)) on do not fit in a 64-bit address space",
                remedy: "give with --base the address of the image's first byte, a lower one")
        }
        var notes = notes
        let rest = source.size % UInt64(pageSize)
        if rest != 0 {
            notes.append(
                "the image does not end at a page's end, and the rest is left out: \(counted(Int(rest), "byte"))")
        }
        return SegmentedMemory(
            source, kind: "raw image", segments: [Segment(address: base, count: source.size, offset: 0)], notes: notes)
    }
}
