import Linux
import PRAM
import Parity

/// Memory in which the lost pages of a chain have come back. They are rebuilt when they are read, group by group; the
/// last groups are kept, 128 MiB of them at most.
public final class RecoveredMemory: PhysicalMemory {
    private static let pagesKept = 1 << 15

    private let recovery: ChainRecovery
    private let below: any PhysicalMemory
    private let monitor = Monitor()
    private let rebuilder: ParityRebuilder?
    private let made: [(page: UInt64, bytes: PageBytes)]
    // Guarded by the monitor. Pages in the order in which they came, and where each is.
    private let buffer: UnsafeMutableRawPointer
    private let capacity: Int
    private var kept: [(page: UInt64, number: Int)] = []
    private var count = 0

    public init(_ recovery: ChainRecovery) {
        self.recovery = recovery
        below = recovery.linked
        rebuilder = recovery.losses.map { ParityRebuilder($0.code) }
        made = recovery.madePages
        // A group brings back at most 16, for which there is always to be room, and all of them where they are few.
        capacity = min(RecoveredMemory.pagesKept, recovery.lostPages + recovery.lostParityPages + 16)
        buffer = .allocate(byteCount: capacity * pageSize, alignment: pageSize)
    }

    deinit { buffer.deallocate() }

    private func isLost(_ page: UInt64) -> Bool {
        recovery.group(of: page) != nil || made.contains { $0.page == page }
    }

    public func contains(_ page: PFN) -> Bool { below.contains(page) || isLost(page.number) }
    public func mapped(_ page: PFN) -> UnsafeRawPointer? { isLost(page.number) ? nil : below.mapped(page) }
    public var zerosMayBeHoles: Bool { below.zerosMayBeHoles }
    public func zerosMayBeHole(_ page: PFN) -> Bool { !isLost(page.number) && below.zerosMayBeHole(page) }
    public var kind: String { below.kind }
    public var notes: [String] { below.notes }

    public func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) {
        below.read(first, count: count, into: destination, states: states)
        for i in 0..<count {
            guard let page = first.advanced(by: UInt64(i))?.number else { return }
            let target = destination + i * pageSize
            if let found = made.first(where: { $0.page == page }) {
                found.bytes.bytes.withUnsafeBytes {
                    target.copyMemory(from: $0.baseAddress!, byteCount: pageSize)
                }
                states[i] = .present
            } else if let group = recovery.group(of: page) {
                monitor.lock()
                if copy(page, of: group, to: target) { states[i] = .present }
                monitor.unlock()
            }
        }
    }

    /// Only while the monitor is locked.
    private func copy(_ page: UInt64, of group: Int, to target: UnsafeMutableRawPointer) -> Bool {
        if find(page) == nil {
            guard let rebuilder else { return false }
            if count + 16 > capacity && count > 0 {
                kept.removeAll(keepingCapacity: true)
                count = 0
            }
            var new: [(page: UInt64, number: Int)] = []
            let room = Room(buffer, capacity, count)
            let isWhole = recovery.rebuild(rebuilder, group) { page, bytes in room.keep(page, bytes) }
            guard isWhole else { return false }
            new = room.pages
            count += new.count
            for element in new {
                let place = kept.firstPlace(from: element.page) ?? kept.count
                kept.insert(element, at: place)
            }
        }
        guard let number = find(page) else { return false }
        target.copyMemory(from: buffer + number * pageSize, byteCount: pageSize)
        return true
    }

    private func find(_ page: UInt64) -> Int? {
        guard let place = kept.firstPlace(from: page), kept[place].page == page else { return nil }
        return kept[place].number
    }

    /// Takes the pages of one group.
    private final class Room {
        private let buffer: UnsafeMutableRawPointer
        private let capacity: Int
        private let first: Int
        var pages: [(page: UInt64, number: Int)] = []

        init(_ buffer: UnsafeMutableRawPointer, _ capacity: Int, _ first: Int) {
            self.buffer = buffer
            self.capacity = capacity
            self.first = first
        }

        func keep(_ page: UInt64, _ bytes: UnsafeRawPointer) -> Bool {
            let number = first + pages.count
            guard number < capacity else { return false }
            (buffer + number * pageSize).copyMemory(from: bytes, byteCount: pageSize)
            pages.append((page, number))
            return true
        }
    }
}
