import CLinux

/// Every call of the system that this program makes, and the only place that makes one: thin functions under the names
/// of sections 2 and 3 of the manual. What takes a path refuses one with a NUL byte (EINVAL), which C would cut short.
/// A call that a signal interrupts is made again.
///
/// (libblkid reads by itself: see `BlockProbe`. Mutexes and condition variables, which do not fail, are in `Threads`.)
enum SystemCalls {
    /// What a call answered: a number from 0 on, or an errno.
    struct Answer {
        /// Never negative where `code` is 0.
        let value: Int
        /// errno; 0 after a success.
        let code: Int32

        init(_ value: Int) {
            self.value = value
            code = 0
        }

        init(failed code: Int32) {
            value = -1
            self.code = code
        }

        var failed: Bool { code != 0 }
        var number: Int32 { Int32(truncatingIfNeeded: value) }

        /// - Parameters:
        ///   - call: the name to fail with, as in section 2 of the manual.
        ///   - path: what the call was about.
        @discardableResult
        func get(_ call: StaticString, path: [UInt8] = []) throws(SystemError) -> Int {
            guard code == 0 else { throw SystemError(call, code: code, path: path) }
            return value
        }
    }

    /// The kinds of calls that tests can make fail.
    enum Kind: UInt8, CaseIterable, Sendable {
        case openat, close, read, write, pread, pwrite, pwritev, lseek, fstat, fstatat, statfs, ftruncate
        case fallocate, fsync, fchmod, mkdir, rename, link, unlink, opendir, readdir, mmap, msync, flock, dup
        case isatty, getrandom, poll, pipe, fork, waitpid, pthreadCreate
    }

    /// Makes the call, again for as long as signals interrupt it.
    @inline(__always)
    private static func make(_ kind: Kind, _ body: () -> Int) -> Answer {
        while true {
            #if !hasFeature(Embedded)
                if let code = FaultInjection.next(kind) {
                    if code == EINTR { continue }
                    return Answer(failed: code)
                }
            #endif
            let value = body()
            if value >= 0 { return Answer(value) }
            let code = pv_errno()
            if code != EINTR { return Answer(failed: code) }
        }
    }

    @inline(__always)
    private static func make(_ kind: Kind, _ path: [UInt8], _ body: (UnsafePointer<CChar>) -> Int32) -> Answer {
        guard !path.contains(0) else { return Answer(failed: EINVAL) }
        return withCString(path) { path in make(kind) { Int(body(path)) } }
    }

    /// How many of `count` bytes a call is asked for: fewer only where a test wants a short read or write.
    @inline(__always)
    private static func asked(_ kind: Kind, _ count: Int) -> Int {
        #if hasFeature(Embedded)
            return count
        #else
            return FaultInjection.shortened(kind, count)
        #endif
    }
}

// MARK: - Files

extension SystemCalls {
    /// Where `openat` and `fstatat` begin with a relative path: the working directory.
    static var workingDirectory: Int32 { AT_FDCWD }

    /// With O_CLOEXEC always.
    static func openat(_ directory: Int32, _ path: [UInt8], _ flags: Int32, _ mode: mode_t) -> Answer {
        make(.openat, path) { pv_openat(directory, $0, flags, mode) }
    }

    /// open(2) with O_TMPFILE, O_RDWR and O_EXCL: a file without a name.
    static func openNameless(in directory: [UInt8]) -> Answer { make(.openat, directory) { pv_open_nameless($0) } }

    /// mkostemp(3): the last six bytes of the name, all X, become those of a new file.
    static func mkostemp(_ template: inout [UInt8]) -> Answer {
        var name = template + [0]
        let answer = make(.openat) {
            name.withUnsafeMutableBytes {
                Int(pv_make_temporary($0.baseAddress!.assumingMemoryBound(to: CChar.self)))
            }
        }
        template = Array(name.dropLast())
        return answer
    }

    /// Not made again: whatever it answers, the number is free.
    static func close(_ number: Int32) {
        #if !hasFeature(Embedded)
            _ = FaultInjection.next(.close)
        #endif
        _ = CLinux.close(number)
    }

    static func dup(_ number: Int32) -> Answer { make(.dup) { Int(pv_duplicate(number)) } }
    /// flock(2)
    static func advisoryLock(_ number: Int32, _ operation: Int32) -> Answer {
        make(.flock) { Int(flock(number, operation)) }
    }

    static func fstat(_ number: Int32, _ status: inout stat) -> Answer {
        make(.fstat) { Int(CLinux.fstat(number, &status)) }
    }

    static func fstatat(_ directory: Int32, _ path: [UInt8], _ status: inout stat, _ flags: Int32) -> Answer {
        make(.fstatat, path) { CLinux.fstatat(directory, $0, &status, flags) }
    }

    /// `f_type` alone, of the file system that holds the path.
    static func fileSystemType(of path: [UInt8]) -> Answer {
        var status = statfs()
        let answer = make(.statfs, path) { statfs($0, &status) }
        return answer.failed ? answer : Answer(Int(status.f_type))
    }

