import Linux
import Machine
import PRAM
import Text

/// Physical memory that can be written: a reserved range through /dev/mem, a pmem device, or an image.
public protocol WritableMemory: PhysicalMemory {
    /// The pages that may be written. Whoever writes elsewhere has a bug; such writes are refused with EFAULT.
    var pages: Range<UInt64> { get }

    /// Has `body` fill `count` adjacent pages. The bytes it is given are the memory itself where that is mapped, else a
    /// buffer that is written afterwards; what it leaves alone is unspecified.
    func fill(
        _ first: PFN, count: Int, _ body: (UnsafeMutableRawBufferPointer) throws(SystemError) -> Void
    ) throws(SystemError)

    /// Writes one page in one system call.
    func write(_ page: PFN, _ bytes: PageBytes) throws(SystemError)

    /// The file that is written, where it is a regular one that may have other names.
    var writtenFile: FileStatus? { get }

    /// Why not all of the pages can be written, found without writing; nil where nothing stands in the way. Ask before
    /// the first byte is changed.
    var refusal: MemoryFailure? { get }

    /// Returns when what was written would survive: nothing to do for memory, fsync(2) for a device.
    func synchronize() throws(SystemError)

    /// Where a page lies in physical memory: by this number links name it. Another one than its own only where `pages`
    /// are the places of a list of page frames.
    func frame(of page: PFN) -> PFN

    /// Where what was written is read back, by frame numbers.
    var readBack: any PhysicalMemory { get }

    /// Whether what `fill` is given is a buffer that is written afterwards, so that many pages are better written by
    /// `write(_:pages:)`, while others are read.
    var isWrittenByCalls: Bool { get }

    /// Writes adjacent pages; also while other threads write others.
    func write(_ first: PFN, pages: UnsafeRawBufferPointer) throws(SystemError)

    /// Where adjacent pages may be read and written in place, under a guard; nil where that is not wanted.
    func place(of first: PFN, count: Int) -> UnsafeMutableRawPointer?

    /// Makes sure of room for pages that nobody has written yet, where that may be lacking.
    /// - Parameter areUsed: whether they will be written now. Others have room already, unless the memory was made just
    ///   now.
    func reserve(_ pages: Range<UInt64>, areUsed: Bool) throws(SystemError)
}

extension WritableMemory {
    public var writtenFile: FileStatus? { nil }
    public var refusal: MemoryFailure? { nil }
    public func frame(of page: PFN) -> PFN { page }
    public var readBack: any PhysicalMemory { self }
    public var isWrittenByCalls: Bool { false }
    public func place(of first: PFN, count: Int) -> UnsafeMutableRawPointer? { nil }
    public func reserve(_ pages: Range<UInt64>, areUsed: Bool) throws(SystemError) {}

    public func write(_ first: PFN, pages: UnsafeRawBufferPointer) throws(SystemError) {
        try fill(first, count: pages.count / pageSize) { (bytes) throws(SystemError) in
            guard let source = pages.baseAddress, let target = bytes.baseAddress,
                guardedCopy(source, to: target, count: bytes.count)
            else { throw SystemError("write", code: ErrorCode.badAddress) }
        }
    }
}

/// A range of physical memory that is reached through a file: /dev/mem (offset = address), a pmem device, a raw image.
public final class MemoryFile: WritableMemory {
    private let file: FileDescriptor
    private let range: PhysicalRange
    /// The file offset of the range's first byte.
    private let offset: UInt64
    /// Where the range is mapped; kept up by `mapping`.
    private let base: UnsafeMutableRawPointer?
    private let mapping: Mapping?
    public let kind: String
    /// Whether writes wait in the page cache, and need fsync(2).
    private let isBuffered: Bool
    /// Whether it is a mapped file of a tmpfs.
    private let isInPlace: Bool
    /// Whether it is a new file, of which nothing is there but what was written.
    private let isSparse: Bool
    private var buffer = UnsafeMutableRawBufferPointer(start: nil, count: 0)

    /// - Parameters:
    ///   - file: open for reading and writing.
    ///   - range: whole pages.
    ///   - offset: where the range begins in the file.
    ///   - isMapped: whether to map the range, which is far faster than read(2) and write(2); where that fails, these are used.
    ///   - isSparse: whether the file is a new one, in which room is made when it is written, or by `reserve`.
    public init(
        _ file: consuming FileDescriptor, range: PhysicalRange, offset: UInt64, kind: String, isMapped: Bool,
        isBuffered: Bool, isSparse: Bool = false
    ) {
        self.isSparse = isSparse
        self.range = range
        self.offset = offset
        self.kind = kind
        self.isBuffered = isBuffered
        if isMapped, let count = Int(exactly: range.size),
            let mapping = try? Mapping(file, offset: offset, count: count, writable: true)
        {
            base = mapping.base
            self.mapping = consume mapping
        } else {
            base = nil
            mapping = nil
        }
        isInPlace = isBuffered && base != nil && file.isOnTmpfs
        self.file = file
    }

