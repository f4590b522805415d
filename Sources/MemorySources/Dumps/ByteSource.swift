import Linux
import Machine
import Text

/// The bytes of a dump at random access: those of a plain file, or those that a flattened one stands for. Any thread
/// may read: there is no position, and no buffer outlives its call.
protocol ByteSource: AnyObject {
    /// In bytes.
    var size: UInt64 { get }
    /// The file as it was named to the program, escaped.
    var name: String { get }

    /// Reads up to `destination.count` bytes.
    /// - Returns: how many; fewer only where the bytes end, or where the file has shrunk since it was opened.
    func read(at offset: UInt64, into destination: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int

    /// The bytes where they are mapped; nil where they are not, or not that many.
    func mapped(at offset: UInt64, count: Int) -> UnsafeRawPointer?

    /// Up to where, from `offset` on, all bytes are known to be zeros without reading them: the end of a hole, `size`
    /// when nothing else follows, `offset` itself when nothing is known.
    func endOfHole(at offset: UInt64) -> UInt64
}

extension ByteSource {
    /// Up to `count` bytes, fewer where they end: for headers.
    func bytes(at offset: UInt64, count: Int) throws(MemoryFailure) -> Bytes {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
        defer { buffer.deallocate() }
        do {
            return Bytes([UInt8](buffer[..<(try read(at: offset, into: buffer))]))
        } catch {
            throw MemoryFailure(
                .inputOutput, source: name, "\(error.call) at offset \(offset): \(error.reason)",
                remedy: "copy it with ddrescue, which passes over what cannot be read")
        }
    }
}

/// A plain file.
final class FileSource: ByteSource {
    let file: FileDescriptor
    let size: UInt64
    let name: String
    /// Holds the mapping for as long as the source lives.
    private let mapping: Mapping?
    private let mappedBase: UnsafeRawPointer?
    private let tellsHolesExactly: Bool

    /// - Parameters:
    ///   - size: in bytes, as its file system tells.
    ///   - mappable: whether to map the whole of it. Where that fails (`ulimit -v`), it is read.
    init(_ file: consuming FileDescriptor, size: UInt64, name: String, mappable: Bool) {
        if mappable, size > 0, let count = Int(exactly: size),
            let mapping = try? Mapping(file, offset: 0, count: count)
        {
            mappedBase = UnsafeRawPointer(mapping.base)
            self.mapping = consume mapping
        } else {
            mappedBase = nil
            mapping = nil
        }
        tellsHolesExactly = file.tellsHolesExactly
        self.file = file
        self.size = size
        self.name = name
    }

    func read(at offset: UInt64, into destination: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
        guard offset < size else { return 0 }
        let count = min(destination.count, Int(clamping: size - offset))
        return try file.read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: destination[..<count]))
    }

    func mapped(at offset: UInt64, count: Int) -> UnsafeRawPointer? {
        guard let mappedBase, offset <= size, size - offset >= UInt64(count) else { return nil }
        return mappedBase + Int(offset)
    }

    func endOfHole(at offset: UInt64) -> UInt64 {
        guard tellsHolesExactly else { return offset }
        return max(offset, min(file.nextData(from: offset) ?? size, size))
    }
}

/// A few bytes and the numbers in them. Fields that the bytes do not hold in full read as nil, never as something else.
struct Bytes {
    let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var count: Int { bytes.count }

    // Little-endian numbers at byte offsets.
    func u8(_ offset: Int) -> UInt8? { load(offset) }
    func u16(_ offset: Int) -> UInt16? { load(offset).map { UInt16(littleEndian: $0) } }
    func u32(_ offset: Int) -> UInt32? { load(offset).map { UInt32(littleEndian: $0) } }
    func u64(_ offset: Int) -> UInt64? { load(offset).map { UInt64(littleEndian: $0) } }

    /// A number of 64 or of 32 bits, as the machine's words are, at the offset that goes with them.
    func word(_ offset64: Int, _ offset32: Int, _ is64: Bool) -> UInt64? {
        is64 ? u64(offset64) : u32(offset32).map { UInt64($0) }
    }

    /// A big-endian number, as flattened dumps have them.
    func bigEndian(_ offset: Int) -> Int64? { load(offset).map { Int64(bigEndian: $0) } }

    func begins(with magic: StaticString) -> Bool {
        guard count >= magic.utf8CodeUnitCount else { return false }
        return magic.withUTF8Buffer { $0.elementsEqual(bytes[..<$0.count]) }
    }

    private func load<Number: FixedWidthInteger>(_ offset: Int) -> Number? {
        guard offset >= 0, offset <= count - MemoryLayout<Number>.size else { return nil }
        return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Number.self) }
    }
}
