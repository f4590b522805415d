import Compression
import Initrd
import Linux

/// One part of an image that the kernel unpacks in one go: an archive as it is, or a packed stream.
public struct Segment: Sendable {
    /// Counted from 0, through all parts of a UKI.
    public let index: Int
    /// The section of a UKI that it lies in; empty in an initrd.
    public let section: [UInt8]
    /// Where it begins in the file, in bytes.
    public let offset: UInt64
    public let format: SegmentFormat
    /// How many bytes of the file it takes, without the padding behind it.
    public internal(set) var length: UInt64 = 0
    /// What it unpacks to, in bytes.
    public internal(set) var unpackedLength: UInt64 = 0
    /// Of all kinds, end marks not counted.
    public internal(set) var records: UInt64 = 0
    /// Archives that an end mark closes.
    public internal(set) var trailers: UInt64 = 0
    /// Whether it was looked into. bzip2, lzo and lz4's frames are not, and so it is not known where they end.
    public var isUnpacked: Bool {
        switch format {
        case .bzip2, .lzo, .lz4Frame: false
        default: true
        }
    }
    /// Whether it holds microcode or ACPI tables, which the kernel looks for before it unpacks anything.
    public internal(set) var isEarly = false
}

extension Segment {
    /// For who cannot do without what is in it.
    /// - Throws: `notUnpacked`.
    func requireUnpacked(_ image: [UInt8]) throws(ImageFailure) {
        guard isUnpacked else {
            throw ImageFailure(.notUnpacked(format), path: image, offset: offset, segment: index)
        }
    }
}

/// Whoever wants to know what is in an image: called in the order of the archive.
public protocol ImageVisitor: AnyObject {
    func begin(_ segment: Segment) throws(ImageFailure)
    /// - Returns: whether the record's data are wanted.
    func record(_ record: NewcRecord, in segment: Segment) throws(ImageFailure) -> Bool
    /// A piece of the last record's data, in order; the memory is good until it returns.
    /// - Returns: whether more of them are wanted.
    func data(_ bytes: UnsafeRawBufferPointer) throws(ImageFailure) -> Bool
    /// All of the last record's data have gone by; only when they were wanted to the end.
    func endOfData() throws(ImageFailure)
    func trailer()
    func end(_ segment: Segment) throws(ImageFailure)
}

extension ImageVisitor {
    public func begin(_ segment: Segment) {}
    public func data(_ bytes: UnsafeRawBufferPointer) -> Bool { false }
    public func endOfData() {}
    public func trailer() {}
    public func end(_ segment: Segment) {}
}

/// Goes through an image from front to back, in the way of the kernel, and hands over what it meets.
public final class ImageWalk {
    private let image: ImageFile
    private let limits: ImageLimits
    private let verifies: Bool
    private let stop: UInt64
    /// Those that ended, in order.
    public private(set) var segments: [Segment] = []
    /// How many bytes were unpacked so far.
    private var unpacked: UInt64 = 0

    /// - Parameters:
    ///   - verifyingChecksums: of archives in the newc-crc form, as the kernel does.
    ///   - stop: where in the file to end, in bytes; by default where it ends.
    public init(
        _ image: ImageFile, _ limits: ImageLimits = ImageLimits(), verifyingChecksums: Bool = false,
        upTo stop: UInt64 = .max
    ) {
        self.image = image
        self.limits = limits
        verifies = verifyingChecksums
        self.stop = stop
    }

    /// - Throws: where the image cannot be read on; what was met so far has been handed over.
    public func run(_ visitor: any ImageVisitor) throws(ImageFailure) {
        for part in image.parts {
            let end = min(part.range.upperBound, stop)
            guard part.range.lowerBound < end else { continue }
            try walk(part, InputWindow(part.range.lowerBound..<end), visitor)
        }
    }

