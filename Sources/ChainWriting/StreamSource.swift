import Linux
import PRAM

/// A stream that is read to its end: a pipe, most of the time.
final class StreamSource {
    private let number: Int32
    private let path: [UInt8]
    private(set) var hasEnded = false

    init(_ number: Int32, path: [UInt8]) {
        self.number = number
        self.path = path
    }

    /// Reads until the room is full or the stream ends, and puts zeros behind its end.
    /// - Returns: how many bytes came.
    func fill(_ bytes: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
        guard let base = bytes.baseAddress else { return 0 }
        var done = 0
        while done < bytes.count && !hasEnded {
            let room = UnsafeMutableRawBufferPointer(start: base + done, count: bytes.count - done)
            let count = try FileDescriptor.readStream(number, path, into: room)
            hasEnded = count == 0
            done += count
        }
        // Up to the end of the room, which may all be written.
        let zeros = PageBytes()
        var end = done
        while end < bytes.count {
            let count = min(pageSize - end % pageSize, bytes.count - end)
            let isDone = zeros.bytes.withUnsafeBytes { guardedCopy($0.baseAddress!, to: base + end, count: count) }
            if !isDone { throw SystemError("write", code: ErrorCode.badAddress, path: path) }
            end += count
        }
        return done
    }

    /// How many bytes come until the end.
    func skip() throws(SystemError) -> UInt64 {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: pageSize)
        defer { buffer.deallocate() }
        var skipped: UInt64 = 0
        while !hasEnded {
            let count = try FileDescriptor.readStream(number, path, into: buffer)
            hasEnded = count == 0
            skipped += UInt64(count)
        }
        return skipped
    }
}
