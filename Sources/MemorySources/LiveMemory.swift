import Linux
import PRAM
import Text

/// The ways into the running machine's memory.
public enum LiveWays: UInt8, Sendable {
    case devMem, kcore
    /// For each page the way that reaches it, pmem devices among them.
    case both
}

/// The running machine's memory: for each page the way that reaches it.
///
/// | memory | way |
/// |---|---|
/// | reserved, persistent, above `mem=` | /dev/mem: mmap(2), else read(2) |
/// | persistent, claimed by a pmem driver | /dev/pmem0, pmem1 ... |
/// | System RAM | /proc/kcore, else /dev/mem where the kernel lets it |
///
/// A chain may lie in several kinds. What was refused is kept, with the reason: `refusals` for the ways as a whole,
/// `explain` for one page.
public final class LiveMemory: PhysicalMemory {
    private let devMem: DevMem?
    private let kcore: Kcore?
    private let pmem: [PmemDevice]
    private let map: AddressMap?
    private let iomem: Iomem?
    private let iomemPath: String
    private let devMemRefusal: MemoryFailure?
    private let kcoreRefusal: MemoryFailure?

    /// Opens what can be opened.
    /// - Parameter only: which ways to try. A way that was not to be tried is no refusal.
    /// - Throws: when no way is open: the first reason's cause, a message that sums all of them up, and `reasons`.
    public static func open(
        only: LiveWays = .both, paths: LivePaths = LivePaths()
    ) throws(MemoryFailure) -> LiveMemory {
        try open(only: only, paths: paths, policy: KernelPolicy(paths))
    }

    static func open(
        only: LiveWays, paths: LivePaths, policy: KernelPolicy
    ) throws(MemoryFailure) -> LiveMemory {
        var iomem: Iomem?
        var map: AddressMap?
        var iomemRefusal: MemoryFailure?
        do throws(MemoryFailure) {
            let read = try Iomem.read(paths.iomem)
            iomem = read
            map = AddressMap(read, firmware: paths.firmwareMap.flatMap(FirmwareMap.read))
        } catch {
            iomemRefusal = error
        }

        var devMem: DevMem?
        var devMemRefusal: MemoryFailure?
        if only != .kcore {
            do throws(MemoryFailure) {
                guard let map else { throw DevMem.blind(paths.devMem, iomemRefusal) }
                devMem = try DevMem.open(paths.devMem, map: map, policy: policy)
            } catch {
                devMemRefusal = error
            }
        }

        var kcore: Kcore?
        var kcoreRefusal: MemoryFailure?
        if only != .devMem {
            do throws(MemoryFailure) {
                kcore = try Kcore.open(paths.kcore, iomem: iomem, policy: policy)
            } catch {
                kcoreRefusal = error
            }
        }

        let pmem = only == .both ? PmemDevice.openAll(block: paths.block, devices: paths.devices) : []
        let reasons = [devMemRefusal, kcoreRefusal].compactMap { $0 }
        if devMem == nil && kcore == nil && pmem.isEmpty, let first = reasons.first {
            throw MemoryFailure(
                first.cause, source: reasons.map { $0.source }.joined(separator: ", "),
                "this machine's memory cannot be read: \(reasons.map { $0.message }.joined(separator: "; "))",
                remedy: Phrase(first.remedy), reasons: reasons)
        }
        return LiveMemory(
            devMem: devMem, kcore: kcore, pmem: pmem, map: map, iomem: iomem, iomemPath: escaped(paths.iomem),
            devMemRefusal: devMemRefusal, kcoreRefusal: kcoreRefusal)
    }

    private init(
        devMem: DevMem?, kcore: Kcore?, pmem: [PmemDevice], map: AddressMap?, iomem: Iomem?, iomemPath: String,
        devMemRefusal: MemoryFailure?, kcoreRefusal: MemoryFailure?
    ) {
        self.devMem = devMem
        self.kcore = kcore
        self.pmem = pmem
        self.map = map
        self.iomem = iomem
        self.iomemPath = iomemPath
        self.devMemRefusal = devMemRefusal
        self.kcoreRefusal = kcoreRefusal
    }

