import Linux
import Machine
import PRAM
import Text

/// The running machine's physical memory through /dev/mem, opened for reading.
///
/// What it reaches (drivers/char/mem.c; devmem_is_allowed in arch/x86/mm/init.c):
/// - Ranges that the kernel does not manage (`memmap=nn$ss`, `memmap=nn!ss`, above `mem=`): mmap(2), else read(2).
///   Above the end of the direct map read(2) gives EFAULT while mmap(2) works. With CONFIG_IO_STRICT_DEVMEM a range
///   that a driver has claimed (a pmem device) gives EPERM for both.
/// - System RAM only where the kernel was built without CONFIG_STRICT_DEVMEM, and then by read(2): mmap(2) of RAM gives
///   EINVAL under PAT. With CONFIG_STRICT_DEVMEM it gives EPERM, but below 1 MiB read(2) answers with zeros as if they
///   were the memory: such pages are `.absent` here.
/// - Never addresses that `AddressMap` does not call memory.
/// Where mmap(2) fails for whatever reason (EAGAIN: somebody has mapped the range with another kind of caching),
/// read(2) is tried.
///
/// It is opened without O_SYNC: with it the mapping would be uncached, far slower, and in conflict with the kernel's
/// own cached mapping.
public final class DevMem: PhysicalMemory {
    /// How System RAM answers.
    enum RAMAccess { case readable, refused(SystemError), notTried }

    private let file: FileDescriptor
    private let map: AddressMap
    private let ram: RAMAccess
    private let windows = Windows()

    /// - Parameters:
    ///   - path: /dev/mem.
    ///   - map: what may be touched.
    ///   - policy: what a refusal is explained with.
    /// - Throws: `.notConfigured`, `.notPermitted`, `.lockdown`: why it cannot be opened.
    public static func open(
        _ path: [UInt8], map: AddressMap, policy: KernelPolicy
    ) throws(MemoryFailure) -> DevMem {
        do throws(SystemError) {
            let file = try FileDescriptor.open(path)
            let ram = DevMem.tryRAM(file, map)
            return DevMem(file, map: map, ram: ram)
        } catch {
            throw MemoryInterface.devMem.refusal(error, policy)
        }
    }

    init(_ file: consuming FileDescriptor, map: AddressMap, ram: RAMAccess) {
        self.file = file
        self.map = map
        self.ram = ram
    }

    public func contains(_ page: PFN) -> Bool { map.region(holding: page).map(reaches) ?? false }

    public func mapped(_ page: PFN) -> UnsafeRawPointer? { mapping(of: page)?.pointer }

