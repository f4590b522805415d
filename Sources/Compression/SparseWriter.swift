import Linux

/// Writes a file from front to back and leaves pages of zeros out: they become holes, which read as zeros and take no
/// space. A dump is mostly that.
final class SparseWriter {
    private static let page = 4096
    private static let capacity = 1 << 20

    private let buffer = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: page)
    /// Bytes in the buffer that were not written yet.
    private var filled = 0
    /// Where the buffer's first byte belongs: a multiple of the page size.
    private var position: UInt64 = 0

    deinit { buffer.deallocate() }

    /// How many bytes the file has so far, holes included.
    var length: UInt64 { position + UInt64(filled) }

    /// Room for the next bytes: never empty.
    var room: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: buffer + filled, count: Self.capacity - filled)
    }

    /// Takes `count` bytes that were put into `room`.
    func take(_ count: Int, for file: borrowing FileDescriptor) throws(SystemError) {
        filled += count
        if filled == Self.capacity { try flush(to: file) }
    }

    /// Writes what is left, and gives the file its length.
    func finish(_ file: borrowing FileDescriptor) throws(SystemError) {
        let length = length
        try flush(to: file)
        try file.truncate(to: length)
    }

    private func flush(to file: borrowing FileDescriptor) throws(SystemError) {
        var start = 0
        while start < filled {
            // A run of pages with something in it, written at once; then the zeros behind it, not written.
            var end = start
            while end < filled, !isZero(end) { end = min(end + Self.page, filled) }
            if end > start {
                let run = UnsafeRawBufferPointer(start: buffer + start, count: end - start)
                try file.write(run, at: position + UInt64(start))
            }
            while end < filled, isZero(end) { end = min(end + Self.page, filled) }
            start = end
        }
        position += UInt64(filled)
        filled = 0
    }

    /// Whether the page at `offset`, or what there is of it, is all zeros.
    private func isZero(_ offset: Int) -> Bool {
        let first = buffer + offset
        let count = min(Self.page, filled - offset)
        return isAllZeros(UnsafeRawBufferPointer(start: first, count: count))
    }
}
