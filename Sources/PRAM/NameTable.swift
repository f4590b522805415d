/// Finds a file by its name among many. Names come from memory, so the hash is seeded: nobody can prepare names that
/// collide.
struct NameTable {
    /// Hash << 32 | number of the file + 1; 0 is a free slot. With the hash at hand, a name is looked at only when it
    /// is most likely the one, and none when the table grows.
    private var slots: [UInt64] = []
    private var used = 0
    private let seed: UInt64

    init(seed: UInt64) { self.seed = seed }

    /// Enters file `number` under its name, unless the name is taken.
    /// - Returns: the file that has the name already.
    mutating func insert(_ number: Int, in files: [StoredFile]) -> Int? {
        if (used + 1) * 2 > slots.count { grow() }
        let hash = hash(files[number].name)
        var slot = Int(hash) & (slots.count - 1)
        while slots[slot] != 0 {
            let other = Int(slots[slot] & 0xffff_ffff) - 1
            if slots[slot] >> 32 == hash && files[other].name == files[number].name { return other }
            slot = (slot + 1) & (slots.count - 1)
        }
        slots[slot] = hash << 32 | UInt64(UInt32(truncatingIfNeeded: number + 1))
        used += 1
        return nil
    }

    /// 32 bits.
    private func hash(_ name: [UInt8]) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(seed)
        unsafe name.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
        return UInt64(UInt32(truncatingIfNeeded: hasher.finalize()))
    }

    private mutating func grow() {
        let old = slots
        slots = [UInt64](repeating: 0, count: max(64, old.count * 2))
        for entry in old where entry != 0 {
            var slot = Int(entry >> 32) & (slots.count - 1)
            while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = entry
        }
    }
}
