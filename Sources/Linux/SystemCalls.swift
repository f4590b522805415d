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
        case chmod, chown, utimens, readlink, symlink, mknod, getxattr, setxattr, ioctl, realpath, exec
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

    @inline(__always)
    private static func make(
        _ kind: Kind, _ one: [UInt8], _ other: [UInt8],
        _ body: (UnsafePointer<CChar>, UnsafePointer<CChar>) -> Int32
    ) -> Answer {
        guard !other.contains(0) else { return Answer(failed: EINVAL) }
        return make(kind, one) { one in withCString(other) { body(one, $0) } }
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

    /// openat2(2): a directory below another one, with O_PATH, for naming it and what is in it alone. Neither `..` nor a
    /// symbolic link leads out of the upper one, and where `linksAllowed` is not set, no link is followed at all.
    /// ENOSYS before Linux 5.6, EPERM where a filter of calls does not know it.
    static func openBelow(_ directory: Int32, _ path: [UInt8], linksAllowed: Bool) -> Answer {
        make(.openat, path) { linksAllowed ? pv_open_in_root(directory, $0) : pv_open_beneath(directory, $0) }
    }

    /// A single component, not through a symbolic link, for naming it alone (O_PATH).
    static func openName(_ directory: Int32, _ name: [UInt8], _ flags: Int32) -> Answer {
        make(.openat, name) { pv_open_name(directory, $0, flags) }
    }

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

    /// What a temporary file is removed by when a signal ends the program.
    static func temporaryMade(_ directory: Int32, _ name: [UInt8]) {
        withCString(name) { pv_temporary_made(directory, $0) }
    }

    static func temporaryGone(_ directory: Int32, _ name: [UInt8]) {
        withCString(name) { pv_temporary_gone(directory, $0) }
    }

    /// A directory of files that wait for their places goes as well.
    static func stagingMade(_ directory: Int32, _ path: [UInt8]) {
        withCString(path) { pv_staging_made(directory, $0) }
    }

    static func stagingGone() { pv_staging_gone() }

    /// What an image becomes again when a signal ends the program.
    static func growthBegan(_ number: Int32, _ path: [UInt8], _ before: off_t) {
        withCString(path) { pv_growth_began(number, $0, before) }
    }

    static func growthEnded() { pv_growth_ended() }

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

    /// In bytes: for root all that is free, for others without what is kept for root.
    static func freeSpace(of number: Int32) -> UInt64? {
        var status = statfs()
        guard !make(.statfs, { Int(fstatfs(number, &status)) }).failed, status.f_blocks > 0, status.f_bsize > 0 else {
            return nil
        }
        let blocks = geteuid() == 0 ? status.f_bfree : status.f_bavail
        return UInt64(blocks).multipliedReportingOverflow(by: UInt64(status.f_bsize)).partialValue
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
    static func fallocate(_ number: Int32, _ offset: off_t, _ length: off_t) -> Answer {
        var code: Int32 = 0
        let answer = make(.fallocate) {
            code = posix_fallocate(number, offset, length)
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

// MARK: - What belongs to a file besides its bytes

extension SystemCalls {
    static func chmod(_ path: [UInt8], _ mode: mode_t) -> Answer { make(.chmod, path) { CLinux.chmod($0, mode) } }

    static func fchmodat(_ directory: Int32, _ name: [UInt8], _ mode: mode_t) -> Answer {
        make(.chmod, name) { CLinux.fchmodat(directory, $0, mode, 0) }
    }

    /// Also of what is open with O_PATH; -1 leaves an owner as it is.
    static func changeOwner(_ number: Int32, _ user: uid_t, _ group: gid_t) -> Answer {
        make(.chown) { Int(pv_change_owner(number, user, group)) }
    }

    /// With AT_SYMLINK_NOFOLLOW.
    static func fchownat(_ directory: Int32, _ name: [UInt8], _ user: uid_t, _ group: gid_t) -> Answer {
        make(.chown, name) { CLinux.fchownat(directory, $0, user, group, AT_SYMLINK_NOFOLLOW) }
    }

    /// One time for reading and for changing.
    static func futimens(_ number: Int32, _ seconds: Int, _ nanoseconds: Int) -> Answer {
        let one = timespec(tv_sec: seconds, tv_nsec: nanoseconds)
        return [one, one].withUnsafeBufferPointer { times in
            make(.utimens) { Int(CLinux.futimens(number, times.baseAddress)) }
        }
    }

    static func utimensat(_ path: [UInt8], _ seconds: Int, _ nanoseconds: Int) -> Answer {
        let one = timespec(tv_sec: seconds, tv_nsec: nanoseconds)
        return [one, one].withUnsafeBufferPointer { times in
            make(.utimens, path) { CLinux.utimensat(AT_FDCWD, $0, times.baseAddress, 0) }
        }
    }

    /// TIOCGWINSZ: how many columns a terminal has.
    static func terminalColumns(_ number: Int32) -> Answer { make(.ioctl) { Int(pv_terminal_columns(number)) } }

    /// FS_IOC_GETFLAGS
    static func inodeFlags(_ number: Int32, _ flags: inout UInt32) -> Answer {
        make(.ioctl) { Int(pv_get_flags(number, &flags)) }
    }

    /// FS_IOC_SETFLAGS
    static func setInodeFlags(_ number: Int32, _ flags: UInt32) -> Answer {
        make(.ioctl) { Int(pv_set_flags(number, flags)) }
    }

    /// Whose extended attributes: what is open for more than O_PATH, or a path.
    enum Attributed {
        case open(Int32)
        case path([UInt8])
    }

    /// How many bytes of names there are, each with a NUL behind it.
    static func listxattr(_ file: Attributed, _ names: UnsafeMutableRawBufferPointer) -> Answer {
        let text = names.baseAddress?.assumingMemoryBound(to: CChar.self)
        return attributes(.getxattr, file) { number in
            flistxattr(number, text, names.count)
        } byPath: {
            CLinux.listxattr($0, text, names.count)
        }
    }

    /// How many bytes the value has.
    static func getxattr(_ file: Attributed, _ name: [UInt8], _ value: UnsafeMutableRawBufferPointer) -> Answer {
        named(name) { name in
            attributes(.getxattr, file) { number in
                fgetxattr(number, name, value.baseAddress, value.count)
            } byPath: {
                CLinux.getxattr($0, name, value.baseAddress, value.count)
            }
        }
    }

    static func setxattr(_ file: Attributed, _ name: [UInt8], _ value: [UInt8]) -> Answer {
        value.withUnsafeBytes { value in
            named(name) { name in
                attributes(.setxattr, file) { number in
                    Int(fsetxattr(number, name, value.baseAddress, value.count, 0))
                } byPath: {
                    Int(CLinux.setxattr($0, name, value.baseAddress, value.count, 0))
                }
            }
        }
    }

    static func removexattr(_ file: Attributed, _ name: [UInt8]) -> Answer {
        named(name) { name in
            attributes(.setxattr, file) { number in
                Int(fremovexattr(number, name))
            } byPath: {
                Int(CLinux.removexattr($0, name))
            }
        }
    }

    private static func named(_ name: [UInt8], _ body: (UnsafePointer<CChar>) -> Answer) -> Answer {
        name.contains(0) ? Answer(failed: EINVAL) : withCString(name, body)
    }

    private static func attributes(
        _ kind: Kind, _ file: Attributed, byNumber: (Int32) -> Int, byPath: (UnsafePointer<CChar>) -> Int
    ) -> Answer {
        switch file {
        case .open(let number): make(kind) { byNumber(number) }
        case .path(let path): named(path) { path in make(kind) { byPath(path) } }
        }
    }
}

// MARK: - Directories

extension SystemCalls {
    static func mkdir(_ path: [UInt8], _ mode: mode_t) -> Answer { make(.mkdir, path) { CLinux.mkdir($0, mode) } }

    static func mkdirat(_ directory: Int32, _ name: [UInt8], _ mode: mode_t) -> Answer {
        make(.mkdir, name) { CLinux.mkdirat(directory, $0, mode) }
    }

    static func renameat(_ directory: Int32, _ old: [UInt8], _ parent: Int32, _ new: [UInt8]) -> Answer {
        make(.rename, old, new) { CLinux.renameat(directory, $0, parent, $1) }
    }

    /// renameat2(2) with RENAME_NOREPLACE.
    static func renameWithoutReplacing(
        _ directory: Int32, _ old: [UInt8], _ parent: Int32, _ new: [UInt8]
    ) -> Answer {
        make(.rename, old, new) { pv_rename_noreplace(directory, $0, parent, $1) }
    }

    /// Without AT_SYMLINK_FOLLOW: a symbolic link gets a second name itself.
    static func linkat(_ directory: Int32, _ old: [UInt8], _ parent: Int32, _ new: [UInt8]) -> Answer {
        make(.link, old, new) { CLinux.linkat(directory, $0, parent, $1, 0) }
    }

    static func unlinkat(_ directory: Int32, _ name: [UInt8]) -> Answer {
        make(.unlink, name) { CLinux.unlinkat(directory, $0, 0) }
    }

    /// unlinkat(2) with AT_REMOVEDIR.
    static func rmdir(_ directory: Int32, _ name: [UInt8]) -> Answer {
        make(.unlink, name) { CLinux.unlinkat(directory, $0, AT_REMOVEDIR) }
    }

    static func symlinkat(_ target: [UInt8], _ directory: Int32, _ name: [UInt8]) -> Answer {
        make(.symlink, target, name) { CLinux.symlinkat($0, directory, $1) }
    }

    /// How many bytes of the link's text there are.
    static func readlinkat(_ directory: Int32, _ name: [UInt8], _ text: UnsafeMutableRawBufferPointer) -> Answer {
        make(.readlink, name) {
            Int32(truncatingIfNeeded: CLinux.readlinkat(directory, $0, text.baseAddress!, text.count))
        }
    }

    /// - Parameter device: as `DeviceNumber.number`.
    static func mknodat(_ directory: Int32, _ name: [UInt8], _ mode: mode_t, _ device: UInt64) -> Answer {
        make(.mknod, name) { CLinux.mknodat(directory, $0, mode, dev_t(device)) }
    }

    /// realpath(3); nil and the code where it fails.
    static func realpath(_ path: [UInt8], _ code: inout Int32) -> [UInt8]? {
        var resolved: UnsafeMutablePointer<CChar>?
        let answer = make(.realpath, path) {
            resolved = CLinux.realpath($0, nil)
            return resolved == nil ? -1 : 0
        }
        code = answer.code
        guard !answer.failed, let resolved else { return nil }
        defer { free(resolved) }
        return bytes(of: resolved)
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

    /// With MADV_SEQUENTIAL: a request that the kernel need not follow.
    static func adviseSequential(_ address: UnsafeMutableRawPointer, _ count: Int) {
        _ = CLinux.madvise(address, count, MADV_SEQUENTIAL)
    }

    /// With MS_SYNC.
    static func msync(_ address: UnsafeMutableRawPointer, _ count: Int) -> Answer {
        make(.msync) { Int(CLinux.msync(address, count, MS_SYNC)) }
    }

    /// Makes SIGBUS survivable under `guarded`, and SIGPIPE and SIGXFSZ errors of write(2).
    static func prepareSignals() { pv_signals_prepare() }
}

// MARK: - Time, threads and processes

extension SystemCalls {
    enum ClockName { case realTime, monotonic, bootTime }

    static func clock(_ name: ClockName) -> (seconds: Int, nanoseconds: Int) {
        var now = timespec()
        switch name {
        case .realTime: clock_gettime(CLOCK_REALTIME, &now)
        case .monotonic: clock_gettime(CLOCK_MONOTONIC, &now)
        case .bootTime: clock_gettime(pv_clock_boottime(), &now)
        }
        return (now.tv_sec, now.tv_nsec)
    }

    /// Nanoseconds of a clock that never goes back, from some start on.
    static func monotonicTime() -> UInt64 {
        let now = clock(.monotonic)
        return UInt64(now.seconds) * 1_000_000_000 + UInt64(now.nanoseconds)
    }

    /// uname(2): the kernel's release, and the node's name.
    static func uname() -> (release: [UInt8], nodeName: [UInt8]) {
        func text(_ call: (UnsafeMutablePointer<CChar>?, Int) -> Void) -> [UInt8] {
            var text = [UInt8](repeating: 0, count: 256)
            text.withUnsafeMutableBytes { call($0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count) }
            return Array(text.prefix { $0 != 0 })
        }
        return (text(pv_kernel_release), text(pv_node_name))
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
        _ thread: inout UInt, _ body: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer?,
        _ context: UnsafeMutableRawPointer
    ) -> Answer {
        make(.pthreadCreate) {
            let code = pv_thread_start(&thread, body, context)
            pv_set_errno(code)
            return code == 0 ? 0 : -1
        }
    }

    static func joinThread(_ thread: UInt) { pv_thread_join(thread) }

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

    /// posix_spawnp(3), which returns its errno: a program that is looked for in PATH.
    /// - Parameters:
    ///   - words: its name, and its arguments.
    ///   - output: what becomes its standard output.
    static func spawn(_ words: [[UInt8]], _ output: Int32, _ child: inout Int32) -> Answer {
        guard !words.isEmpty, !words.contains(where: { $0.contains(0) }) else { return Answer(failed: EINVAL) }
        var text: [UInt8] = []
        var starts: [Int] = []
        for word in words {
            starts.append(text.count)
            text += word + [0]
        }
        return text.withUnsafeMutableBytes { text in
            let base = text.baseAddress!.assumingMemoryBound(to: CChar.self)
            let pointers: [UnsafeMutablePointer<CChar>?] = starts.map { base + $0 } + [nil]
            return make(.exec) {
                let code = pointers.withUnsafeBufferPointer { pv_spawn(&child, $0.baseAddress!, output) }
                pv_set_errno(code)
                return code == 0 ? 0 : -1
            }
        }
    }

    /// waitpid(2) without WNOHANG.
    static func waitpid(_ child: Int32, _ status: inout Int32) -> Answer {
        make(.waitpid) { Int(CLinux.waitpid(child, &status, 0)) }
    }

    /// Whether there is such a process, as far as this one may know.
    static func exists(process: Int32) -> Bool { CLinux.kill(process, 0) == 0 || pv_errno() != ESRCH }
    static func kill(_ process: Int32) { _ = CLinux.kill(process, SIGKILL) }
    /// For the child: it ends when its parent does, and by a signal where memory runs out or a trap is met.
    static func endWithParent() {
        _ = pv_end_with_parent()
        pv_work_is_apart()
    }
    static func exit(_ status: Int32) -> Never { _exit(status) }
}

// MARK: - What is kept over a kexec

extension SystemCalls {
    /// LIVEUPDATE_IOCTL_CREATE_SESSION and LIVEUPDATE_IOCTL_RETRIEVE_SESSION on an open /dev/liveupdate.
    static func createSession(_ device: Int32, _ name: [UInt8]) -> Answer {
        make(.ioctl, name) { pv_session_create(device, $0) }
    }

    static func retrieveSession(_ device: Int32, _ name: [UInt8]) -> Answer {
        make(.ioctl, name) { pv_session_retrieve(device, $0) }
    }

    static func preserve(_ session: Int32, _ number: Int32, _ token: UInt64) -> Answer {
        make(.ioctl) { Int(pv_preserve(session, number, token)) }
    }

    static func retrieve(_ session: Int32, _ token: UInt64) -> Answer {
        make(.ioctl) { Int(pv_retrieve(session, token)) }
    }

    static func finish(_ session: Int32) -> Answer { make(.ioctl) { Int(pv_finish(session)) } }

    /// memfd_create(2) with MFD_ALLOW_SEALING.
    static func memoryFile(_ name: [UInt8]) -> Answer { make(.openat, name) { pv_memory_file($0) } }
    /// F_SEAL_GROW and F_SEAL_SHRINK; F_SEAL_FUTURE_WRITE, too, against new writers.
    static func sealMemoryFile(_ number: Int32, againstWriters: Bool) -> Answer {
        make(.ioctl) { Int(pv_seal_memory_file(number, againstWriters ? 1 : 0)) }
    }

    /// Two ends of a stream.
    static func socketPair(_ ends: inout (Int32, Int32)) -> Answer {
        var numbers: (Int32, Int32) = (-1, -1)
        let answer = make(.pipe) {
            withUnsafeMutableBytes(of: &numbers) {
                Int(pv_socket_pair($0.baseAddress!.assumingMemoryBound(to: Int32.self)))
            }
        }
        ends = numbers
        return answer
    }

    static func send(_ socket: Int32, descriptor: Int32) -> Answer {
        make(.write) { Int(pv_send_descriptor(socket, descriptor)) }
    }

    static func receiveDescriptor(_ socket: Int32) -> Answer { make(.read) { Int(pv_receive_descriptor(socket)) } }

    /// A datagram with a descriptor (negative: none) to a UNIX socket.
    static func notify(_ address: [UInt8], _ text: [UInt8], descriptor: Int32) -> Answer {
        address.withUnsafeBytes { address in
            text.withUnsafeBytes { text in
                make(.write) {
                    Int(
                        pv_notify(
                            address.baseAddress?.assumingMemoryBound(to: CChar.self), address.count,
                            text.baseAddress?.assumingMemoryBound(to: CChar.self), text.count, descriptor))
                }
            }
        }
    }

    /// A copy of what another process has open.
    static func descriptor(_ number: Int32, of process: Int32) -> Answer {
        make(.openat) { Int(pv_other_descriptor(process, number)) }
    }

    /// For a forked process that outlives its parent.
    static func detach(keeping first: Int32, _ second: Int32) { _ = pv_detach(first, second) }
    static func waitForEver() -> Never { pv_wait_for_ever() }
}

// MARK: - Staging

extension SystemCalls {
    static func rmdir(_ path: [UInt8]) -> Answer { make(.unlink, path) { CLinux.rmdir($0) } }
    static func syncfs(_ number: Int32) -> Answer { make(.fsync) { Int(pv_sync_file_system(number)) } }
}
