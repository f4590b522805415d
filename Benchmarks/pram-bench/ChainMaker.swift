import CChecksum
import CLinux
import Linux
import PRAM

/// Makes an image with one chain in it, by the project's own writer. Byte 0 is physical address 0, whose page stays empty, as
/// PFN 0 means none. Pages are taken in the order in which a kernel that saves files takes them: a link, the 169 pages that it
/// lists, the next link. All of them are written, so no page has to be made when the image is read.
struct ChainMaker {
    private let dataPages: UInt64
    private let files: UInt64
    private let order: PageOrder.Kind
    /// Data pages are left out: the image is sparse, and its holes read as zeros, whose checksum is 0.
    private let zeros: Bool
    /// The finished image is made to lie in huge pages.
    private let huge: Bool

    init(_ arguments: Arguments) {
        guard let bytes = arguments.number("bytes"), let files = arguments.number("files"), files > 0,
            let order = PageOrder.Kind(rawValue: arguments["order"] ?? "")
        else { fail("make: bytes= files= order=") }
        dataPages = max(bytes / UInt64(pageSize), files)
        self.files = files
        self.order = order
        zeros = arguments["zeros"] == "1"
        huge = arguments["huge"] == "1"
    }

    func make(_ path: [UInt8]) throws(SystemError) -> String {
        let entries = dataPages + files
        let links = (entries + UInt64(Link.capacity) - 1) / UInt64(Link.capacity)
        let size = (1 + links + entries) * UInt64(pageSize)
        let file = try FileDescriptor.open(path, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
        try file.truncate(to: size)
        let mapping = try Mapping(file, offset: 0, count: Int(size), writable: true)

        var places = PageOrder(order, count: links + entries)
        var random = Random(state: 0x7072_616d)
        func address(_ page: PFN) -> UnsafeMutableRawPointer { mapping.base + Int(page.number) * pageSize }
        func store(_ bytes: PageBytes, at page: PFN) {
            bytes.bytes.withUnsafeBytes { address(page).copyMemory(from: $0.baseAddress!, byteCount: pageSize) }
        }
        let head = places.next()
        var writer = ChainWriter(head: head)
        func append(_ flags: UInt32, _ index: UInt64, fill: (PFN) -> UInt32) {
            let nextLink = writer.needsPage ? places.next() : PFN(0)
            let page = places.next()
            let entry = Entry(flags: flags, checksum: fill(page), page: page, index: index)
            if let (page, link) = writer.append(entry, nextLink: nextLink) { store(link, at: page) }
        }
        for number in 0..<files {
            let pages = dataPages * (number + 1) / files - dataPages * number / files
            append(1, 0) { page in
                let image = FileImage(
                    size: pages * UInt64(pageSize), mode: 0o100644, name: Array("file-\(number)".utf8)
                ).encoded()
                store(image, at: page)
                return image.pageChecksum
            }
            for index in 0..<pages {
                append(2 | Entry.lru, index) { page in
                    if zeros { return 0 }
                    random.fill(address(page))
                    return pv_crc32c(0, address(page), pageSize)
                }
            }
        }
        if let (page, link) = writer.finish() { store(link, at: page) }
        if huge { try collapse(file, Int(size)) }
        return "{\"head\": \"\(String(head.number, radix: 16))\", \"data_pages\": \(dataPages), \"files\": \(files), "
            + "\"links\": \(links), \"bytes\": \((links + entries) * UInt64(pageSize))}"
    }

    /// Has the kernel put the pages together into huge ones, whatever the options of the file system say. What is at the end
    /// of the file and does not fill one stays as it is.
    private func collapse(_ file: borrowing FileDescriptor, _ size: Int) throws(SystemError) {
        let hugePage = 2 << 20
        let adviseCollapse: Int32 = 25  // MADV_COLLAPSE, Linux 6.1
        // A huge page can be only where address and offset both are a multiple of its size.
        let room = mmap(nil, size + hugePage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let room, !pv_mmap_failed(room) else { throw SystemError("mmap", code: pv_errno(), path: file.path) }
        defer { munmap(room, size + hugePage) }
        let aligned = UnsafeMutableRawPointer(
            bitPattern: (UInt(bitPattern: room) + UInt(hugePage) - 1) & ~UInt(hugePage - 1))
        let base = mmap(aligned, size, PROT_READ, MAP_SHARED | MAP_FIXED, file.number, 0)
        guard let base, !pv_mmap_failed(base) else { throw SystemError("mmap", code: pv_errno(), path: file.path) }
        // A page that something else looks at just then makes the kernel refuse; a second try, or a few more, will do.
        var refused = 0
        for place in stride(from: 0, to: size / hugePage * hugePage, by: hugePage) {
            var tries = 20
            while madvise(base + place, hugePage, adviseCollapse) != 0 {
                tries -= 1
                guard pv_errno() == EAGAIN else { throw SystemError("madvise", code: pv_errno(), path: file.path) }
                if tries == 0 {
                    refused += 1
                    break
                }
                usleep(1000)
            }
        }
        guard refused * 100 <= size / hugePage else { throw SystemError("madvise", code: EAGAIN, path: file.path) }
    }
}

/// Hands out the pages 1...count, each once.
struct PageOrder {
    enum Kind: String { case sequential, reversed, random }

    private let kind: Kind
    private let count: UInt64
    private var shuffled: [UInt32] = []
    private var taken: UInt64 = 0

    init(_ kind: Kind, count: UInt64) {
        self.kind = kind
        self.count = count
        guard kind == .random else { return }
        guard count < UInt32.max else { fail("too many pages for a random order") }
        shuffled = (1...UInt32(count)).map { $0 }
        var random = Random(state: 1)
        for last in stride(from: shuffled.count - 1, to: 0, by: -1) {
            shuffled.swapAt(last, Int(random.next() % UInt64(last + 1)))
        }
    }

    mutating func next() -> PFN {
        defer { taken += 1 }
        switch kind {
        case .sequential: return PFN(1 + taken)
        case .reversed: return PFN(count - taken)
        case .random: return PFN(UInt64(shuffled[Int(taken)]))
        }
    }
}

/// Numbers that no checksum can take a short way through; the same in every run (Vigna's splitmix64).
struct Random {
    private var state: UInt64
    init(state: UInt64) { self.state = state }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }

    /// Fills one page.
    mutating func fill(_ page: UnsafeMutableRawPointer) {
        for place in stride(from: 0, to: pageSize, by: 8) {
            page.storeBytes(of: next(), toByteOffset: place, as: UInt64.self)
        }
    }
}
