import Glibc
import Linux
import PRAM
import Parity
import Testing
import Verification

@testable import ChainWriting

/// A chain with parity whose pages lie at frames of any numbers, and what is lost of it.
private struct ScatteredChain {
    let memory: ScatteredMemory
    let save: ChainSave
    let head: PFN
    let order: FrameOrder
    let protection: ParityLayout
    /// Each frame as it was written.
    let before: [UInt64: [UInt8]]

    init(_ dice: inout Dice, pages: Int, percent: Int = 5, frames: ((Int, inout Dice) -> [UInt64])? = nil) throws {
        let files = SourceFiles()
        try files.add([65], size: 0, pages: [], &dice)
        try files.add([66], size: pages * 4096 - 7, pages: Array(0..<pages), &dice)
        try files.add([67], size: 1 << 20, pages: [3, 9], &dice)
        let plan = try SavePlan(files.directory)
        let size = try #require(SaveEstimate(plan, parity: percent)?.pages)
        let numbers = frames?(Int(size), &dice) ?? ScatteredChain.runs(Int(size), &dice)
        order = try #require(FrameOrder(numbers))
        memory = ScatteredMemory(order)
        var save = try ChainSave(plan, from: files.directory, into: memory, generation: 7, parity: percent)
        let (head, chain) = try save.run(threads: 2, seed: 1)
        #expect(chain.verdict == .intact && chain.files.last?.isParity == true)
        self.head = head
        protection = try #require(save.protection)
        self.save = save
        before = Dictionary(uniqueKeysWithValues: order.frames.map { [memory] in ($0, memory.seen.bytes($0)) })
    }

    /// Runs of adjacent frames, which come in any order.
    static func runs(_ count: Int, _ dice: inout Dice) -> [UInt64] {
        var runs: [[UInt64]] = []
        var next = UInt64(dice.roll(1...1 << 20))
        var left = count
        while left > 0 {
            let length = min(left, dice.pick([1, 1, 2, 7, 64]))
            let run = (0..<UInt64(length)).map { next + $0 }
            runs.append(dice.once(in: 2) ? run : run.reversed())
            next += UInt64(length + dice.roll(1...9))
            left -= length
        }
        runs.shuffle(using: &dice)
        return runs.flatMap { $0 }
    }

    func destroy(_ frames: some Sequence<UInt64>) {
        for frame in frames { memory.seen.put([UInt8](repeating: 0xA5, count: 4096), frame) }
    }

    func restore() {
        for (frame, bytes) in before { memory.seen.put(bytes, frame) }
    }

    /// Whether the whole chain reads as it was written.
    func comesBack() -> Bool {
        guard let recovery = try? ChainRecovery(head: head, memory: memory.seen, ends: [], threads: 1, seed: 3),
            recovery.isWhole
        else { return false }
        let recovered = RecoveredMemory(recovery)
        var listed: [UInt64] = []
        var options = ChainCheck.Options()
        options.observe = { walked, _ in
            listed.append(walked.page.number)
            for entry in walked.link?.entries ?? [] { listed.append(entry.page.number) }
        }
        guard ChainCheck(head: head, memory: recovered, options: options, seed: 4).run().verdict == .intact else {
            return false
        }
        return listed.allSatisfy { frame in
            var state = PageState.absent
            return PageBytes(PFN(frame), of: recovered, state: &state).bytes.elementsEqual(before[frame]!)
        }
    }
}

struct ScatteredParityTests {
    /// In the order of their numbers, wherever they begin; not the head with the page behind it, which is what tells
    /// where the rest lies.
    @Test func `any run of as many frames as there are parity pages comes back`() throws {
        for seed in 0..<5 {
            var dice = Dice(seed)
            let chain = try ScatteredChain(
                &dice, pages: dice.pick([3, 40, 400, 900]), percent: dice.pick([5, 10, 30]))
            let sorted = chain.order.frames.sorted()
            let length = min(chain.protection.longestRun, sorted.count)
            for _ in 0..<5 {
                let start = dice.roll(0...sorted.count - length)
                let run = sorted[start..<start + length].filter { $0 != chain.order.frames[1] }
                chain.destroy(run)
                #expect(chain.comesBack(), "seed \(seed), \(length) frames from \(start) on")
                chain.restore()
            }
        }
    }

    @Test func `single pages come back, also the head, a link with its copy, the parity file's and the locators`()
        throws
    {
        for seed in 0..<2 {
            var dice = Dice(100 + seed)
            let chain = try ScatteredChain(&dice, pages: 900)
            let frame = { (page: UInt64) in chain.memory.frame(of: PFN(page)).number }
            let (head, layout) = (chain.head.number, chain.protection)
            #expect(frame(layout.frontLocator) == head + 1)
            for lost in [
                [head], [head + 1], [frame(layout.link(2))], [frame(layout.link(3)), frame(layout.mirror + 3)],
                [head, frame(layout.mirror + 1), frame(layout.linkParity)], [frame(layout.firstPage)],
                [frame(layout.meta ?? 0), frame(layout.geometry ?? 0), frame(layout.parity + 5)],
                [head + 1, frame(layout.backLocator), frame(layout.firstPage + 9)],
            ] {
                chain.destroy(lost)
                #expect(chain.comesBack(), "seed \(seed): \(lost)")
                chain.restore()
            }
        }
    }

