import CLzma

/// The .lzma form: a header of 13 bytes, no checksum.
final class LzmaDecoder: StreamDecoder {
    private let stream = UnsafeMutablePointer<lzma_stream>.allocate(capacity: 1)
    private let memoryLimit: UInt64

    init?(memoryLimit: UInt64) {
        self.memoryLimit = memoryLimit
        stream.initialize(to: lzma_stream())
        guard restart() else { return nil }
    }

    deinit {
        lzma_end(stream)
        stream.deallocate()
    }

    func restart() -> Bool { lzma_alone_decoder(stream, memoryLimit) == LZMA_OK }

    func decode(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> DecodingStep {
        liblzmaStep(stream, input, output)
    }
}
