/// The field of 256 elements, bytes: polynomials over {0, 1} modulo x^8 + x^4 + x^3 + x^2 + 1 (0x11d). Sums are XOR.
///
/// x (2) has order 255 there, so every element but 0 is a power of it, and products are sums of exponents. This is for
/// the few numbers in matrices; pages are multiplied in C.
public struct GaloisField: Sendable {
    public static let polynomial: UInt16 = 0x11d

    /// powers[n] is x^n, for n up to twice the order, so that two exponents need not be reduced.
    private var powers: [UInt8]
    /// exponents[a] is the n with x^n = a; that of 0 means nothing.
    private var exponents: [UInt8]

    public init() {
        powers = [UInt8](repeating: 0, count: 510)
        exponents = [UInt8](repeating: 0, count: 256)
        var power: UInt16 = 1
        for n in 0..<255 {
            powers[n] = UInt8(power)
            powers[n + 255] = UInt8(power)
            exponents[Int(power)] = UInt8(n)
            power <<= 1
            if power > 255 { power ^= GaloisField.polynomial }
        }
    }

    public func product(_ a: UInt8, _ b: UInt8) -> UInt8 {
        a == 0 || b == 0 ? 0 : powers[Int(exponents[Int(a)]) + Int(exponents[Int(b)])]
    }

    /// 1 / a; nil for 0.
    public func inverse(_ a: UInt8) -> UInt8? { a == 0 ? nil : powers[255 - Int(exponents[Int(a)])] }
}
