import CLinux
import Text

/// A process that does nothing but keep a descriptor open, and outlives the program that started it.
///
/// It is forked before the program takes much memory, so that it has little itself, and waits for what it is to hold. If
/// its starter ends before, it ends too.
public struct SessionHolder: ~Copyable {
    public let process: Int32
    private let channel: FileDescriptor

    /// Call it before there are threads.
    public static func start() throws(SystemError) -> SessionHolder {
        var ends: (Int32, Int32) = (-1, -1)
        try SystemCalls.socketPair(&ends).get("socketpair")
        let channel = FileDescriptor(adopting: ends.0, path: Array("holder".utf8))
        let child = SystemCalls.fork()
        if child.value == 0 {
            hold(ends.1)
        }
        SystemCalls.close(ends.1)
        try child.get("fork")
        return SessionHolder(process: child.number, channel: channel)
    }

    private static func hold(_ channel: Int32) -> Never {
        SystemCalls.detach(keeping: channel, -1)
        let session = SystemCalls.receiveDescriptor(channel)
        guard !session.failed else { SystemCalls.exit(1) }
        // What else there is to be held, until a byte comes alone. Whoever ends without it has told nobody of the holder.
        while true {
            let next = SystemCalls.receiveDescriptor(channel)
            if next.code == ENODATA { break }
            if next.failed && next.code != EINTR { SystemCalls.exit(1) }
        }
        // Only now: whoever fills memory as one that is spared drives the machine into a panic.
        let path = Array("/proc/self/oom_score_adj".utf8)
        let file = SystemCalls.openat(SystemCalls.workingDirectory, path, O_WRONLY, 0)
        var isSpared: UInt8 = 0
        if !file.failed {
            let text = Array("-1000\n".utf8)
            let written = text.withUnsafeBytes { SystemCalls.write(file.number, $0.baseAddress!, $0.count) }
            isSpared = written.failed ? 0 : 1
            SystemCalls.close(file.number)
        }
        _ = SystemCalls.write(channel, &isSpared, 1)
        SystemCalls.close(channel)
        SystemCalls.waitForEver()
    }

    /// Hands the descriptors over, which may then be closed here.
    /// - Returns: whether the OOM killer will spare the holder.
    public consuming func take(_ descriptors: [Int32]) throws(SystemError) -> Bool {
        for descriptor in descriptors {
            try SystemCalls.send(channel.number, descriptor: descriptor).get("sendmsg")
        }
        var answer: UInt8 = 0
        try SystemCalls.write(channel.number, &answer, 1).get("write", path: channel.path)
        let got = try SystemCalls.read(channel.number, &answer, 1).get("read", path: channel.path)
        guard got == 1 else { throw SystemError("read", code: ENODATA, path: channel.path) }
        return answer == 1
    }
}

/// What the system says of another process.
public enum ProcessFacts {
    /// When it was started, in clock ticks since the boot: field 22 of /proc/PID/stat. nil where there is no such process,
    /// or it is a zombie. Together with the number it names one process of this boot.
    public static func startTime(_ process: Int32) -> UInt64? {
        let path = Array("/proc/\(process)/stat".utf8)
        guard process > 0, let text = try? FileDescriptor.contents(of: path, limit: 4096),
            let end = text.lastIndex(of: UInt8(ascii: ")"))
        else { return nil }
        // Behind the name in parentheses: the state is field 3.
        let words = text[(end + 1)...].split(separator: UInt8(ascii: " "))
        guard words.count > 19, words[0].first != UInt8(ascii: "Z"), words[0].first != UInt8(ascii: "X") else {
            return nil
        }
        return decimalNumber(words[19])
    }

    /// Ends a process of ours, by its number and its start, so that it is no other.
    public static func end(_ process: Int32, started: UInt64) {
        if startTime(process) == started { SystemCalls.kill(process) }
    }

    /// Waits up to a second until it is gone.
    public static func waitForEnd(_ process: Int32, started: UInt64) {
        for _ in 0..<100 where startTime(process) == started { SystemCalls.sleep(microseconds: 10_000) }
    }

