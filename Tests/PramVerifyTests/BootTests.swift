import Foundation
import KernelCommandLine
import Linux
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
                + "pram_verify.region=0x10000000+16M pram_verify.device=PARTLABEL=pram "
                + "pram_verify.session=1b2c3d4e-000000a5")
        #expect(configuration.policy == .quarantine)
        #expect(configuration.onDamage == .halt)
        #expect(configuration.timeout == 7)
        #expect(configuration.isQuick)
        #expect(configuration.region == Array("0x10000000+16M".utf8))
        #expect(configuration.device == Array("PARTLABEL=pram".utf8))
        #expect(configuration.problems.isEmpty)
    }

    @Test(arguments: [1, 86_400]) func aTimeoutMayBeADay(_ seconds: Int) {
        let configuration = configured("pram_verify.timeout=\(seconds)")
        #expect(configuration.timeout == seconds && configuration.problems.isEmpty)
    }

    @Test(arguments: [("", true), ("=1", true), ("=0", false)]) func quickIsOneOrZero(_ value: String, _ isQuick: Bool)
    {
        let configuration = configured("pram_verify.quick\(value)")
        #expect(configuration.isQuick == isQuick && configuration.problems.isEmpty)
    }

    @Test func theLastWellFormedOneCounts() {
        let configuration = configured("pram_verify.policy=drop pram_verify.policy=off pram_verify.policy=nonsense")
        #expect(configuration.policy == .off)
        let sentence = "pram_verify.policy=nonsense is ignored: it takes report|repair|repair-drop|drop|quarantine|off"
        #expect(configuration.problems == [sentence])
    }

    @Test(arguments: [
        "pram_verify.policy", "pram_verify.policy=", "pram_verify.timeout=0", "pram_verify.timeout=86401",
        "pram_verify.timeout=0x10", "pram_verify.timeout=-1", "pram_verify.quick=", "pram_verify.quick=yes",
        "pram_verify.quick=2", "pram_verify.quick=/", "pram_verify.quick=11",
        "pram_verify.region=1+", "pram_verify.session", "pram_verify.session=1b2c3d4e", "pram_verify.device",
        "pram_verify.", "pram_verify", "pram_verify.Policy=drop",
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
        for status in RunStatus.allCases where status != .damaged && status != .lost {
            #expect(action("pram_verify.on_damage=halt", status) == ("continue", false))
        }
        #expect(action("pram_verify.on_damage=halt", .lost) == ("halt", false))
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
    private func report(_ command: StaticString) -> Report {
        var report = Report(command: command)
        let evaluation = ChainEvaluation(seed: 0)
        evaluation.finish()
        report.evaluation = evaluation
        return report
    }

    @Test func withoutAChainItIsAbsent() {
        #expect(Report(command: "boot").runStatus == .absent)
    }

    @Test func aClearedHeadIsNoDamage() {
        var report = Report(command: "boot")
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
        var erased = Report(command: "erase")
        erased.written = Written(purpose: .clearing, head: nil)
        #expect(erased.runStatus == .empty)
        var dropped = report("drop")
        dropped.written = Written(purpose: .cutting, head: PFN(1))
        #expect(dropped.runStatus == .corrected)
        dropped.written?.changed = false
        #expect(dropped.runStatus == .intact)
    }

    @Test func exitStatusIsThatOfCheck() {
        #expect(RunStatus.allCases.map { $0.exit.rawValue } == [0, 4, 1, 0, 0, 0, 4, 4, 4, 8])
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
