import CChecksum

/// A chain with everything that is known about it, laid out on its own.
struct MadeChain {
    struct Slot {
        var flags: UInt32
        var checksum: UInt32
        var page: UInt64
        var index: UInt64
        /// The file to which it belongs.
        var file: Int

        var isData: Bool { flags & 0xff == 2 }
    }

    struct Link {
        let page: UInt64
        var slots: Range<Int>
        var next: UInt64
        /// What stands in `len`, if not the number of entries.
        var length: UInt32?
    }

    /// How the LRU flags were set by the writer.
    enum Flags { case none, all, random, interval }

    struct Shape: CustomStringConvertible {
        var description: String {
            "\(is32Bit ? "i386" : "x86-64"), flags \(flags)\(isCleared ? " cleared" : ""), "
                + (generation == nil ? "unstamped" : "stamped")
        }
        var is32Bit = false
        var flags = Flags.none
        /// Whether a kernel has cleared the flags since.
        var isCleared = false
        var generation: UInt64?
        var fileCount = 1...7
        var pageCount = 0...6
        var linkLength = 1...12
        var freePages = 0...24
        var marksSome = false
    }

    let shape: Shape
    let head: UInt64
    var image: Image
    var slots: [Slot] = []
    var links: [Link] = []
    /// The files as they were saved, in chain order.
    let files: [Kernel.File]
    /// Files that were kept on purpose although damaged.
    private(set) var marked: Set<Int> = []
    let free: [UInt64]

    /// A chain of random files.
    init(_ shape: Shape, _ dice: inout Dice) {
        var files: [Kernel.File] = []
        for _ in 0..<dice.roll(shape.fileCount) {
            MadeChain.add(&files, dice.roll(shape.pageCount), dice.once(in: 3), &dice)
        }
        var left = files.reduce(0) { $0 + 1 + $1.pages.count }
        var lengths: [Int] = []
        while left > 0 {
            lengths.append(min(dice.roll(shape.linkLength), left))
            left -= lengths[lengths.count - 1]
        }
        self.init(shape, files, links: lengths, &dice)
    }

    /// - Parameter links: how many entries each of them has, together those of all files.
    init(_ shape: Shape, _ files: [Kernel.File], links lengths: [Int], _ dice: inout Dice) {
        self.shape = shape
        self.files = files
        let first = UInt64(dice.pick([1, 16, 0x100000, 1 << 40]))
        let total = UInt64(lengths.reduce(0, +) + lengths.count + dice.roll(shape.freePages))
        image = Image(first..<first + total)
        var unused = Array(image.pages)
        unused.shuffle(using: &dice)
        if dice.once(in: 2) { unused.sort { $0 > $1 } }
        var pages = lengths.map { _ in unused.removeLast() }
        head = pages[0]
        for (number, file) in files.enumerated() {
            if shape.marksSome && dice.once(in: 8) { marked.insert(number) }
            let meta = unused.removeLast()
            image[meta] = MadeChain.meta(file, &dice)
            let flags: UInt32 = marked.contains(number) ? 0x5156_0001 : 1
            slots.append(Slot(flags: flags, checksum: 0, page: meta, index: 0, file: number))
            var indexes = file.pages.keys.sorted()
            // Any order is good, but a kernel's clearing is recognised in the order in which files are written.
            if shape.flags != .random && shape.flags != .interval && dice.once(in: 5) { indexes.shuffle(using: &dice) }
            for index in indexes {
                let page = unused.removeLast()
                image[page] = file.pages[index]!
                slots.append(Slot(flags: 2, checksum: 0, page: page, index: index, file: number))
            }
        }
        free = unused
        for page in free { image[page] = dice.page() }
        for number in slots.indices { slots[number].checksum = image.pageChecksum(slots[number].page) }
        pages.append(0)
        var end = 0
        for (number, length) in lengths.enumerated() {
            links.append(Link(page: pages[number], slots: end..<end + length, next: pages[number + 1]))
            end += length
        }
        setFlags(&dice)
        writeLinks()
    }

