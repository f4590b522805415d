import Linux
import PRAM

/// Pages by which a rehearsal finds out what arrives in the next kernel. Each is made of a seed and its own place alone,
/// so that it can be told from everything else without the chain that lists it:
///
///       0  u64 magic
///       8  u64 seed
///      16  u64 its page frame number
///      24  u64 the page frame number of the chain's head, where the canary begins
///      32  u64 how many pages the canary has, links and META pages among them
///      40  numbers by SplitMix64, from the seed and the page frame number
public struct Canary: Equatable, Sendable {
    /// More pages, which are 4 TiB, have no canary.
    public static let pageLimit: UInt64 = 1 << 30

    private static let magic: UInt64 = 0x7972_616e_6163_7670  // "pvcanary"

    public let seed: UInt64
    public let head: PFN
    public let pages: UInt64

    /// How the names of the files in such a chain begin. Behind it stand their number, a checksum of all that the META
    /// page says, when they were saved (seconds since 1970), in which boot, and by which release of the kernel.
    public static let namePrefix: StaticString = "pram-verify-canary."

    public init(seed: UInt64, head: PFN, pages: UInt64) {
        self.seed = seed
        self.head = head
        self.pages = pages
    }

    /// The canary that a page is of, as its first bytes have it; nil for any other page.
    public init?(in page: PageBytes, at place: PFN) {
        func word(_ number: Int) -> UInt64 {
            page.bytes.withUnsafeBytes {
                UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: number * 8, as: UInt64.self))
            }
        }
        guard word(0) == Canary.magic, word(2) == place.number, word(4) <= Canary.pageLimit, word(3) <= place.number,
            place.number - word(3) < word(4)
        else { return nil }
        self.init(seed: word(1), head: PFN(word(3)), pages: word(4))
    }

    /// - Parameter destination: room for a page.
    public func write(_ page: PFN, to destination: UnsafeMutableRawPointer) {
        var state = seed ^ page.number &* 0x9e37_79b9_7f4a_7c15
        for number in 0..<pageSize / 8 {
            let word: UInt64
            switch number {
            case 0: word = Canary.magic
            case 1: word = seed
            case 2: word = page.number
            case 3: word = head.number
            case 4: word = pages
            default:
                state &+= 0x9e37_79b9_7f4a_7c15
                var mixed = state
                mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
                mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
                word = mixed ^ mixed >> 31
            }
            destination.storeBytes(of: word.littleEndian, toByteOffset: number * 8, as: UInt64.self)
        }
    }

    /// Which of its pages are not what was saved.
    public struct Damage: Equatable, Sendable {
        public var lost: UInt64 = 0
        /// Pages that touch are one range; the first ones, where there are many.
        public var ranges: [PhysicalRange] = []
        /// Time ran out before the end: what was not looked at counts as lost.
        public var isCutShort = false
    }

    /// Looks at every page of the canary, whether the chain still lists it or not: one of its own, a link that fits its
    /// checksum, or a META page with nothing but a name of a canary's file.
    /// - Parameters:
    ///   - ranges: how many to keep.
    ///   - deadline: of the monotonic clock, in nanoseconds.
    public func damage(in memory: any PhysicalMemory, keeping ranges: Int, deadline: UInt64? = nil) -> Damage {
        let batch = 64
        var damage = Damage()
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: (batch + 1) * pageSize, alignment: pageSize)
        defer { buffer.deallocate() }
        let wanted = buffer + batch * pageSize
        let states = UnsafeMutablePointer<PageState>.allocate(capacity: batch)
        defer { states.deallocate() }
        var done: UInt64 = 0
        while done < pages, let first = head.advanced(by: done) {
            let count = Int(min(UInt64(batch), pages - done))
            if let deadline, monotonicNanoseconds() > deadline {
                damage.isCutShort = true
                damage.add(first, pages - done, keeping: ranges)
                break
            }
            states.initialize(repeating: .absent, count: count)
            memory.read(first, count: count, into: buffer, states: states)
            for index in 0..<count {
                let page = PFN(first.number + UInt64(index))
                let bytes = buffer + index * pageSize
                write(page, to: wanted)
                if states[index] != .present || !isOwn(bytes, wanted) { damage.add(page, 1, keeping: ranges) }
            }
            done += UInt64(count)
        }
        return damage
    }

    private func isOwn(_ bytes: UnsafeMutableRawPointer, _ wanted: UnsafeMutableRawPointer) -> Bool {
        var isEqual = true
        for offset in stride(from: 0, to: pageSize, by: 8)
        where bytes.load(fromByteOffset: offset, as: UInt64.self)
            != wanted.load(fromByteOffset: offset, as: UInt64.self)
        {
            isEqual = false
            break
        }
        if isEqual { return true }
        let page = PageBytes(UnsafeRawBufferPointer(start: bytes, count: pageSize))
        let link = Link(decoding: page, .amd64)
        if link.magic == Link.magic && link.checksum == page.linkChecksum { return true }
        let image = FileImage(decoding: page.bytes)
        return image.encoded().bytes == page.bytes && CanaryName.fits(image)
    }

    public static func isName(_ name: [UInt8]) -> Bool {
        namePrefix.withUTF8Buffer { name.starts(with: $0) }
    }
}

