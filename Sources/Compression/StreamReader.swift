import Linux

/// The forms that a StreamReader unpacks.
public enum StreamForm: UInt8, Sendable {
    case gzip, xz
    /// The old form of xz's predecessor, "lzma alone".
    case lzma
    case zstd
    /// The form of `lz4 -l`.
    case lz4Legacy
}

/// Why a stream could not be unpacked any further.
public struct StreamError: Error, Sendable {
    public let cause: CompressionError.Cause
    /// Where in the file: the first byte that the decoder had not taken.
    public let offset: UInt64
    /// What the decoder says, a few words; empty where the cause says it all.
    public let detail: String

    public init(_ cause: CompressionError.Cause, at offset: UInt64, _ detail: String = "") {
        self.cause = cause
        self.offset = offset
        self.detail = detail
    }
}

/// Unpacks one stream of a file (a gzip member, an xz stream, a zstd frame ...), piece by piece, into one buffer: nothing
/// is written anywhere, and whoever does not want the bytes need not copy them.
public final class StreamReader {
    private static let capacity = 1 << 18
    private let decoder: any StreamDecoder
    private let lz4: Lz4LegacyDecoder?
    private let memoryLimit: UInt64
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 64)
    private var ended = false
    /// How many bytes were unpacked so far.
    public private(set) var length: UInt64 = 0

    /// - Parameter memoryLimit: how much the decoder may take, in bytes; a stream that wants more is refused.
    /// - Returns: nil when memory is short.
    public init?(_ form: StreamForm, memoryLimit: UInt64 = Decoding.memoryLimit) {
        self.memoryLimit = memoryLimit
        var lz4: Lz4LegacyDecoder?
        let decoder: (any StreamDecoder)?
        switch form {
        case .gzip: decoder = GzipDecoder()
        case .xz: decoder = XzDecoder(memoryLimit: memoryLimit)
        case .lzma: decoder = LzmaDecoder(memoryLimit: memoryLimit)
        case .zstd: decoder = ZstdDecoder(memoryLimit: memoryLimit)
        case .lz4Legacy:
            lz4 = Lz4LegacyDecoder()
            decoder = lz4
        }
        self.lz4 = lz4
        guard let decoder else {
            buffer.deallocate()
            return nil
        }
        self.decoder = decoder
    }

    deinit { buffer.deallocate() }

    /// Bytes behind the stream that were taken with it: the four zeros that end an lz4 stream inside an image.
    public var overread: UInt64 { lz4?.overread ?? 0 }

    /// The next unpacked bytes, never none; nil at the end of the stream, checksums and all. The memory is good until
    /// the next call.
    public func next(
        _ input: InputWindow, _ file: borrowing FileDescriptor
    ) throws(StreamError) -> UnsafeRawBufferPointer? {
        while !ended {
            do throws(SystemError) {
                try input.fill(file)
            } catch {
                throw StreamError(.inputOutput, at: input.offset, error.message)
            }
            let step = decoder.decode(input.unread, into: buffer)
            input.advance(UInt64(step.consumed))
            length += UInt64(step.produced)
            switch step.ending {
            case .failed(let cause, let detail):
                throw StreamError(cause, at: input.offset, detail)
            case .streamEnd:
                ended = true
            case .more:
                if step.consumed == 0 && step.produced == 0 && input.isAtEnd {
                    // That form has no other end mark than the end of the file.
                    guard let lz4, lz4.isBetweenBlocks else {
                        throw StreamError(.truncated, at: input.offset)
                    }
                    ended = true
                }
            }
            if step.produced > 0 { return UnsafeRawBufferPointer(rebasing: buffer[..<step.produced]) }
        }
        return nil
    }
}
