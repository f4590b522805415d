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

    deinit { SystemCalls.close(number) }

    /// openat(2), with O_CLOEXEC always. `directory` defaults to the working directory.
    /// - Throws: also EINVAL for a path with a NUL byte, which C would cut short.
    public static func open(
        _ path: [UInt8], _ flags: Int32 = O_RDONLY, mode: UInt32 = 0, in directory: Int32 = AT_FDCWD
    ) throws(SystemError) -> FileDescriptor {
        let answer = SystemCalls.openat(directory, path, flags, mode)
        try answer.get("open", path: path)
        return FileDescriptor(adopting: answer.number, path: path)
    }

    /// Opens for reading, whatever it is, and waits for nobody: not for the writer of a FIFO, nor for a device.
    public static func openWithoutWaiting(_ path: [UInt8]) throws(SystemError) -> FileDescriptor {
        try open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY)
    }

    /// An empty file without a name, for reading and writing, which is gone with its descriptor, whatever becomes of
    /// the process.
    /// - Parameter directory: also what `path` will say, for messages.
    public static func unlinked(in directory: [UInt8]) throws(SystemError) -> FileDescriptor {
        var answer = SystemCalls.openNameless(in: directory)
        // What file systems and kernels without O_TMPFILE answer; see open(2).
        if [EOPNOTSUPP, EISDIR, EINVAL].contains(answer.code), !directory.contains(0) {
            var name = directory + Array("/pram-verify-XXXXXX".utf8)
            answer = SystemCalls.mkostemp(&name)
            if !answer.failed { _ = SystemCalls.unlinkat(SystemCalls.workingDirectory, name) }
        }
        try answer.get("open", path: directory)
        return FileDescriptor(adopting: answer.number, path: directory)
    }

    /// Sets the length in bytes; what lies behind the bytes written so far reads as zeros and takes no space.
    public func truncate(to length: UInt64) throws(SystemError) {
        guard let length = off_t(exactly: length) else { throw SystemError("ftruncate", code: EFBIG, path: path) }
        try SystemCalls.ftruncate(number, length).get("ftruncate", path: path)
    }

    /// fsync(2): what was written is on the disk when it returns.
    public func synchronize() throws(SystemError) { try SystemCalls.fsync(number).get("fsync", path: path) }

    /// Lets go of what the page cache holds of the file, as far as it is on the disk: what is read afterwards comes from
    /// there.
    public func forgetCache() { SystemCalls.forgetCache(number) }

    /// Sets the permissions (fchmod(2)).
    public func setMode(_ mode: UInt32) throws(SystemError) {
        try SystemCalls.fchmod(number, mode).get("fchmod", path: path)
    }

    /// Takes a name away (unlink(2)); what has the file open keeps it.
    public static func remove(_ path: [UInt8]) throws(SystemError) {
        try SystemCalls.unlinkat(SystemCalls.workingDirectory, path).get("unlink", path: path)
    }

    /// What the path names, without opening it. Follows symbolic links.
    public static func status(of path: [UInt8]) throws(SystemError) -> FileStatus {
        var status = stat()
        try SystemCalls.fstatat(SystemCalls.workingDirectory, path, &status, 0).get("stat", path: path)
        return FileStatus(status)
    }

    /// Whether the path names anything that stat(2) can see.
    public static func exists(_ path: [UInt8]) -> Bool { (try? status(of: path)) != nil }

    /// Whether the path itself, no link followed at its end, is a directory; nil when there is nothing to be seen.
    public static func isDirectory(_ path: [UInt8]) -> Bool? {
        var status = stat()
        guard !SystemCalls.fstatat(SystemCalls.workingDirectory, path, &status, AT_SYMLINK_NOFOLLOW).failed else {
            return nil
        }
        return FileStatus(status).kind == .directory
    }

    /// Opens a file for reading and writing, without waiting for what is no regular file.
    /// - Parameter isMade: makes it, for its owner alone; EEXIST where there is one.
    public static func openForUpdate(_ path: [UInt8], isMade: Bool = false) throws(SystemError) -> FileDescriptor {
        try open(path, isMade ? O_RDWR | O_CREAT | O_EXCL : O_RDWR | O_NOCTTY | O_NONBLOCK, mode: 0o600)
    }

    /// Opens a block device for reading and writing, for nobody else: EBUSY while it is mounted, and while it is open
    /// so it cannot be mounted (O_EXCL without O_CREAT, open(2)).
    public static func openExclusively(_ path: [UInt8]) throws(SystemError) -> FileDescriptor {
        try open(path, O_RDWR | O_EXCL | O_NONBLOCK)
    }

    /// The device's number; nil for anything but a block device.
    public var blockDevice: UInt64? {
        do throws(SystemError) { return try status().blockDevice } catch { return nil }
    }

    /// The size of a block device in bytes. Moves the file's position.
    public func deviceSize() throws(SystemError) -> UInt64 {
        UInt64(try SystemCalls.seekToEnd(number).get("lseek", path: path))
    }

    public func status() throws(SystemError) -> FileStatus {
        var status = stat()
        try SystemCalls.fstat(number, &status).get("fstat", path: path)
        return FileStatus(status)
    }

    /// Reads up to `destination.count` bytes at `offset`, on until the buffer is full or the file ends. Interrupted and
    /// short reads are continued.
    /// - Returns: how many bytes were read; less than asked only at the end of the file.
    public func read(at offset: UInt64, into destination: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
        try FileDescriptor.read(number, path, at: offset, into: destination)
    }

    /// The same where a descriptor cannot be captured: within a closure.
    public static func read(
        _ number: Int32, _ path: [UInt8], at offset: UInt64, into destination: UnsafeMutableRawBufferPointer
    ) throws(SystemError) -> Int {
        guard let base = destination.baseAddress else { return 0 }
        var done = 0
        while done < destination.count {
            guard let position = off_t(exactly: offset)?.addingReportingOverflow(off_t(done)), !position.overflow else {
                return done
            }
            let count = try SystemCalls.pread(number, base + done, destination.count - done, position.partialValue)
                .get("read", path: path)
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
            let count = try SystemCalls.pwrite(number, base + done, source.count - done, position.partialValue)
                .get("write", path: path)
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

    /// Writes bytes from several places, one behind the other, at `offset`.
    /// - Parameter pieces: each its place and its length in bytes.
    public func write(_ pieces: UnsafeBufferPointer<Piece>, at offset: UInt64) throws(SystemError) {
        var first = 0
        // How much of the first piece is written.
        var done = 0
        var position = offset
        while first < pieces.count {
            guard let start = off_t(exactly: position) else { throw SystemError("write", code: EFBIG, path: path) }
            var written = try writeSome(UnsafeBufferPointer(rebasing: pieces[first...]), skipping: done, at: start)
            if written == 0 { throw SystemError("write", code: ENOSPC, path: path) }
            position += UInt64(written)
            while first < pieces.count && written >= pieces[first].count - done {
                written -= pieces[first].count - done
                first += 1
                done = 0
            }
            done += written
        }
    }

    /// Bytes to be written.
    public struct Piece {
        let base: UnsafeRawPointer
        let count: Int

        public init(_ base: UnsafeRawPointer, count: Int) {
            self.base = base
            self.count = count
        }
    }

    /// One call of pwritev(2). Returns how many bytes it wrote.
    private func writeSome(
        _ pieces: UnsafeBufferPointer<Piece>, skipping skipped: Int, at offset: off_t
    ) throws(SystemError) -> Int {
        let count = min(pieces.count, 256)
        let answer = withUnsafeTemporaryAllocation(of: iovec.self, capacity: count) { vectors in
            for index in 0..<count {
                let skip = index == 0 ? skipped : 0
                vectors.initializeElement(
                    at: index,
                    to: iovec(
                        iov_base: UnsafeMutableRawPointer(mutating: pieces[index].base + skip),
                        iov_len: pieces[index].count - skip))
            }
            return SystemCalls.pwritev(number, vectors.baseAddress!, Int32(count), offset)
        }
        return try answer.get("write", path: path)
    }

    /// A second descriptor of the same open file (fcntl(2), F_DUPFD_CLOEXEC).
    public func duplicated() throws(SystemError) -> FileDescriptor {
        let answer = SystemCalls.dup(number)
        try answer.get("dup", path: path)
        return FileDescriptor(adopting: answer.number, path: path)
    }

    /// Makes room on the disk for so many bytes from an offset on, and the file long enough for them
    /// (posix_fallocate(3)).
    public func allocate(_ length: UInt64, at offset: UInt64 = 0) throws(SystemError) {
        guard let length = off_t(exactly: length), let offset = off_t(exactly: offset) else {
            throw SystemError("fallocate", code: EFBIG, path: path)
        }
        try SystemCalls.fallocate(number, offset, length).get("fallocate", path: path)
    }

    /// The whole of a small file whose size stat(2) does not tell (/proc, /sys, a pipe).
    /// - Throws: EFBIG past `limit` bytes; ENODATA for a pipe into which nobody writes anything for two seconds.
    public static func contents(of path: [UInt8], limit: Int) throws(SystemError) -> [UInt8] {
        let file = try openWithoutWaiting(path)
        let isPipe = try file.status().kind == .fifo
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let answer = chunk.withUnsafeMutableBytes { SystemCalls.read(file.number, $0.baseAddress!, $0.count) }
            if answer.code == EAGAIN, SystemCalls.poll(file.number, milliseconds: 2000).value > 0 { continue }
            let count = try answer.get("read", path: path)
            if count == 0 && bytes.isEmpty && isPipe { throw SystemError("read", code: ENODATA, path: path) }
            if count == 0 { return bytes }
            guard bytes.count + count <= limit else { throw SystemError("read", code: EFBIG, path: path) }
            bytes += chunk[..<count]
        }
    }

    /// The first line of a file in which the kernel shows one value (sysfs), without the newline; nil when it cannot be
    /// read, or is longer than a page.
    public static func firstLine(of path: [UInt8]) -> ArraySlice<UInt8>? {
        do throws(SystemError) { return line(try contents(of: path, limit: 4096)) } catch { return nil }
    }
}

/// Up to the first newline.
public func line(_ text: [UInt8]) -> ArraySlice<UInt8> {
    text[..<(text.firstIndex(of: UInt8(ascii: "\n")) ?? text.count)]
}

/// Calls `body` with the path's bytes and a terminating NUL.
public func withCString<Result>(_ path: [UInt8], _ body: (UnsafePointer<CChar>) -> Result) -> Result {
    (path + [0]).withUnsafeBytes { body($0.baseAddress!.assumingMemoryBound(to: CChar.self)) }
}