    /// The sessions of /dev/liveupdate that a process has open: descriptors and names. `anon_inode:[luo_session] NAME` is
    /// what /proc/PID/fd shows of one.
    /// - Returns: nil where nobody tells.
    public static func sessions(of process: Int32) -> [(number: Int32, name: [UInt8])]? {
        let folder = Array("/proc/\(process)/fd".utf8)
        guard let names = try? DirectoryNames(of: folder, in: SystemCalls.workingDirectory, folder).all else {
            return nil
        }
        var found: [(number: Int32, name: [UInt8])] = []
        for name in names {
            guard let number = decimalNumber(name[...]).flatMap({ Int32(exactly: $0) }),
                let session = session(at: folder + [UInt8(ascii: "/")] + name)
            else { continue }
            found.append((number, session))
        }
        return found
    }

    private static func session(at link: [UInt8]) -> [UInt8]? {
        var text = [UInt8](repeating: 0, count: 256)
        let answer = text.withUnsafeMutableBytes {
            SystemCalls.readlinkat(SystemCalls.workingDirectory, link, $0)
        }
        let kind: StaticString = "anon_inode:[luo_session]"
        guard !answer.failed, answer.value <= text.count, text[..<answer.value].begin(with: kind) else { return nil }
        return Array(text[..<answer.value].dropFirst(kind.utf8CodeUnitCount + 1))
    }

    /// Copies of the files in memory that a process of ours holds, in the order in which it was given them.
    /// - Throws: ENOENT where it holds none.
    public static func memoryFiles(of process: Int32) throws(SystemError) -> [MemoryFileDescriptor] {
        let folder = Array("/proc/\(process)/fd".utf8)
        var numbers: [Int32] = []
        for name in try DirectoryNames(of: folder, in: SystemCalls.workingDirectory, folder).all {
            if let number = decimalNumber(name[...]).flatMap({ Int32(exactly: $0) }) { numbers.append(number) }
        }
        // The names say nothing: the kernel hands none over. But it holds no other files.
        var files: [MemoryFileDescriptor] = []
        for number in numbers.sorted() {
            let copy = SystemCalls.descriptor(number, of: process)
            try copy.get("pidfd_getfd")
            let file = MemoryFileDescriptor(FileDescriptor(adopting: copy.number, path: Array("memfd".utf8)))
            if try file.descriptor.status().isRegular { files.append(file) }
        }
        guard !files.isEmpty else { throw SystemError("open", code: ENOENT, path: folder) }
        return files
    }

    /// A copy of a session that another process has open: systemd takes them all for the units that stored them.
    /// - Throws: ENOENT where that process has none of this name.
    public static func session(_ name: [UInt8], of process: Int32) throws(SystemError) -> LiveSession {
        for session in sessions(of: process) ?? [] where session.name == name {
            let answer = SystemCalls.descriptor(session.number, of: process)
            try answer.get("pidfd_getfd")
            return LiveSession(FileDescriptor(adopting: answer.number, path: name))
        }
        throw SystemError("open", code: ENOENT, path: name)
    }
}

/// What systemd takes over its notification socket (sd_notify(3)).
public enum ServiceNotification {
    /// Puts a descriptor into the fd store of the unit that this process belongs to.
    /// - Throws: ENOENT without $NOTIFY_SOCKET.
    public static func store(_ descriptor: Int32, name: StaticString) throws(SystemError) {
        guard let address = environment("NOTIFY_SOCKET") else { throw SystemError("sendmsg", code: ENOENT) }
        let text = Array("FDSTORE=1\nFDNAME=".utf8) + name.withUTF8Buffer { Array($0) }
        try SystemCalls.notify(address, text, descriptor: descriptor).get("sendmsg", path: address)
    }

    /// Takes what is stored under a name out of the store again.
    public static func remove(name: StaticString) {
        guard let address = environment("NOTIFY_SOCKET") else { return }
        let text = Array("FDSTOREREMOVE=1\nFDNAME=".utf8) + name.withUTF8Buffer { Array($0) }
        _ = SystemCalls.notify(address, text, descriptor: -1)
    }

    /// The session of this name that systemd has handed to this process (sd_listen_fds(3)), whatever it calls it; nil
    /// where it has not.
    public static func handed(session name: [UInt8]) -> LiveSession? {
        let own = SystemCalls.getpid()
        guard let process = environment("LISTEN_PID"), decimalNumber(process[...]) == UInt64(own),
            let text = environment("LISTEN_FDS"), let count = decimalNumber(text[...]),
            let found = ProcessFacts.sessions(of: own)
        else { return nil }
        for session in found where session.name == name && session.number >= 3 && UInt64(session.number) < 3 &+ count {
            return LiveSession(FileDescriptor(adopting: session.number, path: name))
        }
        return nil
    }
}
