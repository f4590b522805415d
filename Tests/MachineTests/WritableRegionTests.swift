import KernelCommandLine
import PRAM
import Testing

@testable import Machine

/// /proc/iomem of a machine with 1 GiB, as Debian's 6.1 prints it, with two ranges set aside.
private let iomemText = """
    00000000-00000fff : Reserved
    00001000-0009fbff : System RAM
    0009fc00-0009ffff : Reserved
    000f0000-000fffff : Reserved
      000f0000-000fffff : System ROM
    00100000-0fffffff : System RAM
      01000000-01e01d31 : Kernel code
    10000000-11ffffff : Reserved
    12000000-17ffffff : System RAM
    18000000-18ffffff : Persistent Memory (legacy)
    19000000-3ffdffff : System RAM
    3ffe0000-3fffffff : Reserved
    fffc0000-ffffffff : Reserved

    """

private func range(_ start: UInt64, _ size: UInt64) -> PhysicalRange { PhysicalRange(start: start, size: size)! }

private func firmware(_ pieces: [(UInt64, UInt64, String)]) -> FirmwareMap {
    FirmwareMap(entries: pieces.map { .init(range: range($0.0, $0.1), type: Array($0.2.utf8)) })
}

private let wholeRAM: [(UInt64, UInt64, String)] = [
    (0, 0x9fc00, "System RAM"), (0x10_0000, 0x3fee_0000, "System RAM"), (0x3ffe_0000, 0x2_0000, "Reserved"),
]

/// A machine on which `memmap=32M$0x10000000` may be written.
private func machine(
    _ line: String = "quiet memmap=32M$0x10000000 ro", iomem: String = iomemText,
    firmware map: FirmwareMap? = firmware(wholeRAM)
) -> MachineEvidence {
    MachineEvidence(line: ParameterLine(Array(line.utf8)), firmware: map, iomem: Iomem(parsing: Array(iomem.utf8)))
}

private func refusal(_ machine: MachineEvidence, _ wanted: PhysicalRange? = nil) -> WriteRefusal? {
    do throws(WriteRefusal) {
        _ = try WritableRegion.find(wanted, in: machine)
        return nil
    } catch {
        return error
    }
}

private func replacing(_ old: String, _ new: String) -> String {
    precondition(iomemText.contains(old))
    return iomemText.replacing(old, with: new)
}

