/// Finds what has a name by that name, among many: the place of each is how many different names came before it. Names
/// come from memory, so the hash is seeded: nobody can prepare names that collide.
public struct NameTable {
    /// Hash << 32 | place + 1; 0 is a free slot. With the hash at hand, a name is looked at only when it is most likely
    /// the one, and none when the table grows.
    private var slots: [UInt64] = []
    private let hash: SeededHash
    /// By their places.
    public private(set) var names: [[UInt8]] = []

    /// - Parameter seed: see `SeededHash`.
    public init(seed: UInt64) { hash = SeededHash(seed: seed) }

    /// Enters a name, unless it is there.
    /// - Returns: the place of the name, and whether it is new.
    public mutating func insert(_ name: [UInt8]) -> (place: Int, isNew: Bool) {
        if (names.count + 1) * 2 > slots.count { grow() }
        let (slot, hash, place) = find(name)
        if let place { return (place, false) }
        slots[slot] = hash << 32 | UInt64(UInt32(truncatingIfNeeded: names.count + 1))
        names.append(name)
        return (names.count - 1, true)
    }

    public func contains(_ name: [UInt8]) -> Bool { !slots.isEmpty && find(name).place != nil }

    /// The slot where the name is or would go, 32 bits of its hash, and its place.
    private func find(_ name: [UInt8]) -> (slot: Int, hash: UInt64, place: Int?) {
        let hash = hash(name) >> 32
        var slot = Int(hash) & (slots.count - 1)
        while slots[slot] != 0 {
            let place = Int(slots[slot] & 0xffff_ffff) - 1
            if slots[slot] >> 32 == hash && names[place] == name { return (slot, hash, place) }
            slot = (slot + 1) & (slots.count - 1)
        }
        return (slot, hash, nil)
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