    static func fileSystemType(of number: Int32) -> Answer {
        var status = statfs()
        let answer = make(.statfs) { Int(fstatfs(number, &status)) }
        return answer.failed ? answer : Answer(Int(status.f_type))
    }

    static func isatty(_ number: Int32) -> Bool {
        #if !hasFeature(Embedded)
            if FaultInjection.next(.isatty) != nil { return false }
        #endif
        return CLinux.isatty(number) == 1
    }
}

// MARK: - Bytes

extension SystemCalls {
    static func read(_ number: Int32, _ bytes: UnsafeMutableRawPointer, _ count: Int) -> Answer {
        make(.read) { CLinux.read(number, bytes, asked(.read, count)) }
    }

    static func write(_ number: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Answer {
        make(.write) { CLinux.write(number, bytes, asked(.write, count)) }
    }

    static func pread(_ number: Int32, _ bytes: UnsafeMutableRawPointer, _ count: Int, _ offset: off_t) -> Answer {
        make(.pread) { CLinux.pread(number, bytes, asked(.pread, count), offset) }
    }

    static func pwrite(_ number: Int32, _ bytes: UnsafeRawPointer, _ count: Int, _ offset: off_t) -> Answer {
        make(.pwrite) { CLinux.pwrite(number, bytes, asked(.pwrite, count), offset) }
    }

    static func pwritev(_ number: Int32, _ vectors: UnsafePointer<iovec>, _ count: Int32, _ offset: off_t) -> Answer {
        make(.pwritev) { CLinux.pwritev(number, vectors, Int32(asked(.pwritev, Int(count))), offset) }
    }

    static func seekToEnd(_ number: Int32) -> Answer { make(.lseek) { lseek(number, 0, SEEK_END) } }
    static func nextData(_ number: Int32, _ offset: off_t) -> Answer { make(.lseek) { pv_next_data(number, offset) } }
    static func nextHole(_ number: Int32, _ offset: off_t) -> Answer { make(.lseek) { pv_next_hole(number, offset) } }

    static func ftruncate(_ number: Int32, _ length: off_t) -> Answer {
        make(.ftruncate) { Int(CLinux.ftruncate(number, length)) }
    }

    /// posix_fallocate(3), which returns its errno.
    static func fallocate(_ number: Int32, _ length: off_t) -> Answer {
        var code: Int32 = 0
        let answer = make(.fallocate) {
            code = posix_fallocate(number, 0, length)
            pv_set_errno(code)
            return code == 0 ? 0 : -1
        }
        return answer
    }

    static func fsync(_ number: Int32) -> Answer { make(.fsync) { Int(CLinux.fsync(number)) } }
    /// posix_fadvise(2) with POSIX_FADV_DONTNEED: a request that the kernel need not follow.
    static func forgetCache(_ number: Int32) { _ = posix_fadvise(number, 0, 0, POSIX_FADV_DONTNEED) }
    static func fchmod(_ number: Int32, _ mode: mode_t) -> Answer { make(.fchmod) { Int(CLinux.fchmod(number, mode)) } }

    /// Bytes that nobody can foresee, as many as there are without waiting for the pool to fill (GRND_NONBLOCK).
    static func getrandom(_ bytes: UnsafeMutableRawPointer, _ count: Int) -> Answer {
        make(.getrandom) { CLinux.getrandom(bytes, count, UInt32(GRND_NONBLOCK)) }
    }
}

// MARK: - Directories

extension SystemCalls {
    static func mkdir(_ path: [UInt8], _ mode: mode_t) -> Answer { make(.mkdir, path) { CLinux.mkdir($0, mode) } }

    /// Both names in one directory.
    static func renameat(_ directory: Int32, _ old: [UInt8], _ new: [UInt8]) -> Answer {
        make(.rename, old) { old in withCString(new) { CLinux.renameat(directory, old, directory, $0) } }
    }

    /// renameat2(2) with RENAME_NOREPLACE.
    static func renameWithoutReplacing(_ directory: Int32, _ old: [UInt8], _ new: [UInt8]) -> Answer {
        make(.rename, old) { old in withCString(new) { pv_rename_noreplace(directory, old, $0) } }
    }

    static func linkat(_ directory: Int32, _ old: [UInt8], _ new: [UInt8]) -> Answer {
        make(.link, old) { old in withCString(new) { CLinux.linkat(directory, old, directory, $0, 0) } }
    }

    static func unlinkat(_ directory: Int32, _ name: [UInt8]) -> Answer {
        make(.unlink, name) { CLinux.unlinkat(directory, $0, 0) }
    }

    /// A directory's names, for one pass.
    struct Listing: ~Copyable {
        private let stream: OpaquePointer

        /// Takes the descriptor over, also where it fails.
        init?(_ number: Int32, _ code: inout Int32) {
            var opened: OpaquePointer?
            let answer = SystemCalls.make(.opendir) {
                opened = fdopendir(number)
                return opened == nil ? -1 : 0
            }
            guard !answer.failed, let opened else {
                code = answer.code
                SystemCalls.close(number)
                return nil
            }
            stream = opened
        }

        deinit { closedir(stream) }