    deinit { buffer.deallocate() }

    public var pages: Range<UInt64> {
        let first = range.start / UInt64(pageSize)
        return first..<first + range.size / UInt64(pageSize)
    }

    public var writtenFile: FileStatus? {
        guard let status = try? file.status(), status.isRegular else { return nil }
        return status
    }

    public var zerosMayBeHoles: Bool { false }

    public func contains(_ page: PFN) -> Bool { range.contains(page) }

    public func mapped(_ page: PFN) -> UnsafeRawPointer? { address(of: page, count: 1).map { UnsafeRawPointer($0) } }

    private func address(of page: PFN, count: Int) -> UnsafeMutableRawPointer? {
        guard let base, holds(page, count: count) else { return nil }
        return base + Int(page.number - pages.lowerBound) * pageSize
    }

    private func holds(_ page: PFN, count: Int) -> Bool {
        pages.contains(page.number) && UInt64(count) <= pages.upperBound - page.number
    }

    public func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) {
        for i in 0..<count {
            guard let page = first.advanced(by: UInt64(i)), range.contains(page) else {
                states[i] = .absent
                continue
            }
            let target = destination + i * pageSize
            if let source = mapped(page) {
                states[i] = guardedCopy(source, to: target, count: pageSize) ? .present : .unreadable
            } else {
                let read = try? file.read(
                    at: fileOffset(of: page), into: UnsafeMutableRawBufferPointer(start: target, count: pageSize))
                states[i] = read == pageSize ? .present : .unreadable
            }
        }
    }

    private func fileOffset(of page: PFN) -> UInt64 {
        offset + (page.number - pages.lowerBound) * UInt64(pageSize)
    }

    public func fill(
        _ first: PFN, count: Int, _ body: (UnsafeMutableRawBufferPointer) throws(SystemError) -> Void
    ) throws(SystemError) {
        guard holds(first, count: count) else {
            throw SystemError("write", code: ErrorCode.badAddress, path: file.path)
        }
        // A file in the page cache is written by write(2): each page that is written through a mapping costs a page
        // fault, and is cleared first.
        if !isBuffered, let address = address(of: first, count: count) {
            try body(UnsafeMutableRawBufferPointer(start: address, count: count * pageSize))
            return
        }
        let bytes = UnsafeMutableRawBufferPointer(rebasing: room(for: count * pageSize)[..<(count * pageSize)])
        try body(bytes)
        try file.write(UnsafeRawBufferPointer(bytes), at: fileOffset(of: first))
    }

    public var isWrittenByCalls: Bool { isBuffered }

    public func write(_ first: PFN, pages: UnsafeRawBufferPointer) throws(SystemError) {
        guard pages.count % pageSize == 0, holds(first, count: pages.count / pageSize) else {
            throw SystemError("write", code: ErrorCode.badAddress, path: file.path)
        }
        try file.write(pages, at: fileOffset(of: first))
    }

    public func place(of first: PFN, count: Int) -> UnsafeMutableRawPointer? {
        isInPlace ? address(of: first, count: count) : nil
    }

    public func reserve(_ pages: Range<UInt64>, areUsed: Bool) throws(SystemError) {
        guard isInPlace, areUsed || isSparse, !pages.isEmpty, holds(PFN(pages.lowerBound), count: pages.count) else {
            return
        }
        try file.allocate(UInt64(pages.count * pageSize), at: fileOffset(of: PFN(pages.lowerBound)))
    }

    /// Where what goes by write(2) is put together; valid until the next call. Nobody fills from two threads at once: parity
    /// is made by several, and stored by one at a time.
    private func room(for count: Int) -> UnsafeMutableRawBufferPointer {
        if buffer.count < count {
            buffer.deallocate()
            buffer = .allocate(byteCount: count, alignment: pageSize)
        }
        return buffer
    }

    public func write(_ page: PFN, _ bytes: PageBytes) throws(SystemError) {
        guard holds(page, count: 1) else { throw SystemError("write", code: ErrorCode.badAddress, path: file.path) }
        // Through the file also where it is mapped: one call writes the page or does not, and no signal comes in
        // between. But read(2) and write(2) of /dev/mem end where the kernel's direct map ends, with EFAULT, and
        // mmap(2) does not (valid_phys_addr_range, valid_mmap_phys_addr_range in drivers/char/mem.c).
        do throws(SystemError) {
            try file.write(bytes.bytes, at: fileOffset(of: page))
        } catch {
            guard error.code == ErrorCode.badAddress, let target = address(of: page, count: 1) else { throw error }
            let isWhole = bytes.bytes.withUnsafeBytes { guardedCopy($0.baseAddress!, to: target, count: pageSize) }
            guard isWhole else { throw error }
            memoryFence()
        }
    }

    /// Whether what is not mapped lies where read(2) and write(2) reach: the first page and the last one, which is
    /// the first to pass the end of the direct map.
    public var refusal: MemoryFailure? {
        guard base == nil else { return nil }
        for number in [pages.lowerBound, pages.upperBound - 1] {
            let page = PFN(number)
            let error = withUnsafeTemporaryAllocation(byteCount: pageSize, alignment: 16) { buffer -> SystemError? in
                do throws(SystemError) {
                    _ = try file.read(at: fileOffset(of: page), into: buffer)
                    return nil
                } catch {
                    return error
                }
            }
            guard let error, error.code == ErrorCode.badAddress else { continue }
            return MemoryFailure(
                .noSuchMemory, source: kind,
                "page \(hexadecimal(number)) lies beyond the memory that the kernel reaches by write (its direct map), "
                    + "and the range could not be mapped",
                remedy: "reserve a range below the end of System RAM, or use memmap=nn!ss and --device")
        }
        return nil
    }

    public func synchronize() throws(SystemError) {
        guard isBuffered else { return }
        try mapping?.synchronize(file)
        try file.synchronize()
    }
}

