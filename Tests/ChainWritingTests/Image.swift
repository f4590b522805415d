import CChecksum
import CLinux

/// 4096 bytes, compared as a whole.
struct Page: Equatable {
    var bytes: [UInt8]

    init() { bytes = [UInt8](repeating: 0, count: 4096) }
    init(_ bytes: [UInt8]) { self.bytes = bytes }

    static func == (a: Page, b: Page) -> Bool {
        a.bytes.withUnsafeBytes { a in
            b.bytes.withUnsafeBytes { b in memcmp(a.baseAddress!, b.baseAddress!, 4096) == 0 }
        }
    }

    /// crc32c of the page as the format has it: seed 0, not inverted.
    var checksum: UInt32 { bytes.withUnsafeBytes { pv_crc32c(0, $0.baseAddress, 4096) } }
}

/// A stretch of physical memory, by value.
struct Image: Equatable {
    let pages: Range<UInt64>
    private(set) var bytes: [UInt8]

    init(_ pages: Range<UInt64>) {
        self.pages = pages
        bytes = [UInt8](repeating: 0, count: pages.count * 4096)
    }

    init(_ pages: Range<UInt64>, copying base: UnsafeRawPointer) {
        self.pages = pages
        bytes = Array(UnsafeRawBufferPointer(start: base, count: pages.count * 4096))
    }

    static func == (a: Image, b: Image) -> Bool {
        a.pages == b.pages
            && a.bytes.withUnsafeBytes { x in
                b.bytes.withUnsafeBytes { memcmp(x.baseAddress!, $0.baseAddress!, x.count) == 0 }
            }
    }

    private func offset(_ page: UInt64) -> Int {
        precondition(pages.contains(page))
        return Int(page - pages.lowerBound) * 4096
    }

    subscript(page: UInt64) -> Page {
        get {
            let start = offset(page)
            return bytes.withUnsafeBytes { Page(Array($0[start..<start + 4096])) }
        }
        set { put(newValue.bytes, at: page) }
    }

    /// Whole pages.
    mutating func put(_ source: [UInt8], at page: UInt64) {
        let start = offset(page)
        bytes.withUnsafeMutableBytes { target in
            source.withUnsafeBytes { _ = memcpy(target.baseAddress! + start, $0.baseAddress!, $0.count) }
        }
    }

    func load<Number: FixedWidthInteger>(_ page: UInt64, _ place: Int, as type: Number.Type = Number.self) -> Number {
        let start = offset(page) + place
        return bytes.withUnsafeBytes { Number(littleEndian: $0.loadUnaligned(fromByteOffset: start, as: Number.self)) }
    }

    mutating func store<Number: FixedWidthInteger>(_ number: Number, _ page: UInt64, _ place: Int) {
        let start = offset(page) + place
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: number.littleEndian, toByteOffset: start, as: Number.self) }
    }

    mutating func flip(_ page: UInt64, bit: Int) { bytes[offset(page) + bit / 8] ^= 1 << UInt8(bit % 8) }

    func pageChecksum(_ page: UInt64) -> UInt32 {
        let start = offset(page)
        return bytes.withUnsafeBytes { pv_crc32c(0, $0.baseAddress! + start, 4096) }
    }

    /// crc32 of all but the magic and the checksum itself: seed 0, not inverted.
    func linkChecksum(_ page: UInt64) -> UInt32 {
        let start = offset(page)
        return bytes.withUnsafeBytes { pv_crc32(0, $0.baseAddress! + start + 8, 4088) }
    }
}

// For messages of tests that fail: not the bytes one by one.
extension Page: CustomStringConvertible {
    var description: String { "page with checksum \(String(checksum, radix: 16))" }
}
extension Page: CustomReflectable { var customMirror: Mirror { Mirror(self, children: []) } }
extension Image: CustomStringConvertible { var description: String { "pages \(pages)" } }
extension Image: CustomReflectable { var customMirror: Mirror { Mirror(self, children: []) } }
