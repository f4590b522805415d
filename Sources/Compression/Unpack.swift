import Linux

/// Unpacks a compressed file into an unlinked, sparse temporary file. Memory stays bounded, whatever the file says: the
/// decoder's `Decoding.memoryLimit` and some buffers.
///
/// Concatenated gzip members, xz streams (with stream padding) and zstd frames (skippable ones too) are one file, as
/// for the programs of these names.
/// - Parameters:
///   - file: the compressed file; its own position is neither used nor changed.
///   - limit: how long the result may become, in bytes, holes included.
/// - Returns: the unpacked file; its `path` is the directory that it lies in.
public func unpack(
    _ file: borrowing FileDescriptor, _ wrapping: Wrapping, limit: UInt64 = Decoding.lengthLimit
) throws(CompressionError) -> FileDescriptor {
    let unpacked: FileDescriptor
    do { unpacked = try temporaryFile() } catch { throw ioError(error, wrapping, 0) }
    let output = SparseWriter()
    guard let decoder = makeDecoder(wrapping) else {
        throw CompressionError(.outOfResources, wrapping, 0, "no memory for the \(wrapping.name) decoder")
    }
    let input = Input(wrapping)

    while true {
        try input.fill(from: file)
        let step = decoder.decode(input.unread, into: output.room)
        input.advance(step.consumed)
        guard limit >= output.length, UInt64(step.produced) <= limit - output.length else {
            throw CompressionError(
                .tooLong, wrapping, input.offset, "the \(wrapping.name) data unpacks to more than \(limit) bytes")
        }
        do { try output.take(step.produced, for: unpacked) } catch { throw ioError(error, wrapping, input.offset) }

        switch step.ending {
        case .failed(let cause, let detail):
            throw CompressionError(
                cause, wrapping, input.offset, "\(words(cause, wrapping)) at offset \(input.offset) (\(detail))")
        case .streamEnd:
            if try !input.moveToNextStream(of: file) {
                do { try output.finish(unpacked) } catch { throw ioError(error, wrapping, input.offset) }
                return unpacked
            }
            guard decoder.restart() else {
                throw CompressionError(
                    .outOfResources, wrapping, input.offset, "no memory for the \(wrapping.name) decoder")
            }
        case .more:
            // Nothing taken, nothing given, nothing more to give it.
            if step.consumed == 0 && step.produced == 0 && input.isAtEnd {
                throw CompressionError(
                    .truncated, wrapping, input.offset,
                    "the \(wrapping.name) data is cut short at offset \(input.offset)")
            }
        }
    }
}

/// The compressed file, read from front to back.
private final class Input {
    private static let capacity = 1 << 17
    private let wrapping: Wrapping
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 16)
    private var unreadRange = 0..<0
    /// Where in the file the first unread byte lies.
    private(set) var offset: UInt64 = 0
    /// The last read met the end of the file.
    private var ended = false

    init(_ wrapping: Wrapping) { self.wrapping = wrapping }

    deinit { buffer.deallocate() }

    var unread: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: buffer[unreadRange]) }
    var isAtEnd: Bool { ended && unreadRange.isEmpty }

    func advance(_ count: Int) {
        unreadRange = unreadRange.lowerBound + count..<unreadRange.upperBound
        offset += UInt64(count)
    }

    /// Reads on when all was taken.
    func fill(from file: borrowing FileDescriptor) throws(CompressionError) {
        guard unreadRange.isEmpty, !ended else { return }
        try read(from: file)
    }

    private func read(from file: borrowing FileDescriptor) throws(CompressionError) {
        do {
            let count = try file.read(at: offset, into: buffer)
            unreadRange = 0..<count
            ended = count < buffer.count
        } catch {
            throw ioError(error, wrapping, offset)
        }
    }

    /// Goes on behind a stream that ended: to the next one (true) or the end of the file (false).
    func moveToNextStream(of file: borrowing FileDescriptor) throws(CompressionError) -> Bool {
        // Only where the next magic is not there as a whole: a file of many small streams is not read anew for each.
        if unreadRange.count < 6 && !ended { try read(from: file) }
        if wrapping == .xz { try skipPadding(of: file) }
        if isAtEnd { return false }
        guard Wrapping(recognising: unread) == wrapping else {
            throw CompressionError(
                .trailingGarbage, wrapping, offset,
                "the \(wrapping.name) data ends at offset \(offset), but the file goes on with something else")
        }
        return true
    }

    /// Zeros in multiples of four bytes may follow an xz stream (the .xz file format, section 2.2).
    private func skipPadding(of file: borrowing FileDescriptor) throws(CompressionError) {
        while !isAtEnd {
            let zeros = unread.firstIndex { $0 != 0 } ?? unread.count
            let whole = zeros == unread.count
            advance(zeros & ~3)
            guard whole, !ended else { return }
            try read(from: file)
        }
    }
}

/// Where an unpacked dump goes: $TMPDIR when it is set, else the first of /var/tmp and /tmp that is not kept in memory,
/// else the first of them that takes a file at all.
private func temporaryFile() throws(SystemError) -> FileDescriptor {
    if let chosen = environment("TMPDIR") { return try .unlinked(in: chosen) }
    let places: [[UInt8]] = [Array("/var/tmp".utf8), Array("/tmp".utf8)]
    for place in places where !FileDescriptor.isKeptInMemory(place) {
        if let file = try? FileDescriptor.unlinked(in: place) { return file }
    }
    if let file = try? FileDescriptor.unlinked(in: places[0]) { return file }
    return try .unlinked(in: places[1])
}

private func words(_ cause: CompressionError.Cause, _ wrapping: Wrapping) -> String {
    switch cause {
    case .unsupported: "unsupported \(wrapping.name) data"
    case .windowTooLarge: "the \(wrapping.name) data needs more than \(Decoding.memoryLimit >> 20) MiB of memory"
    case .outOfResources: "out of memory in \(wrapping.name) data"
    default: "the \(wrapping.name) data is corrupt"
    }
}

private func ioError(_ error: SystemError, _ wrapping: Wrapping, _ offset: UInt64) -> CompressionError {
    let full = [ErrorCode.noSpace, ErrorCode.quotaExceeded, ErrorCode.tooBig, ErrorCode.outOfMemory].contains(
        error.code)
    return CompressionError(full ? .outOfResources : .inputOutput, wrapping, offset, error.message)
}

extension CompressionError {
    init(_ cause: Cause, _ wrapping: Wrapping, _ offset: UInt64, _ message: String) {
        self.init(cause: cause, wrapping: wrapping, offset: offset, message: message)
    }
}
