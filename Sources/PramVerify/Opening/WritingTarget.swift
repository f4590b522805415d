import ChainWriting
import Linux
import Machine
import MemorySources
import PRAM
import Text

/// The memory that a command writes, found by the rules of `WritableRegion`, and locked.
struct WritingTarget {
    let memory: any WritableMemory
    /// Where a chain starts when nothing else is said: the range's first page.
    let head: PFN
    /// What it is, for the report.
    let name: String
    /// Which pages that the chain does not use may be taken.
    let freePages: FreePages
    /// What the running machine says; nil for an image.
    let machine: MachineEvidence?
    /// Whether it is a device that the call names.
    var isDevice = false
    /// What `save --size` has done to an image.
    var growth: ImageGrowth?
    /// Kept while the target is in use.
    private let lock: MemoryLock?

    /// The memory where it is not this machine's own range: an image, or a device.
    var image: (any PhysicalMemory)? { machine == nil || isDevice ? memory : nil }

    /// Opens what the options name: an image, a pmem device, or the reserved range of this machine.
    /// - Parameters:
    ///   - size: makes an image this large, and makes it first where there is none.
    ///   - purpose: for cutting alone, System RAM may be written where a kernel with pram holds a chain.
    static func open(
        _ call: Call, size: UInt64?, base: UInt64, for purpose: Written.Purpose
    ) throws(Failure) -> WritingTarget {
        // A command that has not said that it writes does not.
        guard call.command.writes else { throw .usage(UsageError("\(call.command.name) writes no memory")) }
        let region = try call.region()
        if let path = call[.memory], !path.elementsEqual("auto".utf8) {
            return try openImage(path, size: size, base: base, region: region, isSaved: purpose == .chain)
        }
        if size != nil { throw .usage(UsageError("--size goes with --memory FILE")) }
        let lock = try MemoryLock.take()
        let machine: MachineEvidence
        do throws(MachineFailure) { machine = try MachineEvidence.collect() } catch { throw Failure(error) }
        do throws(WriteRefusal) { try WritableRegion.refuseCrashKernel(machine) } catch { throw .refused(error) }
        if purpose == .cutting, Head.arrived(call) != nil {
            throw .refused(
                WriteRefusal(
                    .notReserved, "the chain lies in System RAM, which nobody can write",
                    remedy: "load what is good of it, with --repair what parity brings back, and save that once more "
                        + "with save --kho; save --again hands on what is intact"))
        }
        if let text = call[.device] {
            return try openDevice(text, overwrite: call.has(.force), machine, lock)
        }
        if purpose == .cutting, let kernels = MachineEvidence.kernelsHead(), kernels != 0 {
            let memory = try openKernelMemory(machine)
            return WritingTarget(
                memory: memory, head: PFN(kernels), name: memory.kind, freePages: .none, machine: machine, lock: lock)
        }
        let found: WritableRegion
        do throws(WriteRefusal) {
            found = try WritableRegion.find(region, in: machine)
        } catch {
            // A file system on a device that nobody has named is never written over.
            guard error.cause == .claimed, region == nil, let device = onlyDevice(machine) else {
                throw .refused(error)
            }
            return try openDevice(device, overwrite: false, machine, lock)
        }
        let file = try calling(remedy: devMemRemedy) { () throws(SystemError) in
            try FileDescriptor.openForUpdate(MachinePaths().devMem)
        }
        let memory = MemoryFile(
            file, range: found.range, offset: found.range.start, kind: "/dev/mem", isMapped: true, isBuffered: false)
        return WritingTarget(
            memory: memory, head: PFN(containing: found.range.start), name: "/dev/mem", freePages: .all,
            machine: machine, lock: lock)
    }

    private static func openKernelMemory(_ machine: MachineEvidence) throws(Failure) -> PramKernelMemory {
        let live: LiveMemory
        do throws(MemoryFailure) { live = try LiveMemory.open() } catch { throw .memory(error) }
        let file = try calling(remedy: devMemRemedy) { () throws(SystemError) in
            try FileDescriptor.openForUpdate(MachinePaths().devMem)
        }
        return PramKernelMemory(live, writing: file, systemRAM: machine.iomem.systemRAM)
    }

    private static let devMemRemedy =
        "run this as root; under lockdown (Secure Boot) use a pmem range (memmap=nn!ss) and --device"

    /// What is wrong with the options that name what is written, before anything is opened.
    static func checkOptions(_ call: Call) throws(Failure) {
        _ = try call.region()
        if call.has(.device), !MemoryChoice(call[.memory]).isLive {
            throw .usage(UsageError("--memory and --device exclude each other"))
        }
    }

