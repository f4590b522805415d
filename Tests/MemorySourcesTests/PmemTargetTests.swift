import Foundation
import Linux
import PRAM
import Testing

@testable import ChainWriting
@testable import Machine
@testable import MemorySources

extension FakeMachine {
    /// What sysfs says of a pmem disk beyond `pmem`.
    fileprivate func namespace(
        _ number: Int, start: UInt64 = 0x1800_0000, size: Int = 1 << 20, mode: String = "memory", holder: String = ""
    ) {
        pmem(number, start: start, contents: [UInt8](repeating: 0, count: size))
        write("block/pmem\(number)/dev", "259:\(number)\n")
        write("block/pmem\(number)/device/mode", mode + "\n")
        write("block/pmem\(number)/device/holder", holder + "\n")
    }

    /// A partition, in sectors.
    fileprivate func partition(_ disk: Int, _ number: Int, start: Int, size: Int) {
        let folder = "block/pmem\(disk)/pmem\(disk)p\(number)"
        mkdir(root + "/" + folder, 0o755)
        write(folder + "/dev", "259:\(disk * 16 + 100 + number)\n")
        write(folder + "/partition", "\(number)\n")
        write(folder + "/start", "\(start)\n")
        write(folder + "/size", "\(size)\n")
    }

    fileprivate func site(_ name: String) -> PmemSite? {
        PmemSite.all(block: path("block")).first { $0.name == Array(name.utf8) }
    }
}

private func cause(_ site: PmemSite?) -> MemoryFailure.Cause? {
    guard case .failure(let failure) = site?.range else { return nil }
    return failure.cause
}

@Suite struct PmemTargetTests {
    @Test func sitesAreFound() throws {
        let machine = FakeMachine()
        machine.namespace(0, mode: "raw")
        machine.namespace(1, start: 0x2000_0000)
        machine.partition(1, 1, start: 40, size: 17)
        mkdir(machine.root + "/block/sda", 0o755)
        #expect(PmemSite.all(block: machine.path("block")).count == 3)
        let whole = try #require(machine.site("pmem0"))
        #expect(try whole.range.get() == PhysicalRange(start: 0x1800_0000, size: 1 << 20))
        #expect(whole.device == 259 << 8)
        let part = try #require(machine.site("pmem1p1"))
        // 17 sectors are two pages and a bit.
        #expect(try part.range.get() == PhysicalRange(start: 0x2000_5000, size: 8192))
        #expect(part.partition == 1 && part.disk == Array("pmem1".utf8))
        #expect(PmemSite.all(block: machine.path("nowhere")).isEmpty)
    }

    @Test func devicesWithMetadataAreRefused() {
        let claimed = [("safe", "btt0.0"), ("memory", "pfn0.0"), ("dax", "dax0.0"), ("", ""), ("raw", "btt0.0")]
        for (mode, holder) in claimed {
            let machine = FakeMachine()
            machine.namespace(0, mode: mode, holder: holder)
            #expect(cause(machine.site("pmem0")) == .unsupported, "\(mode)")
        }
        let machine = FakeMachine()
        machine.namespace(0)
        machine.write("block/pmem0/size", "2040\n")
        #expect(cause(machine.site("pmem0")) == .unsupported, "smaller than its namespace")
        machine.pmem(1, start: 0x1000, contents: [UInt8](repeating: 0, count: 1 << 20))
        machine.write("block/pmem1/dev", "259:1\n")
        #expect(cause(machine.site("pmem1")) == .unsupported, "no mode at all")
    }

    @Test func impossibleNumbersAreRefused() {
        let machine = FakeMachine()
        machine.namespace(0)
        machine.partition(0, 1, start: 41, size: 100)
        #expect(cause(machine.site("pmem0p1")) == .unsupported, "not at a page")
        machine.partition(0, 2, start: 8, size: 8)
        #expect(cause(machine.site("pmem0p2")) == .unsupported, "one page")
        machine.partition(0, 3, start: 2040, size: 16)
        #expect(cause(machine.site("pmem0p3")) == .malformed, "past the end")
        machine.partition(0, 4, start: .max, size: .max)
        #expect(cause(machine.site("pmem0p4")) == .malformed)
        machine.namespace(1, start: 0)
        #expect(cause(machine.site("pmem1")) == .notPermitted, "hidden address")
        machine.namespace(2, start: .max - 4095)
        #expect(cause(machine.site("pmem2")) == .malformed, "past 2^64")
        machine.namespace(4, start: .max - 4095, size: 4096)
        machine.partition(4, 1, start: 8, size: 0)
        #expect(cause(machine.site("pmem4p1")) == .malformed, "empty, at 2^64")
        machine.namespace(3)
        machine.write("block/pmem3/dev", "nonsense\n")
        #expect(machine.site("pmem3") == nil)
    }

