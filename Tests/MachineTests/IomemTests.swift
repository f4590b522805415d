import PRAM
import Testing

@testable import Machine

private let sample = """
    00000000-00000fff : Reserved
    00001000-0009fbff : System RAM
    0009fc00-0009ffff : Reserved
    000f0000-000fffff : System ROM
    00100000-0fffffff : System RAM
      01000000-02209987 : Kernel code
      03000000-0327c0ff : Kernel data
    10000000-11ffffff : Reserved
    12000000-12ffffff : Persistent Memory (legacy)
      12000000-12ffffff : namespace0.0
    13000000-3ffdffff : System RAM
    3ffe0000-3fffffff : Reserved
    eec00000-febfffff : Reserved
      eec00000-eecfffff : PCI ECAM 0000 [bus 00-00]
        eec00000-eecfffff : PCI Bus 0000:00
    fec00000-fec003ff : IOAPIC 0
    """

private func iomem(_ text: String) -> Iomem { Iomem(parsing: Array(text.utf8)) }

@Suite struct IomemTests {
    @Test func readsTheTree() {
        let iomem = iomem(sample)
        #expect(iomem.resources.count == 16)
        #expect(iomem.skippedLines == 0)
        #expect(!iomem.addressesAreHidden)
        #expect(iomem.resources[5].name == Array("Kernel code".utf8))
        #expect(iomem.resources[5].depth == 1)
        #expect(iomem.resources[5].parent == 4)
        #expect(iomem.resources[14].depth == 2)
        #expect(iomem.resources[14].parent == 13)
        #expect(iomem.resources[15].parent == nil)
        #expect(iomem.children(of: 4).map { $0.range.start } == [0x100_0000, 0x300_0000])
    }

    @Test func endsAreInclusive() throws {
        let iomem = iomem(sample)
        #expect(iomem.systemRAM.map { $0.last } == [0x9fbff, 0xfff_ffff, 0x3ffd_ffff])
        #expect(iomem.systemRAM[1].size == 0xff0_0000)
        let last = try #require(PhysicalRange(start: 0xfff_ffff, last: 0xfff_ffff))
        #expect(iomem.owners(of: last).map { $0.name } == [Array("System RAM".utf8)])
        let code = try #require(PhysicalRange(start: 0x220_9987, size: 1))
        #expect(iomem.owners(of: code).map { $0.depth } == [0, 1])
    }

    @Test func wholeAddressSpaceSurvives() {
        let iomem = iomem("00000000-ffffffffffffffff : everything\n")
        #expect(iomem.resources.map { $0.range.size } == [.max])
        #expect(AddressMap(iomem, firmware: nil).regions.map { $0.nature } == [.device])
    }

    @Test func zerosMeanNoCapability() {
        let iomem = iomem("00000000-00000000 : Reserved\n  00000000-00000000 : System ROM\n")
        #expect(iomem.addressesAreHidden)
        #expect(!Iomem(parsing: []).addressesAreHidden)
    }

    @Test(arguments: [
        "nonsense", "-", " : ", "1000 : x", "1000-0fff : inverted", "10000000000000000-1 : too long", "0-1:x", "0-1 :x",
        "g-1 : x", "1-g : x", "+1-2 : x", "0x-1 : x", "1--2 : x", "1-2", "1-", "-1 : x",
    ])
    func garbageIsCounted(_ line: String) {
        let iomem = iomem(line + "\n00001000-00001fff : System RAM\n\n" + line)
        #expect(iomem.resources.count == 1)
        #expect(iomem.skippedLines == 2)
    }

    @Test func namesMayHoldAnything() {
        let iomem = Iomem(parsing: Array("1000-1fff : a : b \u{e9}".utf8) + [0xff, 0])
        #expect(iomem.resources.map { $0.name } == [Array("a : b \u{e9}".utf8) + [0xff, 0]])
    }

