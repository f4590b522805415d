import CLinux
import CZlib
import CZstd
import Linux
import PRAM
import Testing

@testable import Machine
@testable import MemorySources

// Dump files, written byte by byte as their formats say, for the tests to read back.

// MARK: Bytes

func little<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
    withUnsafeBytes(of: number.littleEndian) { Array($0) }
}

func big<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
    withUnsafeBytes(of: number.bigEndian) { Array($0) }
}

func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }

extension [UInt8] {
    /// With zeros up to `length`.
    func padded(to length: Int) -> [UInt8] { self + zeros(Swift.max(0, length - count)) }

    mutating func put<Number: FixedWidthInteger>(_ number: Number, at offset: Int) {
        replaceSubrange(offset..<offset + MemoryLayout<Number>.size, with: little(number))
    }
}

/// A page that shows which one it is: its number in every word, unlike zeros also for page 0.
func page(_ number: UInt64) -> [UInt8] {
    [UInt64](repeating: (number | 0xabcd << 48).littleEndian, count: 512).withUnsafeBytes { [UInt8]($0) }
}

func pages(_ numbers: some Sequence<UInt64>) -> [UInt8] { numbers.flatMap { page($0) } }

struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }
}

// MARK: Files

/// A file in /tmp that is removed with the object.
final class Scratch {
    let path: [UInt8]

    init(_ bytes: [UInt8] = [], length: Int? = nil) {
        var name = Array("/tmp/pram-verify-test-XXXXXX\0".utf8CString)
        let number = mkstemp(&name)
        path = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        let file = FileDescriptor(adopting: number, path: path)
        bytes.withUnsafeBytes { try! file.write($0, at: 0) }
        if let length { try! file.truncate(to: UInt64(length)) }
    }

    func open(
        base: UInt64 = 0, limit: UInt64 = 1 << 30, as form: DumpFile.Form = .recognised
    ) throws(MemoryFailure) -> any PhysicalMemory {
        // The file may go as soon as it is open, but not before.
        defer { withExtendedLifetime(self) {} }
        return try DumpFile.open(path, base: base, unpackLimit: limit, as: form)
    }

    deinit { _ = withCString(path) { unlink($0) } }
}

func opened(
    _ bytes: [UInt8], base: UInt64 = 0, as form: DumpFile.Form = .recognised
) throws(MemoryFailure) -> any PhysicalMemory {
    try Scratch(bytes).open(base: base, as: form)
}

/// The failure to open these bytes, which names a way out; nil when they open.
func failure(_ bytes: [UInt8], base: UInt64 = 0) -> MemoryFailure? {
    do {
        _ = try opened(bytes, base: base)
        return nil
    } catch {
        #expect(!error.remedy.isEmpty, "no way out: \(error.message)")
        return error
    }
}

extension PhysicalMemory {
    /// Reads pages in one call; the bytes of those that are not present are given as none.
    func fetch(_ first: UInt64, _ count: Int = 1) -> [(state: PageState, bytes: [UInt8])] {
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: max(1, count) * pageSize, alignment: 4096)
        let states = UnsafeMutablePointer<PageState>.allocate(capacity: max(1, count))
        defer {
            buffer.deallocate()
            states.deallocate()
        }
        read(PFN(first), count: count, into: buffer, states: states)
        return (0..<count).map { index in
            let bytes = Array(UnsafeRawBufferPointer(start: buffer + index * pageSize, count: pageSize))
            return (states[index], states[index] == .present ? bytes : [])
        }
    }

    /// P for pages that are present with the bytes of `page(number)`, x for other bytes, - for absent, ? for
    /// unreadable. In one call and page by page; a difference shows as !.
    func survey(_ first: UInt64, _ count: Int) -> String {
        let together = fetch(first, count)
        var text = ""
        for index in 0..<count {
            let number = first &+ UInt64(index)
            let alone = fetch(number)[0]
            let mark: String =
                switch together[index].state {
                case .present: together[index].bytes == page(number) ? "P" : "x"
                case .absent: "-"
                case .unreadable: "?"
                }
            let same = alone.state == together[index].state && alone.bytes == together[index].bytes
            // Mapped pages are the same pages; and what is present is also claimed.
            var consistent = contains(PFN(number)) || alone.state != .present
            if let pointer = mapped(PFN(number)) {
                consistent = consistent && Array(UnsafeRawBufferPointer(start: pointer, count: pageSize)) == alone.bytes
            }
            text += same && consistent ? mark : "!"
        }
        return text
    }
}

