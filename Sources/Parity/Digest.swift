/// Numbers of 64 bits that tell whether something is the same as before. They find accidents, not intent.
enum Digest {
    /// A permutation of all 64-bit numbers that spreads every bit (the last step of the SplitMix64 generator).
    static func mixed(_ number: UInt64) -> UInt64 {
        var x = number
        x = (x ^ x >> 30) &* 0xbf58_476d_1ce4_e5b9
        x = (x ^ x >> 27) &* 0x94d0_49bb_1331_11eb
        return x ^ x >> 31
    }

    /// d = mixed(d + 0x9e3779b97f4a7c15 ^ word), for all little-endian words of the page from byte `offset` on, d
    /// starting with `seed`. As every step is a permutation of d and of the word, a change of one word is always seen.
    static func ofPage(_ page: [UInt8], from offset: Int, seed: UInt64) -> UInt64 {
        var digest = seed
        for place in stride(from: offset, to: page.count - 7, by: 8) {
            digest = mixed((digest &+ 0x9e37_79b9_7f4a_7c15) ^ page.word(at: place))
        }
        return digest
    }
}

/// Binds parity to the pages that it was made of: the sum, modulo 2^64, of mixed(mixed(pfn) ^ csum) over all of them,
/// in any order. One page number or one checksum that differs is always seen, several that
/// differ are overlooked once in 2^64.
public struct ProtectedDigest: Equatable, Sendable {
    public private(set) var value: UInt64 = 0
    public private(set) var count = 0

    public init() {}

    public mutating func add(page: UInt64, checksum: UInt32) {
        value &+= Digest.mixed(Digest.mixed(page) ^ UInt64(checksum))
        count += 1
    }

    /// Adds all that another one is of.
    public mutating func add(_ other: ProtectedDigest) {
        value &+= other.value
        count += other.count
    }
}

extension [UInt8] {
    /// Little-endian numbers; offsets are constants of the format, never input.
    func word(at offset: Int) -> UInt64 {
        var word: UInt64 = 0
        for i in 0..<8 { word |= UInt64(self[offset + i]) << (8 * UInt64(i)) }
        return word
    }

    mutating func store(_ word: UInt64, at offset: Int) {
        for i in 0..<8 { self[offset + i] = UInt8(truncatingIfNeeded: word >> (8 * UInt64(i))) }
    }
}
