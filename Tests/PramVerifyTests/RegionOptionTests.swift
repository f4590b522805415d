import PRAM
import Testing

@testable import PramVerify

@Suite struct RegionOptionTests {
    @Test(
        arguments: [
            ("0x10000000+16M", 0x1000_0000, 16 << 20), ("268435456+4096", 0x1000_0000, 4096), ("1G+010", 1 << 30, 8),
            ("0+1", 0, 1), ("0xffffffffffffffff+1", .max, 1),
        ] as [(String, UInt64, UInt64)])
    func regionsAreRead(_ text: String, _ start: UInt64, _ size: UInt64) throws {
        #expect(try PhysicalRange(region: Array(text.utf8)) == PhysicalRange(start: start, size: size))
    }

    @Test(arguments: [
        "", "+", "0x10000000", "0x10000000+", "+16M", "0x10000000-16M", "0x10000000+16M+1", "0x10000000 +16M",
        "0x10000000+ 16M", "0x10000000+0", "0xffffffffffffffff+2", "99999999999999999999+1", "1+99999999999999999999",
        "16E+1", "1+16E", "M+1", "1+M", "0x10000000+-1", "0x10000000$16M", "1+1\n",
    ])
    func otherTextIsNoRegion(_ text: String) {
        #expect(throws: UsageError.self) { try PhysicalRange(region: Array(text.utf8)) }
    }
}