    @Test
    func `one page more than a group's parity, and a head that is lost with the page behind it, do not come back`()
        throws
    {
        var dice = Dice(7)
        let chain = try ScatteredChain(&dice, pages: 900)
        let code = try #require(chain.protection.code)
        let members = (0...code.rows).map { chain.order.frames[Int(chain.protection.firstPage) - 1 + $0 * code.groups] }
        chain.destroy(members.dropLast())
        #expect(chain.comesBack())
        chain.destroy(members)
        #expect(!chain.comesBack())
        chain.restore()
        chain.destroy([chain.head.number, chain.head.number + 1])
        #expect(!chain.comesBack())
        chain.restore()
        #expect(chain.comesBack())
    }

    @Test func `a link that only parity brings back hides none of those behind it`() throws {
        var dice = Dice(8)
        let chain = try ScatteredChain(&dice, pages: 900)
        let frame = { (page: UInt64) in chain.memory.frame(of: PFN(page)).number }
        chain.destroy([frame(chain.protection.link(2)), frame(chain.protection.mirror + 2)])
        let recovery = try ChainRecovery(head: chain.head, memory: chain.memory.seen, ends: [], threads: 1, seed: 3)
        #expect(recovery.links.lost == [2])
    }

    @Test func `frames that do not ascend are saved without parity`() throws {
        var dice = Dice(9)
        let files = SourceFiles()
        try files.add([66], size: 300 * 4096, pages: Array(0..<300), &dice)
        let plan = try SavePlan(files.directory)
        let size = try #require(SaveEstimate(plan, parity: 5)?.pages)
        // Descending, the rank of a page is not its place.
        let memory = ScatteredMemory((0..<size).map { 5000 - $0 })
        var save = try ChainSave(plan, from: files.directory, into: memory, generation: 7, parity: 5)
        #expect(save.isScattered)
        let (_, chain) = try save.run(threads: 1, seed: 1)
        #expect(chain.verdict == .intact && save.protection == nil && chain.files.count == 1)
    }
}

struct HeadSearchTests {
    private func head(_ chain: ScatteredChain) -> PFN? {
        var search = HeadSearch()
        look(at: chain, &search)
        return search.head
    }

    private func look(at chain: ScatteredChain, _ search: inout HeadSearch) {
        for frame in chain.order.frames.sorted() {
            let bytes = chain.memory.seen.bytes(frame)
            let start = bytes.withUnsafeBytes { $0.load(as: UInt64.self) }
            if HeadSearch.mayBegin(start) { search.take(frame, PageBytes(bytes)) }
        }
    }

    @Test func `a locator whose head is there goes before one that is left of another chain`() throws {
        var dice = Dice(23)
        let former = try ScatteredChain(&dice, pages: 300)
        let chain = try ScatteredChain(&dice, pages: 300) { count, dice in
            ScatteredChain.runs(count, &dice).map { $0 + 1 << 32 }
        }
        former.destroy([former.head.number])
        var search = HeadSearch()
        look(at: former, &search)
        #expect(search.proved == nil && search.head == former.head)
        look(at: chain, &search)
        #expect(search.proved == chain.head && search.head == chain.head)
    }

    @Test func `a locator tells the head, also where the head is lost`() throws {
        var dice = Dice(21)
        let chain = try ScatteredChain(&dice, pages: 600)
        #expect(head(chain) == chain.head)
        chain.destroy([chain.head.number])
        #expect(head(chain) == chain.head)
        chain.destroy([chain.head.number + 1])
        #expect(head(chain) == chain.head)
        // Nothing but links and their copies, of which nobody can tell which is which.
        chain.restore()
        let layout = chain.protection
        chain.destroy([layout.frontLocator, layout.backLocator].map { chain.memory.frame(of: PFN($0)).number })
        #expect(head(chain) == nil)
    }

