import PRAM
import Testing

@testable import Verification

/// Pages from a dictionary.
private final class Pages: PhysicalMemory {
    var pages: [UInt64: [UInt8]] = [:]
    let kind = "test"
    let zerosMayBeHoles = false

    func contains(_ page: PFN) -> Bool { pages[page.number] != nil }
    func mapped(_ page: PFN) -> UnsafeRawPointer? { nil }

    func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) {
        for index in 0..<count {
            guard let bytes = pages[first.number + UInt64(index)] else {
                states[index] = .absent
                continue
            }
            states[index] = .present
            bytes.withUnsafeBytes {
                (destination + index * pageSize).copyMemory(from: $0.baseAddress!, byteCount: pageSize)
            }
        }
    }
}

private func page(_ canary: Canary, _ number: UInt64) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: pageSize)
    bytes.withUnsafeMutableBytes { canary.write(PFN(number), to: $0.baseAddress!) }
    return bytes
}

@Suite struct CanaryTests {
    private let canary = Canary(seed: 0x1234, head: PFN(1000), pages: 300)

    /// The head's link, a META page, data; a link in between.
    private func memory() -> Pages {
        let memory = Pages()
        for number in UInt64(1000)..<1300 { memory.pages[number] = page(canary, number) }
        let entry = Entry(flags: 2, checksum: 7, page: PFN(1002), index: 0)
        memory.pages[1000] = Link(next: PFN(1170), entries: [entry]).encoded().bytes
        memory.pages[1170] = Link(entries: [entry]).encoded().bytes
        let name = CanaryName(saved: 1_795_000_000, boot: [0x30], release: Array("6.1.0".utf8))
            .image(0, size: 4096)
        memory.pages[1001] = name.encoded().bytes
        return memory
    }

    @Test func aPageIsKnownByItself() {
        let bytes = PageBytes(page(canary, 1234))
        #expect(Canary(in: bytes, at: PFN(1234)) == canary)
        #expect(Canary(in: bytes, at: PFN(1235)) == nil)
        #expect(Canary(in: PageBytes(), at: PFN(0)) == nil)
        #expect(page(canary, 1234) != page(canary, 1235))
        #expect(page(canary, 1234) != page(Canary(seed: 0x1235, head: PFN(1000), pages: 300), 1234))
    }

    @Test func allOfItIsThere() {
        #expect(canary.damage(in: memory(), keeping: 8) == Canary.Damage())
    }

    /// Any bit of any kind of page.
    @Test(arguments: [1000, 1001, 1002, 1100, 1170, 1299] as [UInt64], [0, 5, 9, 17, 39, 60, 80, 4095])
    func oneBit(_ number: UInt64, _ place: Int) {
        let memory = memory()
        memory.pages[number]![place] ^= 1
        let damage = canary.damage(in: memory, keeping: 8)
        #expect(damage.lost == 1)
        #expect(damage.ranges == [PhysicalRange(start: number << 12, size: 4096)!])
    }

    @Test func runsAreJoinedAndLongListsCut() {
        let memory = memory()
        for number in [1010, 1011, 1012, 1063, 1064, 1200, 1202, 1204] as [UInt64] {
            memory.pages[number] = [UInt8](repeating: 0, count: pageSize)
        }
        memory.pages[1299] = nil
        let damage = canary.damage(in: memory, keeping: 4)
        #expect(damage.lost == 9)
        #expect(
            damage.ranges == [
                PhysicalRange(start: 1010 << 12, size: 3 << 12)!, PhysicalRange(start: 1063 << 12, size: 2 << 12)!,
                PhysicalRange(start: 1200 << 12, size: 1 << 12)!, PhysicalRange(start: 1202 << 12, size: 1 << 12)!,
            ])
    }

    @Test func timeRunsOut() {
        let damage = canary.damage(in: memory(), keeping: 4, deadline: 0)
        #expect(damage.isCutShort && damage.lost == 300)
    }

    @Test func names() throws {
        let name = CanaryName(saved: 17, boot: Array("a-b".utf8), release: Array("6.12.41+deb13-amd64".utf8))
        #expect(CanaryName(name.image(12, size: 1 << 20).name) == name)
        #expect(FileImage.isSafe(name.image(12, size: 1).name))
        let strange = CanaryName(saved: 0, boot: Array("a.b/c".utf8), release: Array("x/../y".utf8))
        #expect(FileImage.isSafe(strange.image(0, size: 0).name))
        #expect(CanaryName(strange.image(0, size: 0).name) == strange)
        let long = CanaryName(
            saved: .max, boot: [UInt8](repeating: 1, count: 999), release: [UInt8](repeating: 2, count: 999))
        #expect(long.image(.max, size: .max).name.count <= FileImage.nameCapacity)
        for no in [
            "", "pram-verify-canary.", "pram-verify-canary.1.0.x.b.r", "pram-verify-canary.1.0.2.b", "other.1.0.2.b.r",
        ] {
            #expect(CanaryName(Array(no.utf8)) == nil, "\(no)")
        }
    }
}
