import CLinux

/// The names in a directory in the order of their bytes, packed: some 16 bytes for each besides their own.
struct DirectoryNames {
    private var bytes: [UInt8] = []
    private var ranges: [Range<Int>] = []

    var count: Int { ranges.count }

    subscript(_ index: Int) -> [UInt8] { Array(bytes[ranges[index]]) }

    /// All of them.
    var all: [[UInt8]] { ranges.map { Array(bytes[$0]) } }

    /// Reads an open directory; `.` and `..` are left out.
    init(of directory: borrowing FileDescriptor) throws(SystemError) {
        try self.init(of: Array(".".utf8), in: directory.number, directory.path)
    }

    /// Reads a directory; `.` and `..` are left out.
    /// - Parameters:
    ///   - path: where it lies, seen from `directory`.
    ///   - name: what to call it in errors.
    init(of path: [UInt8], in directory: Int32, _ name: [UInt8]) throws(SystemError) {
        let opened = SystemCalls.openat(directory, path, O_RDONLY | O_DIRECTORY, 0)
        try opened.get("opendir", path: name)
        var code: Int32 = 0
        guard let listing = SystemCalls.Listing(opened.number, &code) else {
            throw SystemError("opendir", code: code, path: name)
        }
        while let next = listing.next(&code) {
            if next.elementsEqual(".".utf8) || next.elementsEqual("..".utf8) { continue }
            let start = bytes.count
            bytes += next
            ranges.append(start..<bytes.count)
        }
        guard code == 0 else { throw SystemError("readdir", code: code, path: name) }
        let names = bytes
        ranges.sort { names[$0].lexicographicallyPrecedes(names[$1]) }
    }
}

/// Inodes with more than one name, each with its number in the order of their coming. 24 to 48 bytes for each.
struct LinkTable {
    private struct Slot {
        var inode = InodeNumber(device: 0, inode: 0)
        /// 0 is free.
        var number: UInt64 = 0
    }

    private var slots: [Slot] = []
    private var used: UInt64 = 0

    /// The inode's number, from 1 on, and whether it was there before.
    mutating func insert(_ inode: InodeNumber) -> (number: UInt64, isRepeated: Bool) {
        if (Int(used) + 1) * 2 > slots.count { grow() }
        let slot = slot(of: inode)
        if slots[slot].number != 0 { return (slots[slot].number, true) }
        used += 1
        slots[slot] = Slot(inode: inode, number: used)
        return (used, false)
    }

    private func slot(of inode: InodeNumber) -> Int {
        // The file system chooses these numbers; spreading them is all that is needed.
        var hash = (inode.inode ^ inode.device << 40) &* 0x9e37_79b9_7f4a_7c15
        hash ^= hash >> 29
        var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[slot].number != 0 && slots[slot].inode != inode { slot = (slot + 1) & (slots.count - 1) }
        return slot
    }

    private mutating func grow() {
        let old = slots
        slots = [Slot](repeating: Slot(), count: max(64, old.count * 2))
        for entry in old where entry.number != 0 { slots[slot(of: entry.inode)] = entry }
    }
}
