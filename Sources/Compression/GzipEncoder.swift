import CZlib

/// Packs bytes as one gzip member that is the same whenever and wherever it is made: without a time or a name.
public enum GzipEncoder {
    /// - Returns: nil when memory is short.
    public static func pack(_ plain: [UInt8]) -> [UInt8]? {
        // On the heap: zlib keeps a pointer back to it.
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        defer { stream.deallocate() }
        stream.initialize(to: z_stream())
        // 9: the smallest; 15 + 16: the largest window, a gzip header; 8: the usual memory.
        let code = deflateInit2_(
            stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, zlibVersion(), Int32(MemoryLayout<z_stream>.size))
        guard code == Z_OK else { return nil }
        defer { deflateEnd(stream) }
        guard plain.count < Int(UInt32.max) else { return nil }

        var packed: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        let done = plain.withUnsafeBytes { input in
            stream.pointee.next_in = UnsafeMutablePointer(
                mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
            stream.pointee.avail_in = uInt(input.count)
            while true {
                let (code, count) = piece.withUnsafeMutableBytes { output in
                    stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
                    stream.pointee.avail_out = uInt(output.count)
                    let code = deflate(stream, Z_FINISH)
                    return (code, output.count - Int(stream.pointee.avail_out))
                }
                packed += piece[..<count]
                if code == Z_STREAM_END { return true }
                guard code == Z_OK else { return false }
            }
        }
        return done ? packed : nil
    }
}
