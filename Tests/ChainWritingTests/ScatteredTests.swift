import ChainWriting
import Linux
import PRAM
import Testing
import Verification

/// Pages that lie at scattered frames, as those of a file in memory do.
final class ScatteredMemory: WritableMemory {
    private let base: UnsafeMutableRawPointer
    private let frames: [UInt64]
    /// In the order of frames; nil where they come as the file has them.
    private let order: FrameOrder?
    let pages: Range<UInt64>
    /// What is seen by frame.
    let seen: Seen

    final class Seen: PhysicalMemory {
        let base: UnsafeMutableRawPointer
        /// The place of each frame in the file.
        var places: [UInt64: Int] = [:]
        /// A frame that shows something else, as where a page was moved.
        var moved: UInt64?

        init(_ base: UnsafeMutableRawPointer) { self.base = base }

        func bytes(_ frame: UInt64) -> [UInt8] {
            Array(UnsafeRawBufferPointer(start: base + places[frame]! * pageSize, count: pageSize))
        }

        func put(_ bytes: [UInt8], _ frame: UInt64) {
            bytes.withUnsafeBytes {
                (base + places[frame]! * pageSize).copyMemory(from: $0.baseAddress!, byteCount: pageSize)
            }
        }

        var kind: String { "frames" }
        var zerosMayBeHoles: Bool { true }
        func contains(_ page: PFN) -> Bool { places[page.number] != nil }
        func mapped(_ page: PFN) -> UnsafeRawPointer? { nil }
        func read(
            _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
        ) {
            for index in 0..<count {
                guard let place = places[first.number + UInt64(index)] else {
                    states[index] = .absent
                    continue
                }
                let target = destination + index * pageSize
                target.copyMemory(from: base + place * pageSize, byteCount: pageSize)
                if moved == first.number + UInt64(index) { target.storeBytes(of: 0x55, as: UInt8.self) }
                states[index] = .present
            }
        }
    }

    convenience init(_ order: FrameOrder) {
        var file = [UInt64](repeating: 0, count: order.count)
        for place in 0..<order.count { file[order.page(place)] = order.frames[place] }
        self.init(file, order)
    }

    init(_ file: [UInt64], _ order: FrameOrder? = nil) {
        let frames = file
        self.order = order
        base = .allocate(byteCount: frames.count * pageSize, alignment: pageSize)
        base.initializeMemory(as: UInt8.self, repeating: 0, count: frames.count * pageSize)
        self.frames = order?.frames ?? frames
        pages = 1..<UInt64(frames.count) + 1
        seen = Seen(base)
        for (place, frame) in frames.enumerated() { seen.places[frame] = place }
    }

    deinit { base.deallocate() }

    private func address(_ page: PFN) -> UnsafeMutableRawPointer {
        let place = Int(page.number - 1)
        return base + (order?.page(place) ?? place) * pageSize
    }

    var kind: String { "memfd" }
    var zerosMayBeHoles: Bool { false }
    var readBack: any PhysicalMemory { seen }
    func frame(of page: PFN) -> PFN { pages.contains(page.number) ? PFN(frames[Int(page.number) - 1]) : page }
    func contains(_ page: PFN) -> Bool { pages.contains(page.number) }
    func mapped(_ page: PFN) -> UnsafeRawPointer? {
        contains(page) ? UnsafeRawPointer(address(page)) : nil
    }
    func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) {
        for index in 0..<count {
            let source = mapped(PFN(first.number + UInt64(index)))
            states[index] = source == nil ? .absent : .present
            if let source { (destination + index * pageSize).copyMemory(from: source, byteCount: pageSize) }
        }
    }
    func fill(
        _ first: PFN, count: Int, _ body: (UnsafeMutableRawBufferPointer) throws(SystemError) -> Void
    ) throws(SystemError) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count * pageSize, alignment: pageSize)
        defer { buffer.deallocate() }
        try body(buffer)
        for index in 0..<count {
            address(PFN(first.number + UInt64(index))).copyMemory(
                from: buffer.baseAddress! + index * pageSize, byteCount: pageSize)
        }
    }
    func write(_ page: PFN, _ bytes: PageBytes) throws(SystemError) {
        bytes.bytes.withUnsafeBytes {
            address(page).copyMemory(from: $0.baseAddress!, byteCount: pageSize)
        }
    }
    func synchronize() throws(SystemError) {}
}

