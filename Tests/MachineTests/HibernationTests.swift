import Foundation
import KernelCommandLine
import Testing

@testable import Machine

/// A machine that says nothing of its kernel.
private let unknownKernel = MachinePaths(root: Array("/no/such/root".utf8))

@Suite struct HibernationTests {
    @Test func aKernelThatCannotResumeRaisesNoAlarm() throws {
        let root = NSTemporaryDirectory() + "pram-verify-power-\(getpid())"
        try FileManager.default.createDirectory(atPath: root + "/sys/power", withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: root) }
        let swap = root + "/swap"
        var content = Data(count: 4 << 20)
        content.replaceSubrange(4086..<4096, with: Array("S1SUSPEND\0".utf8))
        try content.write(to: URL(fileURLWithPath: swap))
        func hibernation(_ words: String = "") -> Hibernation {
            Hibernation.find(
                ParameterLine(Array("resume=\(swap) \(words)".utf8)), MachinePaths(root: Array(root.utf8)))
        }
        // Without CONFIG_HIBERNATION there is no such file.
        #expect(hibernation() == .none)
        try Data("[disabled]\n".utf8).write(to: URL(fileURLWithPath: root + "/sys/power/disk"))
        #expect(hibernation() == .none)
        try Data("[platform] shutdown reboot\n".utf8).write(to: URL(fileURLWithPath: root + "/sys/power/disk"))
        #expect(hibernation() == .waits(swap))
        for words in ["nohibernate", "hibernate=no", "noresume"] { #expect(hibernation(words) == .none, "\(words)") }
        // These stop the kernel alone: an initramfs looks for the bare word.
        for words in ["hibernate=noresume", "noresume=1", "\"noresume\""] {
            #expect(hibernation(words) == .waits(swap), "\(words)")
        }
    }

    @Test func whatOneProcessTellsAnother() {
        let line = ParameterLine(Array("resume=/dev/sda2".utf8))
        for found in [Hibernation.none, .notThere("/dev/sda2"), .waits("/dev/sda2"), .unknown("/dev/sda2")] {
            #expect(Hibernation(code: found.code, line) == found)
        }
    }

    @Test func aHibernatedSystemIsFound() throws {
        let path = NSTemporaryDirectory() + "pram-verify-resume-\(getpid())"
        defer { try? FileManager.default.removeItem(atPath: path) }
        func hibernation(_ line: String) -> Hibernation {
            Hibernation.find(ParameterLine(Array(line.utf8)), unknownKernel)
        }
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
        func hibernation(_ line: String) -> Hibernation {
            Hibernation.find(ParameterLine(Array(line.utf8)), unknownKernel)
        }
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
        func hibernation(_ line: String) -> Hibernation {
            Hibernation.find(on: path, ParameterLine(Array(line.utf8)), unknownKernel)
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
            String(decoding: Hibernation.path(ofDevice: Array(value.utf8)[...]), as: UTF8.self)
        }
        #expect(path("/dev/sda2") == "/dev/sda2")
        #expect(path("UUID=12-34") == "/dev/disk/by-uuid/12-34")
        #expect(path("PARTUUID=1") == "/dev/disk/by-partuuid/1")
        #expect(path("LABEL=swap") == "/dev/disk/by-label/swap")
    }
}
