import KernelCommandLine
import Linux
import PRAM
import Testing

@testable import Machine

/// Machines as firmware and kernels make them, by chance.
private struct MadeMachine {
    private static let mebibyte: UInt64 = 1 << 20

    var evidence = SetupEvidence(isLive: true, policy: KernelPolicy(lockdown: .none, isRoot: true, mayRawIO: true))
    private(set) var iomemLines: [(start: UInt64, last: UInt64, name: String, children: [(UInt64, UInt64, String)])] =
        []
    private(set) var words = ["BOOT_IMAGE=/vmlinuz", "root=/dev/sda1", "quiet"]

    init(_ dice: inout SplitMix) {
        let low = dice.below(3000) + 100
        var firmware: [FirmwareMap.Entry] = [entry(0, 0x9fbff, "System RAM"), entry(0x9fc00, 0x9ffff, "Reserved")]
        iomemLines = [(0x1000, 0x9fbff, "System RAM", []), (0x9fc00, 0xf_ffff, "Reserved", [])]
        // RAM below 4 GiB, cut by what firmware keeps.
        var start: UInt64 = Self.mebibyte
        let end = low * Self.mebibyte
        while start < end {
            let last = min(end, start + (dice.below(1500) + 1) * Self.mebibyte) - 1
            addRAM(start, last, &firmware, &dice)
            start = last + 1
            if start < end, dice.below(2) == 0 {
                let type = ["Reserved", "ACPI Tables", "ACPI Non-volatile Storage"][Int(dice.below(3))]
                let size = (dice.below(20) + 1) * 4096
                firmware.append(entry(start, start + size - 1, type))
                iomemLines.append((start, start + size - 1, type, []))
                start += size
            }
        }
        if dice.below(2) == 0 {
            let size = (dice.below(64 << 10) + 64) * Self.mebibyte
            addRAM(1 << 32, 1 << 32 + size - 1, &firmware, &dice)
        }
        evidence.firmware = FirmwareMap(entries: firmware)
        addOthers(&dice)
        evidence.line = ParameterLine(Array(words.joined(separator: " ").utf8))
        evidence.iomem = Iomem(parsing: Array(iomemText(nil, "").utf8))
    }

    private func entry(_ start: UInt64, _ last: UInt64, _ type: String) -> FirmwareMap.Entry {
        FirmwareMap.Entry(range: PhysicalRange(start: start, last: last)!, type: Array(type.utf8))
    }

    private mutating func addRAM(
        _ start: UInt64, _ last: UInt64, _ firmware: inout [FirmwareMap.Entry], _ dice: inout SplitMix
    ) {
        // Firmware cuts RAM into pieces that touch, which kernels join.
        let middle = start + (last - start) / 2 & ~0xfff
        if dice.below(3) == 0, middle > start, middle < last {
            firmware += [entry(start, middle - 1, "System RAM"), entry(middle, last, "System RAM")]
        } else {
            firmware.append(entry(start, last, "System RAM"))
        }
        var children: [(UInt64, UInt64, String)] = []
        var place = start
        for name in ["Kernel code", "Kernel data", "Crash kernel", "Reserved", "ramoops"] where dice.below(4) == 0 {
            place += dice.below(200) * Self.mebibyte
            let end = place + (dice.below(300) + 1) * Self.mebibyte - 1
            guard end < last else { break }
            children.append((place, end, name))
            place = end + 1
        }
        iomemLines.append((start, last, "System RAM", children))
    }

    /// What does not show in /proc/iomem.
    private mutating func addOthers(_ dice: inout SplitMix) {
        func place() -> UInt64 { dice.below(4000) * Self.mebibyte }
        if dice.below(2) == 0 { evidence.initrd = PhysicalRange(start: place(), size: dice.below(1 << 28) + 1) }
        if dice.below(4) == 0 { evidence.ramoops = PhysicalRange(start: place(), size: 1 << 20) }
        if dice.below(4) == 0 {
            words.append("ramoops.mem_address=0x\(String(place(), radix: 16)) ramoops.mem_size=0x200000")
        }
        if dice.below(4) == 0 { words.append("crashkernel=256M@\(dice.below(3000))M") }
        if dice.below(4) == 0 { words.append("initrdmem=0x\(String(place(), radix: 16)),64M") }
        for _ in 0..<dice.below(3) {
            evidence.efi.append(PhysicalRange(start: place(), size: (dice.below(500) + 1) << 12)!)
        }
    }

    private func isMoving(_ child: (UInt64, UInt64, String)) -> Bool {
        child.2.hasPrefix("Kernel") && !words.contains("nokaslr")
    }