@Suite struct WritableRegionTests {
    @Test func aReservedRangeIsFound() throws {
        #expect(
            try WritableRegion.find(nil, in: machine())
                == WritableRegion(range: range(0x1000_0000, 32 << 20), kind: .reserved))
    }

    @Test(arguments: [
        "memmap=16M!0x18000000", "memmap=0x1000000!384M", "memmap=\"16M!0x18000000\"", "memmap=1M#0,16M!0x18000000",
        "memmap=16M!0x18000000 memmap=16M!0x18000000", "memmap=64M$0x30000000 memmap=exactmap,16M!0x18000000",
        "memmap=16M!0x18000000x",
    ])
    func aPersistentRangeIsFound(_ line: String) throws {
        #expect(
            try WritableRegion.find(nil, in: machine(line))
                == WritableRegion(range: range(0x1800_0000, 16 << 20), kind: .persistent))
    }

    @Test func aPartOfARangeIsFound() throws {
        let both = machine("memmap=32M$0x10000000,16M!0x18000000")
        #expect(refusal(both)?.cause == .severalCandidates)
        let wanted = range(0x10ff_f000, 8192)
        #expect(try WritableRegion.find(wanted, in: both) == WritableRegion(range: wanted, kind: .reserved))
        #expect(try WritableRegion.find(range(0x1800_0000, 8192), in: both).kind == .persistent)
    }

    /// The kernel lets the higher e820 type win where ranges overlap, so the kinds are tried one after the other.
    @Test func overlappingRangesAreToldApartByTheKernel() throws {
        let line = "memmap=1G$0x10000000 memmap=16M!0x18000000"
        #expect(try WritableRegion.find(range(0x1800_0000, 16 << 20), in: machine(line)).kind == .persistent)
    }

    /// What each rule sees: nothing else is wrong, so taking the rule away would let the write happen.
    static let rules: [(WriteRefusal.Cause, MachineEvidence, PhysicalRange?)] = {
        var rules: [(WriteRefusal.Cause, MachineEvidence, PhysicalRange?)] = []
        func rule(_ cause: WriteRefusal.Cause, _ evidence: MachineEvidence, _ wanted: PhysicalRange? = nil) {
            rules.append((cause, evidence, wanted))
        }
        let named = "memmap=32M$0x10000000"
        var crash = machine()
        crash.hasVmcore = true
        rule(.crashKernel, crash)
        rule(.crashKernel, machine("\(named) elfcorehdr=0x2000000"))
        rule(.crashKernel, machine("\(named) -- elfcorehdr=0x2000000"))

        rule(.notNamed, machine("quiet"))
        rule(.notNamed, machine("memmap"))
        rule(.notNamed, machine("xmemmap=32M$0x10000000"))
        rule(.notNamed, machine("-- memmap=32M$0x10000000"))
        rule(.notNamed, machine("memmap=32M@0x10000000"))
        rule(.notNamed, machine("memmap=32M$0x10000000,exactmap"))
        rule(.notNamed, machine("memmap=32M$0x10000000010000000"))
        rule(.notNamed, machine("memmap=0$0x10000000"))
        rule(.notNamed, machine(), range(0x3000_0000, 8192))
        rule(.notNamed, machine(), range(0x1200_0000, 8192))
        rule(.lostDollar, machine("memmap=32Mx10000000"))
        rule(.lostDollar, machine("memmap=32M/usr/sbin/grub-mkconfigx10000000"))
        rule(.lostDollar, machine("memmap=32M"))
        rule(.lostDollar, machine("memmap=32M$"))
        rule(.lostDollar, machine("memmap=1M@0,32Mx10000000"))
        rule(.severalCandidates, machine("memmap=16M$0x10000000,16M$0x11000000"))
        rule(.severalCandidates, machine("memmap=16M$0x10000000 memmap=32M$0x10000000"))
        rule(.outsideCandidate, machine(), range(0x0fff_f000, 8192))
        rule(.outsideCandidate, machine(), range(0x11ff_f000, 8192))
        rule(.outsideCandidate, machine(), range(0, .max))
        // Two neighbours are two ranges, even if the kernel shows one.
        rule(.outsideCandidate, machine("memmap=16M$0x10000000,16M$0x11000000"), range(0x10ff_f000, 8192))

        rule(.notAligned, machine(), range(0x1000_0800, 8192))
        rule(.notAligned, machine(), range(0x1000_0000, 8193))
        rule(.notAligned, machine("memmap=0x10001$0x10000000"))
        rule(.tooSmall, machine(), range(0x1000_0000, 4096))
        rule(.tooSmall, machine("memmap=4K$0x10000000"))

        var ramoops = machine()
        ramoops.ramoops = range(0x11f0_0000, 1 << 20)
        rule(.ramoops, ramoops)
        rule(.ramoops, machine("\(named) ramoops.mem_address=0x11f00000 ramoops.mem_size=0x100000"))
        rule(.ramoops, machine("\(named) ramoops.mem-address=301989887"))
        rule(.ramoops, machine("\(named) ramoops.mem_address=0x1000 ramoops.mem_size=0xffffffffffffffff"))
        rule(
            .ramoops,
            machine(
                iomem: replacing(
                    "11ffffff : Reserved\n", "11ffffff : Reserved\n  11f00000-11f1ffff : ramoops:dump(0/6)\n")))
        rule(.crashReservation, machine("\(named) crashkernel=64M@0x11000000"))
        rule(.crashReservation, machine("\(named) crashkernel=1G-:64M@0x11000000"))
        rule(
            .crashReservation,
            machine(
                iomem: replacing(
                    "11ffffff : Reserved\n", "11ffffff : Reserved\n  11000000-11ffffff : Crash kernel\n")))
        var initrd = machine()
        initrd.initrd = range(0x0fff_0000, 0x10001)
        rule(.initrd, initrd)
        rule(.initrd, machine("\(named) initrdmem=0x11000000,5M"))
        rule(.initrd, machine("\(named) initrd=0x0f000000,17M"))

        rule(.firmwareMapMissing, machine(firmware: nil))
        rule(.notFirmwareRAM, machine(firmware: firmware([(0, 0x11ff_f000, "System RAM")])))
        rule(.notFirmwareRAM, machine(firmware: firmware([(0x1000_1000, 1 << 30, "System RAM")])))
        rule(
            .notFirmwareRAM,
            machine(
                firmware: firmware([
                    (0, 0x1100_0000, "System RAM"), (0x1100_1000, 1 << 30, "System RAM"),
                ])))
        rule(.notFirmwareRAM, machine(firmware: firmware(wholeRAM + [(0x1100_0000, 4096, "ACPI Tables")])))
        rule(.notFirmwareRAM, machine(firmware: firmware([(0, 1 << 32, "Reserved")])))

        rule(.iomemUnclear, machine(iomem: iomemText + "something else\n"))
        rule(.iomemUnclear, machine(iomem: "00000000-00000000 : Reserved\n"))
        rule(.notReserved, machine(iomem: ""))
        rule(.notReserved, machine(iomem: replacing("10000000-11ffffff : Reserved", "10000000-11ffffff : System RAM")))
        rule(.notReserved, machine(iomem: replacing("10000000-11ffffff : Reserved", "10000000-11ffefff : Reserved")))
        rule(.notReserved, machine(iomem: replacing("11ffffff : Reserved", "11ffffff : Reserved by nobody")))
        rule(
            .notReserved,
            machine(
                iomem: replacing(
                    "10000000-11ffffff : Reserved", "10000000-10ffffff : Reserved\n11000000-11ffffff : Reserved")))
        // Below another resource it is that one's.
        rule(
            .notReserved,
            machine(
                iomem: replacing(
                    "10000000-11ffffff : Reserved",
                    "0fffff00-12000fff : PCI Bus 0000:00\n  10000000-11ffffff : Reserved")))
        rule(.notReserved, machine("memmap=32M!0x10000000"))
        rule(.notReserved, machine("memmap=16M$0x18000000"))
        rule(
            .claimed,
            machine(
                iomem: replacing(
                    "11ffffff : Reserved\n", "11ffffff : Reserved\n  11fff000-11fff000 : a driver\n")))
        rule(
            .claimed,
            machine(
                "memmap=16M!0x18000000",
                iomem: replacing(
                    "(legacy)\n", "(legacy)\n  18000000-18ffffff : namespace0.0\n")))
        return rules
    }()

    @Test func eachRuleRefusesAlone() {
        #expect(refusal(machine()) == nil)
        for (number, rule) in WritableRegionTests.rules.enumerated() {
            let found = refusal(rule.1, rule.2)
            #expect(found?.cause == rule.0, "rule \(number): \(found?.message ?? "written")")
            #expect(found?.remedy.isEmpty == false)
            #expect(found?.message.hasSuffix(".") == false)
        }
        let seen = Set(WritableRegionTests.rules.map { $0.0.rawValue })
        #expect(seen == Set(WriteRefusal.Cause.allCases.map(\.rawValue)))
    }

    @Test func whatIsBesideTheRangeDoesNotMatter() {
        var other = machine(
            "memmap=32M$0x10000000 ramoops.mem_address=0x12000000 ramoops.mem_size=0x100000 "
                + "crashkernel=64M@0x20000000 initrd=\\initrd.img initrdmem=0xf000000,16M crashkernel=64M")
        other.initrd = range(0x3f00_0000, 1 << 20)
        other.ramoops = range(0x0ff0_0000, 1 << 20)
        #expect(refusal(other) == nil)
        let pieces = firmware([(0x1100_0000, 1 << 28, "System RAM"), (0, 0x1100_0000, "System RAM")])
        #expect(refusal(machine(firmware: pieces)) == nil)
    }

    /// Where pieces of RAM touch, begin and end, to the byte.
    @Test func theFirmwaresPiecesHoldEveryByte() {
        let (start, size) = (0x1000_0000, 32 << 20) as (UInt64, UInt64)
        func cause(_ pieces: [(UInt64, UInt64)]) -> WriteRefusal.Cause? {
            refusal(machine(firmware: firmware(pieces.map { ($0.0, $0.1, "System RAM") })))?.cause
        }
        #expect(cause([(start, size)]) == nil)
        #expect(cause([(start, size - 1)]) == .notFirmwareRAM)
        #expect(cause([(start + 1, size - 1)]) == .notFirmwareRAM)
        for cut in [1, 4095, 4096, size / 2, size - 1] {
            #expect(cause([(start, cut), (start + cut, size - cut)]) == nil, "cut at \(cut)")
            #expect(cause([(start + cut, size - cut), (start, cut)]) == nil, "cut at \(cut), backwards")
        }
        for hole in [2, 4096, size / 2] {
            #expect(cause([(start, hole), (start + hole + 1, size - hole - 1)]) == .notFirmwareRAM, "hole at \(hole)")
        }
        #expect(cause([(start, 4096), (start + 4096, 4096), (start + 8192, size - 8192)]) == nil)
        #expect(cause([(start, 4096), (start + 4096, 4096), (start + 8192, size - 8193)]) == .notFirmwareRAM)
        // What is no RAM may touch the range, and not reach into it.
        func beside(_ first: UInt64, _ count: UInt64) -> WriteRefusal.Cause? {
            refusal(machine(firmware: firmware(wholeRAM + [(first, count, "Reserved")])))?.cause
        }
        #expect(beside(start - 4096, 4096) == nil)
        #expect(beside(start + size, 4096) == nil)
        #expect(beside(start - 4096, 4097) == .notFirmwareRAM)
        #expect(beside(start + size - 1, 1) == .notFirmwareRAM)
    }

    /// The kernel's list too, and that of the range's neighbours.
    @Test func theKernelsPieceHoldsEveryByte() {
        func cause(_ piece: String, _ more: String = "") -> WriteRefusal.Cause? {
            refusal(machine(iomem: replacing("10000000-11ffffff : Reserved\n", "\(piece) : Reserved\n\(more)")))?.cause
        }
        #expect(cause("10000000-11ffffff") == nil)
        #expect(cause("10000000-11fffffe") == .notReserved)
        #expect(cause("10000001-11ffffff") == .notReserved)
        #expect(cause("0fffffff-12000000", "  0fffffff-0fffffff : a driver\n  12000000-12000000 : another\n") == nil)
        #expect(cause("0fffffff-12000000", "  0fffffff-10000000 : a driver\n") == .claimed)
        #expect(cause("0fffffff-12000000", "  11ffffff-12000000 : a driver\n") == .claimed)
    }

    /// The remedy of a range that is not aligned: the whole pages in it, two at least.
    @Test(
        arguments: [
            ("8193$0x10000000", "0x10000000+0x2000"), ("0x2fff$0x10000001", "0x10001000+0x2000"),
            ("0x3000$0x10000001", "0x10001000+0x2000"),
            ("0x3fff$0x10000fff", "0x10001000+0x3000"), ("0x2fff$0x10000fff", "0x10001000+0x2000"),
            ("8191$0x10000000", nil), ("0x2ffe$0x10000001", nil),
        ] as [(String, String?)])
    func theWholePagesOfARange(_ region: String, _ whole: String?) {
        let found = refusal(machine("memmap=\(region)"))
        #expect(found?.cause == .notAligned)
        #expect(found?.remedy.contains(whole ?? "at least two whole pages") == true, "\(found?.remedy ?? "")")
    }

    @Test func refusalsNameTheWayOut() {
        #expect(refusal(machine("memmap=0x10001$0x10000000"))?.remedy.contains("--region 0x10000000+0x10000,") == true)
        #expect(refusal(machine("memmap=32Mx10000000"))?.message.contains("memmap=32Mx10000000 on this") == true)
        #expect(refusal(machine("memmap=1M@0,32M"))?.message.contains("memmap=32M on this") == true)
        let several = refusal(machine("memmap=32M$0x10000000,16M!0x18000000"))
        #expect(several?.message.contains("0x10000000+0x2000000 (reserved), 0x18000000+0x1000000 (persistent)") == true)
        let claimed = refusal(
            machine(
                "memmap=16M!0x18000000",
                iomem: replacing(
                    "(legacy)\n", "(legacy)\n  18000000-18ffffff : namespace0.0\n")))
        #expect(claimed?.remedy.contains("--device") == true)
    }

    /// What the kernel calls the range is what its uppermost resources are called.
    @Test func theNameOfWhatIsThereInstead() {
        let below = refusal(
            machine(
                iomem: replacing(
                    "10000000-11ffffff : Reserved",
                    "0fffff00-10ffffff : PCI Bus 0000:00\n  10000000-10000fff : Reserved\n11000000-12000fff : x")))
        #expect(
            below?.message.contains("as \"PCI Bus 0000:00\" and \"x\", not as Reserved") == true,
            "\(below?.message ?? "")")
        #expect(refusal(machine(iomem: ""))?.message.contains("as nothing, not as Reserved") == true)
        let persistent = refusal(machine("memmap=32M!0x10000000"))
        #expect(persistent?.message.contains("as \"Reserved\", not as Persistent Memory") == true)
    }

    /// Memory that is given to others on the line, to the byte.
    @Test(
        arguments: [
            ("ramoops.mem_address=0xfffffff ramoops.mem_size=1", nil), ("ramoops.mem_address=0xfffffff", nil),
            ("ramoops.mem_address=0xfffffff ramoops.mem_size=0", nil),
            ("ramoops.mem_address=0xfffffff ramoops.mem_size=2", .ramoops),
            ("ramoops.mem_address=0x10000000 ramoops.mem_size=0", .ramoops),
            ("ramoops.mem_address=0x11ffffff", .ramoops), ("ramoops.mem_address=0x12000000", nil),
            ("ramoops.mem_address=0xffffffffffffffff", nil),
            ("crashkernel=1@0xfffffff", nil), ("crashkernel=0@0xfffffff", nil), ("crashkernel=1G-:1@0xfffffff", nil),
            ("crashkernel=2@0xfffffff", .crashReservation), ("crashkernel=0@0x10000000", .crashReservation),
            ("crashkernel=0@0x11ffffff", .crashReservation), ("crashkernel=0@0x12000000", nil),
            ("initrdmem=0xfffffff,1", nil), ("initrdmem=0xfffffff,2", .initrd), ("initrdmem=0x11ffffff,1", .initrd),
            ("initrdmem=0x11ffffff,0", nil), ("initrdmem=0x11ffffff,0xffffffffffffffff", .initrd),
            ("initrdmem=0x11ffffff", nil), ("initrdmem=,0x12000000", nil), ("initrdmem=0x12000000,1", nil),
        ] as [(String, WriteRefusal.Cause?)])
    func theEndsOfOthers(_ words: String, _ cause: WriteRefusal.Cause?) {
        #expect(refusal(machine("memmap=32M$0x10000000 \(words)"))?.cause == cause)
    }

    @Test func devicesFollowTheRulesThatApply() {
        func cause(_ evidence: MachineEvidence, _ device: PhysicalRange) -> WriteRefusal.Cause? {
            do throws(WriteRefusal) {
                try WritableRegion.check(device: device, in: evidence)
                return nil
            } catch {
                return error.cause
            }
        }
        let claimed = machine("quiet", iomem: replacing("(legacy)\n", "(legacy)\n  18000000-18ffffff : namespace0.0\n"))
        let device = range(0x1800_0000, 16 << 20)
        #expect(cause(claimed, device) == nil)
        #expect(cause(claimed, range(0x1000_0000, 8192)) == .notReserved)
        #expect(cause(claimed, range(0x18ff_f000, 8192)) == .notReserved)
        var other = claimed
        other.hasVmcore = true
        #expect(cause(other, device) == .crashKernel)
        other = claimed
        other.ramoops = range(0x1800_0000, 4096)
        #expect(cause(other, device) == .ramoops)
        other = claimed
        other.initrd = range(0x1800_0000, 4096)
        #expect(cause(other, device) == .initrd)
        #expect(cause(machine("x", iomem: "?\n" + iomemText), device) == .iomemUnclear)
    }

    @Test func nothingTraps() {
        var random = Seeded(state: 20_130_726)
        let pieces = [
            "memmap=", "16M", "$", "!", "0x10000000", ",", " ", "exactmap", "crashkernel=", "@", ":", "-", "initrdmem=",
            "ramoops.mem_address=", " ramoops.mem_size=", "18446744073709551615", "E", "0x", "\"", "%", "+", "1",
            "\n", "10000000-11ffffff : Reserved\n", "  ", "ffffffffffffffff", " : ", "0-ffffffffffffffff : Reserved\n",
        ]
        for _ in 0..<4000 {
            func text() -> [UInt8] {
                (0..<Int.random(in: 0...24, using: &random)).flatMap { _ in
                    Int.random(in: 0..<12, using: &random) == 0
                        ? [UInt8.random(in: 0...255, using: &random)]
                        : Array(pieces.randomElement(using: &random)!.utf8)
                }
            }
            func any() -> PhysicalRange? {
                let near: [UInt64] = [0, 1, 4095, 4096, 0x1000_0000, 1 << 63, .max - 4095, .max]
                return PhysicalRange(
                    start: near.randomElement(using: &random)!, size: near.randomElement(using: &random)!)
            }
            var evidence = MachineEvidence(
                line: ParameterLine(text()), firmware: firmware([]), iomem: Iomem(parsing: text()))
            evidence.firmware = any().map { FirmwareMap(entries: [.init(range: $0, type: Array("System RAM".utf8))]) }
            evidence.initrd = any()
            evidence.ramoops = any()
            _ = refusal(evidence, any())
            _ = MachineEvidence.initrd(in: text())
        }
    }
}

/// SplitMix64: the same texts in every run.
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
