/// A set of 64-bit numbers that mostly lie close together (PFNs in use, page indexes of a file): bits in chunks of 512,
/// found through a hash table. Its memory grows with what is put in, never with how large the numbers are: 0.15 bytes a
/// number where they are dense, at most about 200 bytes where every one lies alone.
public struct SparseSet {
    private static let wordsPerChunk = 8
    private var keys: [UInt64] = []
    /// The chunk of each key, plus one; 0 is a free slot. Always a power of two of them.
    private var chunks: [UInt32] = []
    private var words: [UInt64] = []
    private var used = 0
    private var lastKey = UInt64.max
    private var lastChunk = 0

    public init() {}

    public var isEmpty: Bool { used == 0 }

    /// - Returns: false when the number was there already.
    public mutating func insert(_ number: UInt64) -> Bool {
        let key = number >> 9
        if key != lastKey || used == 0 {
            lastChunk = chunk(for: key)
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
        var slot = SparseSet.hash(key) & (chunks.count - 1)
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
        self = SparseSet()
    }

    private static func hash(_ key: UInt64) -> Int {
        Int(truncatingIfNeeded: (key &* 0x9e37_79b9_7f4a_7c15) >> 20)
    }

    private mutating func chunk(for key: UInt64) -> Int {
        if (used + 1) * 2 > chunks.count { grow() }
        var slot = SparseSet.hash(key) & (chunks.count - 1)
        while chunks[slot] != 0 {
            if keys[slot] == key { return Int(chunks[slot] - 1) }
            slot = (slot + 1) & (chunks.count - 1)
        }
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
            var slot = SparseSet.hash(oldKeys[i]) & (size - 1)
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
    private var others = SparseSet()
    private(set) var count: UInt64 = 0

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