    /// /proc/iomem with a range cut out of System RAM, as `memmap=` does it.
    func iomemText(_ range: PhysicalRange?, _ name: String) -> String {
        var text = ""
        func add(_ start: UInt64, _ last: UInt64, _ name: String, _ indent: String = "") {
            text += "\(indent)\(String(start, radix: 16))-\(String(last, radix: 16)) : \(name)\n"
        }
        for line in iomemLines {
            guard let range, range.start <= line.last, range.last >= line.start else {
                add(line.start, line.last, line.name)
                for child in line.children { add(child.0, child.1, child.2, "  ") }
                continue
            }
            if range.start > line.start { add(line.start, range.start - 1, line.name) }
            for child in line.children where child.1 < range.start { add(child.0, child.1, child.2, "  ") }
            add(range.start, range.last, name)
            // What would overlap stays visible, but for a kernel, which KASLR puts elsewhere.
            for child in line.children where child.0 <= range.last && range.start <= child.1 {
                guard !isMoving(child) else { continue }
                add(child.0, child.1, child.2, "  ")
            }
            if range.last < line.last { add(range.last + 1, line.last, line.name) }
            for child in line.children where child.0 > range.last { add(child.0, child.1, child.2, "  ") }
        }
        return text
    }

    /// The machine after an administrator has followed the proposal, to the rules that `save` enforces.
    func after(_ proposal: RangeProposal, _ spelling: RangeProposal.Spelling) -> MachineEvidence {
        var machine = evidence.machine!
        let name = spelling == .reserved ? "Reserved" : "Persistent Memory (legacy)"
        machine.iomem = Iomem(parsing: Array(iomemText(proposal.range, name).utf8))
        machine.line = ParameterLine(Array("\(proposal.parameter(spelling)) \(words.joined(separator: " "))".utf8))
        return machine
    }

    var ends: [UInt64] { iomemLines.filter { $0.name == "System RAM" }.map { $0.last } }
    /// What has a place below System RAM and keeps it.
    var kept: [PhysicalRange] {
        iomemLines.flatMap { $0.children }.filter { !isMoving($0) }.map { PhysicalRange(start: $0.0, last: $0.1)! }
    }
}

struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }

    mutating func below(_ limit: UInt64) -> UInt64 { next() % limit }
}

@Suite struct RangeProposalTests {
    /// Every proposed range passes the very rules of `save`, in both spellings, and is clear of what others have.
    @Test func whatIsProposedIsAcceptedBySave() throws {
        var found = 0
        let machines = 3000
        for seed in 0..<machines {
            var dice = SplitMix(state: UInt64(seed))
            let made = MadeMachine(&dice)
            let size = [UInt64(2), 16, 64, 64, 256, 1000][Int(dice.below(6))] << 20
            guard let proposal = RangeProposal.find(size, in: made.evidence) else { continue }
            found += 1
            let range = proposal.range
            #expect(range.size == size && range.start % (2 << 20) == 0, "seed \(seed)")
            for spelling in RangeProposal.Spelling.allCases {
                let after = made.after(proposal, spelling)
                let accepted = try WritableRegion.find(nil, in: after)
                #expect(accepted.range == range, "seed \(seed)")
                #expect(KaslrView(after.line).covers(start: range.start, last: range.last) == .avoided, "seed \(seed)")
            }
            #expect(!made.evidence.efi.contains { $0.overlaps(range) }, "seed \(seed)")
            #expect(!made.kept.contains { $0.overlaps(range) }, "seed \(seed)")
            // Not at the top of its RAM, and with room for kernels below it.
            let top = try #require(made.ends.first { $0 >= range.last }, "seed \(seed)")
            #expect(top - range.last >= 32 << 20, "seed \(seed)")
            #expect(range.start >= 128 << 20, "seed \(seed)")
        }
        #expect(found > machines / 3, "\(found)")
        #expect(found < machines, "some of these machines have no room")
    }

    private func simple(
        _ mebibytes: UInt64, line: String = "quiet", kernel: UInt64 = 16 << 20
    ) -> SetupEvidence {
        var evidence = SetupEvidence(isLive: true, policy: KernelPolicy(lockdown: .none, isRoot: true, mayRawIO: true))
        let last = mebibytes << 20 - 1
        evidence.firmware = FirmwareMap(entries: [
            .init(range: PhysicalRange(start: 1 << 20, last: last)!, type: Array("System RAM".utf8))
        ])
        let text =
            "100000-\(String(last, radix: 16)) : System RAM\n"
            + "  \(String(kernel, radix: 16))-\(String(kernel + 16 << 20, radix: 16)) : Kernel code\n"
        evidence.iomem = Iomem(parsing: Array(text.utf8))
        evidence.line = ParameterLine(Array(line.utf8))
        return evidence
    }

    @Test(arguments: [(512, 0x1000_0000), (1024, 0x2000_0000), (3072, 0x5600_0000)])
    func theMiddleIsProposed(_ mebibytes: UInt64, _ near: UInt64) throws {
        let proposal = try #require(RangeProposal.find(64 << 20, in: simple(mebibytes)))
        let start = proposal.range.start
        #expect(start > near - 128 << 20 && start < near + 128 << 20, "\(proposal)")
    }