/// A raw image that is to be written, as a file.
public struct WritableImage: ~Copyable {
    public let file: FileDescriptor
    /// Whether it was made by this call, and is empty.
    public let isNew: Bool

    public consuming func takeFile() -> FileDescriptor { file }

    /// Looks at what the path names before it is opened: to open a device for writing can be an act (a tape, a
    /// watchdog, a disk whose cache is dropped). Then it is looked at once more, for in between another file may have
    /// taken the name.
    /// - Parameter isMade: whether a file that is not there is made, readable and writable by its owner alone.
    /// - Throws: `.notAFile` for anything but a regular file.
    public static func open(_ path: [UInt8], isMade: Bool) throws(MemoryFailure) -> WritableImage {
        var isNew = false
        do throws(SystemError) {
            let status: FileStatus?
            do throws(SystemError) {
                status = try FileDescriptor.status(of: path)
            } catch {
                guard error.code == ErrorCode.noSuchFile, isMade else { throw error }
                status = nil
                isNew = true
            }
            if let status, !status.isRegular { throw SystemError("open", code: ErrorCode.invalid, path: path) }
            let file = try FileDescriptor.openForUpdate(path, isMade: isNew)
            guard try file.status().isRegular else {
                throw SystemError("open", code: ErrorCode.invalid, path: path)
            }
            return WritableImage(file: file, isNew: isNew)
        } catch {
            throw refusal(error, path)
        }
    }

    private static func refusal(_ error: SystemError, _ path: [UInt8]) -> MemoryFailure {
        let source = escaped(path)
        let reason = Phrase("\(error.call): \(error.reason)")
        switch error.code {
        case ErrorCode.invalid:
            return MemoryFailure(
                .notAFile, source: source, "only regular files and reserved ranges are written",
                remedy: "name a raw image, or leave --memory out to write this machine's reserved range")
        case ErrorCode.noSuchFile:
            return MemoryFailure(
                .noSuchFile, source: source, reason, remedy: "save makes an image where it is told how large: --size")
        case ErrorCode.exists:
            return MemoryFailure(
                .noSuchFile, source: source, "it is a symbolic link that leads to no file",
                remedy: "name the file itself")
        case ErrorCode.accessDenied, ErrorCode.notPermitted, ErrorCode.readOnly:
            return MemoryFailure(.notPermitted, source: source, reason)
        default: return MemoryFailure(.inputOutput, source: source, reason)
        }
    }
}

/// Memory with some pages replaced: what a chain will look like once its head is written.
public final class OverlaidMemory: PhysicalMemory {
    private let below: any PhysicalMemory
    private let page: PFN
    private let bytes: PageBytes

    public init(_ below: any PhysicalMemory, page: PFN, bytes: PageBytes) {
        self.below = below
        self.page = page
        self.bytes = bytes
    }

    public func contains(_ page: PFN) -> Bool { page == self.page || below.contains(page) }
    public func mapped(_ page: PFN) -> UnsafeRawPointer? { page == self.page ? nil : below.mapped(page) }
    public var zerosMayBeHoles: Bool { below.zerosMayBeHoles }
    public func zerosMayBeHole(_ page: PFN) -> Bool { page != self.page && below.zerosMayBeHole(page) }
    public var kind: String { below.kind }

    public func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) {
        below.read(first, count: count, into: destination, states: states)
        guard page >= first, page.number - first.number < UInt64(count) else { return }
        let place = Int(page.number - first.number)
        bytes.bytes.withUnsafeBytes {
            (destination + place * pageSize).copyMemory(from: $0.baseAddress!, byteCount: pageSize)
        }
        states[place] = .present
    }
}
