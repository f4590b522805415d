import Foundation
import KernelCommandLine
import Linux
import MemorySources
import PRAM
import Testing

@testable import PramVerify

private func configured(_ line: String) -> BootConfiguration { BootConfiguration(ParameterLine(Array(line.utf8))) }

private func text(_ name: StaticString) -> String { "\(name)" }

@Suite struct BootParameterTests {
    @Test func withoutParametersEverythingIsAsDocumented() {
        let configuration = configured("root=/dev/vda ro quiet")
        #expect(configuration.policy == .report)
        #expect(configuration.onDamage == .proceed)
        #expect(configuration.timeout == 60)
        #expect(!configuration.isQuick)
        #expect(configuration.region == nil && configuration.device == nil && configuration.problems.isEmpty)
    }

    @Test func eachIsTaken() {
        let configuration = configured(
            "pram_verify.policy=quarantine pram-verify.on-damage=halt pram_verify.timeout=7 pram_verify.quick "
                + "pram_verify.region=0x10000000+16M pram_verify.device=PARTLABEL=pram")
        #expect(configuration.policy == .quarantine)
        #expect(configuration.onDamage == .halt)
        #expect(configuration.timeout == 7)
        #expect(configuration.isQuick)
        #expect(configuration.region == Array("0x10000000+16M".utf8))
        #expect(configuration.device == Array("PARTLABEL=pram".utf8))
        #expect(configuration.problems.isEmpty)
    }

    @Test func theLastWellFormedOneCounts() {
        let configuration = configured("pram_verify.policy=drop pram_verify.policy=off pram_verify.policy=nonsense")
        #expect(configuration.policy == .off)
        let sentence = "pram_verify.policy=nonsense is ignored: it takes report|drop|quarantine|off"
        #expect(configuration.problems == [sentence])
    }

    @Test(arguments: [
        "pram_verify.policy", "pram_verify.policy=", "pram_verify.timeout=0", "pram_verify.timeout=86401",
        "pram_verify.timeout=0x10", "pram_verify.timeout=-1", "pram_verify.quick=", "pram_verify.quick=yes",
        "pram_verify.region=1+", "pram_verify.device", "pram_verify.", "pram_verify", "pram_verify.Policy=drop",
        "pram_verify.policy=drop\u{e9}",
    ])
    func whatIsMalformedIsNamedAndChangesNothing(_ word: String) {
        var configuration = configured("ro \(word) quiet")
        #expect(configuration.problems.count == 1)
        #expect(configuration.problems.first?.contains(" is ignored: ") == true)
        configuration.problems = []
        #expect(configuration == configured("ro"))
    }

    @Test func whatBelongsToInitOrToOthersIsNotLookedAt() {
        #expect(configured("xpram_verify.policy=x pram_verifyx=1 -- pram_verify.policy=x").problems.isEmpty)
    }

    @Test func problemsAreBounded() {
        let line = (0..<1000).map { "pram_verify.x\($0)=" + String(repeating: "y", count: 500) }.joined(separator: " ")
        let problems = configured(line).problems
        #expect(problems.count == 8)
        #expect(problems.allSatisfy { $0.utf8.count < 400 })
    }

    @Test func namesAreOfOneFamilyAndWordsAreKnown() {
        for parameter in BootParameter.allCases {
            #expect(text(parameter.name).hasPrefix("pram_verify."))
            #expect(!text(parameter.summary).isEmpty)
        }
        let policies = BootConfiguration.Policy.allCases.map { text($0.name) }.joined(separator: "|")
        #expect(policies == text(BootParameter.policy.values))
        let actions = BootConfiguration.Action.allCases.map { text($0.name) }.joined(separator: "|")
        #expect(actions == text(BootParameter.onDamage.values))
    }
}

@Suite struct BootActionTests {
    private func action(_ line: String, _ status: RunStatus = .damaged, crash: Bool = false) -> (String, Bool) {
        let line = ParameterLine(Array(line.utf8))
        let (action, warning) = BootConfiguration(line).action(status, on: line, isCrashKernel: crash)
        return (text(action.name), warning != nil)
    }

    @Test func onlyDamageMakesADifference() {
        for status in RunStatus.allCases where status != .damaged {
            #expect(action("pram_verify.on_damage=halt", status) == ("continue", false))
        }
        #expect(action("pram_verify.on_damage=halt") == ("halt", false))
        #expect(action("pram_verify.on_damage=shell") == ("shell", false))
        #expect(action("") == ("continue", false))
    }

