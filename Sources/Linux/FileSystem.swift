import CLinux

/// What a file system says of a file's holes, and how far that can be believed.
///
/// Numbers are the `f_type` of statfs(2).
extension FileDescriptor {
    private static let proc = 0x9fa0
    private static let tmpfs = 0x0102_1994
    private static let ramfs = 0x8584_58f6
    /// File systems of this machine itself whose holes are exact (lseek(2), SEEK_DATA): ext2 to ext4, xfs, btrfs, tmpfs.
    private static let exactOnes = [0xef53, 0x5846_5342, 0x9123_683e, tmpfs]

    /// Whether the file lies in a proc file system.
    public var isInProc: Bool { SystemCalls.fileSystemType(of: number).value == FileDescriptor.proc }

    /// File systems whose files are the kernel's answers: proc, sysfs, debugfs, tracefs, securityfs, configfs, cgroup,
    /// cgroup2, devpts, pstore, efivarfs, bpf.
    private static let madeByKernel = [
        proc, 0x6265_6572, 0x6462_6720, 0x7472_6163, 0x7363_6673, 0x6265_6570, 0x27_e0eb, 0x6367_7270, 0x1cd1,
        0x6165_676c, 0xde5e_81e4, 0xcafe_4a11,
    ]

    /// Whether a directory is none that keeps files.
    public static func isMadeByKernel(_ directory: [UInt8]) -> Bool {
        madeByKernel.contains(SystemCalls.fileSystemType(of: directory).value)
    }

    /// Whether nobody can write this regular file, as what it lies on is mounted read-only.
    public static func isOnReadOnlyMount(_ path: [UInt8]) -> Bool {
        do throws(SystemError) {
            _ = try FileDescriptor.open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW)
            return false
        } catch {
            return error.code == ErrorCode.readOnly
        }
    }

    /// Whether the directory is kept in memory alone: on a tmpfs or a ramfs.
    public static func isKeptInMemory(_ directory: [UInt8]) -> Bool {
        [tmpfs, ramfs].contains(SystemCalls.fileSystemType(of: directory).value)
    }

    static func isKeptInMemory(directory: Int32) -> Bool {
        [tmpfs, ramfs].contains(SystemCalls.fileSystemType(of: directory).value)
    }

    /// Whether the file is kept in memory alone.
    public var isKeptInMemory: Bool { FileDescriptor.isKeptInMemory(directory: number) }

    /// Whether it lies in a tmpfs, where room can be made sure of (which a ramfs cannot).
    public var isOnTmpfs: Bool { SystemCalls.fileSystemType(of: number).value == FileDescriptor.tmpfs }

    /// How many bytes this process may still write to the file system that it lies in; nil where that does not say.
    public var freeSpace: UInt64? { SystemCalls.freeSpace(of: number) }

    /// Whether what its file system calls a hole is one for certain. Others (network file systems, FUSE, some versions
    /// of ZFS) have called data a hole that was only not on the disk yet.
    public var tellsHolesExactly: Bool {
        FileDescriptor.exactOnes.contains(SystemCalls.fileSystemType(of: number).value)
    }

    /// Where, from `offset` on, the next byte lies that is not in a hole; nil when only holes follow. Where the file
    /// system does not tell, `offset` itself. Moves the file's position.
    public func nextData(from offset: UInt64) -> UInt64? {
        guard let start = off_t(exactly: offset) else { return nil }
        let answer = SystemCalls.nextData(number, start)
        if answer.failed { return answer.code == ENXIO ? nil : offset }
        return UInt64(answer.value)
    }

    /// Where the data ends that lies at `offset`: the start of the next hole; nil where the file system does not tell.
    /// Moves the file's position.
    public func nextHole(from offset: UInt64) -> UInt64? {
        guard let start = off_t(exactly: offset) else { return nil }
        let answer = SystemCalls.nextHole(number, start)
        return answer.failed || answer.value <= start ? nil : UInt64(answer.value)
    }
}
