import Linux
import PRAM

/// A file's content on its way to a stream, holes as zeros.
public final class StreamSink: FileSink {
    private let descriptor: Int32
    private let size: UInt64
    private var offset: UInt64 = 0
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 * pageSize, alignment: pageSize)

    public init(descriptor: Int32, size: UInt64) {
        self.descriptor = descriptor
        self.size = size
    }

    deinit { buffer.deallocate() }

    public func write(_ pages: UnsafeBufferPointer<UnsafeRawPointer?>, at index: UInt64) throws(SystemError) {
        let (start, overflow) = index.multipliedReportingOverflow(by: UInt64(pageSize))
        guard !overflow, start < size else { return }
        // A stream does not go back: only in damaged files.
        guard start >= offset else { throw SystemError("write", code: ErrorCode.inputOutput) }
        try fill(to: start)
        var count = 0
        for page in pages where count < buffer.count {
            guard let page, guardedCopy(page, to: buffer.baseAddress! + count, count: pageSize) else {
                throw SystemError("read", code: ErrorCode.badAddress)
            }
            count += pageSize
        }
        let length = Int(min(UInt64(count), size - start))
        try put(length)
    }

    private func put(_ count: Int) throws(SystemError) {
        try FileDescriptor.writeStream(
            descriptor, Array("standard output".utf8), UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        offset += UInt64(count)
    }

    private func fill(to end: UInt64) throws(SystemError) {
        guard offset < end else { return }
        _ = buffer.initializeMemory(as: UInt8.self, repeating: 0)
        while offset < end { try put(Int(min(end - offset, UInt64(buffer.count)))) }
    }

    /// Zeros up to the size.
    public func finish() throws(SystemError) { try fill(to: size) }
}
