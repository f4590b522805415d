import Foundation
import PRAM
import Testing

@testable import Machine

/// A folder of fake kernel files, removed when the test ends.
private final class Fakes {
    let root: String

    init() {
        var template = Array("/tmp/machine-XXXXXX".utf8CString)
        root = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }

    deinit { try? FileManager.default.removeItem(atPath: root) }

    func path(_ name: String) -> [UInt8] { Array((root + "/" + name).utf8) }

    func write(_ name: String, _ bytes: [UInt8]) throws {
        let url = URL(fileURLWithPath: root + "/" + name)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: url)
    }

    func write(_ name: String, _ text: String) throws { try write(name, Array(text.utf8)) }

    var paths: MachinePaths {
        var paths = MachinePaths()
        paths.iomem = path("iomem")
        paths.firmwareMap = path("memmap")
        paths.commandLine = path("cmdline")
        paths.vmcore = path("vmcore")
        paths.bootParameters = path("boot_params")
        paths.ramoops = path("ramoops")
        return paths
    }
}

/// boot_params with a ramdisk.
private func bootParameters(_ start: UInt64, _ size: UInt64) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 4096)
    func put(_ word: UInt64, _ offset: Int) {
        for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: word >> (8 * UInt64(index))) }
    }
    put(start, 0x218)
    put(size, 0x21c)
    put(start >> 32, 0xc0)
    put(size >> 32, 0xc4)
    return bytes
}

@Suite struct MachineEvidenceTests {
    @Test func everythingIsCollected() throws {
        let fakes = Fakes()
        try fakes.write("iomem", "10000000-11ffffff : Reserved\n")
        try fakes.write("cmdline", "memmap=32M$0x10000000 quiet\n")
        try fakes.write("memmap/0/start", "0x0\n")
        try fakes.write("memmap/0/end", "0x3fffffff\n")
        try fakes.write("memmap/0/type", "System RAM\n")

        let plain = try MachineEvidence.collect(fakes.paths)
        #expect(!plain.isCrashKernel)
        #expect(plain.initrd == nil && plain.ramoops == nil)
        #expect(try WritableRegion.find(nil, in: plain).range.start == 0x1000_0000)

        try fakes.write("boot_params", bootParameters(0x11ff_f000, 0x10_0000))
        #expect(try MachineEvidence.collect(fakes.paths).initrd == PhysicalRange(start: 0x11ff_f000, size: 1 << 20))
        try fakes.write("ramoops/mem_address", "285212672\n")
        #expect(try MachineEvidence.collect(fakes.paths).ramoops == PhysicalRange(start: 0x1100_0000, size: 1))
        try fakes.write("ramoops/mem_size", "1048576\n")
        #expect(try MachineEvidence.collect(fakes.paths).ramoops == PhysicalRange(start: 0x1100_0000, size: 1 << 20))
        try fakes.write("vmcore", "")
        #expect(try MachineEvidence.collect(fakes.paths).isCrashKernel)
    }

    @Test func whatCannotBeReadIsAFailure() throws {
        let fakes = Fakes()
        #expect(throws: MachineFailure.self) { try MachineEvidence.collect(fakes.paths) }
        try fakes.write("cmdline", "quiet\n")
        #expect(throws: MachineFailure.self) { try MachineEvidence.collect(fakes.paths) }
        try fakes.write("iomem", "10000000-11ffffff : Reserved\n")
        #expect(try MachineEvidence.collect(fakes.paths).firmware == nil)
        // A folder in the place of the file: EISDIR.
        try fakes.write("boot_params/data", "")
        #expect(throws: MachineFailure.self) { try MachineEvidence.collect(fakes.paths) }
    }

    @Test func theFirmwareMapIsReadWithGaps() throws {
        let fakes = Fakes()
        #expect(FirmwareMap.read(fakes.path("memmap")) == nil)
        for (number, end) in [(0, "0x9fbff"), (3, "0x1fffff"), (4, "inverted")] {
            try fakes.write("memmap/\(number)/start", "0x0\n")
            try fakes.write("memmap/\(number)/end", "\(end)\n")
            try fakes.write("memmap/\(number)/type", "System RAM\n")
        }
        #expect(FirmwareMap.read(fakes.path("memmap"))?.entries.count == 2)
    }

    @Test func everythingLiesBelowTheRoot() {
        let paths = MachinePaths(root: Array("/srv/copy/".utf8))
        #expect(paths.iomem == Array("/srv/copy/proc/iomem".utf8))
        #expect(paths.devMem == Array("/srv/copy/dev/mem".utf8))
        #expect(MachinePaths().iomem == Array("/proc/iomem".utf8))
        #expect(MachinePaths(root: Array("/".utf8)).iomem == Array("/proc/iomem".utf8))
    }

    @Test func initrdsAboveFourGigabytesAreFound() {
        #expect(
            MachineEvidence.initrd(in: bootParameters(0x12_3456_7000, 0x1_0000_0001))
                == PhysicalRange(start: 0x12_3456_7000, size: 0x1_0000_0001))
        #expect(MachineEvidence.initrd(in: bootParameters(0x1000, 0)) == nil)
        #expect(MachineEvidence.initrd(in: bootParameters(.max, .max)) == nil)
        for count in [0, 1, 0xc3, 0x219, 0x21e] {
            #expect(MachineEvidence.initrd(in: Array(bootParameters(0x1000, 0x1000)[..<count])) == nil)
        }
    }
}