    /// In a small machine it depends on KASLR whether there is room beside the kernel; wherever it put it, the next time
    /// it keeps off the range.
    @Test func whereverKaslrPutTheKernelThereIsAProposal() throws {
        for kernel in stride(from: 18 as UInt64, to: 480, by: 2) {
            let proposal = try #require(
                RangeProposal.find(64 << 20, in: simple(512, kernel: kernel << 20)), "\(kernel)")
            #expect(proposal.range.start >= 128 << 20 && proposal.range.last < 448 << 20, "\(kernel): \(proposal)")
        }
        let high = simple(512, line: "quiet nokaslr", kernel: 400 << 20)
        #expect(RangeProposal.find(64 << 20, in: high) == nil, "that kernel comes back to where it is")
    }

    /// Where there is room beside it, the kernel is left alone all the same.
    @Test func theKernelIsKeptClearWhereThatIsPossible() throws {
        let proposal = try #require(RangeProposal.find(64 << 20, in: simple(3072, kernel: 1380 << 20)))
        #expect(!proposal.range.overlaps(PhysicalRange(start: 1380 << 20, size: 16 << 20)!))
    }

    @Test func whatIsTooLargeIsNotProposed() {
        #expect(RangeProposal.find(64 << 20, in: simple(128)) == nil)
        #expect(RangeProposal.find(400 << 20, in: simple(512)) == nil)
        #expect(RangeProposal.find(.max, in: simple(512)) == nil)
        #expect(RangeProposal.find(0, in: simple(512)) == nil)
    }

    @Test func whereTooLittleIsKnownNothingIsProposed() {
        var evidence = simple(1024)
        evidence.firmware = nil
        #expect(RangeProposal.find(64 << 20, in: evidence) == nil)
        evidence = simple(1024)
        evidence.iomem = nil
        #expect(RangeProposal.find(64 << 20, in: evidence) == nil)
        evidence = simple(1024)
        evidence.line = nil
        #expect(RangeProposal.find(64 << 20, in: evidence) == nil)
        #expect(RangeProposal.find(64 << 20, in: simple(1024, line: "elfcorehdr=0x1000")) == nil)
    }

    @Test func spellings() throws {
        let proposal = RangeProposal(
            range: PhysicalRange(start: 0x1000_0000, size: 64 << 20)!, standsBeforeOthers: false)
        #expect(proposal.parameter(.persistent) == "memmap=64M!0x10000000")
        #expect(proposal.parameter(.reserved) == #"memmap=64M$0x10000000"#)
        #expect(proposal.grubLine(.persistent, nil) == #"GRUB_CMDLINE_LINUX="memmap=64M!0x10000000""#)
        let line = proposal.grubLine(.reserved, Array("a=\\\"b".utf8))
        #expect(line == #"GRUB_CMDLINE_LINUX="memmap=64M\\\$0x10000000 a=\"b""#)
        // What a shell and GRUB make of the line is what was meant.
        var files = BootLoaderFiles()
        files.add(grub: Array((proposal.grubLine(.reserved, Array("quiet".utf8)) + "\n").utf8))
        #expect(String(decoding: files.files[0].line.bytes, as: UTF8.self) == "memmap=64M$0x10000000 quiet")
        #expect(!files.files[0].losesDollar)
        let whole = RangeProposal(range: PhysicalRange(start: 1 << 32, size: 2 << 30)!, standsBeforeOthers: false)
        #expect(whole.parameter(.persistent) == "memmap=2G!0x100000000")
    }

    /// Thousands of resources do not make it slow.
    @Test(.timeLimit(.minutes(1))) func manyResources() {
        let mebibytes: UInt64 = 20_001 * 16
        var evidence = simple(mebibytes)
        var text = "100000-\(String(mebibytes << 20 - 1, radix: 16)) : System RAM\n"
        for number in 0..<20_000 as Range<UInt64> {
            let start = 0x100_0000 + number << 24
            text += "  \(String(start, radix: 16))-\(String(start + 0xff_efff, radix: 16)) : Reserved\n"
        }
        evidence.iomem = Iomem(parsing: Array(text.utf8))
        #expect(RangeProposal.find(64 << 20, in: evidence) == nil)
    }
}

@Suite struct ProposalLimitTests {
    /// Where a piece begins at 0 and has just the room.
    @Test func edges() {
        var evidence = SetupEvidence(isLive: true, policy: KernelPolicy(lockdown: .none, isRoot: true, mayRawIO: true))
        evidence.line = ParameterLine(Array("quiet".utf8))
        for last in [0, 4095, 0x1fff_ffff, 1 << 40 - 1, .max - 1, .max] as [UInt64] {
            evidence.firmware = FirmwareMap(entries: [
                .init(range: PhysicalRange(start: 0, last: last)!, type: Array("System RAM".utf8))
            ])
            evidence.iomem = Iomem(parsing: Array("0-\(String(last, radix: 16)) : System RAM\n".utf8))
            for size in [1, 2 << 20, 448 << 20, 480 << 20, 1 << 50] as [UInt64] {
                let proposal = RangeProposal.find(size, in: evidence)
                #expect(proposal.map { $0.range.last <= last } ?? true)
            }
        }
    }
}
