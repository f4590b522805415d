import Foundation
import KernelCommandLine
import PRAM
import Testing
import Text

@testable import Machine

private func line(_ text: String) -> ParameterLine { ParameterLine(Array(text.utf8)) }
private func range(_ start: UInt64, _ size: UInt64) -> PhysicalRange { PhysicalRange(start: start, size: size)! }

/// A chain in ordinary memory of a stock kernel.
private func kept(_ keeping: HandOver.Keeping) -> HandOver {
    var chain = HandOver(head: PFN(0x15ed), verdict: .intact, thisLine: line("ro kho=on liveupdate=on"))
    chain.pages = [range(0x15e_d000, 0x1000), range(0x2000_0000, 0x10_0000)]
    chain.systemRAM = [range(0x10_0000, 0x3000_0000)]
    chain.keeping = keeping
    return chain
}

struct KernelHandOverTests {
    @Test func onlyWhatIsHeldIsHandedOn() {
        #expect(kept(.held).obstacle(on: line("ro")) == nil)
        #expect(kept(.arrived).obstacle(on: line("ro")) == .onlyArrived)
        #expect(kept(.gone("it is gone")).obstacle(on: line("ro")) == .sessionGone("it is gone"))
        var damaged = kept(.held)
        damaged.verdict = .damaged
        #expect(damaged.obstacle(on: line("ro")) == .damaged)
        // Its pages are given back with the session: what is wrong is that nobody holds it.
        damaged.keeping = .gone("it is gone")
        #expect(damaged.obstacle(on: line("ro")) == .sessionGone("it is gone"))
    }

    @Test func onlyOneOfKexecsWaysHandsMemoryOver() {
        func find(_ request: KexecOptions.Request) -> Result<KexecOptions, KexecOptions.Obstacle> {
            do throws(KexecOptions.Obstacle) {
                return .success(
                    try KexecOptions.find(for: kept(.held), request, isLocked: false, isSwitchedOff: false))
            } catch {
                return .failure(error)
            }
        }
        #expect(find(.any) == .success(.file))
        #expect(find(.file) == .success(.file))
        #expect(find(.load) == .failure(.handsNothingOver))
    }

    @Test(arguments: [
        ("ro", false, "kho=on and liveupdate=on are missing"),
        ("ro kho=on", false, "liveupdate=on is missing"),
        ("ro liveupdate=1 kho=off", false, "kho=on is missing"),
        ("ro kho=on kho=0 liveupdate=on", false, "kho=on is missing"),
        ("kho=y liveupdate=on", false, "no support"),
        ("kho=on", true, "no support"),
    ])
    func whatIsMissingIsNamed(_ text: String, _ isUnknown: Bool, _ words: String) {
        let refusal = HandOverSupport.refusal(line(text), isUnknown: isUnknown)
        #expect(refusal.cause == .notConfigured)
        #expect(refusal.message.contains(words), "\(refusal.message)")
        #expect(!refusal.remedy.isEmpty)
    }

    @Test func roomIsWhatIsFreeOutsideOfCMA() {
        let text = Array("MemTotal: 1000 kB\nMemFree:          500 kB\nCmaTotal: 0 kB\nCmaFree:   200 kB\n".utf8)
        #expect(HandOverRoom.free(in: text) == 300 << 10)
        #expect(HandOverRoom.free(in: Array("MemFree: 7 kB\n".utf8)) == 7 << 10)
        #expect(HandOverRoom.free(in: Array("MemFree: 7 kB\nCmaFree: 9 kB\n".utf8)) == 0)
        #expect(HandOverRoom.free(in: Array("MemFree: x kB\n".utf8)) == nil)
        #expect(HandOverRoom.free(in: []) == nil)
        let room = HandOverRoom(free: 1000, forKernel: 400)
        #expect(room.hasRoom(for: 599) && !room.hasRoom(for: 600) && !room.hasRoom(for: .max))
    }

