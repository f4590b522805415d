import CLinux
import Foundation
import Linux
import PRAM

@testable import Machine
@testable import MemorySources

/// A folder of fake kernel files, removed with everything in it when the test ends.
final class FakeMachine {
    let root: String

    init() {
        var template = Array("/tmp/live-memory-XXXXXX".utf8CString)
        root = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }

    deinit {
        try? FileManager.default.removeItem(atPath: root)
    }

    /// The paths of the fake files, whether they exist or not.
    var paths: MachinePaths {
        var paths = MachinePaths()
        paths.devMem = path("mem")
        paths.kcore = path("kcore")
        paths.iomem = path("iomem")
        paths.firmwareMap = path("memmap")
        paths.lockdown = path("lockdown")
        paths.status = path("status")
        paths.block = path("block")
        paths.devices = path("dev")
        return paths
    }

    func path(_ name: String) -> [UInt8] { Array((root + "/" + name).utf8) }

    func write(_ name: String, _ bytes: [UInt8]) {
        let file = fopen(root + "/" + name, "w")!
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
    }

    func write(_ name: String, _ text: String) { write(name, Array(text.utf8)) }

    /// An entry of /sys/firmware/memmap; `last` is inclusive.
    func firmware(_ number: Int, _ start: UInt64, _ last: UInt64, _ type: String) {
        mkdir(root + "/memmap", 0o755)
        mkdir(root + "/memmap/\(number)", 0o755)
        write("memmap/\(number)/start", "0x" + String(start, radix: 16) + "\n")
        write("memmap/\(number)/end", "0x" + String(last, radix: 16) + "\n")
        write("memmap/\(number)/type", type + "\n")
    }

    /// A pmem device for the range, with its sysfs files; `contents` is the device.
    func pmem(_ number: Int, start: UInt64, contents: [UInt8], namespaceSize: Int? = nil) {
        try? FileManager.default.createDirectory(
            atPath: root + "/block/pmem\(number)/device", withIntermediateDirectories: true)
        mkdir(root + "/dev", 0o755)
        write("dev/pmem\(number)", contents)
        write("block/pmem\(number)/size", "\(contents.count / 512)\n")
        write("block/pmem\(number)/device/resource", "0x" + String(start, radix: 16) + "\n")
        write("block/pmem\(number)/device/size", "\(namespaceSize ?? contents.count)\n")
    }

    /// A file of `size` bytes, zeros but for the pages named, which hold `samplePage`.
    func memory(_ name: String, size: UInt64, pages: [UInt64]) {
        let file = open(root + "/" + name, O_RDWR | O_CREAT | O_TRUNC, 0o600)
        ftruncate(file, off_t(size))
        for page in pages { pwrite(file, samplePage(page), pageSize, off_t(page * UInt64(pageSize))) }
        close(file)
    }
}

/// A page that tells which one it is.
func samplePage(_ number: UInt64) -> [UInt8] {
    (0..<pageSize).map { UInt8(truncatingIfNeeded: number &* 31 &+ UInt64($0)) }
}

/// One PT_LOAD of a fake /proc/kcore.
struct FakeSegment {
    var virtual: UInt64
    var physical: UInt64
    var bytes: [UInt8]
    var type: UInt32 = 1
}

func little(_ number: UInt64, _ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: number >> UInt64($0 * 8)) }
}

/// A /proc/kcore as the kernel lays it out: header, a PT_NOTE, the PT_LOADs, then the data.
func fakeKcore(_ segments: [FakeSegment], machine: UInt64 = 62) -> [UInt8] {
    let data = 64 + 56 * (segments.count + 1)
    var header: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1] + [UInt8](repeating: 0, count: 9)
    header += little(4, 2) + little(machine, 2) + little(1, 4) + little(0, 8) + little(64, 8) + little(0, 8)
    header += little(0, 4) + little(64, 2) + little(56, 2) + little(UInt64(segments.count + 1), 2)
    header += [UInt8](repeating: 0, count: 6)
    header += little(4, 4) + [UInt8](repeating: 0, count: 52)
    var contents: [UInt8] = []
    for segment in segments {
        header += little(UInt64(segment.type), 4) + little(7, 4) + little(UInt64(data + contents.count), 8)
        header += little(segment.virtual, 8) + little(segment.physical, 8)
        header += little(UInt64(segment.bytes.count), 8) + little(UInt64(segment.bytes.count), 8) + little(4096, 8)
        contents += segment.bytes
    }
    return header + contents
}

/// A root without a lockdown.
let freePolicy = KernelPolicy(lockdown: .none, isRoot: true, mayRawIO: true)

/// Pages and what became of them.
func read(_ memory: any PhysicalMemory, _ first: UInt64, _ count: Int) -> (states: [PageState], pages: [[UInt8]]) {
    var bytes = [UInt8](repeating: 0xee, count: count * pageSize)
    var states = [PageState](repeating: .unreadable, count: count)
    bytes.withUnsafeMutableBytes { buffer in
        states.withUnsafeMutableBufferPointer { states in
            memory.read(PFN(first), count: count, into: buffer.baseAddress!, states: states.baseAddress!)
        }
    }
    return (states, (0..<count).map { Array(bytes[($0 * pageSize)..<(($0 + 1) * pageSize)]) })
}

/// Calls `body` with the failure that `work` throws; nil when it throws none.
func failure<Value>(of work: () throws(MemoryFailure) -> Value) -> MemoryFailure? {
    do throws(MemoryFailure) {
        _ = try work()
        return nil
    } catch {
        return error
    }
}

/// SIGBUS from a file that ends early is survivable from here on.
let signalsPrepared: Void = pv_signals_prepare()
