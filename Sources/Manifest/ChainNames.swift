/// The names that the files of a tree have in the chain, which is flat: 1 to 255 bytes, no two equal, none with a
/// slash, none `.` or `..`.
///
/// Files in the top directory keep their names. A deeper one is named after its path, with `%` in place of each slash,
/// and where it would be too long, with `%..%` in place of its middle. What is taken already gets `~2`, `~3` and so on
/// at its end. Which names come out depends on the names of the top directory and the order of the others alone.
public struct ChainNames {
    /// The manifest's own name in the chain. A user's file of that name, in the top directory, is named as if it lay
    /// deeper.
    public static let manifest: StaticString = ".pram-manifest.mtree"

    public static let longest = 255

    private var taken: NameSet
    /// The next number to try behind a name that was taken, by the name.
    private var next: [UInt32] = []
    /// Which names are those of the top directory: before them stand the chain's own.
    private var top = 0..<0

    /// - Parameters:
    ///   - top: the names of everything in the top directory that will be asked for: no other file gets one of these.
    ///   - reserved: names that the chain has a use of its own for, besides the manifest's.
    ///   - seed: nobody can foresee it, so that nobody can choose names that are slow to tell apart. It has no bearing
    ///     on the names that come out.
    public init(top: [[UInt8]], reserved: [[UInt8]] = [], seed: (UInt64, UInt64)) {
        taken = NameSet(seed: seed)
        _ = insert(ChainNames.manifest.withUTF8Buffer { bytes in unsafe Array(bytes) })
        for name in reserved { _ = insert(name) }
        let start = next.count
        for name in top { _ = insert(name) }
        self.top = start..<next.count
    }

    private mutating func insert(_ name: [UInt8]) -> Int? {
        guard let old = taken.insert(name) else {
            next.append(2)
            return nil
        }
        return old
    }

    /// The name of a file. Asked once for each file; further names of one that has hard links share its chain name, and
    /// are not asked for.
    public mutating func name(of path: TreePath) -> [UInt8] {
        let readable = ChainNames.readable(path)
        guard let number = insert(readable) else { return readable }
        if path.isShallow && top.contains(number) { return readable }
        while true {
            var suffix: [UInt8] = [UInt8(ascii: "~")]
            Number.append(UInt64(next[number]), to: &suffix)
            next[number] = next[number] &+ 1
            let name = readable.prefix(ChainNames.longest - suffix.count) + suffix
            if insert(Array(name)) == nil { return Array(name) }
        }
    }

    /// The path with `%` for slashes: its first 60 and its last 191 bytes where it has more than 255.
    static func readable(_ path: TreePath) -> [UInt8] {
        let flat = path.bytes.map { $0 == UInt8(ascii: "/") ? UInt8(ascii: "%") : $0 }
        if flat.count <= longest { return flat }
        var name = Array(flat.prefix(60))
        append("%..%", to: &name)
        return name + flat.suffix(longest - 64)
    }
}

/// Names, each with its number in the order of their coming. Memory is their bytes, and 24 to 32 bytes for each.
struct NameSet {
    private var bytes: [UInt8] = []
    /// Where each name begins in `bytes`; it ends where the next begins.
    private var starts: [Int] = []
    /// Hash's upper 32 bits, and number + 1; 0 is free.
    private var slots: [UInt64] = []
    private let seed: (UInt64, UInt64)

    init(seed: (UInt64, UInt64)) { self.seed = seed }

    private func name(_ number: Int) -> ArraySlice<UInt8> {
        bytes[starts[number]..<(number + 1 < starts.count ? starts[number + 1] : bytes.count)]
    }

    /// - Returns: the number of the name when it is there already, nil when it is now.
    mutating func insert(_ name: [UInt8]) -> Int? {
        if (starts.count + 1) * 2 > slots.count { grow() }
        let hash = SipHash.hash(name, key: seed)
        var slot = Int(truncatingIfNeeded: hash >> 32) & (slots.count - 1)
        while slots[slot] != 0 {
            let number = Int(truncatingIfNeeded: slots[slot] & 0xffff_ffff) - 1
            if slots[slot] >> 32 == hash >> 32 && self.name(number).elementsEqual(name) { return number }
            slot = (slot + 1) & (slots.count - 1)
        }
        starts.append(bytes.count)
        bytes += name
        slots[slot] = hash & ~0xffff_ffff | UInt64(UInt32(truncatingIfNeeded: starts.count))
        return nil
    }

    private mutating func grow() {
        let old = slots
        slots = [UInt64](repeating: 0, count: max(64, old.count * 2))
        for entry in old where entry != 0 {
            var slot = Int(truncatingIfNeeded: entry >> 32) & (slots.count - 1)
            while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = entry
        }
    }
}

/// SipHash-1-3 (Aumasson, Bernstein): a hash with a key, whose collisions nobody can prepare who does not know it.
enum SipHash {
    static func hash(_ bytes: [UInt8], key: (UInt64, UInt64)) -> UInt64 {
        var a = key.0 ^ 0x736f_6d65_7073_6575
        var b = key.1 ^ 0x646f_7261_6e64_6f6d
        var c = key.0 ^ 0x6c79_6765_6e65_7261
        var d = key.1 ^ 0x7465_6462_7974_6573
        var word: UInt64 = 0
        var count: UInt64 = 0
        for byte in bytes {
            word |= UInt64(byte) << (count % 8 * 8)
            count += 1
            if count % 8 == 0 {
                d ^= word
                turn(&a, &b, &c, &d)
                a ^= word
                word = 0
            }
        }
        word |= count << 56
        d ^= word
        turn(&a, &b, &c, &d)
        a ^= word
        c ^= 0xff
        for _ in 0..<3 { turn(&a, &b, &c, &d) }
        return a ^ b ^ c ^ d
    }

    private static func turn(_ a: inout UInt64, _ b: inout UInt64, _ c: inout UInt64, _ d: inout UInt64) {
        a = a &+ b
        b = turned(b, 13) ^ a
        a = turned(a, 32)
        c = c &+ d
        d = turned(d, 16) ^ c
        a = a &+ d
        d = turned(d, 21) ^ a
        c = c &+ b
        b = turned(b, 17) ^ c
        c = turned(c, 32)
    }

    private static func turned(_ word: UInt64, _ count: UInt64) -> UInt64 { word << count | word >> (64 - count) }
}
