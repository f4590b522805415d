import Foundation

/// Random numbers that come again with their seed, so that a failing case can be named.
struct Dice: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: Int) { state = UInt64(truncatingIfNeeded: seed) &* 0x2545_f491_4f6c_dd1d &+ 0x9e37_79b9 }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }

    mutating func roll(_ range: Range<Int>) -> Int { range.lowerBound + Int(next() % UInt64(range.count)) }
    mutating func roll(_ range: ClosedRange<Int>) -> Int { roll(range.lowerBound..<range.upperBound + 1) }
    /// True once in so many times.
    mutating func once(in count: Int) -> Bool { next() % UInt64(count) == 0 }
    mutating func pick<Element>(_ choices: [Element]) -> Element { choices[roll(0..<choices.count)] }

    /// A page that no other call returns.
    mutating func page() -> Page {
        let start = roll(0..<Dice.pool.count - 4096)
        var bytes = Array(Dice.pool[start..<start + 4096])
        let number = next()
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: number, toByteOffset: 2000, as: UInt64.self) }
        return Page(bytes)
    }

    private static let pool: [UInt8] = {
        var dice = Dice(0)
        let words = (0..<1 << 13).map { _ in dice.next() }
        return words.withUnsafeBytes { Array($0) }
    }()
}

/// Seeds for a test: as many as usual, or as PRAM_TEST_SEEDS in the environment says.
func seeds(_ usual: Int) -> Range<Int> {
    let wanted = ProcessInfo.processInfo.environment["PRAM_TEST_SEEDS"].flatMap { Int($0) }
    return 0..<max(1, wanted ?? usual)
}
