import PRAM
import Testing

@testable import Machine
@testable import MemorySources

private let directMap: UInt64 = 0xffff_9a40_0000_0000
private func pages(_ numbers: Range<UInt64>) -> [UInt8] { numbers.flatMap(samplePage) }

private func open(_ bytes: [UInt8], _ iomem: String? = nil) throws(MemoryFailure) -> Kcore {
    let machine = FakeMachine()
    machine.write("kcore", bytes)
    return try Kcore.open(
        machine.path("kcore"), iomem: iomem.map { Iomem(parsing: Array($0.utf8)) }, policy: freePolicy)
}

/// As on a kernel of today: the image, vmalloc, two pieces of RAM.
private let modern = [
    FakeSegment(virtual: 0xffff_ffff_8100_0000, physical: 0x10_0000, bytes: [UInt8](repeating: 1, count: 8192)),
    FakeSegment(virtual: 0xffff_c900_0000_0000, physical: .max, bytes: [UInt8](repeating: 2, count: 8192)),
    FakeSegment(virtual: directMap + 0x20_0000, physical: 0x20_0000, bytes: pages(0x200..<0x203)),
    FakeSegment(virtual: directMap + 0x10_0000, physical: 0x10_0000, bytes: pages(0x100..<0x104)),
]

@Suite struct KcoreTests {
    @Test func findsPagesByPhysicalAddress() throws {
        let kcore = try open(fakeKcore(modern))
        #expect(
            [0xff, 0x100, 0x103, 0x104, 0x1ff, 0x200, 0x202, 0x203].map { kcore.contains(PFN($0)) }
                == [false, true, true, false, false, true, true, false])
        let (states, bytes) = read(kcore, 0x100, 5)
        #expect(states == [.present, .present, .present, .present, .absent])
        #expect(bytes[0] == samplePage(0x100))
        #expect(bytes[3] == samplePage(0x103))
        #expect(kcore.zerosMayBeHoles)
        #expect(kcore.mapped(PFN(0x100)) == nil)
        #expect(kcore.failure(of: PFN(0x100)) == nil)
        #expect(kcore.failure(of: PFN(0x104))?.cause == .noSuchMemory)
    }

    @Test func anyPFNIsAnswered() throws {
        let kcore = try open(fakeKcore(modern))
        #expect(!kcore.contains(PFN(.max)))
        #expect(!kcore.contains(PFN(1 << 52)))
        #expect(read(kcore, .max, 3).states == [.absent, .absent, .absent])
    }

    @Test func filesThatEndEarlyLoseOnlyTheLastPages() throws {
        let bytes = fakeKcore([FakeSegment(virtual: directMap + 0x1000, physical: 0x1000, bytes: pages(1..<5))])
        let kcore = try open(Array(bytes.dropLast(4097)))
        let (states, contents) = read(kcore, 1, 4)
        #expect(states == [.present, .present, .unreadable, .unreadable])
        #expect(contents[1] == samplePage(2))
        #expect(kcore.failure(of: PFN(3))?.cause == .inputOutput)
    }

    @Test func partialPagesAreNotHeld() throws {
        let page = [UInt8](repeating: 0, count: pageSize)
        let kcore = try open(fakeKcore([FakeSegment(virtual: directMap + 0x1800, physical: 0x1800, bytes: page)]))
        #expect(!kcore.contains(PFN(1)))
        #expect(!kcore.contains(PFN(2)))
    }

    @Test func overlappingSegmentsAreCut() throws {
        let kcore = try open(
            fakeKcore([
                FakeSegment(virtual: directMap + 0x2000, physical: 0x2000, bytes: pages(2..<6)),
                FakeSegment(virtual: directMap + 0x1000, physical: 0x1000, bytes: pages(1..<4)),
                FakeSegment(virtual: directMap + 0x2000, physical: 0x2000, bytes: pages(2..<3)),
            ]))
        let (states, contents) = read(kcore, 1, 5)
        #expect(states == [.present, .present, .present, .present, .present])
        #expect(contents == (1...5).map(samplePage))
    }

    @Test func oldKernelsAreMatchedWithIomem() throws {
        let base: UInt64 = 0xffff_8800_0000_0000
        let old = [
            FakeSegment(virtual: 0xffff_ffff_8100_0000, physical: 0, bytes: pages(0..<3)),
            FakeSegment(virtual: 0xffff_c900_0000_0000, physical: 0, bytes: pages(0..<3)),
            FakeSegment(virtual: base + 0x1000, physical: 0, bytes: pages(1..<4)),
            FakeSegment(virtual: base + 0x10_0000, physical: 0, bytes: pages(0x100..<0x102)),
        ]
        let iomem = "00001000-00004bff : System RAM\n00004c00-00004fff : reserved\n00100000-00101fff : System RAM\n"
        let kcore = try open(fakeKcore(old), iomem)
        #expect(read(kcore, 3, 1).pages == [samplePage(3)])
        #expect(read(kcore, 0x101, 1).pages == [samplePage(0x101)])
        #expect(!kcore.contains(PFN(4)))

        #expect(failure { () throws(MemoryFailure) in try open(fakeKcore(old)) }?.cause == .unsupported)
        let other = "00001000-00003fff : System RAM\n00100000-00102fff : System RAM\n"
        #expect(failure { () throws(MemoryFailure) in try open(fakeKcore(old), other) }?.cause == .unsupported)
        let twice =
            old + [FakeSegment(virtual: base + 0x4000_1000, physical: 0, bytes: pages(1..<4))]
            + [FakeSegment(virtual: base + 0x4010_0000, physical: 0, bytes: pages(1..<3))]
        #expect(failure { () throws(MemoryFailure) in try open(fakeKcore(twice), iomem) }?.cause == .unsupported)
    }

    @Test func damagedHeadersAreMalformed() {
        let good = fakeKcore(modern)
        func cause(_ change: (inout [UInt8]) -> Void) -> MemoryFailure.Cause? {
            var bytes = good
            change(&bytes)
            return failure { () throws(MemoryFailure) in try open(bytes) }?.cause
        }
        #expect(cause { _ in } == nil)
        #expect(cause { $0 = [] } == .malformed)
        #expect(cause { $0 = Array($0[..<63]) } == .malformed)
        #expect(cause { $0[0] = 0 } == .malformed)
        #expect(cause { $0[4] = 1 } == .unsupported)
        #expect(cause { $0[5] = 2 } == .unsupported)
        #expect(cause { $0[16] = 2 } == .malformed)
        #expect(cause { $0[54] = 0 } == .malformed)
        #expect(cause { $0[56] = 0 } == .malformed)
        #expect(cause { $0[56...57] = [0xff, 0xff] } == nil)
        #expect(cause { $0[32..<40] = ArraySlice(little(.max, 8)) } == .malformed)
        #expect(cause { $0[32..<40] = ArraySlice(little(1 << 62, 8)) } == .malformed)
    }

    @Test func extremeSegmentsAreLeftOut() throws {
        func load(_ offset: UInt64, _ physical: UInt64, _ size: UInt64) -> [UInt8] {
            little(1, 8) + little(offset, 8) + little(directMap, 8) + little(physical, 8) + little(size, 8)
                + little(size, 8) + little(4096, 8)
        }
        let headers = try KcoreHeaders(parsing: Array(fakeKcore(modern)[..<64]))
        let table = load(4096, 0x1000, 0x1000) + load(.max, 0x5000, 2) + load(0, .max - 1, 2) + load(0, .max - 1, 3)
        let more = load(1 << 62, 0x9000, 1 << 62)
        #expect(
            try headers.segments(table: table, systemRAM: nil)
                == [
                    KcoreSegment(range: PhysicalRange(start: 0x1000, size: 0x1000)!, offset: 4096),
                    KcoreSegment(range: PhysicalRange(start: .max - 1, size: 2)!, offset: 0),
                ])
        #expect(throws: KcoreProblem.self) { try headers.segments(table: more, systemRAM: nil) }
        #expect(throws: KcoreProblem.self) { try headers.segments(table: [], systemRAM: nil) }
    }

    @Test func randomBytesNeverTrap() {
        var random = SplitMix(state: 11)
        let good = fakeKcore(modern)
        var parsed = 0
        var opened = 0
        for round in 0..<400 {
            var bytes = good
            for _ in 0..<(round % 20 + 1) {
                let at = Int.random(in: 0..<(64 + 56 * 5), using: &random)
                bytes[at] = [0, 0xff, 0x80, UInt8.random(in: 0...255, using: &random)].randomElement(using: &random)!
            }
            guard let headers = try? KcoreHeaders(parsing: Array(bytes[..<64])) else { continue }
            parsed += 1
            let start = Int(min(headers.tableOffset, UInt64(bytes.count)))
            let segments = try? headers.segments(
                table: Array(bytes[start...]), systemRAM: [PhysicalRange(start: 0x10_0000, size: 0x4000)!])
            for pair in zip(segments ?? [], (segments ?? []).dropFirst()) {
                #expect(pair.0.range.last < pair.1.range.start)
            }
            if let kcore = try? open(bytes) {
                _ = read(kcore, 0x100, 4)
                opened += 1
            }
        }
        #expect(parsed > 100 && opened > 50, "\(parsed) headers were parsed, \(opened) files opened")
    }
}
