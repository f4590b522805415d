import CLinux

/// An open file, closed when it goes out of scope. Paths are bytes, as the kernel takes them.
public struct FileDescriptor: ~Copyable {
    /// The number, for calls that this layer does not wrap.
    public let number: Int32
    /// What was opened, for messages.
    public let path: [UInt8]

    /// Takes over an open descriptor.
    public init(adopting number: Int32, path: [UInt8]) {
        self.number = number
        self.path = path
    }

    deinit { close(number) }

    /// openat(2), with O_CLOEXEC always. `directory` defaults to the working directory.
    /// - Throws: also EINVAL for a path with a NUL byte, which C would cut short.
    public static func open(
        _ path: [UInt8], _ flags: Int32 = O_RDONLY, mode: mode_t = 0, in directory: Int32 = AT_FDCWD
    ) throws(SystemError) -> FileDescriptor {
        guard !path.contains(0) else { throw SystemError("open", code: EINVAL, path: path) }
        let number = withCString(path) { pv_openat(directory, $0, flags, mode) }
        guard number >= 0 else { throw SystemError(last: "open", path: path) }
        return FileDescriptor(adopting: number, path: path)
    }

    /// An empty file without a name, for reading and writing, which is gone with its descriptor.
    /// - Parameter directory: also what `path` will say, for messages.
    public static func unlinked(in directory: [UInt8]) throws(SystemError) -> FileDescriptor {
        guard !directory.contains(0) else { throw SystemError("open", code: EINVAL, path: directory) }
        let number = withCString(directory) { pv_open_unlinked($0) }
        guard number >= 0 else { throw SystemError(last: "open", path: directory) }
        return FileDescriptor(adopting: number, path: directory)
    }

    /// Sets the length in bytes; what lies behind the bytes written so far reads as zeros and takes no space.
    public func truncate(to length: UInt64) throws(SystemError) {
        guard let length = off_t(exactly: length) else { throw SystemError("ftruncate", code: EFBIG, path: path) }
        guard ftruncate(number, length) == 0 else { throw SystemError(last: "ftruncate", path: path) }
    }

    /// What the path names, without opening it. Follows symbolic links.
    public static func status(of path: [UInt8]) throws(SystemError) -> stat {
        guard !path.contains(0) else { throw SystemError("stat", code: EINVAL, path: path) }
        var status = stat()
        let code = withCString(path) { fstatat(AT_FDCWD, $0, &status, 0) }
        guard code == 0 else { throw SystemError(last: "stat", path: path) }
        return status
    }

    /// Whether the path names anything that stat(2) can see.
    public static func exists(_ path: [UInt8]) -> Bool { (try? status(of: path)) != nil }

    /// Opens a block device for reading and writing, for nobody else: EBUSY while it is mounted, and while it is open
    /// so it cannot be mounted (O_EXCL without O_CREAT, open(2)).
    public static func openExclusively(_ path: [UInt8]) throws(SystemError) -> FileDescriptor {
        try open(path, O_RDWR | O_EXCL | O_NONBLOCK)
    }

    /// The device's number; nil for anything but a block device.
    public var blockDevice: UInt64? {
        do throws(SystemError) { return Linux.blockDevice(try status()) } catch { return nil }
    }

    /// The size of a block device in bytes. Moves the file's position.
    public func deviceSize() throws(SystemError) -> UInt64 {
        let end = lseek(number, 0, SEEK_END)
        guard end >= 0 else { throw SystemError(last: "lseek", path: path) }
        return UInt64(end)
    }

    /// Where, from `offset` on, the next byte lies that is not in a hole; nil when only holes follow. Where the file
    /// system does not tell, `offset` itself. Moves the file's position.
    public func nextData(from offset: UInt64) -> UInt64? {
        guard let offset = off_t(exactly: offset) else { return nil }
        let next = pv_next_data(number, offset)
        if next < 0 { return pv_errno() == ENXIO ? nil : UInt64(offset) }
        return UInt64(next)
    }

    /// Whether the file lies in a proc file system.
    public var isInProc: Bool {
        var status = statfs()
        return fstatfs(number, &status) == 0 && status.f_type == 0x9fa0
    }

    public func status() throws(SystemError) -> stat {
        var status = stat()
        guard fstat(number, &status) == 0 else { throw SystemError(last: "fstat", path: path) }
        return status
    }