    @Test func namesAreParsed() {
        func name(_ text: String) -> String? { DeviceName(Array(text.utf8))?.text }
        #expect(name("/dev/pmem0") == "/dev/pmem0")
        #expect(name("PARTUUID=1-2") == "PARTUUID=1-2")
        #expect(name("PARTLABEL=a=b c") == "PARTLABEL=a=b c")
        for text in ["", "PARTUUID=", "PARTLABEL=", "LABEL=x", "UUID=x", "a\0b"] { #expect(name(text) == nil) }
    }

    @Test func partitionsAreFoundByName() throws {
        let machine = FakeMachine()
        machine.namespace(0, size: 1 << 20)
        machine.namespace(1, size: 1 << 20)
        for disk in 0...1 {
            machine.partition(disk, 1, start: 40, size: 1000)
            var bytes = [UInt8](repeating: 0, count: 1 << 20)
            // A DOS table: the PARTUUID is the disk's number and the partition's.
            bytes.replaceSubrange(440..<444, with: [UInt8(disk), 0, 0xcd, 0xab])
            bytes.replaceSubrange(446..<462, with: [0, 0, 2, 0, 0x83, 0xff, 0xff, 0xff, 40, 0, 0, 0] + little(1000, 4))
            bytes.replaceSubrange(510..<512, with: [0x55, 0xaa])
            machine.write("dev/pmem\(disk)", bytes)
        }
        let sites = PmemSite.all(block: machine.path("block"))
        func find(_ text: String) -> Result<[UInt8], MemoryFailure> {
            do throws(MemoryFailure) {
                let name = DeviceName(Array(text.utf8))!
                return .success(try PmemTarget.find(name, among: sites, devices: machine.path("dev")).name)
            } catch {
                return .failure(error)
            }
        }
        #expect(try find("PARTUUID=ABCD0001-01").get() == Array("pmem1p1".utf8))
        #expect(try find("PARTUUID=abcd0000-01").get() == Array("pmem0p1".utf8))
        #expect(throws: MemoryFailure.self) { try find("PARTUUID=abcd0002-01").get() }
        #expect(throws: MemoryFailure.self) { try find("PARTLABEL=nobody").get() }
        #expect(throws: MemoryFailure.self) { try find("/nowhere").get() }
        #expect(throws: MemoryFailure.self) { try find("/dev/null").get() }
        // The same disk twice: two devices of one name.
        machine.write("dev/pmem1", try FileDescriptor.contents(of: machine.path("dev/pmem0"), limit: 1 << 21))
        guard case .failure(let failure) = find("PARTUUID=abcd0000-01") else {
            Issue.record("one of two was chosen")
            return
        }
        #expect(failure.message.contains("several devices") && failure.message.contains("pmem1p1"))
    }

    @Test func onlyEmptyDevicesAreTaken() throws {
        let machine = FakeMachine()
        machine.namespace(0)
        let site = try #require(machine.site("pmem0"))
        func take(overwrite: Bool) throws(MemoryFailure) -> PhysicalRange {
            do throws(SystemError) {
                let file = try FileDescriptor.open(machine.path("dev/pmem0"), O_RDWR)
                do throws(MemoryFailure) {
                    return try PmemTarget(file, site, overwrite: overwrite).range
                } catch {
                    taken = error
                }
            } catch {}
            throw taken!
        }
        var taken: MemoryFailure?
        #expect(try take(overwrite: false) == PhysicalRange(start: 0x1800_0000, size: 1 << 20))
        var swap = [UInt8](repeating: 0, count: 1 << 20)
        swap.replaceSubrange(4086..<4096, with: Array("S1SUSPEND\0".utf8))
        machine.write("dev/pmem0", swap)
        #expect(throws: MemoryFailure.self) { try take(overwrite: false) }
        #expect(taken?.cause == .occupied && taken?.message.contains("it holds swsuspend") == true)
        #expect(try take(overwrite: true).size == 1 << 20)
    }

    @Test func aFileInTheDevicesPlaceIsRefused() throws {
        let machine = FakeMachine()
        machine.namespace(0)
        #expect(throws: MemoryFailure.self) {
            try PmemTarget.open(.path(machine.path("dev/pmem0")), overwrite: true, paths: machine.paths)
        }
    }
}
