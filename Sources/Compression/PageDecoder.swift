import CZlib
import CZstd

/// Unpacks single pages, as kdump-compressed dumps hold them: each page a zlib stream or a zstd frame of its own. Keeps
/// the decoders' state from page to page. For one thread.
public struct PageDecoder: ~Copyable {
    /// On the heap: zlib keeps a pointer back to it.
    private var zlib: UnsafeMutablePointer<z_stream>?
    private var zstd: OpaquePointer?

    public init() {}

    deinit {
        if let zlib {
            inflateEnd(zlib)
            zlib.deallocate()
        }
        ZSTD_freeDCtx(zstd)
    }

    /// Inflates a zlib stream (RFC 1950) that fills `page` to the last byte; false when it does not, or is corrupt.
    public mutating func inflate(_ packed: UnsafeRawBufferPointer, into page: UnsafeMutableRawBufferPointer) -> Bool {
        guard let stream = zlibStream(), inflateReset(stream) == Z_OK else { return false }
        stream.pointee.next_in = UnsafeMutablePointer(mutating: packed.baseAddress?.assumingMemoryBound(to: UInt8.self))
        stream.pointee.avail_in = uInt(clamping: packed.count)
        stream.pointee.next_out = page.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = uInt(clamping: page.count)
        return CZlib.inflate(stream, Z_FINISH) == Z_STREAM_END && stream.pointee.avail_out == 0
    }

    /// Unpacks a zstd frame that fills `page` to the last byte; false when it does not, or is corrupt.
    public mutating func unzstd(_ packed: UnsafeRawBufferPointer, into page: UnsafeMutableRawBufferPointer) -> Bool {
        if zstd == nil { zstd = ZSTD_createDCtx() }
        guard let zstd else { return false }
        // An error code is a very large number, so it is no page's size either.
        return ZSTD_decompressDCtx(zstd, page.baseAddress, page.count, packed.baseAddress, packed.count) == page.count
    }

    private mutating func zlibStream() -> UnsafeMutablePointer<z_stream>? {
        if let zlib { return zlib }
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        stream.initialize(to: z_stream())
        guard inflateInit_(stream, zlibVersion(), Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            stream.deallocate()
            return nil
        }
        zlib = stream
        return stream
    }
}

/// Whether the bytes begin a zlib stream (RFC 1950): the two bytes of its header fit each other, and what follows
/// inflates without an error to more than the header could do by chance.
public func beginsZlibStream(_ start: UnsafeRawBufferPointer) -> Bool {
    guard start.count >= 64, start[0] & 0x0f == 8, start[0] >> 4 <= 7, start[1] & 0x20 == 0,
        (UInt16(start[0]) << 8 | UInt16(start[1])) % 31 == 0
    else { return false }
    let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    defer { stream.deallocate() }
    stream.initialize(to: z_stream())
    guard inflateInit_(stream, zlibVersion(), Int32(MemoryLayout<z_stream>.size)) == Z_OK else { return false }
    defer { inflateEnd(stream) }
    return withUnsafeTemporaryAllocation(byteCount: 1 << 15, alignment: 16) { room -> Bool in
        stream.pointee.next_in = UnsafeMutablePointer(mutating: start.baseAddress?.assumingMemoryBound(to: UInt8.self))
        stream.pointee.avail_in = uInt(start.count)
        stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = uInt(room.count)
        let code = CZlib.inflate(stream, Z_NO_FLUSH)
        let produced = room.count - Int(stream.pointee.avail_out)
        return code == Z_STREAM_END || (code == Z_OK || code == Z_BUF_ERROR) && produced >= 256
    }
}
