import Linux
import Machine
import MemorySources
import PRAM
import Text

/// Files in memory that the kernel keeps over a kexec, as memory to be written: a list of page frames.
///
/// Their pages are numbered from 1 on, in the order of their frames (`FrameOrder`); `frame` tells where each lies. It is
/// written through the one mapping that there is and read back by frame through /proc/kcore, so that a frame that is
/// not the page's shows before anybody is told of the chain.
public final class FrameMemory: WritableMemory {
    private let mapping: Mapping
    private let base: UnsafeMutableRawPointer
    private let order: FrameOrder
    private let live: LiveMemory

    public let pages: Range<UInt64>
    public var kind: String { "memfd" }
    public var zerosMayBeHoles: Bool { false }
    public var readBack: any PhysicalMemory { live }

    /// Makes the file, fills it with zeros, seals it, has the session keep it, and finds its frames: in this order, for
    /// keeping it may move pages.
    /// - Parameters:
    ///   - count: of pages; there is room for so many.
    ///   - early: has the page for the head, and is kept by the session already; nil where the head is any page.
    ///   - live: where pages are read back.
    ///   - beforeKeeping: called once there is room for all of it, and before the session has it.
    /// - Throws: ENOSPC, ENOMEM where there is no room after all; EPERM where frames are hidden; EEXIST where the session
    ///   keeps a chain already.
    public init(
        pages wanted: Int, behind early: EarlyHead? = nil, keptBy session: borrowing LiveSession, _ live: LiveMemory,
        beforeKeeping: () -> Void = {}
    ) throws(SystemError) {
        let own = early == nil ? wanted : max(1, wanted - EarlyHead.pages)
        let memory = try MemoryFileDescriptor(size: UInt64(own) * UInt64(pageSize))
        let files = (early.map { [$0.file] } ?? []) + [memory]
        let mapping = try Mapping(files, writable: true)
        let count = mapping.count / pageSize
        base = mapping.base
        for place in stride(from: 0, to: count * pageSize, by: pageSize) {
            var byte: UInt8 = 0
            guard guardedCopy(base + place, to: &byte, count: 1) else {
                throw SystemError("mmap", code: ErrorCode.outOfMemory, path: memory.descriptor.path)
            }
        }
        try memory.seal(againstWriters: true)
        beforeKeeping()
        try session.preserve(memory.descriptor, token: UInt64(files.count))
        guard let order = FrameOrder(try PageFrames.find(base, count: count), head: early?.page.number) else {
            throw SystemError("mmap", code: ErrorCode.badAddress, path: memory.descriptor.path)
        }
        self.order = order
        self.mapping = consume mapping
        self.live = live
        pages = 1..<UInt64(count) + 1
    }

    public func frame(of page: PFN) -> PFN {
        pages.contains(page.number) ? PFN(order.frames[Int(page.number - 1)]) : page
    }

    public func contains(_ page: PFN) -> Bool { pages.contains(page.number) }

    public func mapped(_ page: PFN) -> UnsafeRawPointer? {
        address(of: page).map { UnsafeRawPointer($0) }
    }

    private func address(of page: PFN) -> UnsafeMutableRawPointer? {
        guard pages.contains(page.number) else { return nil }
        return base + order.page(Int(page.number - 1)) * pageSize
    }

    public func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) {
        readMapped(first, count: count, into: destination, states: states)
    }

    public func fill(
        _ first: PFN, count: Int, _ body: (UnsafeMutableRawBufferPointer) throws(SystemError) -> Void
    ) throws(SystemError) {
        guard let address = address(of: first), count >= 0, UInt64(count) <= pages.upperBound - first.number else {
            throw SystemError("write", code: ErrorCode.badAddress)
        }
        let place = Int(first.number - 1)
        if order.isAdjacent(place, count: count) {
            try body(UnsafeMutableRawBufferPointer(start: address, count: count * pageSize))
            return
        }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count * pageSize, alignment: pageSize)
        defer { buffer.deallocate() }
        try body(buffer)
        for index in 0..<count {
            let target = base + order.page(place + index) * pageSize
            guard guardedCopy(buffer.baseAddress! + index * pageSize, to: target, count: pageSize) else {
                throw SystemError("write", code: ErrorCode.badAddress)
            }
        }
    }

    /// Through the mapping, for nobody can write the file any more. Whoever reads the page meanwhile reads a part.
    public func write(_ page: PFN, _ bytes: PageBytes) throws(SystemError) {
        guard let target = address(of: page) else {
            throw SystemError("write", code: ErrorCode.badAddress)
        }
        let isWhole = bytes.bytes.withUnsafeBytes { guardedCopy($0.baseAddress!, to: target, count: pageSize) }
        guard isWhole else { throw SystemError("write", code: ErrorCode.badAddress) }
        memoryFence()
    }

    public func synchronize() throws(SystemError) { memoryFence() }
}

extension SavePlan {
    /// How large the memory must be that takes all of it, in pages; nil where a stream has to end first.
    public var size: UInt64? { hasStream ? nil : pagesNeeded }
}

/// The session that keeps a chain's memory over a kexec. Its name follows from the generation of the chain's links, so
/// that the next kernel finds it by the chain alone.
public enum KeptSession {
    /// `pram-verify-BOOT-SAVE`, 29 bytes.
    public static func name(_ generation: UInt64) -> [UInt8] {
        Array("pram-verify-".utf8) + digits(generation >> 32) + [UInt8(ascii: "-")] + digits(generation & 0xffff_ffff)
    }

    /// What is behind `pram-verify-` in a name: 17 bytes, on a command line, too.
    public static func words(_ generation: UInt64) -> [UInt8] { Array(name(generation).dropFirst(12)) }

    /// The generation that such words are of; nil for everything else.
    public static func generation(named words: some Collection<UInt8>) -> UInt64? {
        var number: UInt64 = 0
        for (place, byte) in words.enumerated() where place != 8 {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): number = number << 4 | UInt64(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): number = number << 4 | UInt64(byte - UInt8(ascii: "a") + 10)
            default: return nil
            }
        }
        return words.count == 17 && self.words(number).elementsEqual(words) ? number : nil
    }

    /// Whether a session has a name that this program gives.
    public static func isName(_ name: [UInt8]) -> Bool {
        name.count == 29 && generation(named: name.dropFirst(12)).map { self.name($0) == name } == true
    }

    private static func digits(_ number: UInt64) -> [UInt8] {
        let text = Array(String(number, radix: 16).utf8)
        return [UInt8](repeating: UInt8(ascii: "0"), count: max(0, 8 - text.count)) + text
    }

    /// The first half of the number is that of the boot's id, the other one nobody's.
    /// - Parameter boot: /proc/sys/kernel/random/boot_id
    public static func generation(boot: [UInt8], random: UInt64) -> UInt64 {
        var number: UInt64 = 0
        for byte in boot.prefix(8) {
            let digit: UInt8 =
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
                case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
                default: 0
                }
            number = number << 4 | UInt64(digit)
        }
        return number << 32 | random & 0xffff_ffff
    }
}
