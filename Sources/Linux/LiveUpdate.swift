import CLinux

/// /dev/liveupdate: what the kernel keeps of open files over a kexec (Documentation/userspace-api/liveupdate.rst). It
/// exists with `kho=on` and `liveupdate=on` alone, and one process at a time may have it open.
public struct LiveUpdate: ~Copyable {
    public static let path = Array("/dev/liveupdate".utf8)
    private let device: FileDescriptor

    /// Waits some seconds for another process that has it open.
    /// - Throws: ENOENT where the kernel does not offer it; EBUSY.
    public static func open() throws(SystemError) -> LiveUpdate {
        var attempt = 0
        while true {
            let answer = SystemCalls.openat(SystemCalls.workingDirectory, path, O_RDWR, 0)
            if answer.code == EBUSY, attempt < 50 {
                attempt += 1
                SystemCalls.sleep(microseconds: 100_000)
                continue
            }
            try answer.get("open", path: path)
            return LiveUpdate(device: FileDescriptor(adopting: answer.number, path: path))
        }
    }

    /// A session that goes to the next kernel if somebody has it open at the kexec.
    /// - Throws: EEXIST for a name that is taken.
    public borrowing func create(_ name: [UInt8]) throws(SystemError) -> LiveSession {
        let answer = SystemCalls.createSession(device.number, name)
        try answer.get("ioctl", path: LiveUpdate.path)
        return LiveSession(FileDescriptor(adopting: answer.number, path: name))
    }

    /// A session that the former kernel has handed over. It ends when it is closed, and what nobody has taken out of it
    /// is freed: never retrieve one to look.
    /// - Throws: ENOENT where there is none of this name, or not any more; EINVAL where somebody has it.
    public borrowing func retrieve(_ name: [UInt8]) throws(SystemError) -> LiveSession {
        let answer = SystemCalls.retrieveSession(device.number, name)
        try answer.get("ioctl", path: LiveUpdate.path)
        return LiveSession(FileDescriptor(adopting: answer.number, path: name))
    }
}

/// Open files that go to the next kernel together, for as long as somebody holds the session open.
public struct LiveSession: ~Copyable {
    private let session: FileDescriptor

    public init(_ session: consuming FileDescriptor) { self.session = session }

    public var number: Int32 { session.number }

    /// Keeps a file under a token. Its pages may be moved by this, and not any more afterwards.
    public borrowing func preserve(_ file: borrowing FileDescriptor, token: UInt64) throws(SystemError) {
        try SystemCalls.preserve(session.number, file.number, token).get("ioctl", path: LiveUpdate.path)
    }

    /// Keeps files under the tokens 1, 2 and so on.
    public borrowing func preserve(_ files: [MemoryFileDescriptor]) throws(SystemError) {
        for (place, file) in files.enumerated() { try preserve(file.descriptor, token: UInt64(place) + 1) }
    }

    /// The files of a session that was handed over, no more than two: those of the tokens from 1 on.
    /// - Throws: ENOENT where it has none.
    public borrowing func retrieve() throws(SystemError) -> [MemoryFileDescriptor] {
        var files: [MemoryFileDescriptor] = []
        while files.count < 2 {
            let answer = SystemCalls.retrieve(session.number, UInt64(files.count) + 1)
            if answer.code == ENOENT, !files.isEmpty { break }
            try answer.get("ioctl", path: LiveUpdate.path)
            files.append(MemoryFileDescriptor(FileDescriptor(adopting: answer.number, path: Array("memfd".utf8))))
        }
        return files
    }

    /// Ends a session that was handed over: what was retrieved is the retriever's alone, all else is freed.
    public borrowing func finish() throws(SystemError) {
        try SystemCalls.finish(session.number).get("ioctl", path: LiveUpdate.path)
    }
}

/// A file in memory, open for as long as somebody has this.
public final class MemoryFileDescriptor {
    public let descriptor: FileDescriptor

    public init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }

    /// memfd_create(2), and room for all of it now: what is missing later comes as a signal, or ends another process.
    /// - Parameter size: in bytes.
    /// - Throws: ENOSPC, ENOMEM.
    public init(size: UInt64) throws(SystemError) {
        let name = Array("pram-verify".utf8)
        let answer = SystemCalls.memoryFile(name)
        try answer.get("memfd_create")
        let made = FileDescriptor(adopting: answer.number, path: Array("memfd".utf8))
        try made.allocate(size)
        descriptor = made
    }

    /// In bytes.
    public func size() throws(SystemError) -> UInt64 { try descriptor.status().size }

    /// F_SEAL_GROW, F_SEAL_SHRINK; and F_SEAL_FUTURE_WRITE, so that it is written through the mappings alone that there
    /// are.
    public func seal(againstWriters: Bool) throws(SystemError) {
        try SystemCalls.sealMemoryFile(descriptor.number, againstWriters: againstWriters)
            .get("fcntl", path: descriptor.path)
    }
}

/// Where pages of this process lie in physical memory.
public enum PageFrames {
    /// /proc/self/pagemap: 64 bits a page of address space; bit 63 says that the page is there, bits 0 to 54 are its page
    /// frame number, which is 0 for a reader without CAP_SYS_ADMIN
    /// (Documentation/admin-guide/mm/pagemap.rst).
    /// - Parameters:
    ///   - base: at a page's start; each page is touched first, for one that was moved is not mapped any more.
    ///   - count: of pages.
    /// - Throws: EPERM where frames are hidden; EFAULT for a page that is not there.
    public static func find(_ base: UnsafeRawPointer, count: Int) throws(SystemError) -> [UInt64] {
        let path = Array("/proc/self/pagemap".utf8)
        let table = try FileDescriptor.open(path)
        var frames: [UInt64] = []
        frames.reserveCapacity(count)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 8192, alignment: 16)
        defer { buffer.deallocate() }
        while frames.count < count {
            let run = min(buffer.count / 8, count - frames.count)
            let start = base + frames.count * 4096
            var byte: UInt8 = 0
            for index in 0..<run where !guardedCopy(start + index * 4096, to: &byte, count: 1) {
                throw SystemError("mmap", code: EFAULT, path: path)
            }
            let offset = UInt64(UInt(bitPattern: start)) / 4096 * 8
            let got = try table.read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<(run * 8)]))
            guard got == run * 8 else { throw SystemError("read", code: ENODATA, path: path) }
            for index in 0..<run {
                let word = buffer.load(fromByteOffset: index * 8, as: UInt64.self)
                guard word >> 63 == 1 else { throw SystemError("read", code: EFAULT, path: path) }
                let frame = word & (1 << 55 - 1)
                guard frame != 0 else { throw SystemError("read", code: EPERM, path: path) }
                frames.append(frame)
            }
        }
        return frames
    }
}
