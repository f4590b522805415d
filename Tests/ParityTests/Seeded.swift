import Foundation

/// Random numbers that come again: a failure names its seed.
struct Seeded: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: Int) { state = UInt64(seed) &* 0x9e37_79b9_7f4a_7c15 | 1 }

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state &* 0x2545_f491_4f6c_dd1d
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 7)
        while bytes.count < count {
            var word = next()
            for _ in 0..<8 {
                bytes.append(UInt8(truncatingIfNeeded: word))
                word >>= 8
            }
        }
        return Array(bytes[..<count])
    }
}

/// Seeds for a test: as many as usual, or as PRAM_TEST_SEEDS in the environment says.
func seeds(_ usual: Int) -> Range<Int> {
    let wanted = ProcessInfo.processInfo.environment["PRAM_TEST_SEEDS"].flatMap { Int($0) }
    return 0..<max(1, wanted ?? usual)
}

/// The product in the field by its definition: polynomials multiplied, then divided by 0x11d, as at school.
func definedProduct(_ a: UInt8, _ b: UInt8) -> UInt8 {
    var product: UInt16 = 0
    for bit in 0..<8 where b >> UInt8(bit) & 1 == 1 { product ^= UInt16(a) << UInt16(bit) }
    for bit in stride(from: 14, through: 8, by: -1) where product >> UInt16(bit) & 1 == 1 {
        product ^= 0x11d << UInt16(bit - 8)
    }
    return UInt8(product)
}

/// All products, so that the definition can be used for pages.
let definedProducts: [[UInt8]] = (0...255).map { a in (0...255).map { b in definedProduct(UInt8(a), UInt8(b)) } }
