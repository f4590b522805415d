import Linux
import Machine
import PRAM
import Text

/// A range of physical memory that a pmem driver has made a block device: what `memmap=nn!ss` becomes once the kernel's
/// modules are loaded. Then /dev/mem refuses the range (CONFIG_IO_STRICT_DEVMEM), and under a lockdown it cannot be
/// opened at all, but /dev/pmem0 still reads.
///
/// Only namespaces in raw mode are taken: their device shows the range byte for byte. Others keep metadata at its head.
public final class PmemDevice: PhysicalMemory {
    private let file: FileDescriptor
    /// In bytes, both ends belong to it.
    public let range: PhysicalRange

    /// All that can be opened. Devices are named pmem0, pmem1 ... and their ranges are found in sysfs
    /// (drivers/nvdimm/namespace_devs.c): `resource` is the first address in hexadecimal, for root only; `size` is in
    /// bytes, in decimal; a block device's own `size` is in sectors of 512 bytes.
    /// - Parameters:
    ///   - block: /sys/block
    ///   - devices: /dev
    public static func openAll(block: [UInt8], devices: [UInt8]) -> [PmemDevice] {
        var found: [PmemDevice] = []
        for number in 0..<64 {
            let name = bytes("/pmem") + Array(String(number).utf8)
            let folder = block + name
            guard
                let start = FileDescriptor.firstLine(of: folder + bytes("/device/resource")).flatMap(hexadecimalNumber),
                let size = FileDescriptor.firstLine(of: folder + bytes("/device/size")).flatMap(decimalNumber),
                let sectors = FileDescriptor.firstLine(of: folder + bytes("/size")).flatMap(decimalNumber),
                size & 511 == 0, sectors == size >> 9, let range = PhysicalRange(start: start, size: size)
            else { continue }
            do throws(SystemError) {
                found.append(PmemDevice(try FileDescriptor.open(devices + name), range))
            } catch {
                continue
            }
        }
        return found
    }

    init(_ file: consuming FileDescriptor, _ range: PhysicalRange) {
        self.file = file
        self.range = range
    }

    public func contains(_ page: PFN) -> Bool { range.contains(page) }

    /// Never: a mapping would be of the block device's cache, so there is nothing to gain.
    public func mapped(_ page: PFN) -> UnsafeRawPointer? { nil }

    public func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) {
        var done = 0
        while done < count {
            guard let page = first.advanced(by: UInt64(done)), let address = page.address, range.contains(page) else {
                states[done] = .absent
                done += 1
                continue
            }
            let run = wholePages(of: range, from: page, limit: min(count - done, 256))
            readPages(
                file, at: address - range.start, count: run, into: destination + done * pageSize, states: states + done)
            done += run
        }
    }

    public var zerosMayBeHoles: Bool { false }

    public var kind: String { escaped(file.path) }

    /// Tries the page once more and tells why it cannot be read; nil when it can.
    public func failure(of page: PFN) -> MemoryFailure? {
        var state = PageState.absent
        withUnsafeTemporaryAllocation(byteCount: pageSize, alignment: 16) { buffer in
            guard let base = buffer.baseAddress else { return }
            read(page, count: 1, into: base, states: &state)
        }
        guard state != .present else { return nil }
        return MemoryFailure(.inputOutput, source: kind, "\(kind) does not give PFN \(hexadecimal(page.number))")
    }
}
