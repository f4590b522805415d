import Linux

/// Keeps writers away while memory is read: a shared lock on the machine's memory, or on the image. Where no lock can
/// be had (no /run, a read-only one) reading goes on without: only a writer at work is a reason to stop.
final class ReadingLock {
    private var machine: FileLock?
    private var image: FileDescriptor?

    init(_ choice: MemoryChoice) throws(Failure) {
        do throws(LockFailure) {
            switch choice {
            case .live:
                machine = try FileLock.shared()
            case .file(let path):
                // Only what is certain to be a plain file: opening other things is for the formats to refuse.
                guard let status = try? FileDescriptor.status(of: path),
                    status.isRegular,
                    let file = try? FileDescriptor.openWithoutWaiting(path)
                else { return }
                do throws(LockFailure) { try file.lock(.shared) } catch {
                    if case .held = error { throw error }
                    return
                }
                image = consume file
            }
        } catch {
            if case .file = choice { throw .imageLocked(error) }
            throw .locked(error)
        }
    }

    /// Lets writers go on. (What is never used again may be released at once, so the end is said.)
    func release() {
        machine = nil
        image = nil
    }
}
