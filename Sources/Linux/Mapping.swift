import CLinux

/// A part of a file mapped into memory, unmapped when it goes out of scope. Its bytes may vanish at any time (SIGBUS):
/// read them with `guardedCopy`, or under `pv_guarded`.
public struct Mapping: ~Copyable {
    public let base: UnsafeMutableRawPointer
    /// In bytes.
    public let count: Int

    /// mmap(2), shared.
    /// - Parameters:
    ///   - offset: in bytes, a multiple of the page size.
    ///   - writable: PROT_WRITE as well.
    public init(
        _ file: borrowing FileDescriptor, offset: UInt64, count: Int, writable: Bool = false
    ) throws(SystemError) {
        guard let position = off_t(exactly: offset), count > 0 else {
            throw SystemError("mmap", code: EINVAL, path: file.path)
        }
        let protection = writable ? PROT_READ | PROT_WRITE : PROT_READ
        let place = Mapping.alignedPlace(for: count)
        let flags = MAP_SHARED | (place == nil ? 0 : MAP_FIXED)
        var code: Int32 = 0
        guard let address = SystemCalls.mmap(place, count, protection, flags, file.number, position, &code) else {
            if let place { SystemCalls.munmap(place, count) }
            throw SystemError("mmap", code: code, path: file.path)
        }
        base = address
        self.count = count
        // Otherwise the kernel, when it unmaps them, makes each page that was read one that it would rather keep, which
        // takes a tenth of the time that it takes to write them. A range that is written is memory anyway.
        if writable { SystemCalls.adviseSequential(address, count) }
    }

    /// The files in memory, one behind the other.
    /// - Throws: EINVAL where there is none, or one is not of whole pages.
    public init(_ files: [MemoryFileDescriptor], writable: Bool = false) throws(SystemError) {
        var sizes: [Int] = []
        var total = 0
        for file in files {
            let size = try file.size()
            let (sum, overflow) = total.addingReportingOverflow(Int(clamping: size))
            guard size > 0, size % 4096 == 0, !overflow else {
                throw SystemError("mmap", code: EINVAL, path: file.descriptor.path)
            }
            sizes.append(Int(size))
            total = sum
        }
        guard let first = files.first else { throw SystemError("mmap", code: EINVAL) }
        if files.count == 1 {
            try self.init(first.descriptor, offset: 0, count: total, writable: writable)
            return
        }
        var code: Int32 = 0
        let unused = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        guard let place = SystemCalls.mmap(nil, total, PROT_NONE, unused, -1, 0, &code) else {
            throw SystemError("mmap", code: code, path: first.descriptor.path)
        }
        let protection = writable ? PROT_READ | PROT_WRITE : PROT_READ
        var offset = 0
        for (file, size) in zip(files, sizes) {
            let number = file.descriptor.number
            guard
                SystemCalls.mmap(place + offset, size, protection, MAP_SHARED | MAP_FIXED, number, 0, &code) != nil
            else {
                SystemCalls.munmap(place, total)
                throw SystemError("mmap", code: code, path: file.descriptor.path)
            }
            offset += size
        }
        self.init(place, count: total)
    }

    private init(_ base: UnsafeMutableRawPointer, count: Int) {
        self.base = base
        self.count = count
    }

    /// Reserves addresses that begin at a multiple of a huge page's size: what a file system keeps in huge pages can be
    /// mapped as such only there, with one page fault for 2 MiB. nil where there is no room, or nothing to gain.
    private static func alignedPlace(for count: Int) -> UnsafeMutableRawPointer? {
        let hugePage = 2 << 20
        let (room, overflow) = count.addingReportingOverflow(hugePage)
        guard count >= hugePage, !overflow else { return nil }
        var code: Int32 = 0
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        guard let reserved = SystemCalls.mmap(nil, room, PROT_NONE, flags, -1, 0, &code) else { return nil }
        let before = -Int(bitPattern: reserved) & (hugePage - 1)
        let place = reserved + before
        if before > 0 { SystemCalls.munmap(reserved, before) }
        // The mapping will end with the page that holds its last byte.
        let end = (before + count + 4095) & ~4095
        if room > end { SystemCalls.munmap(reserved + end, room - end) }
        return place
    }

    deinit { SystemCalls.munmap(base, count) }

    /// msync(2): what was written to a mapping of a file is on its way to the disk no more, but there.
    public borrowing func synchronize(_ file: borrowing FileDescriptor) throws(SystemError) {
        try SystemCalls.msync(base, count).get("msync", path: file.path)
    }
}

/// Copies out of mapped memory; false when the source has vanished.
public func guardedCopy(
    _ source: UnsafeRawPointer, to destination: UnsafeMutableRawPointer, count: Int
) -> Bool {
    pv_guarded_copy(destination, source, count)
}

/// Runs C code over mapped memory; false when what it touched has vanished. It is left by a jump then, so it must hold
/// nothing.
public func guarded(
    _ body: @convention(c) (UnsafeMutableRawPointer?) -> Void, _ context: UnsafeMutableRawPointer
) -> Bool {
    pv_guarded(body, context)
}

/// Makes `guarded` and `guardedCopy` survive what they are for, and makes writing to a closed pipe, or past `ulimit -f`,
/// an error of write(2). Call it once, at start.
public func prepareSignals() { SystemCalls.prepareSignals() }

/// Everything written before is visible to whoever sees what is written after.
public func memoryFence() { pv_memory_fence() }