    /// Split at the borders of regions and of windows: one read(2) that meets a forbidden page fails as a whole.
    public func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) {
        var done = 0
        while done < count {
            guard let page = first.advanced(by: UInt64(done)), let region = map.region(holding: page), reaches(region)
            else {
                states[done] = .absent
                done += 1
                continue
            }
            let run = min(count - done, wholePages(of: region.range, from: page, limit: DevMem.pagesPerRead))
            done += readRun(page, count: run, into: destination + done * pageSize, states: states + done)
        }
    }

    /// What it gives of a page is the memory itself, never a stand-in for a page it could not reach.
    public var zerosMayBeHoles: Bool { false }

    public var kind: String { escaped(file.path) }

    /// Whether System RAM can be read, too (no CONFIG_STRICT_DEVMEM).
    public var readsSystemRAM: Bool {
        if case .readable = ram { true } else { false }
    }

    /// Why System RAM cannot be read; nil where it can.
    public var systemRAMRefusal: MemoryFailure? {
        switch ram {
        case .readable: return nil
        case .notTried:
            return MemoryFailure(
                .strictDevmem, source: kind, "\(kind) was not asked for System RAM: none of it could be tried")
        case .refused(let error):
            guard error.code == ErrorCode.notPermitted else {
                return MemoryFailure(.inputOutput, source: kind, "\(kind) does not give System RAM: \(error.reason)")
            }
            return MemoryFailure(
                .strictDevmem, source: kind,
                "\(kind) does not give System RAM: the kernel was built with CONFIG_STRICT_DEVMEM",
                remedy: "keep the chain in a range reserved by memmap=nn$ss, use /proc/kcore, or take a memory dump")
        }
    }

    /// Tries the page once more and tells why it cannot be read; nil when it can.
    public func failure(of page: PFN) -> MemoryFailure? {
        guard let region = map.region(holding: page) else {
            return MemoryFailure(
                .noSuchMemory, source: kind,
                "\(kind) is not asked for PFN \(hexadecimal(page.number)): no range of "
                    + "memory is known to hold the whole page")
        }
        switch region.nature {
        case .systemRAM where !readsSystemRAM: return systemRAMRefusal
        case .firmware, .device:
            return MemoryFailure(
                .unsupported, source: kind,
                "\(kind) is not asked for PFN \(hexadecimal(page.number)): it may belong to a device")
        default: break
        }
        return withUnsafeTemporaryAllocation(byteCount: pageSize, alignment: 16) { buffer -> MemoryFailure? in
            guard let base = buffer.baseAddress, let address = page.address else { return nil }
            if let pointer = mapped(page), guardedCopy(pointer, to: base, count: pageSize) { return nil }
            do throws(SystemError) {
                guard try file.read(at: address, into: buffer) < pageSize else { return nil }
                return MemoryFailure(
                    .inputOutput, source: kind, "\(kind) ends before PFN \(hexadecimal(page.number))")
            } catch {
                return explain(error, page)
            }
        }
    }

    private func explain(_ error: SystemError, _ page: PFN) -> MemoryFailure {
        let what = "\(kind) does not give PFN \(hexadecimal(page.number))"
        switch error.code {
        case ErrorCode.notPermitted:
            return MemoryFailure(
                .strictDevmem, source: kind, "\(what): a driver has claimed the range (CONFIG_IO_STRICT_DEVMEM)",
                remedy: "read the driver's own device instead (/dev/pmem0 for memmap=nn!ss), unbind the driver, or "
                    + "start with iomem=relaxed")
        case ErrorCode.badAddress:
            return MemoryFailure(
                .noSuchMemory, source: kind,
                "\(what): there is no memory that the kernel can reach by read, and none "
                    + "could be mapped")
        default:
            return MemoryFailure(.inputOutput, source: kind, "\(what): \(error.reason)")
        }
    }

    private func reaches(_ region: AddressMap.Region) -> Bool {
        switch region.nature {
        case .reserved, .persistent, .hidden: true
        case .systemRAM: readsSystemRAM
        case .firmware, .device: false
        }
    }

    private func mapping(of page: PFN) -> (pointer: UnsafeRawPointer, pages: Int)? {
        guard let region = map.region(holding: page), reaches(region), let address = page.address else { return nil }
        return windows.mapping(of: address, in: region, file)
    }

    /// `count` pages, all in one region. Returns how many of them it dealt with: at least 1.
    private func readRun(
        _ page: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) -> Int {
        if let (pointer, available) = mapping(of: page) {
            let run = min(count, available)
            if guardedCopy(pointer, to: destination, count: run * pageSize) {
                for index in 0..<run { states[index] = .present }
            } else {
                for index in 0..<run {
                    let there = guardedCopy(
                        pointer + index * pageSize, to: destination + index * pageSize, count: pageSize)
                    states[index] = there ? .present : .unreadable
                }
            }
            return run
        }
        guard let address = page.address else {
            states[0] = .absent
            return 1
        }
        readPages(file, at: address, count: count, into: destination, states: states)
        return count
    }

    /// Tries one page of System RAM, above the first MiB: there CONFIG_STRICT_DEVMEM shows as EPERM. Another error may
    /// be of that page alone, so a few regions are tried.
    private static func tryRAM(_ file: borrowing FileDescriptor, _ map: AddressMap) -> RAMAccess {
        var outcome = RAMAccess.notTried
        var tries = 0
        for region in map.regions where region.nature == .systemRAM && tries < 4 {
            let start = max(region.range.start, 1 << 20)
            guard let page = PFN(containing: start).advanced(by: start & 0xfff == 0 ? 0 : 1),
                let address = page.address, region.range.contains(page)
            else { continue }
            tries += 1
            let refusal = withUnsafeTemporaryAllocation(byteCount: pageSize, alignment: 16) { buffer -> SystemError? in
                do throws(SystemError) {
                    return try file.read(at: address, into: buffer) == pageSize
                        ? nil : SystemError("read", code: ErrorCode.inputOutput, path: file.path)
                } catch {
                    return error
                }
            }
            guard let refusal else { return .readable }
            outcome = .refused(refusal)
            if refusal.code == ErrorCode.notPermitted { return outcome }
        }
        return outcome
    }

    private static let pagesPerRead = 256
}

