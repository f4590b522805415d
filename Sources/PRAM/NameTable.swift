/// Finds a file by its name among many. Names come from memory, so the hash is seeded: nobody can prepare names that collide.
struct NameTable {
    private var slots: [UInt32] = []
    private var used = 0
    private let seed: UInt64

    init(seed: UInt64) { self.seed = seed }

    /// Enters file `number` under its name, unless the name is taken.
    /// - Returns: the file that has the name already.
    mutating func insert(_ number: Int, in files: [StoredFile]) -> Int? {
        if (used + 1) * 2 > slots.count { grow(files) }
        var slot = hash(files[number].name)
        while slots[slot] != 0 {
            let other = Int(slots[slot] - 1)
            if files[other].name == files[number].name { return other }
            slot = (slot + 1) & (slots.count - 1)
        }
        slots[slot] = UInt32(truncatingIfNeeded: number + 1)
        used += 1
        return nil
    }

    private func hash(_ name: [UInt8]) -> Int {
        var hasher = Hasher()
        hasher.combine(seed)
        for byte in name { hasher.combine(byte) }
        return hasher.finalize() & (slots.count - 1)
    }

    private mutating func grow(_ files: [StoredFile]) {
        let old = slots
        slots = [UInt32](repeating: 0, count: max(64, old.count * 2))
        for entry in old where entry != 0 {
            var slot = hash(files[Int(entry - 1)].name)
            while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = entry
        }
    }
}
