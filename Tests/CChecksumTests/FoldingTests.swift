import CChecksum
import Testing

/// Do the constants in the kernels follow from the polynomials?
@Suite struct FoldingTests {
    static let constants = (0..<pv_crc_constant_count()).map(pv_crc_constant_at)

    @Test func everyConstantIsAPowerOfX() {
        for constant in Self.constants {
            let (quotient, remainder) = divided(powerOfX: constant.exponent, by: constant.polynomial)
            let expected = constant.quotient ? reflected(quotient, bits: 33) : reflected(remainder, bits: 32)
            #expect(constant.value == expected, "x^\(constant.exponent), P = \(constant.polynomial)")
        }
    }

    /// Two for each distance, two for the streams, two for the end.
    @Test(arguments: [Definition.crc32c, .crc32])
    func theExponentsFollowFromTheDistances(_ definition: Definition) {
        let distances: [UInt32] = [16, 32, 64, 128, 256, 512].map { $0 * 8 }
        let stream: UInt32 = 1360 * 8
        let folding: [UInt32] = distances.flatMap { distance -> [UInt32] in [distance + 31, distance - 33] }
        let actual = Self.constants.filter { $0.polynomial == definition.polynomial }.map(\.exponent)
        #expect(actual == folding + [stream - 33, 2 * stream - 33, 63, 64])
    }

    /// x^exponent divided by P, by the school's long division; the quotient's lowest 64 bits.
    func divided(powerOfX exponent: UInt32, by polynomial: UInt32) -> (quotient: UInt64, remainder: UInt64) {
        let divisor = 1 << 32 | reflected(UInt64(polynomial), bits: 32)
        var quotient: UInt64 = 0
        var remainder: UInt64 = 1
        for _ in 0..<exponent {
            remainder <<= 1
            quotient <<= 1
            if remainder >> 32 == 1 {
                remainder ^= divisor
                quotient |= 1
            }
        }
        return (quotient, remainder)
    }

    /// The lowest bits in the opposite order.
    func reflected(_ value: UInt64, bits: Int) -> UInt64 {
        (0..<bits).reduce(0) { $0 | (value >> $1 & 1) << (bits - 1 - $1) }
    }
}
