import Linux

/// The lock on this machine's memory, for writing, held for as long as somebody has this.
final class MemoryLock {
    private let lock: FileLock

    private init(_ lock: consuming FileLock) { self.lock = lock }

    static func take() throws(Failure) -> MemoryLock {
        do throws(LockFailure) { return MemoryLock(try FileLock.exclusive()) } catch { throw .locked(error) }
    }
}