    /// Reads up to `destination.count` bytes at `offset`, on until the buffer is full or the file ends. Interrupted and
    /// short reads are continued.
    /// - Returns: how many bytes were read; less than asked only at the end of the file.
    public func read(at offset: UInt64, into destination: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
        guard let base = destination.baseAddress else { return 0 }
        var done = 0
        while done < destination.count {
            guard let position = off_t(exactly: offset)?.addingReportingOverflow(off_t(done)), !position.overflow else {
                return done
            }
            let count = pread(number, base + done, destination.count - done, position.partialValue)
            if count < 0 {
                if pv_errno() == EINTR { continue }
                throw SystemError(last: "read", path: path)
            }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// Writes all of `source` at `offset`.
    public func write(_ source: UnsafeRawBufferPointer, at offset: UInt64) throws(SystemError) {
        guard let base = source.baseAddress else { return }
        var done = 0
        while done < source.count {
            guard let position = off_t(exactly: offset)?.addingReportingOverflow(off_t(done)), !position.overflow else {
                throw SystemError("write", code: EFBIG, path: path)
            }
            let count = pwrite(number, base + done, source.count - done, position.partialValue)
            if count < 0 {
                if pv_errno() == EINTR { continue }
                throw SystemError(last: "write", path: path)
            }
            if count == 0 { throw SystemError("write", code: ENOSPC, path: path) }
            done += count
        }
    }

    /// The same for bytes held by value: in one system call, unless it is interrupted.
    public func write(_ source: [UInt8], at offset: UInt64) throws(SystemError) {
        var failure: SystemError?
        source.withUnsafeBytes { bytes in
            do throws(SystemError) { try write(bytes, at: offset) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Writes all that the vectors name, one behind the other, at `offset`. The vectors are used up.
    public func write(_ vectors: UnsafeMutablePointer<iovec>, count: Int, at offset: UInt64) throws(SystemError) {
        var first = 0
        var position = offset
        while first < count {
            guard let start = off_t(exactly: position) else { throw SystemError("write", code: EFBIG, path: path) }
            let written = pwritev(number, vectors + first, Int32(count - first), start)
            if written < 0 {
                if pv_errno() == EINTR { continue }
                throw SystemError(last: "write", path: path)
            }
            if written == 0 { throw SystemError("write", code: ENOSPC, path: path) }
            position += UInt64(written)
            var left = written
            while first < count && left >= vectors[first].iov_len {
                left -= vectors[first].iov_len
                first += 1
            }
            if left > 0 {
                vectors[first].iov_base += left
                vectors[first].iov_len -= left
            }
        }
    }

    /// A second descriptor of the same open file (fcntl(2), F_DUPFD_CLOEXEC).
    public func duplicated() throws(SystemError) -> FileDescriptor {
        let copy = pv_duplicate(number)
        guard copy >= 0 else { throw SystemError(last: "dup", path: path) }
        return FileDescriptor(adopting: copy, path: path)
    }

    /// Makes the file at least `length` bytes long, with room on the disk for all of it (posix_fallocate(3)).
    public func allocate(_ length: UInt64) throws(SystemError) {
        guard let length = off_t(exactly: length) else { throw SystemError("fallocate", code: EFBIG, path: path) }
        var code = posix_fallocate(number, 0, length)
        while code == EINTR { code = posix_fallocate(number, 0, length) }
        guard code == 0 else { throw SystemError("fallocate", code: code, path: path) }
    }

    /// The whole of a small file whose size stat(2) does not tell (/proc, /sys, a pipe).
    /// - Throws: EFBIG past `limit` bytes; ENODATA for a pipe into which nobody writes anything for two seconds.
    public static func contents(of path: [UInt8], limit: Int) throws(SystemError) -> [UInt8] {
        let file = try open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY)
        let isPipe = try file.status().st_mode & UInt32(S_IFMT) == UInt32(S_IFIFO)
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = chunk.withUnsafeMutableBytes { CLinux.read(file.number, $0.baseAddress, $0.count) }
            if count < 0 {
                if pv_errno() == EINTR { continue }
                if pv_errno() == EAGAIN && pv_wait_readable(file.number, 2000) { continue }
                throw SystemError(last: "read", path: path)
            }
            if count == 0 && bytes.isEmpty && isPipe { throw SystemError("read", code: ENODATA, path: path) }
            if count == 0 { return bytes }
            guard bytes.count + count <= limit else { throw SystemError("read", code: EFBIG, path: path) }
            bytes += chunk[..<count]
        }
    }
}

/// Calls `body` with the path's bytes and a terminating NUL.
public func withCString<Result>(_ path: [UInt8], _ body: (UnsafePointer<CChar>) -> Result) -> Result {
    (path + [0]).withUnsafeBytes { body($0.baseAddress!.assumingMemoryBound(to: CChar.self)) }
}

/// The number of the block device that a path names; nil when it names anything else.
public func blockDevice(_ status: stat) -> UInt64? {
    status.st_mode & UInt32(S_IFMT) == UInt32(S_IFBLK) ? UInt64(status.st_rdev) : nil
}
