import CLinux
import Text

/// Who may hold a lock together with whom.
public enum LockMode: Sendable {
    /// Any number of readers.
    case shared
    /// One writer and nobody else.
    case exclusive
}

/// Why a lock was not taken.
public enum LockFailure: Error {
    /// Somebody else has it. `holder` is a process id, nil when /proc/locks does not tell.
    case held(path: [UInt8], holder: Int32?)
    /// What lies at the lock's path is no regular file.
    case notAFile(path: [UInt8])
    case system(SystemError)

    public var message: String {
        switch self {
        case .held(let path, let holder?): "\(escaped(path)) is locked by process \(holder), which is not done yet"
        case .held(let path, nil): "\(escaped(path)) is locked by another process, which is not done yet"
        case .notAFile(let path): "\(escaped(path)) is not a regular file, so it cannot be the lock"
        case .system(let error): error.message
        }
    }
}

/// The lock on this machine's physical memory, held until it goes out of scope: a file that exists for flock(2) alone.
///
/// The kernel lets go of such a lock when the process ends, however it ends, so there is none that outlives its holder.
/// The file stays: if it were removed, two processes could hold locks on two files of that name.
public struct FileLock: ~Copyable {
    private let file: FileDescriptor

    /// Where the lock lies. In /run: it must be gone after a reboot, and /tmp belongs to everybody.
    public static let directory = Array("/run/pram-verify".utf8)

    /// Takes the lock for writing, without waiting.
    /// - Throws: also when its file can neither be opened nor made: who writes must not go without.
    public static func exclusive(in directory: [UInt8] = directory) throws(LockFailure) -> FileLock {
        try take(.exclusive, in: directory)
    }

    /// Takes the lock for reading, without waiting.
    /// - Returns: nil where there is no place for a lock: no /run, one that is read-only, one that belongs to others. A
    ///   reader goes on without, for the boot goes on too.
    /// - Throws: `held` alone, when somebody is writing.
    public static func shared(in directory: [UInt8] = directory) throws(LockFailure) -> FileLock? {
        do throws(LockFailure) {
            return try take(.shared, in: directory)
        } catch {
            if case .held = error { throw error }
            return nil
        }
    }

    private static let fileName = Array("/lock".utf8)

    private static func take(_ mode: LockMode, in directory: [UInt8]) throws(LockFailure) -> FileLock {
        let file: FileDescriptor
        do throws(SystemError) {
            file = try open(in: directory)
        } catch {
            throw error.code == ELOOP ? .notAFile(path: error.path) : .system(error)
        }
        guard file.isRegular else { throw .notAFile(path: file.path) }
        try file.lock(mode)
        return FileLock(file: file)
    }

    /// Opens the lock's file, and makes it and its folder first where they do not exist. No symbolic link is followed
    /// in either name, and a FIFO in its place does not block.
    private static func open(in directory: [UInt8]) throws(SystemError) -> FileDescriptor {
        let made = SystemCalls.mkdir(directory, 0o755)
        do throws(SystemError) {
            _ = try FileDescriptor.open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        } catch {
            // What kept the folder from being made says more than that it is not there.
            if made.failed && made.code != EEXIST { throw SystemError("mkdir", code: made.code, path: directory) }
            throw error
        }
        return try FileDescriptor.open(
            directory + fileName, O_RDONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, mode: 0o600)
    }
}

extension FileDescriptor {
    /// flock(2) without waiting, held until the descriptor is closed. An image is locked by its own descriptor.
    public borrowing func lock(_ mode: LockMode) throws(LockFailure) {
        let operation = mode == .shared ? LOCK_SH : LOCK_EX
        let answer = SystemCalls.advisoryLock(number, operation | LOCK_NB)
        switch answer.code {
        case 0: return
        case EWOULDBLOCK: throw .held(path: path, holder: lockHolder())
        default: throw .system(SystemError("flock", code: answer.code, path: path))
        }
    }

    /// Neither a folder, a device nor a FIFO.
    public var isRegular: Bool {
        do throws(SystemError) {
            return try status().isRegular
        } catch {
            return false
        }
    }

    /// The process that /proc/locks names for this file; nil when it names none, or one that cannot be seen from here.
    private borrowing func lockHolder() -> Int32? {
        do throws(SystemError) {
            let status = try status()
            let text = try FileDescriptor.contents(of: Array("/proc/locks".utf8), limit: 1 << 20)
            return LockTable.holder(of: status.inode, in: text)
        } catch {
            return nil
        }
    }
}

/// /proc/locks: `1: FLOCK  ADVISORY  WRITE 1234 00:1a:5678 0 EOF`; the sixth word is the device and the inode.
enum LockTable {
    /// Goes by the inode alone, for what a file system calls its device is not always what stat(2) says. It is for a
    /// message and decides nothing.
    static func holder(of inode: UInt64, in table: [UInt8]) -> Int32? {
        for line in table.split(separator: UInt8(ascii: "\n")) {
            let words = line.split(separator: UInt8(ascii: " "))
            guard words.count >= 6, words[1].elementsEqual("FLOCK".utf8),
                let colon = words[5].lastIndex(of: UInt8(ascii: ":")),
                let number = decimalNumber(words[5][(colon + 1)...]), number == inode,
                let process = decimalNumber(words[4]), process > 0, let holder = Int32(exactly: process)
            else { continue }
            return holder
        }
        return nil
    }
}
