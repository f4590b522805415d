import CLinux

/// A part of a file mapped into memory, unmapped when it goes out of scope. Its bytes may vanish at any time (SIGBUS): read
/// them with `guardedCopy`, or under `pv_guarded`.
public struct Mapping: ~Copyable {
    public let base: UnsafeMutableRawPointer
    /// In bytes.
    public let count: Int

    /// mmap(2), shared.
    /// - Parameters:
    ///   - offset: in bytes, a multiple of the page size.
    ///   - writable: PROT_WRITE as well.
    public init(
        _ file: borrowing FileDescriptor, offset: UInt64, count: Int, writable: Bool = false
    ) throws(SystemError) {
        guard let position = off_t(exactly: offset), count > 0 else {
            throw SystemError("mmap", code: EINVAL, path: file.path)
        }
        let address = mmap(
            nil, count, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, file.number, position)
        guard let address, !pv_mmap_failed(address) else { throw SystemError(last: "mmap", path: file.path) }
        base = address
        self.count = count
    }

    deinit { munmap(base, count) }
}

/// Copies out of mapped memory; false when the source has vanished.
public func guardedCopy(
    _ source: UnsafeRawPointer, to destination: UnsafeMutableRawPointer, count: Int
) -> Bool {
    pv_guarded_copy(destination, source, count)
}

/// Runs C code over mapped memory; false when what it touched has vanished. It is left by a jump then, so it must hold
/// nothing.
public func guarded(
    _ body: @convention(c) (UnsafeMutableRawPointer?) -> Void, _ context: UnsafeMutableRawPointer
) -> Bool {
    pv_guarded(body, context)
}