        /// The next name, `.` and `..` among them; nil at the end, and with a code after an error.
        func next(_ code: inout Int32) -> [UInt8]? {
            var name: UnsafePointer<CChar>?
            let answer = SystemCalls.make(.readdir) {
                // NULL is both the end and an error; errno tells them apart.
                pv_set_errno(0)
                name = pv_next_name(stream)
                return name == nil && pv_errno() != 0 ? -1 : 0
            }
            code = answer.code
            return answer.failed ? nil : name.map { bytes(of: $0) }
        }
    }
}

// MARK: - Memory

extension SystemCalls {
    /// nil and the code where it fails.
    static func mmap(
        _ place: UnsafeMutableRawPointer?, _ count: Int, _ protection: Int32, _ flags: Int32, _ number: Int32,
        _ offset: off_t, _ code: inout Int32
    ) -> UnsafeMutableRawPointer? {
        var address: UnsafeMutableRawPointer?
        let answer = make(.mmap) {
            address = CLinux.mmap(place, count, protection, flags, number, offset)
            return pv_mmap_failed(address) ? -1 : 0
        }
        code = answer.code
        return answer.failed ? nil : address
    }

    static func munmap(_ address: UnsafeMutableRawPointer, _ count: Int) { _ = CLinux.munmap(address, count) }

    /// With MS_SYNC.
    static func msync(_ address: UnsafeMutableRawPointer, _ count: Int) -> Answer {
        make(.msync) { Int(CLinux.msync(address, count, MS_SYNC)) }
    }

    /// Makes SIGBUS survivable under `guarded`, and SIGPIPE and SIGXFSZ errors of write(2).
    static func prepareSignals() { pv_signals_prepare() }
}

// MARK: - Time, threads and processes

extension SystemCalls {
    /// Nanoseconds of a clock that never goes back, from some start on.
    static func monotonicTime() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
    }

    /// Seconds since 1970.
    static func time() -> Int { CLinux.time(nil) }

    static func sleep(microseconds: UInt32) { _ = usleep(microseconds) }

    /// Waits for something to read, at most so many milliseconds: 1, or 0 when there is nothing by then. After a signal
    /// it waits anew, from the start.
    static func poll(_ number: Int32, milliseconds: Int32) -> Answer {
        var wanted = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
        return make(.poll) { Int(CLinux.poll(&wanted, 1, milliseconds)) }
    }

    static func geteuid() -> UInt32 { CLinux.geteuid() }
    static func getpid() -> Int32 { CLinux.getpid() }
    static func processorCount() -> Int { Int(pv_processor_count()) }
    static func pageFaultCount() -> Int { pv_thread_page_faults() }

    /// The value of an environment variable.
    static func getenv(_ name: StaticString) -> [UInt8]? {
        // A literal's bytes end with a NUL.
        let name = UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self)
        return CLinux.getenv(name).map { bytes(of: $0) }
    }

    /// pthread_create(3), which returns its errno.
    static func createThread(
        _ handle: inout pthread_t, _ body: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer?,
        _ context: UnsafeMutableRawPointer
    ) -> Answer {
        make(.pthreadCreate) {
            let code = pthread_create(&handle, nil, body, context)
            pv_set_errno(code)
            return code == 0 ? 0 : -1
        }
    }

    static func joinThread(_ handle: pthread_t) { pthread_join(handle, nil) }

    /// The reading end and the writing end.
    static func pipe(_ ends: inout (reading: Int32, writing: Int32)) -> Answer {
        var numbers: (Int32, Int32) = (-1, -1)
        let answer = make(.pipe) {
            withUnsafeMutableBytes(of: &numbers) { Int(pv_pipe($0.baseAddress!.assumingMemoryBound(to: Int32.self))) }
        }
        ends = (numbers.0, numbers.1)
        return answer
    }

    /// Gives SIGCHLD its usual effect.
    /// - Returns: what it did before.
    static func takeChildSignal() -> sigaction {
        var before = sigaction()
        _ = pv_child_default(&before)
        return before
    }

    static func giveBackChildSignal(_ before: sigaction) {
        var before = before
        _ = pv_child_restore(&before)
    }

    /// 0 in the child.
    static func fork() -> Answer { make(.fork) { Int(pv_fork()) } }

    /// waitpid(2) without WNOHANG.
    static func waitpid(_ child: Int32, _ status: inout Int32) -> Answer {
        make(.waitpid) { Int(CLinux.waitpid(child, &status, 0)) }
    }

    static func kill(_ process: Int32) { _ = CLinux.kill(process, SIGKILL) }
    /// For the child: it ends when its parent does, and by a signal where memory runs out or a trap is met.
    static func endWithParent() {
        _ = pv_end_with_parent()
        pv_work_is_apart()
    }
    static func exit(_ status: Int32) -> Never { _exit(status) }
}

// MARK: - Staging

extension SystemCalls {
    static func rmdir(_ path: [UInt8]) -> Answer { make(.unlink, path) { CLinux.rmdir($0) } }
    static func syncfs(_ number: Int32) -> Answer { make(.fsync) { Int(pv_sync_file_system(number)) } }
}
