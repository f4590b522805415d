/// What the RFC's kernel does with a chain at boot and at mount, and nothing of what this program does: the judge of
/// all that is written. It reads the bytes on its own.
struct Kernel {
    enum Refusal: Error, Equatable {
        // At boot, with the page it names.
        case corrupted(UInt64), busy(UInt64), invalid(UInt64)
        /// A length that the kernel does not bound, and does not survive.
        case length(UInt64, UInt32)
        // At mount, with the entry's page.
        case checksum(UInt64)
        case wrongType(UInt64), dataFirst(UInt64), mode(UInt64), nameLength(UInt64)
        case name([UInt8]), nameTwice([UInt8])
        case indexTwice(UInt64), indexPastEnd(UInt64), size(UInt64)
    }

    struct File: Equatable {
        var name: [UInt8]
        var size: UInt64
        var mode: UInt32
        /// What is stored; everything else is a hole.
        var pages: [UInt64: Page] = [:]
    }

    private(set) var memory: Image
    private let head: UInt64
    // Where the fields lie.
    private let next: Int
    private let entries: Int

    init(_ memory: Image, head: UInt64, is32Bit: Bool = false) {
        self.memory = memory
        self.head = head
        next = is32Bit ? 12 : 16
        entries = is32Bit ? 20 : 24
    }

    /// Boots and mounts.
    static func files(_ memory: Image, head: UInt64, is32Bit: Bool = false) throws(Refusal) -> [File] {
        var kernel = Kernel(memory, head: head, is32Bit: is32Bit)
        try kernel.reserve()
        return try kernel.load()
    }

    /// pram_reserve(): takes every page out of use, and clears the LRU flags where they lie.
    mutating func reserve() throws(Refusal) {
        var reserved: Set<UInt64> = []
        var link = head
        repeat {
            guard memory.pages.contains(link) else { throw .invalid(link) }
            guard memory.load(link, 0, as: UInt32.self) == 0x7072_616d else { throw .corrupted(link) }
            guard memory.load(link, 4, as: UInt32.self) == memory.linkChecksum(link) else { throw .corrupted(link) }
            guard reserved.insert(link).inserted else { throw .busy(link) }
            let count: UInt32 = memory.load(link, 8)
            guard count >= 1 && count <= 169 else { throw .length(link, count) }
            for number in 0..<Int(count) {
                let place = entries + number * 24
                let page: UInt64 = memory.load(link, place + 8)
                guard memory.pages.contains(page) else { throw .invalid(page) }
                guard reserved.insert(page).inserted else { throw .busy(page) }
                memory.store(memory.load(link, place, as: UInt32.self) & ~0x100, link, place)
            }
            link = memory.load(link, next)
        } while link != 0
    }

    /// pram_load(): the files that a mount shows; link checksums are not looked at.
    func load() throws(Refusal) -> [File] {
        var files: [File] = []
        var names: Set<[UInt8]> = []
        var link = head
        repeat {
            for number in 0..<Int(memory.load(link, 8, as: UInt32.self)) {
                let place = entries + number * 24
                let page: UInt64 = memory.load(link, place + 8)
                guard memory.load(link, place + 4, as: UInt32.self) == memory.pageChecksum(page) else {
                    throw .checksum(page)
                }
                switch memory.load(link, place, as: UInt32.self) & 0xff {
                case 1: files.append(try file(page, &names))
                case 2: try load(page, index: memory.load(link, place + 16), into: &files)
                default: throw .wrongType(page)
                }
            }
            link = memory.load(link, next)
        } while link != 0
        return files
    }

    private func file(_ page: UInt64, _ names: inout Set<[UInt8]>) throws(Refusal) -> File {
        let mode: UInt32 = memory.load(page, 8)
        guard mode & 0xf000 == 0x8000, mode >> 16 == 0 else { throw .mode(page) }
        let length: UInt32 = memory.load(page, 12)
        guard length <= 255 else { throw .nameLength(page) }
        let name = Array(memory[page].bytes[16..<16 + Int(length)])
        guard !name.isEmpty, name != [0x2e], name != [0x2e, 0x2e], !name.contains(0x2f), !name.contains(0) else {
            throw .name(name)
        }
        guard names.insert(name).inserted else { throw .nameTwice(name) }
        let size: UInt64 = memory.load(page, 0)
        guard size < 1 << 63 else { throw .size(size) }
        return File(name: name, size: size, mode: mode)
    }

    private func load(_ page: UInt64, index: UInt64, into files: inout [File]) throws(Refusal) {
        guard !files.isEmpty else { throw .dataFirst(page) }
        // The kernel takes an index behind the end, for nobody to see; nothing that is written may hold one.
        let size = files[files.count - 1].size
        guard size > 0, index <= (size - 1) / 4096 else { throw .indexPastEnd(index) }
        guard files[files.count - 1].pages.updateValue(memory[page], forKey: index) == nil else {
            throw .indexTwice(index)
        }
    }
}

extension Kernel.File {
    /// Whether a reader sees the same bytes: what is stored as zeros is no different from a hole.
    func reads(like other: Kernel.File) -> Bool {
        guard size == other.size, mode == other.mode else { return false }
        let zeros = Page()
        for index in Set(pages.keys).union(other.pages.keys) {
            guard pages[index] ?? zeros == other.pages[index] ?? zeros else { return false }
        }
        return true
    }
}
