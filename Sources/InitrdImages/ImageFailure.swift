import Compression
import Initrd
import Linux
import Text

/// Why an image cannot be read, or not be read on.
public struct ImageFailure: Error {
    public enum Cause: Sendable {
        case system(SystemError)
        /// A directory, a device, a FIFO or a socket: "a directory".
        case notAFile(StaticString)
        case empty
        /// Neither an archive, nor anything packed that a kernel knows, nor a unified kernel image.
        case unknownContent
        /// A part of the image ends somewhere, and what follows is none of these either.
        case unknownSegment
        case damagedHeaders(PortableExecutable.Fault)
        case archive(NewcFault)
        case stream(SegmentFormat, StreamError)
        /// The packed stream is over, but not the record in it: to the kernel each stream is on its own.
        case recordBeyondStream(SegmentFormat)
        /// The image unpacks to more than the limit, in bytes.
        case tooLong(UInt64)
        /// Something in the image is larger than is kept in memory: "the list of hard links".
        case tooMuch(StaticString)
        /// The segment is packed in a form that is not unpacked here, so nobody has looked what is in it.
        case notUnpacked(SegmentFormat)
        case noSuchPath
        /// The path names something that has no content: "a directory".
        case noContent(StaticString)
        /// The target is a symbolic link; where it points to.
        case isLink(to: [UInt8])
        /// What was asked for is refused, with the reason and the way out, each one clause.
        case refused(reason: String, remedy: String)
    }

    public let cause: Cause
    /// The file that it is about, or a path in the image.
    public let path: [UInt8]
    /// In bytes of the file; nil where no place is meant.
    public let offset: UInt64?
    /// Which segment it lies in, counted from 0.
    public let segment: Int?

    public init(_ cause: Cause, path: [UInt8], offset: UInt64? = nil, segment: Int? = nil) {
        self.cause = cause
        self.path = path
        self.offset = offset
        self.segment = segment
    }

    /// A stable word for machines.
    public var causeName: StaticString {
        if case .system = cause { "system-call" } else { "image" }
    }

    /// One line without a full stop: what, and where.
    public var message: String {
        if case .system(let error) = cause { return error.message }
        var text = Phrase("\(escaped(path)): \(clause)")
        if let segment { text = text + ", in segment \(segment)" }
        if case .archive(let fault) = cause {
            text = text + ", at byte \(fault.offset) of what it unpacks to"
        } else if let offset {
            text = text + ", at byte \(offset) of the file"
        }
        return text.text
    }

    /// What to do about it, a sentence; nil where the message says it.
    public var remedy: String? {
        switch cause {
        case .tooLong: "If the image is really that large, raise the limit."
        case .stream(_, let error) where error.cause == .windowTooLarge:
            "Pack the image with a smaller window, or raise the limit on memory."
        case .stream(_, let error) where error.cause == .truncated: "Make the image again: the file is cut short."
        case .recordBeyondStream:
            "Pack the archive as one stream: the kernel stops at the end of the first one too."
        case .notAFile: "Name a regular file."
        case .isLink(let target): Phrase("Name the file that it points to: \(escaped(target)).").text
        case .refused(_, let remedy): remedy
        case .notUnpacked(let format):
            Phrase(
                "Unpack it first, and read what comes out: tail -c +\((offset ?? 0) + 1) IMAGE | \(tool(format)) -dc >FILE."
            ).text
        default: nil
        }
    }

    private var clause: Phrase {
        switch cause {
        case .system(let error): Phrase(error.message)
        case .notAFile(let kind): "it is \(kind), not a file"
        case .empty: "the file is empty"
        case .unknownContent: "it is neither an initrd nor a unified kernel image"
        case .unknownSegment: "what follows is neither an archive nor packed in a form that the kernel knows"
        case .damagedHeaders(let fault): "\(fault.clause)"
        case .archive(let fault): "\(fault.clause)"
        case .stream(let format, let error): streamClause(format, error)
        case .recordBeyondStream(let format): "the \(format.name) stream ends, but the record in it goes on"
        case .tooLong(let limit): "it unpacks to more than the limit of \(limit) bytes"
        case .tooMuch(let what): "\(what) is too long"
        case .notUnpacked(let format): "the \(format.name) data are not unpacked here, and what is in them is not known"
        case .noSuchPath: "there is no such path in the image"
        case .noContent(let kind): "it is \(kind), which has no content"
        case .isLink(let target): "it is a symbolic link to \(escaped(target))"
        case .refused(let reason, _): Phrase(reason)
        }
    }

    private func tool(_ format: SegmentFormat) -> StaticString {
        switch format {
        case .bzip2: "bzip2"
        case .lzo: "lzop"
        default: "lz4"
        }
    }

    private func streamClause(_ format: SegmentFormat, _ error: StreamError) -> Phrase {
        let detail: Phrase = error.detail.utf8.isEmpty ? "" : " (\(error.detail))"
        return switch error.cause {
        case .truncated: "the \(format.name) data are cut short"
        case .windowTooLarge: "the \(format.name) data need more memory than the limit allows" + detail
        case .unsupported: "the \(format.name) data have a feature that is not supported" + detail
        case .outOfResources: "out of memory in \(format.name) data"
        case .inputOutput: Phrase(error.detail)
        default: "the \(format.name) data are corrupt" + detail
        }
    }
}

/// What reading an image may cost.
public struct ImageLimits: Sendable {
    /// What all segments together may unpack to, in bytes: what the slowest decoder, xz, unpacks in two seconds.
    public var unpacked: UInt64 = 768 << 20
    /// What one decoder may take, in bytes: enough for `xz -8` and for zstd with windows of 32 MiB (`--long=25`), which
    /// is more than any tool that makes initrds asks for by itself.
    public var memory: UInt64 = 48 << 20

    public init() {}
}

extension ImageFailure.Cause {
    static var tooManyDirectories: Self { .tooMuch("the list of directories and links") }
}
