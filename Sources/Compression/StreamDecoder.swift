import CLzma
import CZlib
import CZstd

/// Limits of all decoders.
public enum Decoding {
    /// How much memory one decoder may take, in bytes. Enough for `xz -9` (65 MiB) and for all of zstd up to
    /// `--long=27` and `--ultra -22`, which is also what `zstd -d` accepts unasked.
    public static let memoryLimit: UInt64 = 128 << 20
    /// log2 of `memoryLimit`: ZSTD_d_windowLogMax.
    static let windowLog: Int32 = 27
    /// The default limit on the length of an unpacked file, in bytes, holes included.
    public static let lengthLimit: UInt64 = 1 << 40
}

/// What one call of a decoder did.
struct DecodingStep {
    enum Ending {
        /// It wants more input or more room.
        case more
        /// A gzip member, an xz stream or a zstd frame ended, checksums and all.
        case streamEnd
        case failed(CompressionError.Cause, String)
    }

    /// Bytes taken from the input.
    let consumed: Int
    /// Bytes written to the output.
    let produced: Int
    let ending: Ending
}

/// A decoder that is fed piece by piece and takes bounded memory. Made for one thread.
protocol StreamDecoder: AnyObject {
    /// Takes from `input` and writes to `output` as much as it can.
    func decode(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> DecodingStep
    /// Makes ready for the next stream of the same file; false when memory is short.
    func restart() -> Bool
}

func makeDecoder(_ wrapping: Wrapping) -> (any StreamDecoder)? {
    switch wrapping {
    case .gzip: GzipDecoder()
    case .xz: XzDecoder()
    case .zstd: ZstdDecoder()
    }
}

final class GzipDecoder: StreamDecoder {
    /// On the heap: zlib keeps a pointer back to it and refuses a copy.
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)

    init?() {
        stream.initialize(to: z_stream())
        // 15: the largest window; + 16: a gzip header, no zlib one.
        let code = inflateInit2_(stream, 15 + 16, zlibVersion(), Int32(MemoryLayout<z_stream>.size))
        guard code == Z_OK else { return nil }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    func restart() -> Bool { inflateReset(stream) == Z_OK }

    func decode(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> DecodingStep {
        let offered = uInt(clamping: input.count), room = uInt(clamping: output.count)
        stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
        stream.pointee.avail_in = offered
        stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = room
        let code = inflate(stream, Z_NO_FLUSH)
        let ending: DecodingStep.Ending =
            switch code {
            case Z_OK, Z_BUF_ERROR: .more
            case Z_STREAM_END: .streamEnd
            case Z_MEM_ERROR: .failed(.outOfResources, "not enough memory")
            default: .failed(.corrupt, stream.pointee.msg.map { String(cString: $0) } ?? "zlib error \(code)")
            }
        return DecodingStep(
            consumed: Int(offered - stream.pointee.avail_in), produced: Int(room - stream.pointee.avail_out),
            ending: ending)
    }
}

final class XzDecoder: StreamDecoder {
    private let stream = UnsafeMutablePointer<lzma_stream>.allocate(capacity: 1)
    private let memoryLimit: UInt64

    init?(memoryLimit: UInt64 = Decoding.memoryLimit) {
        self.memoryLimit = memoryLimit
        stream.initialize(to: lzma_stream())
        guard restart() else { return nil }
    }

    deinit {
        lzma_end(stream)
        stream.deallocate()
    }

    /// liblzma takes a used stream for another decoder as it is. One stream at a time, without LZMA_CONCATENATED, so
    /// that the caller knows where each one ends.
    func restart() -> Bool { lzma_stream_decoder(stream, memoryLimit, 0) == LZMA_OK }

    func decode(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> DecodingStep {
        liblzmaStep(stream, input, output)
    }
}

/// One step of any of liblzma's decoders.
func liblzmaStep(
    _ stream: UnsafeMutablePointer<lzma_stream>, _ input: UnsafeRawBufferPointer,
    _ output: UnsafeMutableRawBufferPointer
) -> DecodingStep {
    stream.pointee.next_in = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
    stream.pointee.avail_in = input.count
    stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
    stream.pointee.avail_out = output.count
    let code = lzma_code(stream, LZMA_RUN)
    let ending: DecodingStep.Ending =
        switch code {
        case LZMA_OK, LZMA_BUF_ERROR: .more
        case LZMA_STREAM_END: .streamEnd
        case LZMA_MEM_ERROR: .failed(.outOfResources, "not enough memory")
        case LZMA_MEMLIMIT_ERROR: .failed(.windowTooLarge, "it takes \(lzma_memusage(stream) >> 20) MiB to decode")
        case LZMA_OPTIONS_ERROR: .failed(.unsupported, "filter or option unknown to this decoder")
        case LZMA_FORMAT_ERROR: .failed(.corrupt, "no xz header")
        case LZMA_DATA_ERROR: .failed(.corrupt, "invalid data or wrong checksum")
        default: .failed(.corrupt, "liblzma error \(code.rawValue)")
        }
    return DecodingStep(
        consumed: input.count - stream.pointee.avail_in, produced: output.count - stream.pointee.avail_out,
        ending: ending)
}

final class ZstdDecoder: StreamDecoder {
    private let stream: OpaquePointer
    /// How much zstd wants next: the rest of a header, a block or a checksum. More is not offered, as what a call has
    /// unpacked is lost where a later part of its input is damaged.
    private var wanted = headerSize
    /// ZSTD_FRAMEHEADERSIZE_MIN: the least that tells how much more is wanted.
    private static let headerSize = 5

    init?(memoryLimit: UInt64 = Decoding.memoryLimit) {
        guard let stream = ZSTD_createDStream() else { return nil }
        self.stream = stream
        // The window is all that grows; 10 is the least that zstd takes for its limit.
        let windowLog = Int32(max(10, min(Decoding.windowLog, Int32(63 - memoryLimit.leadingZeroBitCount))))
        let code = ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, windowLog)
        guard ZSTD_isError(code) == 0 else { return nil }
    }

    deinit { ZSTD_freeDStream(stream) }

    func restart() -> Bool {
        wanted = Self.headerSize
        return ZSTD_isError(ZSTD_DCtx_reset(stream, ZSTD_reset_session_only)) == 0
    }

    func decode(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> DecodingStep {
        var from = ZSTD_inBuffer(src: input.baseAddress, size: min(input.count, wanted), pos: 0)
        var to = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
        let left = ZSTD_decompressStream(stream, &to, &from)
        let ending: DecodingStep.Ending
        if ZSTD_isError(left) != 0 {
            let cause: CompressionError.Cause =
                switch ZSTD_getErrorCode(left) {
                case ZSTD_error_frameParameter_windowTooLarge: .windowTooLarge
                case ZSTD_error_memory_allocation: .outOfResources
                case ZSTD_error_frameParameter_unsupported, ZSTD_error_version_unsupported: .unsupported
                case ZSTD_error_dictionary_wrong: .unsupported
                default: .corrupt
                }
            ending = .failed(cause, String(cString: ZSTD_getErrorName(left)))
        } else {
            ending = left == 0 ? .streamEnd : .more
            wanted = max(1, Int(clamping: left))
        }
        return DecodingStep(consumed: from.pos, produced: to.pos, ending: ending)
    }
}
