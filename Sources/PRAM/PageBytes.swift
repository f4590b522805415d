import CChecksum

/// The bytes of one page, held by value: exactly 4096, whatever they mean.
public struct PageBytes: Sendable {
    public private(set) var bytes: [UInt8]

    /// A page of zeros.
    public init() { bytes = [UInt8](repeating: 0, count: pageSize) }

    /// Takes up to 4096 bytes and fills up with zeros.
    public init(_ start: some Sequence<UInt8>) {
        self.init()
        let copied: Void? = start.withContiguousStorageIfAvailable { source in
            unsafe bytes.withUnsafeMutableBytes { unsafe $0.copyBytes(from: source.prefix(pageSize)) }
        }
        guard copied == nil else { return }
        var place = 0
        for byte in start where place < pageSize {
            bytes[place] = byte
            place += 1
        }
    }

    /// Reads the page from memory.
    public init(_ page: PFN, of memory: any PhysicalMemory, state: inout PageState) {
        var content = [UInt8](repeating: 0, count: pageSize)
        unsafe content.withUnsafeMutableBytes {
            unsafe memory.read(page, count: 1, into: $0.baseAddress!, states: &state)
        }
        bytes = content
    }

    /// Takes 4096 bytes into the room that it has.
    @unsafe public mutating func take(_ page: UnsafeRawPointer) {
        unsafe bytes.withUnsafeMutableBytes { unsafe $0.baseAddress!.copyMemory(from: page, byteCount: pageSize) }
    }

    public subscript(_ offset: Int) -> UInt8 {
        get { bytes[offset] }
        set { bytes[offset] = newValue }
    }

    /// Little-endian numbers; offsets are constants of the format, never input.
    func u32(at offset: Int) -> UInt32 {
        unsafe bytes.withUnsafeBytes {
            unsafe UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        }
    }

    func u64(at offset: Int) -> UInt64 {
        unsafe bytes.withUnsafeBytes {
            unsafe UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
    }

    mutating func store(_ number: UInt32, at offset: Int) {
        for i in 0..<4 { bytes[offset + i] = UInt8(truncatingIfNeeded: number >> (8 * UInt32(i))) }
    }

    mutating func store(_ number: UInt64, at offset: Int) {
        for i in 0..<8 { bytes[offset + i] = UInt8(truncatingIfNeeded: number >> (8 * UInt64(i))) }
    }

    mutating func store(_ source: [UInt8], at offset: Int) {
        for (i, byte) in source.enumerated() { bytes[offset + i] = byte }
    }

    public var isZero: Bool { isZero(from: 0) }

    /// Whether the bytes from this offset to the end of the page are zero.
    func isZero(from offset: Int) -> Bool {
        for byte in bytes[offset...] where byte != 0 { return false }
        return true
    }

    /// The checksum of META and DATA pages: crc32c of all 4096 bytes, seed 0, not inverted (the RFC's use of the
    /// kernel's `crc32c`). A page of zeros has checksum 0.
    public var pageChecksum: UInt32 {
        unsafe bytes.withUnsafeBytes { unsafe pv_crc32c(0, $0.baseAddress, $0.count) }
    }

    /// The checksum of links: crc32 of bytes 8...4095, seed 0, not inverted. Magic and checksum words are not covered.
    public var linkChecksum: UInt32 {
        unsafe bytes.withUnsafeBytes { unsafe pv_crc32(0, $0.baseAddress! + 8, $0.count - 8) }
    }
}