    private static func add(_ files: inout [Kernel.File], _ count: Int, _ isSparse: Bool, _ dice: inout Dice) {
        // Names that the names of damaged files collide with are there on purpose.
        var name = dice.name()
        if dice.once(in: 3), let other = files.randomElement(using: &dice)?.name {
            name = Array((other + dice.pick([".damaged", ".damaged2"]).utf8).suffix(255))
        }
        guard !files.contains(where: { $0.name == name }) else { return }
        let size = count == 0 ? 0 : (count - 1) * 4096 + dice.roll(1...4096)
        var file = Kernel.File(name: name, size: UInt64(size), mode: 0o100000 | UInt32(dice.roll(0...0o7777)))
        for index in 0..<count where !isSparse || dice.once(in: 2) { file.pages[UInt64(index)] = dice.page() }
        if dice.once(in: 10), let index = file.pages.keys.min() { file.pages[index] = Page() }
        files.append(file)
    }

    /// A META page with stale bytes behind the image.
    static func meta(_ file: Kernel.File, _ dice: inout Dice) -> Page {
        var page = dice.page()
        page.bytes.withUnsafeMutableBytes {
            for place in 0..<271 { $0[place] = 0 }
            $0.storeBytes(of: file.size.littleEndian, as: UInt64.self)
            $0.storeBytes(of: file.mode.littleEndian, toByteOffset: 8, as: UInt32.self)
            $0.storeBytes(of: UInt32(file.name.count).littleEndian, toByteOffset: 12, as: UInt32.self)
            for (place, byte) in file.name.enumerated() { $0[16 + place] = byte }
        }
        return page
    }

    private mutating func setFlags(_ dice: inout Dice) {
        for link in links {
            let data = link.slots.filter { slots[$0].isData }.sorted { slots[$0].page < slots[$1].page }
            let from = dice.roll(0...data.count)
            let until = dice.roll(from...data.count)
            for (place, slot) in data.enumerated() {
                let isSet =
                    switch shape.flags {
                    case .none: false
                    case .all: true
                    case .random: dice.once(in: 2)
                    case .interval: place >= from && place < until
                    }
                if isSet { slots[slot].flags |= 0x100 }
            }
        }
    }

    var entriesOffset: Int { shape.is32Bit ? 20 : 24 }
    var nextOffset: Int { shape.is32Bit ? 12 : 16 }

    /// Lays out all links, their checksums made; then clears the flags if a kernel has.
    mutating func writeLinks() {
        for link in links {
            image[link.page] = Page()
            image.store(UInt32(0x7072_616d), link.page, 0)
            image.store(link.length ?? UInt32(link.slots.count), link.page, 8)
            image.store(link.next, link.page, nextOffset)
            for (place, slot) in slots[link.slots].enumerated() {
                let offset = entriesOffset + place * 24
                image.store(slot.flags, link.page, offset)
                image.store(slot.checksum, link.page, offset + 4)
                image.store(slot.page, link.page, offset + 8)
                image.store(slot.index, link.page, offset + 16)
            }
            if let generation = shape.generation {
                image.store(UInt32(0x3156_7650), link.page, 4080)
                image.store(generation, link.page, 4088)
            }
            image.store(image.linkChecksum(link.page), link.page, 4)
        }
        guard shape.isCleared else { return }
        for link in links {
            for place in 0..<link.slots.count {
                let offset = entriesOffset + place * 24
                image.store(image.load(link.page, offset, as: UInt32.self) & ~0x100, link.page, offset)
            }
        }
    }

    /// The links in which a file has entries.
    func links(of file: Int) -> ClosedRange<Int> {
        let inside = links.indices.filter { links[$0].slots.contains { slots[$0].file == file } }
        return inside[0]...inside[inside.count - 1]
    }

    func isComplete(_ file: Int) -> Bool { files[file].pages.count == Int((files[file].size + 4095) / 4096) }

    func metaSlot(_ file: Int) -> Int { slots.firstIndex { $0.file == file }! }
    func dataSlots(_ file: Int) -> [Int] { slots.indices.filter { slots[$0].file == file }.dropFirst().map { $0 } }
}
