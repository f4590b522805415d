import CChecksum
import Testing

@testable import PRAM

/// A reflected CRC bit by bit, seed 0, not inverted: the definition itself.
func crcByDefinition(_ bytes: some Sequence<UInt8>, _ polynomial: UInt32) -> UInt32 {
    var crc: UInt32 = 0
    for byte in bytes {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 1 ? polynomial : 0) }
    }
    return crc
}

@Suite struct ChecksumTests {
    private let digits = Array("123456789".utf8)

    @Test func checkValues() {
        #expect(crcByDefinition(digits, 0xedb8_8320) == 0x2dfd_2d88)
        #expect(crcByDefinition(digits, 0x82f6_3b78) == 0x58e3_fa20)
        #expect(pv_crc32(0, digits, digits.count) == 0x2dfd_2d88)
        #expect(pv_crc32c(0, digits, digits.count) == 0x58e3_fa20)
    }

    @Test func aPageOfZerosHasChecksumZero() {
        #expect(PageBytes().pageChecksum == 0)
        #expect(PageBytes().linkChecksum == 0)
        #expect(PageBytes().isZero)
    }

    @Test func pageChecksumCoversAllBytes() {
        var numbers = SeededNumbers(1)
        let page = PageBytes((0..<4096).map { _ in UInt8.random(in: 0...255, using: &numbers) })
        #expect(page.pageChecksum == crcByDefinition(page.bytes, 0x82f6_3b78))
        for offset in [0, 1, 7, 8, 271, 272, 2048, 4094, 4095] {
            var changed = page
            changed[offset] ^= 1
            #expect(changed.pageChecksum != page.pageChecksum)
        }
    }

    @Test func linkChecksumCoversAllButMagicAndChecksum() {
        var numbers = SeededNumbers(2)
        let page = PageBytes((0..<4096).map { _ in UInt8.random(in: 0...255, using: &numbers) })
        #expect(page.linkChecksum == crcByDefinition(page.bytes[8...], 0xedb8_8320))
        for offset in 0..<8 {
            var changed = page
            changed[offset] ^= 0x80
            #expect(changed.linkChecksum == page.linkChecksum)
        }
        for offset in [8, 11, 12, 15, 16, 24, 4079, 4080, 4095] {
            var changed = page
            changed[offset] ^= 1
            #expect(changed.linkChecksum != page.linkChecksum)
        }
    }

    @Test func pageBytesTakeNoMoreThanAPage() {
        let page = PageBytes([UInt8](repeating: 9, count: 5000))
        #expect(page.bytes.count == 4096)
        #expect(PageBytes([1, 2]).bytes[..<4] == [1, 2, 0, 0])
        #expect(!PageBytes([0, 0, 1]).isZero)
        var last = PageBytes()
        last[4095] = 1
        #expect(!last.isZero)
    }
}