    @Test func noShellWhereNobodyIsToHaveOne() {
        #expect(action("pram_verify.on_damage=shell panic=10") == ("continue", true))
        #expect(action("pram_verify.on_damage=shell rd.shell=0") == ("continue", true))
        #expect(action("pram_verify.on_damage=shell rd.shell=1") == ("shell", false))
        #expect(action("pram_verify.on_damage=halt panic=10") == ("halt", false))
    }

    @Test func aCrashKernelAlwaysGoesOn() {
        #expect(action("pram_verify.on_damage=halt", crash: true) == ("continue", true))
    }
}

@Suite struct RunStatusTests {
    /// A report of a chain without any link, and so without any finding.
    private func report(_ command: Command) -> Report {
        var report = Report(command: command)
        let evaluation = ChainEvaluation(seed: 0)
        evaluation.finish()
        report.evaluation = evaluation
        return report
    }

    @Test func withoutAChainItIsAbsent() {
        #expect(Report(command: .boot).runStatus == .absent)
    }

    @Test func aClearedHeadIsNoDamage() {
        var report = Report(command: .boot)
        let memory = Zeros()
        var walk = ChainWalk(head: PFN(5), memory: memory)
        let evaluation = ChainEvaluation(seed: 0)
        while let walked = walk.next() {
            evaluation.accept(walked, results: nil) { _ in FileImage(size: 0, mode: 0, name: []) }
        }
        evaluation.finish()
        report.evaluation = evaluation
        #expect(report.verdict == .damaged)
        #expect(report.runStatus == .empty)
    }

    @Test func whatWasErasedIsEmptyAndWhatWasCutOutIsCorrected() {
        var erased = Report(command: .erase)
        erased.written = Written(head: nil)
        #expect(erased.runStatus == .empty)
        var dropped = report(.drop)
        dropped.written = Written(head: PFN(1))
        #expect(dropped.runStatus == .corrected)
        dropped.written?.changed = false
        #expect(dropped.runStatus == .intact)
    }

    @Test func exitStatusIsThatOfCheck() {
        #expect(RunStatus.allCases.map { $0.exit.rawValue } == [0, 1, 0, 0, 0, 4, 4, 8])
    }
}

/// Memory that holds nothing but zeros.
private final class Zeros: PhysicalMemory {
    func contains(_ page: PFN) -> Bool { true }
    func mapped(_ page: PFN) -> UnsafeRawPointer? { nil }
    var zerosMayBeHoles: Bool { false }
    var kind: String { "zeros" }
    func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) {
        destination.initializeMemory(as: UInt8.self, repeating: 0, count: count * pageSize)
        for index in 0..<count { states[index] = .present }
    }
}

@Suite struct HazardTests {
    private func hazards(_ line: String, kernelsHead: UInt64? = nil) -> Hazards {
        let iomem = """
            00001000-0fffffff : System RAM
              02000000-02ffffff : Crash kernel
            10000000-10ffffff : Reserved
            11000000-1fffffff : System RAM

            """
        let machine = MachineEvidence(
            line: ParameterLine(Array(line.utf8)), firmware: nil, iomem: Iomem(parsing: Array(iomem.utf8)),
            initrd: PhysicalRange(start: 0x1f00_0000, size: 0x10_0000))
        return Hazards(machine, kernelsHead: kernelsHead)
    }

    @Test func aReservedRangeIsFine() {
        let found = hazards("memmap=16M$0x10000000")
        found.look(at: PFN(0x10000))
        #expect(found.sentences.isEmpty)
    }

    @Test func pagesThatOthersWereGivenAreCounted() {
        let found = hazards("")
        for page in [0x10000, 0x2000, 0x2001, 0x1f000] as [UInt64] { found.look(at: PFN(page)) }
        #expect(found.sentences.count == 3)
        #expect(found.sentences[0].hasPrefix("3 pages of the chain in memory that this kernel"))
        #expect(found.sentences[1].hasPrefix("2 pages of the chain in what crashkernel="))
        #expect(found.sentences[2].hasPrefix("1 page of the chain where the boot loader"))
    }