    private static func openDevice(
        _ text: [UInt8], overwrite: Bool, _ machine: MachineEvidence, _ lock: MemoryLock
    ) throws(Failure) -> WritingTarget {
        guard let name = DeviceName(text) else {
            throw .usage(UsageError("--device takes a path, PARTUUID=... or PARTLABEL=..., not \(escaped(text))"))
        }
        let target: PmemTarget
        do throws(MemoryFailure) {
            // What a chain has put there is no file system; whether it may be replaced is asked elsewhere.
            target = try PmemTarget.open(name, overwrite: overwrite)
        } catch {
            throw .memory(error)
        }
        do throws(WriteRefusal) {
            try WritableRegion.check(device: target.range, in: machine)
        } catch {
            throw .refused(error)
        }
        let file = try calling { () throws(SystemError) in try target.file.duplicated() }
        let memory = MemoryFile(
            file, range: target.range, offset: 0, kind: escaped(target.site.name), isMapped: false, isBuffered: true)
        return WritingTarget(
            memory: memory, head: PFN(containing: target.range.start), name: escaped(text), freePages: .all,
            machine: machine, isDevice: true, lock: lock)
    }

    private static func openImage(
        _ path: [UInt8], size: UInt64?, base: UInt64, region: PhysicalRange?, isSaved: Bool
    ) throws(Failure) -> WritingTarget {
        let image: WritableImage
        do throws(MemoryFailure) {
            image = try WritableImage.open(path, isMade: size != nil)
        } catch {
            throw .memory(error)
        }
        let isNew = image.isNew
        let file = image.takeFile()
        do throws(LockFailure) { try file.lock(.exclusive) } catch { throw .imageLocked(error) }
        // A dump in another form, or a packed one, has its pages elsewhere: writing would destroy it.
        let start = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 16)
        defer { start.deallocate() }
        let got = try calling { () throws(SystemError) in try file.read(at: 0, into: start) }
        if let form = DumpFile.form(ofStart: Array(start[..<got])) {
            throw .memory(
                MemoryFailure(
                    .unsupported, source: escaped(path), "it looks like \(form): only raw images are written",
                    remedy: "make a raw image of it, or name another file"))
        }
        let status = try calling { () throws(SystemError) in try file.status() }
        let length = status.size
        // Who made it and who locked it first need not be the same.
        let growth = size.map { _ in
            ImageGrowth(path: path, image: status, before: isNew && length == 0 ? nil : length)
        }
        if let growth { file.growthBegan(from: growth.before) }
        let range: PhysicalRange
        var isSparse = false
        do throws(Failure) {
            range = try self.range(
                of: path, length: max(size ?? 0, length), base: base, region: region, isSaved: isSaved)
            if let size, size > length {
                try calling(remedy: "make room, or a smaller image") { () throws(SystemError) in
                    isSparse = try makeRoom(in: file, size, isNew: isNew && length == 0)
                }
            }
        } catch {
            growth?.undo()
            throw error
        }
        let memory = MemoryFile(
            file, range: range, offset: range.start - base, kind: "raw image", isMapped: true, isBuffered: true,
            isSparse: isSparse)
        let head =
            region.map { PFN(containing: $0.start) }
            ?? LowMemory.firstPage(ofImageAt: base, length: max(size ?? 0, length))
        return WritingTarget(
            memory: memory, head: head, name: escaped(path), freePages: .zeroed, machine: nil, growth: growth,
            lock: nil)
    }

    /// Makes an image larger. In memory room is made page by page, which takes longer than to fill it, so a new file,
    /// with which nothing is lost, gets it while it is written.
    /// - Returns: whether it has none yet.
    private static func makeRoom(
        in file: borrowing FileDescriptor, _ size: UInt64, isNew: Bool
    ) throws(SystemError) -> Bool {
        guard isNew, file.isKeptInMemory else {
            try file.allocate(size)
            return false
        }
        if let free = file.freeSpace, free < size {
            throw SystemError("fallocate", code: ErrorCode.noSpace, path: file.path)
        }
        try file.truncate(to: size)
        return true
    }

    /// The part of an image that may be written.
    private static func range(
        of path: [UInt8], length: UInt64, base: UInt64, region: PhysicalRange?, isSaved: Bool
    ) throws(Failure) -> PhysicalRange {
        func malformed(_ message: Phrase, _ remedy: Phrase) -> Failure {
            .memory(MemoryFailure(.malformed, source: escaped(path), message, remedy: remedy))
        }
        let remedy: Phrase = isSaved ? "save makes it larger with --size" : ""
        // Page 0 can be no head: pram=0 says that there is no chain.
        let first = max(base, UInt64(pageSize))
        let (end, overflow) = base.addingReportingOverflow(length & ~UInt64(pageSize - 1))
        let start = LowMemory.firstPage(ofImageAt: base, length: length).address ?? first
        guard !overflow, let whole = PhysicalRange(start: first, end: end) else {
            throw malformed("the image has no room for a chain", remedy)
        }
        guard let range = region ?? (isSaved ? PhysicalRange(start: start, end: end) : whole) else {
            throw malformed("the image has no room for a chain", remedy)
        }
        guard whole.contains(range), range.start % UInt64(pageSize) == 0, range.size % UInt64(pageSize) == 0 else {
            throw malformed("--region does not name whole pages of the image", "")
        }
        return range
    }
}