    @Test func randomBytesNeverTrap() {
        var random = SystemRandomNumberGenerator()
        let alphabet = Array("0123456789abcdef- :\nxX  SystemRAReserved".utf8)
        for _ in 0..<300 {
            let text = (0..<200).map { _ in alphabet.randomElement(using: &random)! }
            _ = AddressMap(Iomem(parsing: text), firmware: nil).regions
            let bytes = (0..<200).map { _ in UInt8.random(in: 0...255, using: &random) }
            _ = AddressMap(Iomem(parsing: bytes), firmware: nil).regions
        }
    }

    @Test func firmwareEntriesAreInclusive() throws {
        let entry = FirmwareMap.entry(
            start: Array("0x100000".utf8)[...], end: Array("0x3ffdffff".utf8)[...], type: Array("System RAM".utf8)[...])
        #expect(entry?.range == PhysicalRange(start: 0x10_0000, end: 0x3ffe_0000))
        #expect(entry?.type == Array("System RAM".utf8))
        #expect(FirmwareMap.entry(start: [], end: [], type: []) == nil)
    }
}

@Suite struct AddressMapTests {
    private func natures(_ map: AddressMap, _ pages: [UInt64]) -> [AddressMap.Nature?] {
        pages.map { map.region(holding: PFN($0))?.nature }
    }

    @Test func namesDecideWithoutAFirmwareMap() {
        let map = AddressMap(iomem(sample), firmware: nil)
        #expect(
            natures(map, [0, 1, 0x9e, 0xf0, 0x100, 0x2209, 0xffff, 0x10000, 0x11fff, 0x12000, 0x12fff, 0x13000])
                == [
                    .reserved, .systemRAM, .systemRAM, .device, .systemRAM, .systemRAM, .systemRAM, .reserved,
                    .reserved, .persistent, .persistent, .systemRAM,
                ])
        // Half a page of RAM, half a page reserved: no region holds it.
        #expect(natures(map, [0x9f]) == [nil])
        // The PCI window inside of a reserved range, the reserved rest, the I/O APIC, nothing at all.
        #expect(natures(map, [0xeec00, 0xeed00, 0xfec00, 0x40000]) == [.device, .reserved, nil, nil])
        #expect(map.region(around: PFN(0xfec00))?.nature == .device)
    }

    @Test func firmwareTellsRAMFromDevices() throws {
        func entry(_ start: UInt64, _ last: UInt64, _ type: String) throws -> FirmwareMap.Entry {
            .init(range: try #require(PhysicalRange(start: start, last: last)), type: Array(type.utf8))
        }
        let firmware = FirmwareMap(entries: [
            try entry(0, 0x9fbff, "System RAM"), try entry(0x10_0000, 0x3ffd_ffff, "System RAM"),
            try entry(0x3ffe_0000, 0x3fff_ffff, "Reserved"), try entry(0x1_0000_0000, 0x1_3fff_ffff, "System RAM"),
        ])
        let map = AddressMap(iomem(sample), firmware: firmware)
        #expect(
            natures(map, [0x10000, 0x11fff, 0x12000, 0x3ffe0, 0xeed00, 0x100000, 0x13ffff, 0x140000])
                == [.reserved, .reserved, .persistent, .firmware, .firmware, .hidden, .hidden, nil])
    }

    @Test func hotPluggedRAMIsSystemRAM() {
        let map = AddressMap(
            iomem(
                """
                100000000-1ffffffff : Persistent Memory
                  100000000-17fffffff : namespace0.0
                  180000000-1ffffffff : dax0.0
                    180000000-1ffffffff : System RAM (kmem)
                200000000-2ffffffff : Soft Reserved
                  200000000-2ffffffff : dax1.0
                """), firmware: nil)
        #expect(map.regions.map { $0.nature } == [.persistent, .systemRAM, .persistent])
        #expect(map.regions.map { $0.range.start } == [0x1_0000_0000, 0x1_8000_0000, 0x2_0000_0000])
    }
}

