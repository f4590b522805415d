import Linux
import PRAM

/// Pages on their way into memory that is written by system calls. They are put together in pieces of up to 256 KiB,
/// and a thread of its own writes these, in the order in which they were begun, while the next ones are read.
///
/// One thread alone puts pages here; two runs of pages may grow side by side, such as pages of files and links.
final class WriteBehind {
    static let pieceCapacity = 64
    /// 3 MiB in all.
    private static let pieceCount = 12

    private final class Piece {
        let bytes = UnsafeMutableRawPointer.allocate(byteCount: pieceCapacity * pageSize, alignment: pageSize)
        var first: UInt64 = 0
        var count = 0
        var end: UInt64 { first + UInt64(count) }
        deinit { bytes.deallocate() }
    }

    private let memory: any WritableMemory
    private let monitor = Monitor()
    /// Those that still grow; the one that grew last stands last.
    private var growing: [Piece] = []
    /// What can be done instead of waiting, with the end of the pages that are watched; false when that is nothing.
    private let idle: (UInt64) -> Bool
    private var worker: Thread?
    private var hasNoThread = false
    // Guarded by the monitor.
    private var free: [Piece] = (0..<pieceCount).map { _ in Piece() }
    private var queue: [Piece] = []
    private var isWriting = false
    private var isEnding = false
    private var failure: SystemError?
    private var watchedEnd: UInt64

    /// - Parameters:
    ///   - first: a page; those from there on that were written without a gap are watched.
    ///   - idle: called by the thread that puts pages here.
    init(_ memory: any WritableMemory, watching first: UInt64, idle: @escaping (UInt64) -> Bool) {
        self.memory = memory
        watchedEnd = first
        self.idle = idle
    }

    /// How many adjacent pages from this one on there is room for in one piece.
    func capacity(at first: PFN) -> Int {
        guard let piece = growing.first(where: { $0.end == first.number }), piece.count < WriteBehind.pieceCapacity
        else { return WriteBehind.pieceCapacity }
        return WriteBehind.pieceCapacity - piece.count
    }

    /// Room for adjacent pages, at most `pieceCapacity` of them; it has to be filled before the next call of anything
    /// here.
    func room(_ first: PFN, count: Int) throws(SystemError) -> UnsafeMutableRawBufferPointer {
        let piece: Piece
        if let place = growing.firstIndex(where: { $0.end == first.number }) {
            let found = growing.remove(at: place)
            if found.count + count <= WriteBehind.pieceCapacity {
                piece = found
            } else {
                try hand(found)
                piece = try takeFree(first)
            }
        } else {
            if growing.count == 2 { try hand(growing.removeFirst()) }
            piece = try takeFree(first)
        }
        growing.append(piece)
        let start = piece.bytes + piece.count * pageSize
        piece.count += count
        return UnsafeMutableRawBufferPointer(start: start, count: count * pageSize)
    }

    /// Takes back the last pages of the room that was given last.
    func giveBack(_ count: Int) { growing.last?.count -= count }

    func put(_ page: PFN, _ bytes: PageBytes) throws(SystemError) {
        let room = try room(page, count: 1)
        bytes.bytes.withUnsafeBytes { room.copyMemory(from: $0) }
    }

    /// Returns when all that was put here is written.
    func flush() throws(SystemError) {
        while !growing.isEmpty { try hand(growing.removeFirst()) }
        try wait { queue.isEmpty && !isWriting }
    }

    /// Ends the thread. What was not flushed may not be written.
    func end() {
        growing = []
        monitor.lock()
        isEnding = true
        queue = []
        monitor.announce()
        monitor.unlock()
        worker.take()?.join()
    }

    /// Waits, or does something else, until `isReady`, which is called while the monitor is locked.
    private func wait(_ isReady: () -> Bool) throws(SystemError) {
        monitor.lock()
        defer { monitor.unlock() }
        var canDoElse = true
        while failure == nil && !isReady() {
            guard canDoElse else {
                monitor.wait()
                canDoElse = true
                continue
            }
            let end = watchedEnd
            monitor.unlock()
            canDoElse = idle(end)
            monitor.lock()
        }
        if let failure { throw failure }
    }

    private func takeFree(_ first: PFN) throws(SystemError) -> Piece {
        var taken: Piece?
        try wait {
            taken = free.popLast()
            return taken != nil
        }
        guard let taken else { throw SystemError("write", code: ErrorCode.badAddress) }
        taken.first = first.number
        taken.count = 0
        return taken
    }

    private func hand(_ piece: Piece) throws(SystemError) {
        if worker == nil && !hasNoThread {
            do throws(SystemError) { worker = try Thread { self.work() } } catch { hasNoThread = true }
        }
        if hasNoThread { write(piece) }
        monitor.lock()
        if hasNoThread { finish(piece) } else { queue.append(piece) }
        monitor.announce()
        let failure = failure
        monitor.unlock()
        if let failure { throw failure }
    }

    private func work() {
        monitor.lock()
        while true {
            while queue.isEmpty && !isEnding { monitor.wait() }
            guard !queue.isEmpty else { break }
            let piece = queue.removeFirst()
            isWriting = true
            let hasFailed = failure != nil
            monitor.unlock()
            if !hasFailed { write(piece) }
            monitor.lock()
            isWriting = false
            finish(piece)
            monitor.announce()
        }
        monitor.unlock()
    }

    private func write(_ piece: Piece) {
        guard piece.count > 0 else { return }
        do throws(SystemError) {
            let count = piece.count * pageSize
            try memory.write(PFN(piece.first), pages: UnsafeRawBufferPointer(start: piece.bytes, count: count))
        } catch {
            monitor.lock()
            if failure == nil { failure = error }
            monitor.unlock()
        }
    }

    /// Only while the monitor is locked.
    private func finish(_ piece: Piece) {
        if failure == nil && piece.first == watchedEnd { watchedEnd = piece.end }
        free.append(piece)
    }
}
