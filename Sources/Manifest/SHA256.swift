/// SHA-256 (FIPS 180-4) of short texts, and HMAC with it (RFC 2104). Here to hash a machine's name for itself and for
/// nothing else: it is neither fast nor hardened.
enum SHA256 {
    /// The first 32 bits of the fractions of the cube roots of the first 64 primes, and of the square roots of the
    /// first eight. Derived, as constants that nobody can mistype.
    private static let (rounds, start): ([UInt32], [UInt32]) = {
        var primes: [UInt64] = []
        var candidate: UInt64 = 2
        while primes.count < 64 {
            if !primes.contains(where: { candidate % $0 == 0 }) { primes.append(candidate) }
            candidate += 1
        }
        return (
            primes.map { fraction(of: $0, power: 3) }, primes.prefix(8).map { fraction(of: $0, power: 2) }
        )
    }()

    /// The first 32 bits behind the point of a root: the low half of the largest x with x^power <= n * 2^(32 * power).
    private static func fraction(of number: UInt64, power: Int) -> UInt32 {
        var root: UInt64 = 0
        for bit in (0..<36).reversed() {
            let next = root | 1 << UInt64(bit)
            if fits(next, number, power) { root = next }
        }
        return UInt32(truncatingIfNeeded: root)
    }

    /// Whether x^power <= n * 2^(32 * power), for x below 2^36 and n below 2^9: in 128 bits.
    private static func fits(_ x: UInt64, _ number: UInt64, _ power: Int) -> Bool {
        let square = x.multipliedFullWidth(by: x)
        if power == 2 { return square.high < number || square.high == number && square.low == 0 }
        // (high * 2^64 + low) * x, compared with number * 2^96.
        let low = square.low.multipliedFullWidth(by: x)
        let (middle, carry) = (square.high &* x).addingReportingOverflow(low.high)
        let limit = number << 32
        if carry || middle > limit { return false }
        return middle < limit || low.low == 0
    }

    static func digest(_ message: [UInt8]) -> [UInt8] {
        var text = message
        text.append(0x80)
        while text.count % 64 != 56 { text.append(0) }
        for shift in stride(from: 56, through: 0, by: -8) {
            text.append(UInt8(truncatingIfNeeded: (UInt64(message.count) &* 8) >> UInt64(shift)))
        }
        var state = start
        for block in stride(from: 0, to: text.count, by: 64) { mix(text[block..<block + 64], into: &state) }
        var digest: [UInt8] = []
        for word in state {
            for shift: UInt32 in [24, 16, 8, 0] { digest.append(UInt8(truncatingIfNeeded: word >> shift)) }
        }
        return digest
    }

    private static func mix(_ block: ArraySlice<UInt8>, into state: inout [UInt32]) {
        var words: [UInt32] = []
        for at in stride(from: block.startIndex, to: block.endIndex, by: 4) {
            words.append(block[at..<at + 4].reduce(0) { $0 << 8 | UInt32($1) })
        }
        for index in 16..<64 {
            let (early, late) = (words[index - 15], words[index - 2])
            let small = turned(early, 7) ^ turned(early, 18) ^ early >> 3
            let large = turned(late, 17) ^ turned(late, 19) ^ late >> 10
            words.append(words[index - 16] &+ small &+ words[index - 7] &+ large)
        }
        var now = state
        for index in 0..<64 {
            let (a, e) = (now[0], now[4])
            let choice = (e & now[5]) ^ (~e & now[6])
            let majority = (a & now[1]) ^ (a & now[2]) ^ (now[1] & now[2])
            let first =
                now[7] &+ (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) &+ choice &+ rounds[index] &+ words[index]
            let second = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) &+ majority
            now = [first &+ second, a, now[1], now[2], now[3] &+ first, e, now[5], now[6]]
        }
        for index in 0..<8 { state[index] = state[index] &+ now[index] }
    }

    private static func turned(_ word: UInt32, _ count: UInt32) -> UInt32 { word >> count | word << (32 - count) }

    /// - Parameter key: at most 64 bytes.
    static func authentication(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
        let padded = key + [UInt8](repeating: 0, count: max(0, 64 - key.count))
        return digest(padded.map { $0 ^ 0x5c } + digest(padded.map { $0 ^ 0x36 } + message))
    }
}