    private func walk(_ part: ImageFile.Part, _ input: InputWindow, _ visitor: any ImageVisitor) throws(ImageFailure) {
        while try skipZeros(input) {
            // More segments than that are an attack on the memory of whoever lists them.
            guard segments.count < 1 << 16 else { throw failure(.tooMuch("the list of segments"), input.offset) }
            try fill(input, atLeast: SegmentFormat.magicSize)
            let place = input.offset - part.range.lowerBound
            let start = input.unread.bindMemory(to: UInt8.self)
            guard let format = SegmentFormat(recognising: start.span) else {
                throw failure(segments.isEmpty ? .unknownContent : .unknownSegment, input.offset)
            }
            if format == .plain && place % NewcFormat.alignment != 0 {
                throw failure(.archive(NewcFault(.misaligned, at: place)), input.offset)
            }
            var segment = Segment(index: segments.count, section: part.section, offset: input.offset, format: format)
            try visitor.begin(segment)
            if format == .plain {
                try walkPlain(&segment, at: place, input, visitor)
            } else if let form = form(format) {
                try walkPacked(&segment, form, input, visitor)
            } else {
                input.advance(input.end - input.offset)
                segment.length = input.offset - segment.offset
            }
            segments.append(segment)
            try visitor.end(segment)
        }
    }

    private func form(_ format: SegmentFormat) -> StreamForm? {
        switch format {
        case .gzip: .gzip
        case .xz: .xz
        case .lzma: .lzma
        case .zstd: .zstd
        case .lz4Legacy: .lz4Legacy
        case .plain, .bzip2, .lzo, .lz4Frame: nil
        }
    }

    // MARK: An archive as it is

    private func walkPlain(
        _ segment: inout Segment, at place: UInt64, _ input: InputWindow, _ visitor: any ImageVisitor
    ) throws(ImageFailure) {
        var pieces = Pieces(NewcParser(at: place, verifyingChecksums: verifies), stopsAtTrailer: true)
        while !pieces.isOver {
            try fill(input)
            if input.isAtEnd {
                _ = try take(UnsafeRawBufferPointer(start: nil, count: 0), &pieces, &segment, visitor)
                try finish(pieces.parser, segment, input)
                break
            }
            let cursor = try take(input.unread, &pieces, &segment, visitor)
            input.advance(UInt64(cursor))
            // What nobody wants need not be read.
            if !pieces.wanted && input.unread.isEmpty {
                let count = min(pieces.parser.skippable, input.end - input.offset)
                pieces.parser.skip(count)
                input.advance(count)
            }
        }
        // An end mark has no data, but should it have some, the kernel passes over them.
        input.advance(min(pieces.parser.skippable, input.end - input.offset))
        segment.length = min(pieces.contentEnd, input.end - segment.offset + place) - place
        segment.unpackedLength = segment.length
    }

    // MARK: A packed stream

    private func walkPacked(
        _ segment: inout Segment, _ form: StreamForm, _ input: InputWindow, _ visitor: any ImageVisitor
    ) throws(ImageFailure) {
        guard let reader = StreamReader(form, memoryLimit: limits.memory) else {
            throw failure(.stream(segment.format, StreamError(.outOfResources, at: input.offset)), input.offset)
        }
        var pieces = Pieces(NewcParser(verifyingChecksums: verifies), stopsAtTrailer: false)
        while let piece = try next(reader, input, segment) {
            unpacked += UInt64(piece.count)
            guard unpacked <= limits.unpacked else {
                throw failure(.tooLong(limits.unpacked), input.offset, segment.index)
            }
            _ = try take(piece, &pieces, &segment, visitor)
        }
        _ = try take(UnsafeRawBufferPointer(start: nil, count: 0), &pieces, &segment, visitor)
        guard pieces.parser.isBetweenRecords else {
            throw failure(.recordBeyondStream(segment.format), input.offset, segment.index)
        }
        segment.length = input.offset - segment.offset - reader.overread
        segment.unpackedLength = reader.length
    }