    @Test func aKernelThatHoldsTheChainHasReservedIt() {
        let found = hazards("nokaslr", kernelsHead: 0x11000)
        found.look(at: PFN(0x11000))
        #expect(found.sentences.isEmpty)
    }

    @Test func kaslrUnderAKernelWithPram() {
        #expect(hazards("", kernelsHead: 0x11000).sentences.count == 1)
        #expect(hazards("", kernelsHead: nil).sentences.isEmpty)
    }

    @Test func aHibernatedSystemIsFound() throws {
        let path = NSTemporaryDirectory() + "pram-verify-resume-\(getpid())"
        defer { try? FileManager.default.removeItem(atPath: path) }
        func hibernation(_ line: String) -> Hazards.Hibernation { Hazards.hibernation(ParameterLine(Array(line.utf8))) }
        var swap = Data(count: 4 << 20)
        try swap.write(to: URL(fileURLWithPath: path))
        #expect(hibernation("resume=\(path)") == .none)
        swap.replaceSubrange(4086..<4096, with: Array("S1SUSPEND\0".utf8))
        try swap.write(to: URL(fileURLWithPath: path))
        #expect(hibernation("resume=\(path)") == .waits(path))
        #expect(hibernation("resume=\(path) noresume") == .none)
        #expect(hibernation("resume=UUID=no-such-device") == .notThere("UUID=no-such-device"))
        for line in ["resume", "resume=", ""] { #expect(hibernation(line) == .none) }
    }

    @Test func aHibernatedSystemInASwapFileIsFound() throws {
        let path = NSTemporaryDirectory() + "pram-verify-resume-offset-\(getpid())"
        defer { try? FileManager.default.removeItem(atPath: path) }
        func hibernation(_ line: String) -> Hazards.Hibernation { Hazards.hibernation(ParameterLine(Array(line.utf8))) }
        var disk = Data(count: 4 << 20)
        disk.replaceSubrange(256 * 4096 + 4086..<257 * 4096, with: Array("S1SUSPEND\0".utf8))
        try disk.write(to: URL(fileURLWithPath: path))
        #expect(hibernation("resume=\(path)") == .none)
        // Decimal digits, as far as they go.
        for offset in ["256", "0256", "256k"] {
            #expect(hibernation("resume=\(path) resume_offset=\(offset)") == .waits(path))
        }
        for offset in ["200", "0", "0x100", "", "x"] {
            #expect(hibernation("resume=\(path) resume_offset=\(offset)") == .none)
        }
        // Behind the end of the file there is nothing; no device has the others.
        #expect(hibernation("resume=\(path) resume_offset=99999") == .none)
        for offset in ["18446744073709551615", "4503599627370496", String(repeating: "9", count: 100)] {
            #expect(hibernation("resume=\(path) resume_offset=\(offset)") == .unknown(path))
        }
    }

    @Test func aDeviceThatHasJustAppeared() throws {
        let path = Array((NSTemporaryDirectory() + "pram-verify-appeared-\(getpid())").utf8)
        let file = String(decoding: path, as: UTF8.self)
        defer { try? FileManager.default.removeItem(atPath: file) }
        var swap = Data(count: 4 << 20)
        swap.replaceSubrange(4086..<4096, with: Array("S1SUSPEND\0".utf8))
        try swap.write(to: URL(fileURLWithPath: file))
        func hibernation(_ line: String) -> Hazards.Hibernation {
            Hazards.hibernation(on: path, ParameterLine(Array(line.utf8)))
        }
        #expect(hibernation("") == .waits(file))
        #expect(hibernation("resume=8:1") == .waits(file))
        #expect(hibernation("noresume") == .none)
        // Another device is the one to resume from.
        #expect(hibernation("resume=/dev/null") == .none)
        try FileManager.default.removeItem(atPath: file)
        #expect(hibernation("") == .none)
        #expect(hibernation("resume=\(file)") == .unknown(file))
    }

    @Test func devicesAsUdevNamesThem() {
        func path(_ value: String) -> String {
            String(decoding: Hazards.path(ofDevice: Array(value.utf8)[...]), as: UTF8.self)
        }
        #expect(path("/dev/sda2") == "/dev/sda2")
        #expect(path("UUID=12-34") == "/dev/disk/by-uuid/12-34")
        #expect(path("PARTUUID=1") == "/dev/disk/by-partuuid/1")
        #expect(path("LABEL=swap") == "/dev/disk/by-label/swap")
    }
}