    @Test func whatTheKernelSaysIsTheEvidence() {
        func evidence(_ arrived: Bool?, _ messages: [String], whole: Bool = true) -> HandOverEvidence {
            var evidence = HandOverEvidence()
            evidence.arrived = arrived
            evidence.logIsWhole = whole
            for message in messages { evidence.take(Array(message.utf8)[...]) }
            return evidence
        }
        let found = "KHO: found kexec handover data."
        let refused = "KHO: setup: handover FDT (0x3e) is incompatible with 'kho-v3': 1"
        #expect(evidence(true, [found]).loss == nil)
        #expect(evidence(true, [refused]).loss == .refused)
        #expect(evidence(true, [refused, "KHO: disabling KHO revival: -2"]).incompatible == Array(refused.utf8))
        #expect(evidence(false, []).loss == .never)
        #expect(evidence(true, ["unrelated: KHO: found kexec handover data."]).loss == .ignored)
        // Its log does not reach back to the start.
        #expect(evidence(true, [], whole: false).loss == nil)
        #expect(evidence(nil, []).loss == nil)
    }

    @Test func whatHelpsAnArrivedChainIsNotToWriteIt() {
        var chain = HandOver(head: PFN(1), verdict: .damaged, thisLine: line("ro"))
        #expect(chain.remedy(for: .damaged).contains("drop"))
        chain.keeping = .arrived
        #expect(chain.remedy(for: .damaged).contains("save --again"))
        #expect(!chain.remedy(for: .damaged).contains("drop"))
        #expect(chain.remedy(for: .onlyArrived).contains("save --again"))
        chain.keeping = .held
        #expect(chain.remedy(for: .damaged) == "save once more")
    }

    @Test func framesAreCountedByTheirFlags() {
        var census = FrameCensus()
        for flags: UInt64 in [0, 0, 0x403c, 0x400, 0x1000 | 0x4000, 1 << 7, 1 << 20, 1 << 26] { census.take(flags) }
        #expect(census.held == 2 && census.retrieved == 1 && census.others == 5 && census.total == 8)
    }

    @Test(arguments: [
        ("on", true), ("1", true), ("Y", true), ("true", true), ("off", false), ("0", false), ("no", false),
        ("", false),
    ])
    func switchesAreReadAsTheKernelDoes(_ value: String, _ isOn: Bool) {
        #expect(HandOverSupport.isOn("kho", line("ro kho=\(value)")) == isOn)
    }
}

struct FramesWithoutFlagsTests {
    @Test func `runs of them are told in order, across what is read at once`() throws {
        let root = FileManager.default.temporaryDirectory.appendingPathComponent("pram-verify-\(UUID())")
        defer { try? FileManager.default.removeItem(at: root) }
        try FileManager.default.createDirectory(
            at: root.appendingPathComponent("proc"), withIntermediateDirectories: true)
        var words = [UInt64](repeating: 0x400, count: 9000)
        for frame in [1, 2, 3, 10, 4095, 4096, 4097, 8999] { words[frame] = 0 }
        words[11] = 1 << 32
        let data = words.withUnsafeBytes { Data($0) }
        try data.write(to: root.appendingPathComponent("proc/kpageflags"))
        let paths = MachinePaths(root: Array(root.path.utf8))
        func runs(_ start: UInt64, _ end: UInt64, most: Int = .max) throws -> [Range<UInt64>] {
            var found: [Range<UInt64>] = []
            let range = try #require(PhysicalRange(start: start * 4096, end: end * 4096))
            FrameCensus.forEachRunWithoutFlags(in: range, paths) {
                found.append($0)
                return found.count < most
            }
            return found
        }
        #expect(try runs(0, 9000) == [1..<4, 10..<12, 4095..<4098, 8999..<9000])
        #expect(try runs(2, 4096) == [2..<4, 10..<12, 4095..<4096])
        #expect(try runs(0, 9000, most: 1) == [1..<4])
        // Behind the end of what is told.
        #expect(try runs(8000, 20_000) == [8999..<9000])
        #expect(try runs(20_000, 20_001) == [])
    }
}
