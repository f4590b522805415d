import CLinux
import PRAM
import Testing

@testable import ChainWriting
@testable import Linux

/// Memory that is written by calls, which it counts; from one of them on they fail.
private final class CountedMemory: WritableMemory {
    let pages: Range<UInt64> = 0..<4096
    let monitor = Monitor()
    var bytes = [UInt64: UInt8]()
    var calls = 0
    var failsFrom = Int.max
    var sizes: [Int] = []

    var isWrittenByCalls: Bool { true }
    var zerosMayBeHoles: Bool { false }
    var kind: String { "test" }
    func contains(_ page: PFN) -> Bool { pages.contains(page.number) }
    func mapped(_ page: PFN) -> UnsafeRawPointer? { nil }
    func synchronize() {}

    func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) {
        for place in 0..<count { states[place] = .absent }
    }

    func fill(
        _ first: PFN, count: Int, _ body: (UnsafeMutableRawBufferPointer) throws(SystemError) -> Void
    ) throws(SystemError) { throw SystemError("write", code: EFAULT) }

    func write(_ page: PFN, _ bytes: PageBytes) throws(SystemError) { throw SystemError("write", code: EFAULT) }

    func write(_ first: PFN, pages: UnsafeRawBufferPointer) throws(SystemError) {
        monitor.lock()
        defer { monitor.unlock() }
        calls += 1
        if calls > failsFrom { throw SystemError("write", code: ENOSPC) }
        sizes.append(pages.count / 4096)
        for place in stride(from: 0, to: pages.count, by: 4096) {
            bytes[first.number + UInt64(place / 4096)] = pages[place]
        }
    }
}

@Suite struct WriteBehindTests {
    private static func page(_ number: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: number &* 37 &+ 1) }

    /// Two runs of pages side by side, and single pages in between, all in a random order.
    private static func fill(_ behind: WriteBehind, _ dice: inout Dice) throws -> Set<UInt64> {
        var ends: [UInt64] = [0, 1000]
        var written: Set<UInt64> = []
        for _ in 0..<dice.roll(1...200) {
            if dice.once(in: 10) {
                let page = 3000 + UInt64(dice.roll(0..<500))
                guard written.insert(page).inserted else { continue }
                try behind.put(PFN(page), PageBytes([UInt8](repeating: Self.page(page), count: 4096)))
                continue
            }
            let run = dice.roll(0..<2)
            let first = PFN(ends[run])
            let count = dice.roll(1...behind.capacity(at: first))
            guard ends[run] + UInt64(count) < UInt64(run + 1) * 1000 else { continue }
            let room = try behind.room(first, count: count)
            let kept = dice.once(in: 8) ? dice.roll(0...count) : count
            for place in 0..<kept {
                memset(room.baseAddress! + place * 4096, Int32(Self.page(ends[run] + UInt64(place))), 4096)
                written.insert(ends[run] + UInt64(place))
            }
            behind.giveBack(count - kept)
            ends[run] += UInt64(kept)
        }
        return written
    }

    @Test(arguments: seeds(60)) func `every page arrives, and those that are watched are there when it is said`(
        seed: Int
    ) throws {
        var dice = Dice(seed)
        let memory = CountedMemory()
        var said: UInt64 = 0
        var isTrue = true
        let behind = WriteBehind(memory, watching: 0) { end in
            memory.monitor.lock()
            for page in said..<max(said, end) where memory.bytes[page] == nil { isTrue = false }
            memory.monitor.unlock()
            isTrue = isTrue && end >= said
            said = end
            return dice.once(in: 2)
        }
        defer { behind.end() }
        var order = Dice(seed + 1_000_000)
        let written = try Self.fill(behind, &order)
        try behind.flush()
        #expect(Set(memory.bytes.keys) == written)
        for (page, byte) in memory.bytes { #expect(byte == Self.page(page), "page \(page)") }
        #expect(isTrue)
        #expect(memory.sizes.allSatisfy { (1...WriteBehind.pieceCapacity).contains($0) })
    }

    @Test func `a write that fails is told, at the latest by the flush, and none follows`() throws {
        for number in 0..<12 {
            var dice = Dice(number)
            let memory = CountedMemory()
            memory.failsFrom = number
            let behind = WriteBehind(memory, watching: 0) { _ in false }
            defer { behind.end() }
            var code: Int32?
            do {
                for _ in 0..<4 { _ = try Self.fill(behind, &dice) }
                try behind.flush()
            } catch let error as SystemError { code = error.code }
            #expect(code == ENOSPC || memory.calls <= number)
            #expect(memory.calls <= number + 1)
        }
    }

    @Test func `without a thread it only takes longer`() throws {
        let memory = CountedMemory()
        try FaultInjection.with([.failFrom(.pthreadCreate, 0, EAGAIN)]) { _ in
            let behind = WriteBehind(memory, watching: 0) { _ in false }
            defer { behind.end() }
            var dice = Dice(1)
            let written = try Self.fill(behind, &dice)
            try behind.flush()
            #expect(Set(memory.bytes.keys) == written)
        }
    }

    @Test func `what is not flushed when it ends is not waited for`() throws {
        let behind = WriteBehind(CountedMemory(), watching: 0) { _ in false }
        _ = try behind.room(PFN(0), count: 64)
        _ = try behind.room(PFN(64), count: 64)
        behind.end()
    }
}