    private func next(
        _ reader: StreamReader, _ input: InputWindow, _ segment: Segment
    ) throws(ImageFailure) -> UnsafeRawBufferPointer? {
        do throws(StreamError) {
            return try reader.next(input, image.file)
        } catch {
            throw failure(.stream(segment.format, error), error.offset, segment.index)
        }
    }

    // MARK: Records

    /// An archive that comes in pieces.
    private struct Pieces {
        var parser: NewcParser
        /// Whether the last record's data are wanted.
        var wanted = false
        /// Behind the last record: what follows may be padding.
        var contentEnd: UInt64
        let stopsAtTrailer: Bool
        var isOver = false

        init(_ parser: NewcParser, stopsAtTrailer: Bool) {
            self.parser = parser
            self.stopsAtTrailer = stopsAtTrailer
            contentEnd = parser.offset
        }

        mutating func endRecord() {
            contentEnd = parser.offset + UInt64(NewcFormat.padding(at: parser.offset))
        }
    }

    /// Hands over what a piece holds.
    /// - Returns: how much of it was taken: all, unless the archive is over.
    private func take(
        _ piece: UnsafeRawBufferPointer, _ pieces: inout Pieces, _ segment: inout Segment, _ visitor: any ImageVisitor
    ) throws(ImageFailure) -> Int {
        let bytes = piece.bindMemory(to: UInt8.self)
        var cursor = 0
        while true {
            let event: NewcEvent
            do throws(NewcFault) {
                event = try pieces.parser.next(bytes.span, &cursor)
            } catch {
                // What is no record may be the next segment.
                if pieces.stopsAtTrailer && error.cause == .noRecord && pieces.parser.isBetweenRecords {
                    pieces.isOver = true
                    return cursor
                }
                throw failure(.archive(error), nil, segment.index)
            }
            switch event {
            case .needsMore: return cursor
            case .record(let record):
                segment.records += 1
                if record.name.starts(with: Self.early) { segment.isEarly = true }
                pieces.wanted = try visitor.record(record, in: segment)
                if record.target != nil {
                    pieces.wanted = false
                    pieces.endRecord()
                }
            case .data(let range):
                guard pieces.wanted else { continue }
                pieces.wanted = try visitor.data(UnsafeRawBufferPointer(rebasing: piece[range]))
            case .endOfData:
                if pieces.wanted { try visitor.endOfData() }
                pieces.wanted = false
                pieces.endRecord()
            case .trailer:
                segment.trailers += 1
                visitor.trailer()
                pieces.endRecord()
                guard pieces.stopsAtTrailer else { continue }
                // The padding behind it is left to whoever looks for the next segment, but for an end mark's data.
                pieces.isOver = true
                return cursor
            }
        }
    }

    private static let early = Array("kernel/".utf8)

    private func finish(
        _ parser: NewcParser, _ segment: Segment, _ input: InputWindow
    ) throws(ImageFailure) {
        do throws(NewcFault) {
            try parser.finish()
        } catch {
            throw failure(.archive(error), input.offset, segment.index)
        }
    }

    // MARK: Bytes

    /// Passes over padding; false at the end. Holes of a sparse file are not read.
    private func skipZeros(_ input: InputWindow) throws(ImageFailure) -> Bool {
        while true {
            try fill(input)
            if input.isAtEnd { return false }
            let unread = input.unread
            let zeros = unread.firstIndex { $0 != 0 } ?? unread.count
            input.advance(UInt64(zeros))
            if zeros < unread.count { return true }
            guard let data = image.file.nextData(from: input.offset) else { return false }
            if data > input.offset { input.advance(data - input.offset) }
        }
    }

    private func fill(_ input: InputWindow, atLeast least: Int = 1) throws(ImageFailure) {
        do throws(SystemError) {
            try input.fill(image.file, atLeast: least)
        } catch {
            throw failure(.system(error), input.offset)
        }
    }

    private func failure(_ cause: ImageFailure.Cause, _ offset: UInt64?, _ segment: Int? = nil) -> ImageFailure {
        ImageFailure(cause, path: image.path, offset: offset, segment: segment)
    }
}