    /// Why /dev/mem does not reach System RAM; nil where it does. The kernel asks the same for reading and for writing
    /// (range_is_allowed in drivers/char/mem.c).
    public var systemRAMRefusal: MemoryFailure? { devMemRefusal ?? devMem?.systemRAMRefusal }

    /// The ways that could not be opened, and why; System RAM being refused to an open /dev/mem is one more, unless
    /// /proc/kcore gives it.
    public var refusals: [MemoryFailure] {
        let ram = kcore == nil ? devMem?.systemRAMRefusal : nil
        return [devMemRefusal, ram, kcoreRefusal].compactMap { $0 }
    }

    /// Which addresses are memory; nil when /proc/iomem does not tell.
    public var memoryMap: AddressMap? { map }

    // MARK: PhysicalMemory

    public func contains(_ page: PFN) -> Bool { way(to: page) != .none }

    public func mapped(_ page: PFN) -> UnsafeRawPointer? { devMem?.mapped(page) }

    public func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) {
        var done = 0
        while done < count {
            guard let page = first.advanced(by: UInt64(done)) else {
                states[done] = .absent
                done += 1
                continue
            }
            let way = way(to: page)
            var run = 1
            while done + run < count, let next = page.advanced(by: UInt64(run)), self.way(to: next) == way { run += 1 }
            let bytes = destination + done * pageSize
            switch way {
            case .none:
                for index in 0..<run { states[done + index] = .absent }
            case .devMem:
                devMem?.read(page, count: run, into: bytes, states: states + done)
                retry(page, count: run, with: kcore, into: bytes, states: states + done)
            case .kcore:
                kcore?.read(page, count: run, into: bytes, states: states + done)
                retry(page, count: run, with: devMem, into: bytes, states: states + done)
            case .pmem:
                // The pages behind the device's end may be another device's.
                guard let device = device(holding: page) else { break }
                run = wholePages(of: device.range, from: page, limit: run)
                device.read(page, count: run, into: bytes, states: states + done)
                retry(page, count: run, with: devMem, into: bytes, states: states + done)
            }
            done += run
        }
    }

    /// True where System RAM comes through /proc/kcore, even if this page does not: see `zerosMayBeHole`.
    public var zerosMayBeHoles: Bool { kcore != nil }

    /// Whether this page comes through /proc/kcore, which shows zeros for what it could not reach.
    public func zerosMayBeHole(_ page: PFN) -> Bool { way(to: page) == .kcore }

    public var kind: String {
        ([devMem?.kind, kcore?.kind].compactMap { $0 } + pmem.map { $0.kind }).joined(separator: ", ")
    }

    // MARK: Reasons

    /// Why the page cannot be read, tried again now: one failure for each thing that stands in the way. Empty when it
    /// can be read.
    public func explain(_ page: PFN) -> [MemoryFailure] {
        let what = "PFN \(hexadecimal(page.number))"
        guard let address = page.address, let range = PhysicalRange(start: address, size: UInt64(pageSize)) else {
            return [
                MemoryFailure(.noSuchMemory, source: "", "\(what) has no address: PFNs end below 2^52")
            ]
        }
        var failures: [MemoryFailure] = []
        for failure in [attempt(devMem, page), attempt(kcore, page), attempt(device(holding: page), page)] {
            switch failure {
            case .readable: return []
            case .failed(let failure): failures.append(failure)
            case .notHeld: break
            }
        }
        failures += location(what, page, range)
        return failures
    }

    private enum Attempt { case readable, notHeld, failed(MemoryFailure) }

    private func attempt(_ source: DevMem?, _ page: PFN) -> Attempt {
        guard let source, source.contains(page) else { return .notHeld }
        return source.failure(of: page).map { .failed($0) } ?? .readable
    }

    private func attempt(_ source: Kcore?, _ page: PFN) -> Attempt {
        guard let source, source.contains(page) else { return .notHeld }
        return source.failure(of: page).map { .failed($0) } ?? .readable
    }

    private func attempt(_ source: PmemDevice?, _ page: PFN) -> Attempt {
        guard let source, source.contains(page) else { return .notHeld }
        return source.failure(of: page).map { .failed($0) } ?? .readable
    }

    /// What the page's place in the memory map says, and the refusals that matter there.
    private func location(_ what: String, _ page: PFN, _ range: PhysicalRange) -> [MemoryFailure] {
        guard let map, let iomem else {
            // Nothing is known of the address, so every refusal may be the one that matters.
            return refusals
        }
        guard let region = map.region(around: page) else {
            return [
                MemoryFailure(
                    .noSuchMemory, source: iomemPath, "\(what) lies in no range of \(iomemPath)",
                    remedy: "check the PFN: the chain may be damaged, or this machine may have less memory now")
            ]
        }
        let owner = iomem.owners(of: range).last.map { escaped($0.name) } ?? ""
        guard region.range.contains(page) else {
            return [
                MemoryFailure(
                    .noSuchMemory, source: iomemPath, "\(what) lies across the border of a range of \(iomemPath)")
            ]
        }
        switch region.nature {
        case .device:
            return [
                MemoryFailure(
                    .noSuchMemory, source: iomemPath, "\(what) is not memory: it belongs to \"\(owner)\"",
                    remedy: "check the PFN: the chain may be damaged")
            ]
        case .firmware:
            return [
                MemoryFailure(
                    .unsupported, source: iomemPath,
                    "\(what) was reserved by the firmware (\"\(owner)\"), perhaps for a device: it is not read",
                    remedy: "put the chain into RAM that memmap=nn$ss reserves; to a crash kernel such a range looks "
                        + "the same, so look once more after a normal boot")
            ]
        case .systemRAM:
            // Both ways lead to System RAM: what closed them, and what would make them unnecessary.
            return [devMemRefusal, devMem?.systemRAMRefusal, kcoreRefusal].compactMap { $0 } + [
                MemoryFailure(
                    .rangeNotReserved, source: iomemPath,
                    "\(what) is System RAM that this kernel manages, not in a range reserved for the chain",
                    remedy: "reserve a range with memmap=nn$ss on the command lines of both kernels")
            ]
        case .reserved, .persistent, .hidden:
            guard devMem == nil else { return [] }
            return [
                devMemRefusal
                    ?? MemoryFailure(
                        .unsupported, source: iomemPath,
                        "\(what) lies outside of what the kernel manages: only "
                            + "/dev/mem reaches it, which was not to be used")
            ]
        }
    }

    // MARK: Choice

    private enum Way { case none, devMem, kcore, pmem }

    private func device(holding page: PFN) -> PmemDevice? { pmem.first { $0.contains(page) } }

    /// For System RAM /proc/kcore comes first: it is twice as fast as read(2) on /dev/mem. A pmem device comes before
    /// /dev/mem, which as a rule refuses what a driver has claimed.
    private func way(to page: PFN) -> Way {
        if let kcore, kcore.contains(page) { return .kcore }
        if device(holding: page) != nil { return .pmem }
        if let devMem, devMem.contains(page) { return .devMem }
        return .none
    }

    /// Gives the pages that are still missing to the other way.
    private func retry(
        _ first: PFN, count: Int, with other: (some PhysicalMemory)?, into destination: UnsafeMutableRawPointer,
        states: UnsafeMutablePointer<PageState>
    ) {
        guard let other else { return }
        for index in 0..<count where states[index] != .present {
            guard let page = first.advanced(by: UInt64(index)), other.contains(page) else { continue }
            other.read(page, count: 1, into: destination + index * pageSize, states: states + index)
        }
    }
}

extension DevMem {
    /// /dev/mem without /proc/iomem: nothing would keep a read away from devices.
    fileprivate static func blind(_ path: [UInt8], _ reason: MemoryFailure?) -> MemoryFailure {
        let source = escaped(path)
        return MemoryFailure(
            reason?.cause ?? .malformed, source: source,
            "\(source) is not used: which addresses are memory is not known (\(reason?.message ?? ""))",
            remedy: Phrase(reason?.remedy ?? ""))
    }
}
