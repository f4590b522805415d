import Linux

/// Unpacks a compressed file into an unlinked, sparse temporary file. Memory stays bounded, whatever the file says: the
/// decoder's `Decoding.memoryLimit` and some buffers.
///
/// Concatenated gzip members, xz streams (with stream padding) and zstd frames (skippable ones too) are one file, as
/// for the programs of these names. So is what may follow them where a file was written to a partition or a tape:
///
/// | behind the last stream | gzip | xz | zstd |
/// |---|---|---|---|
/// | zeros to the end | taken, as by gzip | in multiples of four bytes taken, as by xz | taken (zstd unpacks, then fails) |
/// | anything else | ignored, and said: gzip does that | an error, as for xz | an error, as for zstd |
/// - Parameters:
///   - file: the compressed file; its own position is neither used nor changed.
///   - limit: how long the result may become, in bytes, holes included.
///   - keepingPart: whether what was unpacked up to a cut, or up to damage, is a result, too: then `rest` says so. Its
///     last bytes may be wrong, as no checksum vouches for them.
/// - Returns: the unpacked file, its `path` being the directory that it lies in, and what followed the packed data.
public func unpack(
    _ file: borrowing FileDescriptor, _ wrapping: Wrapping, limit: UInt64 = Decoding.lengthLimit,
    keepingPart: Bool = false
) throws(CompressionError) -> Unpacked {
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

        let isPart = keepingPart && output.length > 0
        let rest: Unpacked.Rest
        var damage = ""
        switch step.ending {
        case .failed(let cause, let detail):
            guard isPart, cause == .corrupt else {
                throw CompressionError(
                    cause, wrapping, input.offset, "\(words(cause, wrapping)) at offset \(input.offset) (\(detail))")
            }
            rest = .damaged(input.offset)
            damage = detail
        case .streamEnd:
            guard let found = try input.moveToNextStream(of: file, keepingPart: isPart) else {
                guard decoder.restart() else {
                    throw CompressionError(
                        .outOfResources, wrapping, input.offset, "no memory for the \(wrapping.name) decoder")
                }
                continue
            }
            rest = found
        case .more:
            // Nothing taken, nothing given, nothing more to give it.
            guard step.consumed == 0 && step.produced == 0 && input.isAtEnd else { continue }
            guard isPart else {
                throw CompressionError(
                    .truncated, wrapping, input.offset,
                    "the \(wrapping.name) data is cut short at offset \(input.offset)")
            }
            rest = .cutShort(input.offset)
        }
        do { try output.finish(unpacked) } catch { throw ioError(error, wrapping, input.offset) }
        return Unpacked(file: unpacked, rest: rest, detail: damage)
    }
}

/// What `unpack` made.
public struct Unpacked: ~Copyable {
    /// What stands behind the last stream, and from which offset of the packed file on.
    public enum Rest: Equatable, Sendable {
        case nothing, zeros(UInt64), ignored(UInt64)
        /// Only where a part is kept: the file ends within a stream, or the decoder met what cannot be (`detail`).
        case cutShort(UInt64), damaged(UInt64)
    }

    public let file: FileDescriptor
    public let rest: Rest
    /// What the decoder says of damage, a few words; else empty.
    public let detail: String

    public consuming func takeFile() -> FileDescriptor { file }
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

    /// Goes on behind a stream that ended: to the next one (nil), or tells what there is instead.
    func moveToNextStream(
        of file: borrowing FileDescriptor, keepingPart: Bool
    ) throws(CompressionError) -> Unpacked.Rest? {
        // Only where the next magic is not there as a whole: a file of many small streams is not read anew for each.
        if unreadRange.count < 6 && !ended { try read(from: file) }
        if Wrapping(recognising: unread) == wrapping { return nil }
        let end = offset
        let zeros = try skipZeros(of: file)
        if isAtEnd {
            // xz's padding comes in multiples of four bytes (the .xz file format, section 2.2).
            if wrapping != .xz { return zeros > 0 ? .zeros(end) : .nothing }
            if zeros % 4 == 0 { return .nothing }
            throw trailingGarbage(at: end)
        }
        if keepingPart, zeros == 0 || wrapping == .xz, holdsCutMagic { return .cutShort(offset) }
        switch wrapping {
        case .xz:
            if zeros % 4 == 0, Wrapping(recognising: unread) == wrapping { return nil }
        case .gzip:
            // Whatever it is, gzip does not look behind zeros either. But half a header is a member that was cut.
            guard zeros == 0, startsLikeMember else { return .ignored(end) }
        case .zstd: break
        }
        throw trailingGarbage(at: end)
    }

    /// Whether the file ends within the magic of another stream.
    private var holdsCutMagic: Bool {
        let magic = wrapping.magic
        return ended && unread.count < magic.count && magic.prefix(unread.count).elementsEqual(unread)
    }

    private var startsLikeMember: Bool {
        unread[0] == 0x1f && (unread.count < 2 || unread[1] == 0x8b)
    }

    private func trailingGarbage(at end: UInt64) -> CompressionError {
        CompressionError(
            .trailingGarbage, wrapping, end,
            "the \(wrapping.name) data ends at offset \(end), but the file goes on with something else")
    }

    /// Reads on to the next byte that is not 0, or to the end; then at least six bytes from there on are at hand, where
    /// there are as many.
    /// - Returns: how many zeros were skipped.
    private func skipZeros(of file: borrowing FileDescriptor) throws(CompressionError) -> UInt64 {
        let start = offset
        while !isAtEnd {
            let zeros = unread.firstIndex { $0 != 0 } ?? unread.count
            let whole = zeros == unread.count
            advance(zeros)
            if !whole {
                if unreadRange.count < 6 && !ended { try read(from: file) }
                break
            }
            if ended { break }
            try read(from: file)
        }
        return offset - start
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