/// The parts of /dev/mem that are mapped: made when first asked for, kept until the source goes, so that pointers into
/// them stay good. A mapping of /dev/mem is populated at once (remap_pfn_range), which costs page tables: 0.2 % of its
/// size.
private final class Windows {
    /// Bytes, a power of two.
    private static let size: UInt64 = 64 << 20
    /// One TiB in all; what lies beyond is read.
    private static let limit = 1 << 14

    private final class Window {
        /// The address of the first byte.
        let start: UInt64
        /// Kept for as long as the window lives; nil where the kernel refused.
        private let mapping: Mapping?
        private let base: UnsafeRawPointer?
        /// In bytes.
        private let count: Int

        init(_ file: borrowing FileDescriptor, _ start: UInt64, _ count: Int) {
            self.start = start
            self.count = count
            if let mapping = try? Mapping(file, offset: start, count: count) {
                base = UnsafeRawPointer(mapping.base)
                self.mapping = consume mapping
            } else {
                base = nil
                mapping = nil
            }
        }

        var isRefused: Bool { base == nil }

        func pages(from address: UInt64) -> (pointer: UnsafeRawPointer, pages: Int)? {
            guard let base else { return nil }
            let offset = Int(address - start)
            return (base + offset, (count - offset) / pageSize)
        }
    }

    private let lock = Monitor()
    /// In ascending order.
    private var windows: [Window] = []
    private var ramRefused = false

    /// Where the page at `address` is mapped, and how many pages from there on.
    func mapping(
        of address: UInt64, in region: AddressMap.Region, _ file: borrowing FileDescriptor
    ) -> (pointer: UnsafeRawPointer, pages: Int)? {
        // Windows are aligned, but cut to the whole pages of their region: a mapping across its border would be
        // refused.
        var start = address & ~(Windows.size - 1)
        var last = address | (Windows.size - 1)
        if start < region.range.start {
            let (up, overflow) = region.range.start.addingReportingOverflow(0xfff)
            guard !overflow else { return nil }
            start = up & ~0xfff
        }
        if last > region.range.last {
            let lastPage = region.range.last & 0xfff == 0xfff ? region.range.last : (region.range.last & ~0xfff) &- 1
            last = lastPage
        }
        guard start <= address, address <= last, last - start < Windows.size else { return nil }

        lock.lock()
        defer { lock.unlock() }
        let place = place(of: start)
        if place < windows.count, windows[place].start == start { return windows[place].pages(from: address) }
        if windows.count >= Windows.limit || (ramRefused && region.nature == .systemRAM) { return nil }
        let window = Window(file, start, Int(last - start) + 1)
        // Where one piece of RAM is refused, all are, and each attempt is a line in the kernel's log.
        if window.isRefused && region.nature == .systemRAM { ramRefused = true }
        windows.insert(window, at: place)
        return window.pages(from: address)
    }

    /// Where the window that begins at `start` is, or would go.
    private func place(of start: UInt64) -> Int {
        var (low, high) = (0, windows.count)
        while low < high {
            let middle = low + (high - low) / 2
            if windows[middle].start < start { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
