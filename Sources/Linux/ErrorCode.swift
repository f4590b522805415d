import CLinux

/// The errno values that layers above tell apart, under names that say what they mean.
public enum ErrorCode {
    /// EPERM: the kernel's policy forbids it.
    public static let notPermitted = EPERM
    /// ENOENT
    public static let noSuchFile = ENOENT
    /// EIO
    public static let inputOutput = EIO
    /// ENXIO: a device node without a driver behind it.
    public static let noSuchDevice = ENXIO
    /// EAGAIN
    public static let tryAgain = EAGAIN
    /// ENOMEM
    public static let outOfMemory = ENOMEM
    /// EACCES: the file's own permissions forbid it.
    public static let accessDenied = EACCES
    /// EFAULT
    public static let badAddress = EFAULT
    /// ENODEV
    public static let noSuchDriver = ENODEV
    /// EINVAL
    public static let invalid = EINVAL
    /// EMFILE
    public static let tooManyOpenFiles = EMFILE
    /// ESTALE: what was looked at before is not the same any more.
    public static let stale = ESTALE
    /// EFBIG
    public static let tooBig = EFBIG
    /// EBUSY: mounted, or held by another program.
    public static let busy = EBUSY
    /// EROFS
    public static let readOnly = EROFS
    /// EEXIST
    public static let exists = EEXIST
    /// ENOSPC
    public static let noSpace = ENOSPC
    /// EDQUOT
    public static let quotaExceeded = EDQUOT
    /// ENOTDIR
    public static let notADirectory = ENOTDIR
    /// ENFILE
    public static let tooManyOpenFilesInSystem = ENFILE
    /// ENODATA: a pipe into which nobody writes.
    public static let noData = ENODATA
    /// EBADMSG: what was read is not what it should be.
    public static let badMessage = EBADMSG
}

/// The effective user of this process; 0 is root.
public func effectiveUser() -> UInt32 { SystemCalls.geteuid() }

/// The value of an environment variable; nil where there is none, or an empty one.
public func environment(_ name: StaticString) -> [UInt8]? {
    guard let value = SystemCalls.getenv(name), !value.isEmpty else { return nil }
    return value
}

/// The value of an environment variable as it is, also an empty one; nil where there is none.
public func environmentValue(_ name: StaticString) -> [UInt8]? { SystemCalls.getenv(name) }
