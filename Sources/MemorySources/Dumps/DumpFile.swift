import Compression
import Linux
import Machine
import PRAM
import Text

/// Opens files that hold physical memory, in whatever form.
public enum DumpFile {
    /// How to take the file.
    public enum Form: Int, Sendable {
        /// Told by its first bytes; a raw image when they tell nothing.
        case recognised
        /// A raw image, whatever its first bytes look like: the first page of memory may well hold the start of a gzip
        /// file.
        case raw
    }

    /// How long an unpacked file may become where nobody says otherwise, in bytes, holes included.
    public static let unpackLimit = Decoding.lengthLimit

    /// Opens a file and tells by its content what it is: a raw image, an ELF core, a kdump-compressed dump (plain or
    /// flattened) or a LiME image, each of them as it is or packed by gzip, xz or zstd. What is packed is unpacked
    /// first, into a temporary file without a name (see `Compression.unpack`).
    ///
    /// Regular files and block devices only: on other things, FIFOs too, it fails at once and touches nothing.
    /// /proc/kcore and /dev/mem are not for this function.
    /// - Parameters:
    ///   - base: the physical address of a raw image's byte 0, a multiple of 4096. The other forms know their
    ///     addresses; a base other than 0 is then ignored, and a note says so.
    ///   - unpackLimit: how long an unpacked file may become, in bytes, holes included.
    public static func open(
        _ path: [UInt8], base: UInt64 = 0, unpackLimit: UInt64 = unpackLimit, as form: Form = .recognised
    ) throws(MemoryFailure) -> any PhysicalMemory {
        let name = escaped(path)
        let file = try openFile(path, name)
        if form == .raw { return try RawImage.open(file, base: base, notes: []) }

        var source: any ByteSource = file
        var notes: [String] = []
        var start = try source.bytes(at: 0, count: DumpForm.beginning)
        var form = DumpForm(start)
        if case .packed(let wrapping) = form?.reader {
            let (unpacked, rest, detail) = try unpacked(file, wrapping, limit: unpackLimit)
            source = unpacked
            start = try source.bytes(at: 0, count: DumpForm.beginning)
            form = DumpForm(start)
            if let note = try note(rest, detail, wrapping, unpacked, isRaw: form == nil) { notes.append(note) }
            if case .packed(let inner) = form?.reader {
                throw MemoryFailure(
                    .unsupported, source: name, "it is \(inner.name) data within \(wrapping.name) data",
                    remedy: "unpack it first")
            }
        }
        if case .flattened = form?.reader {
            let flattened = try FlattenedDump(source)
            source = flattened
            start = try source.bytes(at: 0, count: DumpForm.beginning)
            form = DumpForm(start)
            if flattened.isCutShort { notes.append("the flattened dump is cut short: its end marker is missing") }
            switch form?.reader {
            case .kdump, .elf: break
            default:
                throw MemoryFailure(
                    .unsupported, source: name,
                    "it is the flattened form of something other than an ELF core or a kdump-compressed dump",
                    remedy: "rearrange it with makedumpfile -R and look what that makes; " + ifRaw)
            }
        }
        guard let form else { return try RawImage.open(source, base: base, notes: notes) }
        if base != 0 {
            notes.append("the base address \(hexadecimal(base)) is ignored: the dump knows its own addresses")
        }
        switch form.reader {
        case .kdump: return try KdumpCompressed(source, start, notes)
        case .elf: return try ElfCore.open(source, start, notes)
        case .lime: return try LimeImage.open(source, notes)
        case .packed, .flattened, .none:
            throw MemoryFailure(
                .unsupported, source: name, "it is \(form.name), which is not read",
                remedy: "\(form.remedy); " + ifRaw)
        }
    }

    /// The way out where a file's first bytes are not what they seem.
    static var ifRaw: Phrase { "if it is a raw image that only begins so: --raw" }

    /// The same where a dump contradicts itself, or ends too early.
    static var anew: Phrase { "take the dump anew; " + ifRaw }

    /// What a file is by its first 4096 bytes, if it is no raw image.
    public static func form(ofStart bytes: [UInt8]) -> StaticString? { DumpForm(Bytes(bytes))?.name }

    private static func openFile(_ path: [UInt8], _ name: String) throws(MemoryFailure) -> FileSource {
        let opening: Opening
        do throws(SystemError) { opening = try tryOpening(path, name) } catch { throw error.failure(name) }
        switch opening {
        case .opened(let file): return file
        case .refused(let why):
            throw MemoryFailure(.notAFile, source: name, "\(why)", remedy: "name a file that holds a memory image")
        }
    }

    private enum Opening {
        case opened(FileSource)
        case refused(StaticString)
    }

    /// Opens what is a regular file or a block device, and nothing else.
    private static func tryOpening(_ path: [UInt8], _ name: String) throws(SystemError) -> Opening {
        // Looked at before it is opened: opening a device (a watchdog, a tape) can be an act. O_NONBLOCK and a second
        // look, because in between something else, a FIFO say, may have taken the name.
        if let why = refusal(try FileDescriptor.status(of: path)) { return .refused(why) }
        let file = try FileDescriptor.openWithoutWaiting(path)
        let status = try file.status()
        if let why = refusal(status) { return .refused(why) }

        let size = status.isRegular ? status.size : try file.deviceSize()
        // Of /proc, only vmcore and its like have a size. They are read, not mapped: what they give to mmap(2) differs
        // from kernel to kernel.
        if file.isInProc {
            if size == 0 { return .refused("it is a file of /proc without a size") }
            return .opened(FileSource(file, size: size, name: name, mappable: false))
        }
        return .opened(FileSource(file, size: size, name: name, mappable: status.isRegular))
    }