// MARK: ELF cores

/// An ELF core; the defaults make a good one.
struct ElfRecipe {
    struct Segment {
        var type: UInt32 = 1
        var address: UInt64
        /// What lies in the file.
        var bytes: [UInt8]
        var memorySize: UInt64? = nil
        var fileSize: UInt64? = nil
        var offset: UInt64? = nil
    }

    var is64 = true
    var type: UInt16 = 4
    var segments: [Segment] = []
    /// Between the program headers and the first segment's bytes.
    var gap = 0
    var count: UInt16? = nil
    /// With a section header 0, whose sh_info is this.
    var sectionInfo: UInt32? = nil

    var bytes: [UInt8] {
        let entry = is64 ? 56 : 32, header = is64 ? 64 : 52, section = sectionInfo == nil ? 0 : is64 ? 64 : 40
        let table = header + section
        func word(_ number: UInt64) -> [UInt8] { is64 ? little(number) : little(UInt32(truncatingIfNeeded: number)) }

        var head: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, is64 ? 2 : 1, 1, 1] + zeros(9)
        head += little(type) + little(UInt16(62)) + little(UInt32(1))
        head += word(0) + word(UInt64(table)) + word(sectionInfo == nil ? 0 : UInt64(header))
        head += little(UInt32(0)) + little(UInt16(header)) + little(UInt16(entry))
        head += little(count ?? UInt16(segments.count)) + little(UInt16(section)) + zeros(4)
        if let sectionInfo {
            head += is64 ? zeros(44) + little(sectionInfo) + zeros(16) : zeros(28) + little(sectionInfo) + zeros(8)
        }
        var body: [UInt8] = []
        for segment in segments {
            let offset = segment.offset ?? UInt64(table + entry * segments.count + gap + body.count)
            let size = segment.fileSize ?? UInt64(segment.bytes.count)
            head += little(segment.type)
            if is64 { head += little(UInt32(0)) }
            head += word(offset) + word(0xffff_8880_0000_0000) + word(segment.address) + word(size)
            head += word(segment.memorySize ?? size)
            head += is64 ? word(0) : little(UInt32(0)) + word(0)
            body += segment.bytes
        }
        return head + zeros(gap) + body
    }
}

// MARK: kdump-compressed dumps

enum Codec { case none, zlib, zstd, lzo, snappy }

/// A kdump-compressed dump; the defaults make a good, empty one.
struct KdumpRecipe {
    struct Page {
        var codec = Codec.none
        var bytes: [UInt8]
        var offset: UInt64? = nil
        var size: UInt32? = nil
    }

    enum Width { case wide, i386, arm }

    var width = Width.wide
    var version: Int32 = 6
    var status: UInt32 = 0
    var blockSize: UInt32 = 4096
    var maxMapNumber: UInt64 = 64
    var subHeaderBlocks: UInt32 = 1
    var bitmapBlocks: UInt32 = 2
    var split: ClosedRange<UInt64>? = nil
    /// By PFN.
    var pages: [UInt64: Page] = [:]

    init(_ numbers: [UInt64: Codec] = [:]) {
        for (number, codec) in numbers { pages[number] = Page(codec: codec, bytes: page(number)) }
    }