/// System RAM that lies in something else is in the kernel's hands all the same.
@Suite struct NestedMemoryTests {
    private func ranges(_ text: String) -> (kernels: [PhysicalRange], persistent: [PhysicalRange]) {
        let iomem = iomem(text)
        return (iomem.kernelMemory, AddressMap(iomem, firmware: nil).ranges(.persistent))
    }

    private func range(_ start: UInt64, _ last: UInt64) -> PhysicalRange { PhysicalRange(start: start, last: last)! }

    @Test func memoryOfKmem() {
        let (kernels, persistent) = ranges(
            """
            00001000-3fffffff : System RAM
              01000000-02209987 : Kernel code
            100000000-13fffffff : Persistent Memory
              100000000-13fffffff : namespace0.0
                104000000-13fffffff : dax0.0
                  108000000-137ffffff : System RAM (kmem)
            140000000-14fffffff : Soft Reserved
              140000000-147ffffff : dax1.0
                140000000-147ffffff : System RAM (kmem)
            """)
        #expect(
            kernels == [
                range(0x1000, 0x3fff_ffff), range(0x1_0800_0000, 0x1_37ff_ffff), range(0x1_4000_0000, 0x1_47ff_ffff),
            ])
        #expect(
            persistent == [
                range(0x1_0000_0000, 0x1_07ff_ffff), range(0x1_3800_0000, 0x1_3fff_ffff),
                range(0x1_4800_0000, 0x1_4fff_ffff),
            ])
    }

    /// At the deepest level that the kernel prints, children stand where siblings would.
    @Test(arguments: [5, 8]) func memoryBelowTheLastLevelPrinted(_ limit: Int) throws {
        var text = ""
        let names = [
            "Persistent Memory", "region0", "btt0", "pfn0", "a", "b", "namespace0.0", "c", "dax0.0", "dax0.1",
            "System RAM (kmem)",
        ]
        for (level, name) in (names + ["Kernel data"]).enumerated() {
            text += String(repeating: "  ", count: min(level, limit))
            text +=
                String(0x1_0000_0000 + level * 0x1000, radix: 16) + "-"
                + String(0x1_3fff_ffff - level * 0x1000, radix: 16)
            text += " : \(name)\n"
        }
        // The last page of the resource one level above.
        let end = 0x1_3fff_ffff - (limit - 1) * 0x1000
        text +=
            String(repeating: "  ", count: limit) + String(end - 0xfff, radix: 16) + "-" + String(end, radix: 16)
            + " : x"
        let iomem = iomem(text)
        for index in 1..<12 { #expect(iomem.resources[index].parent == index - 1) }
        #expect(iomem.resources[12].parent == limit - 1)
        #expect(iomem.kernelMemory == [range(0x1_0000_a000, 0x1_3fff_5fff)])
        #expect(iomem.isKernelMemory(anywhereIn: range(0x1_0000_0000, 0x1_0000_a000)))
        #expect(!iomem.isKernelMemory(anywhereIn: range(0x1_0000_0000, 0x1_0000_9fff)))
        let map = AddressMap(iomem, firmware: nil)
        #expect(map.ranges(.systemRAM) == [range(0x1_0000_a000, 0x1_3fff_5fff)])
        #expect(map.ranges(.device).isEmpty)
    }

    @Test func hiddenAddressesNestByDepthAlone() {
        let iomem = iomem(
            "00000000-00000000 : a\n00000000-00000000 : b\n  00000000-00000000 : c\n  00000000-00000000 : d\n")
        #expect(iomem.resources.map { $0.parent } == [nil, nil, 1, 1])
    }

    @Test func aListWithoutAnEndIsCut() {
        let line = Array("1-1 : a\n".utf8)
        var text: [UInt8] = []
        for _ in 0..<Iomem.resourceLimit + 3 { text += line }
        let iomem = Iomem(parsing: text)
        #expect(iomem.resources.count == Iomem.resourceLimit && iomem.skippedLines == 3)
    }
}
