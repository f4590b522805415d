/// A set of 64-bit numbers that mostly lie close together (PFNs in use, page indexes of a file): bits in chunks of 512,
/// found through a hash table. Its memory grows with what is put in, never with how large the numbers are: 0.15 bytes a
/// number where they are dense, at most about 200 bytes where every one lies alone, and never more than some 400 MiB.
public struct SparseSet {
    /// More chunks than this are not kept: numbers that lie close together reach 4 TiB of pages, and numbers that
    /// somebody has picked to lie as far apart as can be end here.
    public static let chunkLimit = 1 << 21

    private static let wordsPerChunk = 8
    private let hash: SeededHash
    private let limit: Int
    private var keys: [UInt64] = []
    /// The chunk of each key, plus one; 0 is a free slot. Always a power of two of them.
    private var chunks: [UInt32] = []
    private var words: [UInt64] = []
    private var used = 0
    /// No number has the key that stands here at first: keys have 55 bits.
    private var lastKey = UInt64.max
    private var lastChunk = 0

    /// Numbers that were not taken in for want of room; never more than 2^64 - 1.
    public private(set) var omitted: UInt64 = 0

    /// - Parameter seed: see `SeededHash`. The numbers come from memory, and whoever can foresee where they go in the
    ///   table makes each of them meet all others.
    public init(seed: UInt64) { self.init(seed: seed, chunkLimit: SparseSet.chunkLimit) }

    init(seed: UInt64, chunkLimit: Int) {
        hash = SeededHash(seed: seed)
        limit = chunkLimit
    }

    public var isEmpty: Bool { used == 0 }

    /// Whether numbers are missing since there was no room for them: then `false` of `contains` means nothing.
    public var isIncomplete: Bool { omitted > 0 }

    /// - Returns: false when the number was there already. One for which there is no room counts as new, and in
    ///   `omitted`.
    public mutating func insert(_ number: UInt64) -> Bool {
        let key = number >> 9
        if key != lastKey {
            guard let chunk = chunk(for: key) else {
                if omitted < .max { omitted += 1 }
                return true
            }
            lastChunk = chunk
            lastKey = key
        }
        let word = lastChunk * SparseSet.wordsPerChunk + Int(number >> 6 & 7)
        let bit = UInt64(1) << (number & 63)
        if words[word] & bit != 0 { return false }
        words[word] |= bit
        return true
    }

    public func contains(_ number: UInt64) -> Bool {
        guard used > 0 else { return false }
        let key = number >> 9
        var slot = place(of: key, among: chunks.count)
        while chunks[slot] != 0 {
            if keys[slot] == key {
                let word = Int(chunks[slot] - 1) * SparseSet.wordsPerChunk + Int(number >> 6 & 7)
                return words[word] & (UInt64(1) << (number & 63)) != 0
            }
            slot = (slot + 1) & (chunks.count - 1)
        }
        return false
    }

    public mutating func removeAll() {
        guard used > 0 else { return }
        keys = []
        chunks = []
        words = []
        used = 0
        lastKey = .max
        lastChunk = 0
        omitted = 0
    }

    private func place(of key: UInt64, among count: Int) -> Int {
        Int(truncatingIfNeeded: hash(key)) & (count - 1)
    }

    /// nil where there is none yet, and no room for it.
    private mutating func chunk(for key: UInt64) -> Int? {
        if (used + 1) * 2 > chunks.count { grow() }
        var slot = place(of: key, among: chunks.count)
        while chunks[slot] != 0 {
            if keys[slot] == key { return Int(chunks[slot] - 1) }
            slot = (slot + 1) & (chunks.count - 1)
        }
        guard used < limit else { return nil }
        keys[slot] = key
        used += 1
        chunks[slot] = UInt32(used)
        for _ in 0..<SparseSet.wordsPerChunk { words.append(0) }
        return used - 1
    }

    private mutating func grow() {
        let oldKeys = keys, oldChunks = chunks
        let size = max(16, oldChunks.count * 2)
        keys = [UInt64](repeating: 0, count: size)
        chunks = [UInt32](repeating: 0, count: size)
        for (i, chunk) in oldChunks.enumerated() where chunk != 0 {
            var slot = place(of: oldKeys[i], among: size)
            while chunks[slot] != 0 { slot = (slot + 1) & (size - 1) }
            keys[slot] = oldKeys[i]
            chunks[slot] = chunk
        }
    }
}

/// The page indexes seen of one file, each allowed once. Indexes mostly come in ascending order without gaps, so such a
/// beginning is kept as one number.
struct IndexesSeen {
    private var first: UInt64 = 0
    private var end: UInt64 = 0
    private var others: SparseSet
    private(set) var count: UInt64 = 0

    init(seed: UInt64, chunkLimit: Int = SparseSet.chunkLimit) {
        others = SparseSet(seed: seed, chunkLimit: chunkLimit)
    }

    /// Whether there were more of them, and farther apart, than are kept.
    var isIncomplete: Bool { others.isIncomplete }

    /// - Returns: false when the index was seen before.
    mutating func insert(_ index: UInt64) -> Bool {
        if count == 0 {
            first = index
            end = index
        }
        if index >= first && index < end { return false }
        if index == end && end < .max && (others.isEmpty || !others.contains(index)) {
            end += 1
        } else if !others.insert(index) {
            return false
        }
        count += 1
        return true
    }
}