extension Canary.Damage {
    fileprivate mutating func add(_ page: PFN, _ count: UInt64, keeping most: Int) {
        lost += count
        guard let start = page.address, count <= 1 << 40,
            let range = PhysicalRange(start: start, size: count * UInt64(pageSize))
        else { return }
        if let last = ranges.last, last.last &+ 1 == range.start,
            let both = PhysicalRange(start: last.start, last: range.last)
        {
            ranges[ranges.count - 1] = both
        } else if ranges.count < most {
            ranges.append(range)
        }
    }
}

/// What the name of a canary's file tells.
public struct CanaryName: Equatable, Sendable {
    public var saved: UInt64
    public var boot: [UInt8]
    public var release: [UInt8]

    public init(saved: UInt64, boot: [UInt8], release: [UInt8]) {
        self.saved = saved
        // A dot separates, and a slash may be in no name.
        self.boot = boot.prefix(64).map { $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "/") ? UInt8(ascii: "-") : $0 }
        self.release = release.prefix(100).map { $0 == UInt8(ascii: "/") ? UInt8(ascii: "-") : $0 }
    }

    /// nil for the name of any other file.
    public init?(_ name: [UInt8]) {
        guard let parts = CanaryName.parts(name) else { return nil }
        var number: UInt64 = 0
        for byte in parts[2] {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9"), number < 1 << 56 else { return nil }
            number = number * 10 + UInt64(byte - UInt8(ascii: "0"))
        }
        self.init(saved: number, boot: Array(parts[3]), release: Array(parts[4]))
    }

    public static let mode: UInt32 = 0o100600

    /// What the META page of a file says.
    public func image(_ number: Int, size: UInt64) -> FileImage {
        let number = Array("\(number)".utf8)
        let rest = Array(".\(saved).".utf8) + boot + [UInt8(ascii: ".")] + release
        let sum = CanaryName.checksum(number, rest[...], size)
        let start = Canary.namePrefix.withUTF8Buffer { Array($0) }
        return FileImage(size: size, mode: CanaryName.mode, name: start + number + [UInt8(ascii: ".")] + sum + rest)
    }

    /// Whether a META page is of a canary, and says what it said when it was written.
    static func fits(_ image: FileImage) -> Bool {
        guard image.mode == mode, let parts = parts(image.name) else { return false }
        let rest = image.name[(parts[2].startIndex - 1)...]
        return parts[1].elementsEqual(checksum(Array(parts[0]), rest, image.size))
    }

    private static func parts(_ name: [UInt8]) -> [ArraySlice<UInt8>]? {
        guard Canary.isName(name) else { return nil }
        let parts = name.dropFirst(Canary.namePrefix.utf8CodeUnitCount)
            .split(separator: UInt8(ascii: "."), maxSplits: 4, omittingEmptySubsequences: false)
        return parts.count == 5 ? parts : nil
    }

    /// FNV-1a, 64 bits, as hexadecimal digits.
    private static func checksum(_ number: [UInt8], _ rest: ArraySlice<UInt8>, _ size: UInt64) -> [UInt8] {
        var sum: UInt64 = 0xcbf2_9ce4_8422_2325
        func add(_ byte: UInt8) { sum = (sum ^ UInt64(byte)) &* 0x100_0000_01b3 }
        for byte in number { add(byte) }
        for byte in rest { add(byte) }
        for byte in String(size).utf8 { add(byte) }
        return Array(String(sum, radix: 16).utf8)
    }
}