    var bytes: [UInt8] {
        let is64 = width == .wide
        var header = Array("KDUMP   ".utf8) + little(version) + zeros(390) + zeros(is64 ? 6 + 16 : 2 + 8)
        header += little(status) + little(blockSize) + little(subHeaderBlocks) + little(bitmapBlocks)
        header += little(UInt32(clamping: maxMapNumber)) + zeros(16) + little(Int32(1))

        let start = split?.lowerBound ?? 0, end = split.map { $0.upperBound + 1 } ?? 0
        var sub = zeros(104)
        sub.put(UInt32(split == nil ? 0 : 1), at: is64 ? 12 : 8)
        if is64 {
            sub.put(version >= 6 ? UInt64(UInt32.max) : start, at: 16)
            sub.put(version >= 6 ? UInt64(UInt32.max) : end, at: 24)
        } else {
            sub.put(version >= 6 ? .max : UInt32(start), at: 12)
            sub.put(version >= 6 ? .max : UInt32(end), at: 16)
        }
        if version >= 6 {
            let at = width == .wide ? 80 : width == .i386 ? 56 : 72
            sub.put(start, at: at)
            sub.put(end, at: at + 8)
            sub.put(maxMapNumber, at: at + 16)
        }

        var bitmap = zeros(Int(bitmapBlocks / 2) * 4096)
        for number in pages.keys { bitmap[Int(number / 8)] |= 1 << (number % 8) }
        var descriptors: [UInt8] = [], data: [UInt8] = []
        let held = pages.sorted { $0.key < $1.key }.filter { split?.contains($0.key) ?? true }
        let front = (1 + Int(subHeaderBlocks) + Int(bitmapBlocks)) * 4096
        for (_, page) in held {
            let packed = page.codec.pack(page.bytes)
            descriptors += little(page.offset ?? UInt64(front + 24 * held.count + data.count))
            descriptors += little(page.size ?? UInt32(packed.count)) + little(page.codec.flag) + little(UInt64(0))
            data += packed
        }
        let exists = [UInt8](repeating: 0xff, count: bitmap.count)
        let headers = header.padded(to: 4096) + sub.padded(to: 4096 * Int(subHeaderBlocks))
        return headers + exists + bitmap + descriptors + data
    }
}

extension Codec {
    var flag: UInt32 {
        switch self {
        case .none: 0
        case .zlib: 1
        case .lzo: 2
        case .snappy: 4
        case .zstd: 0x20
        }
    }

    func pack(_ plain: [UInt8]) -> [UInt8] {
        var packed = zeros(plain.count + 1000)
        switch self {
        case .none: return plain
        case .zlib:
            var length = uLongf(packed.count)
            compress(&packed, &length, plain, uLong(plain.count))
            return Array(packed[..<Int(length)])
        case .zstd: return Array(packed[..<ZSTD_compress(&packed, packed.count, plain, plain.count, 1)])
        case .lzo, .snappy: return [1, 2, 3, 4]
        }
    }
}

// MARK: The flattened form, LiME, gzip

/// Records of the given offsets and bytes.
func flattened(_ records: [(offset: Int64, bytes: [UInt8])], end: Bool = true) -> [UInt8] {
    var file = (Array("makedumpfile\0\0\0\0".utf8) + big(Int64(1)) + big(Int64(1))).padded(to: 4096)
    for record in records { file += big(record.offset) + big(Int64(record.bytes.count)) + record.bytes }
    return end ? file + big(Int64(-1)) + big(Int64(-1)) : file
}

/// A file cut into records of `size` bytes, as a writer makes them that does not seek.
func flattened(_ bytes: [UInt8], recordSize size: Int, shuffledBy seed: UInt64? = nil) -> [UInt8] {
    var records = stride(from: 0, to: bytes.count, by: size).map {
        (offset: Int64($0), bytes: Array(bytes[$0..<min($0 + size, bytes.count)]))
    }
    if let seed {
        var generator = SplitMix(state: seed)
        records.shuffle(using: &generator)
    }
    return flattened(records)
}

func lime(_ first: UInt64, _ last: UInt64, _ bytes: [UInt8], version: UInt32 = 1) -> [UInt8] {
    Array("EMiL".utf8) + little(version) + little(first) + little(last) + zeros(8) + bytes
}

func gzip(_ plain: [UInt8]) -> [UInt8] {
    var stream = z_stream()
    let size = Int32(MemoryLayout<z_stream>.size)
    deflateInit2_(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, zlibVersion(), size)
    var input = plain
    var output = zeros(Int(deflateBound(&stream, uLong(plain.count))) + 64)
    let length = input.withUnsafeMutableBufferPointer { from in
        output.withUnsafeMutableBufferPointer { to in
            stream.next_in = from.baseAddress
            stream.avail_in = UInt32(from.count)
            stream.next_out = to.baseAddress
            stream.avail_out = UInt32(to.count)
            deflate(&stream, Z_FINISH)
            return to.count - Int(stream.avail_out)
        }
    }
    deflateEnd(&stream)
    return Array(output[..<length])
}
