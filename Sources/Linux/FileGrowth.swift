import CLinux

extension FileDescriptor {
    /// From now on a signal that ends the program (SIGTERM, SIGINT, SIGHUP) makes the file what it was. For one file at a
    /// time, which stays open until `growthEnded`.
    /// - Parameter before: its size in bytes; nil for a file that was not there, and that goes then.
    public func growthBegan(from before: UInt64?) {
        SystemCalls.growthBegan(number, path, before.map { off_t(clamping: $0) } ?? -1)
    }

    /// The file stays as it is.
    public static func growthEnded() { SystemCalls.growthEnded() }

    /// Whether a name is taken, also by a symbolic link that leads nowhere.
    public static func isTaken(_ path: [UInt8]) -> Bool { isDirectory(path) != nil }
}