    /// Why there is no memory image in this kind of file; nil when there may be.
    private static func refusal(_ status: FileStatus) -> StaticString? {
        switch status.kind {
        case .regular, .blockDevice: nil
        case .directory: "it is a directory"
        case .fifo: "it is a FIFO, which cannot be read at random"
        case .socket: "it is a socket"
        case .characterDevice: "it is a character device"
        case .symbolicLink, .unknown: "it is neither a regular file nor a block device"
        }
    }

    private static func unpacked(
        _ source: FileSource, _ wrapping: Wrapping, limit: UInt64
    ) throws(MemoryFailure) -> (FileSource, Unpacked.Rest, detail: String) {
        let unpacked: Unpacked
        do throws(CompressionError) {
            unpacked = try unpack(source.file, wrapping, limit: limit, keepingPart: true)
        } catch {
            throw error.failure(source.name)
        }
        let status: FileStatus
        do throws(SystemError) { status = try unpacked.file.status() } catch { throw error.failure(source.name) }
        let rest = unpacked.rest, detail = unpacked.detail
        let file = unpacked.takeFile()
        return (FileSource(file, size: status.size, name: source.name, mappable: true), rest, detail)
    }

    /// What is to be said of the bytes behind the packed data, or of those that did not unpack. Where what was unpacked
    /// is a raw image, the file may be one itself whose first page happens to hold a gzip file: then all else is
    /// ignored. So the way out is named, and where what was unpacked is no memory at all, it is refused.
    private static func note(
        _ rest: Unpacked.Rest, _ detail: String, _ wrapping: Wrapping, _ unpacked: FileSource, isRaw: Bool
    ) throws(MemoryFailure) -> String? {
        let size = UInt64(pageSize)
        let name = wrapping.name
        let refused: Phrase?
        let noted: Phrase
        switch rest {
        case .nothing: return nil
        case .zeros(let offset): return "the \(name) data ends at offset \(offset); zeros follow"
        case .ignored(let offset):
            let end: Phrase = "the \(name) data ends at offset \(offset)"
            noted = end + "; what follows is none, and is ignored"
            let isMemory = unpacked.size > 0 && unpacked.size % size == 0
            refused = isMemory ? nil : end + ", but the file goes on with something else"
        case .cutShort(let offset):
            let cut: Phrase = "the \(name) data is cut short at offset \(offset)"
            noted = cut + ": what did not unpack is not in this source"
            refused = unpacked.size >= size ? nil : cut + ", and no whole page unpacks"
        case .damaged(let offset):
            let damaged: Phrase = "the \(name) data is corrupt at offset \(offset) (\(detail))"
            noted = damaged + ": what did not unpack is not in this source"
            refused = unpacked.size >= size ? nil : damaged + ", and no whole page unpacks"
        }
        guard isRaw else { return noted.text }
        if let refused {
            throw MemoryFailure(.malformed, source: unpacked.name, refused, remedy: wrapping.ifRaw)
        }
        if case .cutShort = rest { return noted.text }
        return (noted + "; " + wrapping.ifRaw).text
    }
}

extension SystemError {
    fileprivate func failure(_ name: String) -> MemoryFailure {
        let cause: MemoryFailure.Cause =
            switch code {
            case ErrorCode.noSuchFile, ErrorCode.notADirectory: .noSuchFile
            case ErrorCode.accessDenied, ErrorCode.notPermitted: .notPermitted
            case ErrorCode.tooManyOpenFiles, ErrorCode.tooManyOpenFilesInSystem, ErrorCode.outOfMemory: .outOfResources
            case ErrorCode.noSuchDevice, ErrorCode.noSuchDriver: .notAFile
            default: .inputOutput
            }
        let remedy: Phrase =
            switch cause {
            case .noSuchFile: "see how its name is written, and whether its file system is mounted"
            case .notPermitted where effectiveUser() != 0: "run it as root"
            default: ""
            }
        return MemoryFailure(cause, source: name, "\(call): \(reason)", remedy: remedy)
    }
}

extension Wrapping {
    /// What remains where the bytes may be a raw image's own.
    fileprivate var ifRaw: Phrase { "if it is a raw image that only looks like \(name) data, use --raw" }
}

extension CompressionError {
    fileprivate func failure(_ name: String) -> MemoryFailure {
        switch cause {
        case .corrupt, .truncated:
            MemoryFailure(
                .malformed, source: name, Phrase(message),
                remedy: "copy it anew from where it was made; " + wrapping.ifRaw)
        case .trailingGarbage:
            MemoryFailure(
                .malformed, source: name, Phrase(message),
                remedy: "take what comes before, with head -c \(offset); " + wrapping.ifRaw)
        case .unsupported, .windowTooLarge:
            MemoryFailure(.unsupported, source: name, Phrase(message), remedy: "unpack it with \(wrapping.name) first")
        case .tooLong:
            MemoryFailure(.tooLarge, source: name, Phrase(message), remedy: "raise the limit with --unpack-limit")
        case .outOfResources:
            MemoryFailure(
                .outOfResources, source: name, Phrase(message),
                remedy: "free some, or set TMPDIR to a directory with more space")
        case .inputOutput:
            MemoryFailure(
                .inputOutput, source: name, Phrase(message),
                remedy: "set TMPDIR to a directory that can be written, with room for the unpacked dump")
        }
    }
}
