import Foundation
import Testing

@testable import Linux

private func failure(_ body: () throws -> Void) -> SystemError? {
    do { try body() } catch { return error as? SystemError }
    return nil
}

@Suite struct FaultInjectionTests {
    private let folder = Folder()

    private func file(_ text: String = "0123456789") throws -> FileDescriptor {
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder["file"]))
        return try FileDescriptor.open(folder.bytes("file"), O_RDWR)
    }

    @Test func `the chosen call fails, no other, and none afterwards`() throws {
        let file = try file()
        var bytes = [UInt8](repeating: 0, count: 4)
        func read() throws { _ = try bytes.withUnsafeMutableBytes { try file.read(at: 0, into: $0) } }
        try FaultInjection.with([.fail(.pread, 1, EIO)]) { faults in
            try read()
            let error = failure { try read() }
            #expect(error?.code == EIO && error?.path == folder.bytes("file"))
            try read()
            #expect(faults.count(.pread) == 3 && faults.injected == 1)
        }
        try read()
    }

    @Test func `interrupted and short calls are continued`() throws {
        let file = try file()
        var bytes = [UInt8](repeating: 0, count: 10)
        try FaultInjection.with([.fail(.pread, 1, EINTR), .fail(.pwrite, 0, EINTR)], short: [.pread: 3, .pwrite: 4]) {
            faults in
            try file.write(Array("abcdefghij".utf8), at: 0)
            #expect(try bytes.withUnsafeMutableBytes { try file.read(at: 0, into: $0) } == 10)
            #expect(faults.count(.pread) == 5 && faults.count(.pwrite) == 4 && faults.injected == 2)
        }
        #expect(bytes == Array("abcdefghij".utf8))
    }

    @Test func `short vectors are continued where they ended`() throws {
        let file = try file()
        let text = Array("abcdefghij".utf8)
        try text.withUnsafeBytes { bytes in
            let base = bytes.baseAddress!
            let pieces = [(0, 1), (1, 4), (5, 0), (5, 5)].map { FileDescriptor.Piece(base + $0.0, count: $0.1) }
            try FaultInjection.with(short: [.pwritev: 1]) { faults in
                try pieces.withUnsafeBufferPointer { try file.write($0, at: 2) }
                #expect(faults.count(.pwritev) >= 3)
            }
        }
        #expect(try FileDescriptor.contents(of: folder.bytes("file"), limit: 100) == Array("01abcdefghij".utf8))
    }

    @Test func `every call of a file names itself and its file when it fails`() throws {
        let path = folder.bytes("file")
        let file = try file()
        let calls: [(SystemCalls.Kind, StaticString, () throws -> Void)] = [
            (.openat, "open", { _ = try FileDescriptor.open(path) }),
            (.fstat, "fstat", { _ = try file.status() }),
            (.fstatat, "stat", { _ = try FileDescriptor.status(of: path) }),
            (.ftruncate, "ftruncate", { try file.truncate(to: 5) }),
            (.fallocate, "fallocate", { try file.allocate(5) }),
            (.fsync, "fsync", { try file.synchronize() }),
            (.fchmod, "fchmod", { try file.setMode(0o600) }),
            (.lseek, "lseek", { _ = try file.deviceSize() }),
            (.dup, "dup", { _ = try file.duplicated() }),
            (.unlink, "unlink", { try FileDescriptor.remove(path) }),
            (.mmap, "mmap", { _ = try Mapping(file, offset: 0, count: 4096) }),
            (.read, "read", { _ = try FileDescriptor.contents(of: path, limit: 100) }),
            (.pwrite, "write", { try file.write([1], at: 0) }),
        ]
        for (kind, name, call) in calls {
            for code in [EIO, ENOMEM, EPERM] {
                let error = FaultInjection.with([.failFrom(kind, 0, code)]) { _ in failure(call) }
                #expect(error?.code == code && error?.path == path, "\(name)")
                #expect(error.map { "\($0.call)" } == "\(name)")
            }
        }
        #expect(FileDescriptor.exists(path))
    }

    @Test func `a directory's calls fail as they are`() throws {
        let directory = try Directory(folder.bytes("inner"))
        let one = try directory.createTemporary()
        let name = one.path
        for code in [EIO, ENOSPC, EROFS] {
            for replace in [true, false] {
                let error = FaultInjection.with([.fail(.rename, 0, code)]) { _ in
                    failure { try directory.rename(name, to: [65], replace: replace) }
                }
                #expect(error?.code == code && error?.path == [65])
            }
        }
        #expect(try Directory.names(in: folder.bytes("inner")) == [name])
        // A file system without the flag: the file gets its name all the same, and replaces nothing.
        try FaultInjection.with([.fail(.rename, 0, EINVAL)]) { _ in
            try directory.rename(name, to: [65], replace: false)
        }
        #expect(try Directory.names(in: folder.bytes("inner")) == [[65]])
        let two = try directory.createTemporary()
        let other = two.path
        let error = FaultInjection.with([.fail(.rename, 0, EINVAL)]) { _ in
            failure { try directory.rename(other, to: [65], replace: false) }
        }
        #expect(error?.code == EEXIST)
        #expect(
            FaultInjection.with([.fail(.fsync, 0, EIO)]) { _ in failure { try directory.synchronize() } }?.code == EIO)
    }

    @Test func `a directory that was made is synchronized with its parent, and either may fail`() throws {
        let path = folder.bytes("made")
        let made = try Directory(path)
        let found = try Directory(path)
        try FaultInjection.with { faults in
            try made.synchronize()
            #expect(faults.count(.fsync) == 2)
            try found.synchronize()
            #expect(faults.count(.fsync) == 3)
        }
        for number in 0..<2 {
            let error = FaultInjection.with([.fail(.fsync, number, EIO)]) { _ in failure { try made.synchronize() } }
            #expect(error?.code == EIO && error?.path == path)
        }
    }

    @Test func `a listing that fails in the middle is an error, not a short list`() throws {
        for name in ["a", "b", "c"] { try Data().write(to: URL(fileURLWithPath: folder[name])) }
        let path = Array(folder.path.utf8)
        #expect(try Directory.names(in: path) == [[97], [98], [99]])
        #expect(try SourceDirectory(path).names() == [[97], [98], [99]])
        for number in 0..<5 {
            let error = FaultInjection.with([.fail(.readdir, number, EIO)]) { _ in
                failure { _ = try Directory.names(in: path) }
            }
            #expect(error?.code == EIO && error?.path == path, "entry \(number)")
        }
        let error = FaultInjection.with([.fail(.opendir, 0, ENOMEM)]) { _ in
            failure { _ = try SourceDirectory(path).names() }
        }
        #expect(error?.code == ENOMEM)
    }

    @Test func `without O_TMPFILE the temporary file is made by name, and the name is gone at once`() throws {
        let path = Array(folder.path.utf8)
        try FaultInjection.with([.fail(.openat, 0, EOPNOTSUPP)]) { faults in
            let file = try FileDescriptor.unlinked(in: path)
            try file.write([1, 2, 3], at: 0)
            #expect(faults.count(.openat) == 2 && faults.count(.unlink) == 1)
        }
        #expect(try Directory.names(in: path) == [])
        let error = FaultInjection.with([.fail(.openat, 0, ENOSPC)]) { _ in
            failure { _ = try FileDescriptor.unlinked(in: path) }
        }
        #expect(error?.code == ENOSPC)
    }

    @Test func `output that fails says so at the end, and once`() throws {
        let file = try file()
        for code in [EIO, ENOSPC, EPIPE] {
            FaultInjection.with([.fail(.write, 0, code)]) { faults in
                let output = Output(file.number, name: "report")
                output.write("text")
                output.flush()
                output.write("more")
                #expect(failure { try output.finish() }?.code == code)
                #expect(faults.count(.write) == 1)
            }
        }
    }

    @Test func `random numbers never wait, and differ without randomness too`() {
        for faults in [[], [FaultInjection.Fault.failFrom(.getrandom, 0, EAGAIN)], [.failFrom(.getrandom, 0, ENOSYS)]] {
            let numbers = FaultInjection.with(faults) { injection in
                defer { #expect(injection.count(.getrandom) == 20) }
                return (0..<20).map { _ in randomNumber() }
            }
            #expect(Set(numbers).count == 20)
        }
        FaultInjection.with(short: [.getrandom: 3]) { _ in #expect(randomNumber() != randomNumber()) }
    }

    @Test func `faults go with the threads that are started under them, and meet nobody else`() throws {
        let file = try file()
        let armed = try FaultInjection.with([.failFrom(.fsync, 0, EIO)]) { faults in
            let thread = try Thread { try? file.synchronize() }
            thread.join()
            return faults.injected
        }
        #expect(armed == 1)
        try file.synchronize()
        let error = FaultInjection.with([.fail(.pthreadCreate, 0, EAGAIN)]) { _ in failure { _ = try Thread {} } }
        #expect(error?.code == EAGAIN)
    }

    @Test func `a lock that cannot be taken is no lock`() throws {
        let file = try file()
        for code in [ENOLCK, EIO] {
            FaultInjection.with([.fail(.flock, 0, code)]) { _ in
                do throws(LockFailure) {
                    try file.lock(.exclusive)
                    Issue.record("it was taken")
                } catch {
                    guard case .system(let error) = error else { return wrong(error) }
                    #expect(error.code == code)
                }
            }
        }
    }
}