struct ScatteredTests {
    private func frames(_ count: Int, _ dice: inout Dice) -> [UInt64] {
        var all = (0..<count).map { 0x1000 + UInt64($0) * 3 + ($0 > count / 2 ? 0x10_0000 : 0) }
        for place in all.indices { all.swapAt(place, dice.roll(0..<all.count)) }
        return all
    }

    @Test func `links name frames, wherever pages lie, and what is read back by frame is the chain`() throws {
        for count in [1, 168, 169, 170, 700] {
            var dice = Dice(count)
            let files = SourceFiles()
            try files.add([1], size: count * 4096, pages: Array(0..<count), &dice)
            try files.add([2], size: 5000, pages: [0, 1], &dice)
            let plan = try SavePlan(files.directory)
            let size = Int(try #require(plan.size))
            let memory = ScatteredMemory(frames(size, &dice))
            var save = try ChainSave(plan, from: files.directory, into: memory, generation: 7)
            let (head, chain) = try save.run(threads: 2, seed: 1)
            #expect(head == memory.frame(of: PFN(1)))
            #expect(chain.verdict == .intact)
            let again = ChainCheck(head: head, memory: memory.seen, options: ChainCheck.Options(), seed: 2).run()
            #expect(again.verdict == .intact && again.files.count == 2 && again.links.first?.generation == 7)
            for link in again.links { #expect(memory.seen.contains(link.page)) }
        }
    }

    @Test func `a page that is not at its frame is noticed before there is a head`() throws {
        var dice = Dice(5)
        let files = SourceFiles()
        try files.add([1], size: 300 * 4096, pages: Array(0..<300), &dice)
        let plan = try SavePlan(files.directory)
        let memory = ScatteredMemory(frames(Int(try #require(plan.size)), &dice))
        memory.seen.moved = memory.frame(of: PFN(200)).number
        var save = try ChainSave(plan, from: files.directory, into: memory, generation: 7)
        #expect(writingFailure { _ = try save.run(threads: 1, seed: 1) }?.cause == .notVerified)
        var state = PageState.absent
        #expect(PageBytes(memory.frame(of: PFN(1)), of: memory.seen, state: &state).isZero)
    }

    @Test func `a session's name is that of the generation`() {
        let boot = Array("1b2c3d4e-0000-4000-8000-000000000000".utf8)
        let generation = KeptSession.generation(boot: boot, random: 0xffff_ffff_0000_00a5)
        #expect(generation == 0x1b2c_3d4e_0000_00a5)
        #expect(String(decoding: KeptSession.name(generation), as: UTF8.self) == "pram-verify-1b2c3d4e-000000a5")
        #expect(KeptSession.name(0).count == 29 && KeptSession.name(.max).count == 29)
        #expect(KeptSession.generation(boot: [], random: 1) == 1)
        #expect(KeptSession.words(generation) == Array("1b2c3d4e-000000a5".utf8))
        #expect(KeptSession.generation(named: KeptSession.words(generation)) == generation)
        #expect(KeptSession.isName(KeptSession.name(0)) && KeptSession.isName(KeptSession.name(.max)))
        for wrong in ["", "1b2c3d4e-000000a", "1b2c3d4e-000000a55", "1B2c3d4e-000000a5", "1b2c3d4e+000000a5", "-"] {
            #expect(KeptSession.generation(named: Array(wrong.utf8)) == nil)
            #expect(!KeptSession.isName(Array("pram-verify-\(wrong)".utf8)))
        }
        #expect(!KeptSession.isName(Array("xram-verify-1b2c3d4e-000000a5".utf8)))
    }
}
