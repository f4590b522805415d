import CLinux
import Linux
import ChainWriting
import PRAM

/// Memory that remembers how it was written: every write in order, so that the state after any of them can be seen. On
/// request a write fails, alone or with all that would follow.
final class RecordedMemory: WritableMemory {
    struct Write {
        let page: UInt64
        let bytes: [UInt8]
        /// Several pages, written in no particular order.
        let isFill: Bool
    }

    enum Fault {
        /// One write fails with this errno; of a fill, so many pages have arrived by then.
        case error(Int32, pagesDone: Int)
        /// From this write on, nothing reaches the memory any more.
        case kill
        /// Writes to this page say that they succeeded.
        case lost(page: UInt64)
    }

    let before: Image
    let pages: Range<UInt64>
    private let base: UnsafeMutableRawPointer
    private let isMapped: Bool
    private(set) var writes: [Write] = []
    /// How many writes each call of `synchronize` found done.
    private(set) var synchronized: [Int] = []
    private(set) var attempts = 0
    var fault: (number: Int, what: Fault)?
    /// Called before each write with its number.
    var whenWriting: ((Int) -> Void)?
    private var isDead = false

    /// - Parameter writable: the pages that may be written; all of them by default.
    init(_ image: Image, isMapped: Bool, writable: Range<UInt64>? = nil) {
        before = image
        pages = writable ?? image.pages
        self.isMapped = isMapped
        base = .allocate(byteCount: image.bytes.count, alignment: 4096)
        image.bytes.withUnsafeBytes { base.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    }

    deinit { base.deallocate() }

    /// The memory as it is now.
    var image: Image { Image(before.pages, copying: base) }

    /// The state after each number of writes, the first without any.
    func states(_ body: (Int, Image) throws -> Void) rethrows {
        var image = before
        try body(0, image)
        for (number, write) in writes.enumerated() {
            image.put(write.bytes, at: write.page)
            try body(number + 1, image)
        }
    }

    /// States within each fill: single pages of it have arrived, and none of the writes behind it.
    func tornStates(_ dice: inout Dice, _ body: (Int, Image) throws -> Void) rethrows {
        var image = before
        for (number, write) in writes.enumerated() {
            if write.isFill {
                var torn = image
                let count = write.bytes.count / 4096
                for place in 0..<count where !dice.once(in: 3) {
                    torn.put(Array(write.bytes[place * 4096..<(place + 1) * 4096]), at: write.page + UInt64(place))
                }
                try body(number, torn)
            }
            image.put(write.bytes, at: write.page)
        }
    }

    func contains(_ page: PFN) -> Bool { before.pages.contains(page.number) }
    func mapped(_ page: PFN) -> UnsafeRawPointer? {
        isMapped && contains(page) ? UnsafeRawPointer(address(page.number)) : nil
    }
    var zerosMayBeHoles: Bool { false }
    var kind: String { "recorded memory" }

    private func address(_ page: UInt64) -> UnsafeMutableRawPointer {
        base + Int(page - before.pages.lowerBound) * 4096
    }

    func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) {
        for i in 0..<count {
            guard let page = first.advanced(by: UInt64(i)), contains(page) else {
                states[i] = .absent
                continue
            }
            (destination + i * 4096).copyMemory(from: address(page.number), byteCount: 4096)
            states[i] = .present
        }
    }

    func fill(
        _ first: PFN, count: Int, _ body: (UnsafeMutableRawBufferPointer) throws(SystemError) -> Void
    ) throws(SystemError) {
        guard holds(first, count) else { throw SystemError("write", code: EFAULT) }
        let target = UnsafeMutableRawBufferPointer(start: address(first.number), count: count * 4096)
        if let failure = beginWriting(first.number, count) {
            // What the caller would have written, as far as it came.
            if case .error(_, let done) = fault?.what, done > 0 {
                let saved = Array(UnsafeRawBufferPointer(target))
                try body(target)
                let from = min(done, count) * 4096
                saved.withUnsafeBytes {
                    _ = memcpy(target.baseAddress! + from, $0.baseAddress! + from, $0.count - from)
                }
                record(first.number, count, isFill: true)
            }
            throw failure
        }
        defer { record(first.number, count, isFill: true) }
        if isMapped {
            try body(target)
        } else {
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count * 4096, alignment: 4096)
            defer { buffer.deallocate() }
            memset(buffer.baseAddress!, 0xa5, buffer.count)
            try body(buffer)
            target.copyMemory(from: UnsafeRawBufferPointer(buffer))
        }
    }

    func write(_ page: PFN, _ bytes: PageBytes) throws(SystemError) {
        guard holds(page, 1) else { throw SystemError("write", code: EFAULT) }
        if let failure = beginWriting(page.number, 1) { throw failure }
        if case .lost(page.number) = fault?.what { return }
        bytes.bytes.withUnsafeBytes { _ = memcpy(address(page.number), $0.baseAddress!, 4096) }
        record(page.number, 1, isFill: false)
    }

    func synchronize() throws(SystemError) {
        if isDead { throw SystemError("fsync", code: EIO) }
        synchronized.append(writes.count)
    }

    private func holds(_ page: PFN, _ count: Int) -> Bool {
        pages.contains(page.number) && UInt64(count) <= pages.upperBound - page.number
    }

    private func record(_ page: UInt64, _ count: Int, isFill: Bool) {
        let bytes = Array(UnsafeRawBufferPointer(start: address(page), count: count * 4096))
        writes.append(Write(page: page, bytes: bytes, isFill: isFill))
    }

    /// The error with which this write fails, if it does.
    private func beginWriting(_ page: UInt64, _ count: Int) -> SystemError? {
        let number = attempts
        attempts += 1
        whenWriting?(number)
        if isDead { return SystemError("write", code: EIO) }
        guard let fault, fault.number == number else { return nil }
        switch fault.what {
        case .error(let code, _): return SystemError("write", code: code)
        case .kill:
            isDead = true
            return SystemError("write", code: EIO)
        case .lost: return nil
        }
    }
}
