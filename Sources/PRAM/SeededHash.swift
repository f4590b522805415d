/// A hash whose values nobody can foresee who does not know the seed, so that nobody can prepare numbers or names that
/// meet in a table. Swift's own Hasher is not for this program: it asks the kernel for randomness in a way that may
/// wait, and early in a boot it waits long.
///
/// SipHash with one round a word and three at the end (Aumasson and Bernstein, 2012), which is enough for tables. The
/// two halves of the key are made from one 64-bit seed.
public struct SeededHash: Sendable {
    private let first: UInt64
    private let second: UInt64

    /// - Parameter seed: any number that nobody can foresee; with 0 the hash is no more than a hash.
    public init(seed: UInt64) {
        // The second half only has to depend on the first in a way that no step of the hash undoes.
        self.init(key: (seed, (seed ^ seed >> 32) &* 0xd6e8_feb8_6659_fd93))
    }

    init(key: (UInt64, UInt64)) {
        first = key.0
        second = key.1
    }

    public func callAsFunction(_ number: UInt64) -> UInt64 {
        var state = State(first, second)
        state.take(number)
        return state.finish(count: 8)
    }

    public func callAsFunction(_ bytes: [UInt8]) -> UInt64 {
        var state = State(first, second)
        var word: UInt64 = 0
        for (place, byte) in bytes.enumerated() {
            word |= UInt64(byte) << UInt64((place & 7) * 8)
            if place & 7 == 7 {
                state.take(word)
                word = 0
            }
        }
        return state.finish(count: bytes.count, rest: word)
    }

    private struct State {
        private var a: UInt64
        private var b: UInt64
        private var c: UInt64
        private var d: UInt64

        init(_ first: UInt64, _ second: UInt64) {
            a = first ^ 0x736f_6d65_7073_6575
            b = second ^ 0x646f_7261_6e64_6f6d
            c = first ^ 0x6c79_6765_6e65_7261
            d = second ^ 0x7465_6462_7974_6573
        }

        mutating func take(_ word: UInt64) {
            d ^= word
            mix()
            a ^= word
        }

        /// - Parameter rest: the bytes that do not fill a word, the first one lowest.
        mutating func finish(count: Int, rest: UInt64 = 0) -> UInt64 {
            take(UInt64(truncatingIfNeeded: count) << 56 | rest)
            c ^= 0xff
            for _ in 0..<3 { mix() }
            return a ^ b ^ c ^ d
        }

        private mutating func mix() {
            a = a &+ b
            b = State.rotated(b, 13) ^ a
            a = State.rotated(a, 32)
            c = c &+ d
            d = State.rotated(d, 16) ^ c
            a = a &+ d
            d = State.rotated(d, 21) ^ a
            c = c &+ b
            b = State.rotated(b, 17) ^ c
            c = State.rotated(c, 32)
        }

        private static func rotated(_ word: UInt64, _ bits: UInt64) -> UInt64 { word << bits | word >> (64 - bits) }
    }
}