    @Test func `without copies it is the link that no other names`() throws {
        var dice = Dice(22)
        let files = SourceFiles()
        try files.add([66], size: 700 * 4096, pages: Array(0..<700), &dice)
        let plan = try SavePlan(files.directory)
        let numbers = ScatteredChain.runs(Int(try #require(plan.size)), &dice)
        let memory = ScatteredMemory(try #require(FrameOrder(numbers)))
        var save = try ChainSave(plan, from: files.directory, into: memory, generation: 7)
        let (written, _) = try save.run(threads: 1, seed: 1)
        var search = HeadSearch()
        for frame in numbers.sorted() { search.take(frame, PageBytes(memory.seen.bytes(frame))) }
        #expect(search.head == written)
        #expect(HeadSearch().head == nil)
        search.take(1 << 40, PageBytes(memory.seen.bytes(written.number)))
        #expect(search.head == nil)
    }
}

struct FrameOrderTests {
    @Test func `places ascend, and the first two are neighbours`() throws {
        let order = try #require(FrameOrder([70, 10, 30, 31, 20, 32]))
        #expect(order.frames == [30, 31, 10, 20, 32, 70])
        #expect((0..<6).map(order.page) == [2, 3, 1, 4, 5, 0])
        #expect(order.isAdjacent(0, count: 2) && !order.isAdjacent(1, count: 2) && order.isAdjacent(3, count: 2))
        #expect(!order.isAdjacent(0, count: 6) && order.isAdjacent(5, count: 1))
        for (place, frame) in order.frames.enumerated() { #expect(order.place(ofFrame: frame) == place) }
        for frame in [0, 9, 11, 29, 33, 69, 71, .max] as [UInt64] { #expect(order.place(ofFrame: frame) == nil) }
    }

    @Test func `without neighbours they ascend`() throws {
        #expect(try #require(FrameOrder([9, 1, 5])).frames == [1, 5, 9])
        #expect(try #require(FrameOrder([4, 3])).frames == [3, 4])
        #expect(try #require(FrameOrder([4])).frames == [4])
        #expect(try #require(FrameOrder([])).frames.isEmpty)
    }

    @Test func `a head that was chosen before stays the first, with what follows it`() throws {
        let order = try #require(FrameOrder([70, 10, 30, 31, 20, 32], head: 31))
        #expect(order.frames == [31, 32, 10, 20, 30, 70])
        let alone = try #require(FrameOrder([70, 10, 30, 31, 20], head: 20))
        #expect(alone.frames == [20, 10, 30, 31, 70])
        #expect((0..<5).map(alone.page) == [4, 1, 2, 3, 0])
        for order in [order, alone] {
            for (place, frame) in order.frames.enumerated() { #expect(order.place(ofFrame: frame) == place) }
            for frame in [0, 9, 11, 29, 33, 69, 71] as [UInt64] { #expect(order.place(ofFrame: frame) == nil) }
        }
        #expect(FrameOrder([70, 10], head: 11) == nil)
    }
}

/// Root alone is shown page frames.
struct KeptFileTests {
    @Test(.enabled(if: getuid() == 0))
    func `its pages are found by their frames`() throws {
        let count = 40
        let memory = try MemoryFileDescriptor(size: UInt64(count * pageSize))
        let mapping = try Mapping(memory.descriptor, offset: 0, count: count * pageSize, writable: true)
        for place in 0..<count {
            (mapping.base + place * pageSize).storeBytes(of: UInt64(place) &+ 7, as: UInt64.self)
        }
        let frames = try PageFrames.find(mapping.base, count: count)
        let kept = try KeptFile([memory])
        for (place, frame) in frames.enumerated() {
            var state = PageState.absent
            let page = PageBytes(PFN(frame), of: kept, state: &state)
            #expect(state == .present && page.bytes[0] == UInt8(place) + 7)
            #expect(kept.contains(PFN(frame)) && kept.mapped(PFN(frame)) != nil)
        }
        let other = try #require((1...).first { !frames.contains($0) })
        var state = PageState.present
        _ = PageBytes(PFN(other), of: kept, state: &state)
        #expect(state == .absent && !kept.contains(PFN(other)) && kept.mapped(PFN(other)) == nil)
    }

    @Test(.enabled(if: getuid() == 0))
    func `of two files the first one has the head, whatever comes behind`() throws {
        let files = try [EarlyHead.pages, 500].map { count in
            let file = try MemoryFileDescriptor(size: UInt64(count * pageSize))
            try file.seal(againstWriters: false)
            return file
        }
        let early = try EarlyHead(files[0])
        let mapping = try Mapping(files, writable: true)
        #expect(mapping.count == (EarlyHead.pages + 500) * pageSize)
        for place in 0..<EarlyHead.pages + 500 {
            (mapping.base + place * pageSize).storeBytes(of: UInt64(place) &+ 7, as: UInt64.self)
        }
        let kept = try KeptFile(files)
        #expect(kept.first == early.page)
        for (place, frame) in try PageFrames.find(mapping.base, count: EarlyHead.pages + 500).enumerated() {
            let page = try #require(kept.mapped(PFN(frame)))
            #expect(page.load(as: UInt64.self) == UInt64(place) + 7)
        }
    }

    @Test func `an empty file is refused`() throws {
        let file = try MemoryFileDescriptor(size: UInt64(pageSize))
        try file.descriptor.truncate(to: 0)
        var isRefused = false
        do throws(SystemError) { _ = try KeptFile([file]) } catch { isRefused = true }
        #expect(isRefused)
    }
}
