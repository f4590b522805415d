import Linux

/// Why a compressed file could not be unpacked.
public struct CompressionError: Error, Sendable {
    public enum Cause: Int, Sendable {
        /// The stream contradicts itself or its checksum.
        case corrupt
        /// The file ends inside a stream.
        case truncated
        /// Bytes follow the last stream that begin no other one.
        case trailingGarbage
        /// A sound stream with a feature that this decoder lacks.
        case unsupported
        /// The stream asks for a larger window than `Decoding.memoryLimit`.
        case windowTooLarge
        /// The unpacked bytes pass the caller's limit.
        case tooLong
        /// No space, or no memory, for the result.
        case outOfResources
        /// The compressed file could not be read, or the temporary file not be written.
        case inputOutput
    }

    public let cause: Cause
    public let wrapping: Wrapping
    /// Where in the compressed file, in bytes: the first byte that the decoder had not taken when it gave up.
    public let offset: UInt64
    /// One clause without a full stop: "xz data is corrupt at offset 4711 (checksum mismatch)".
    public let message: String
}
