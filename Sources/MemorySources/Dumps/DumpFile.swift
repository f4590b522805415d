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
        var start = try source.bytes(at: 0, count: beginning)
        if let wrapping = start.wrapping {
            source = try unpacked(file, wrapping, limit: unpackLimit)
            start = try source.bytes(at: 0, count: beginning)
            if let inner = start.wrapping {
                throw MemoryFailure(
                    .unsupported, source: name, "it is \(inner.name) data within \(wrapping.name) data",
                    remedy: "unpack it first")
            }
        }
        var notes: [String] = []
        let isFlattened = FlattenedDump.recognises(start)
        if isFlattened {
            let flattened = try FlattenedDump(source)
            source = flattened
            start = try source.bytes(at: 0, count: beginning)
            if flattened.isCutShort { notes.append("the flattened dump is cut short: its end marker is missing") }
        }
        if let memory = try known(source, start, base: base, notes: notes) { return memory }
        if isFlattened {
            throw MemoryFailure(
                .unsupported, source: name,
                "it is the flattened form of something other than an ELF core or a kdump-compressed dump")
        }
        if let form = foreign(start) {
            throw MemoryFailure(
                .unsupported, source: name, "it is \(form), which is not read",
                remedy: "if it is a raw image that only begins so: --raw")
        }
        return try RawImage.open(source, base: base, notes: notes)
    }

    /// What a file is by its first 4096 bytes, if it is no raw image.
    public static func form(ofStart bytes: [UInt8]) -> StaticString? {
        let start = Bytes(bytes)
        if let wrapping = start.wrapping { return wrapping.name }
        if FlattenedDump.recognises(start) { return "a flattened dump" }
        if start.begins(with: "KDUMP   ") || start.begins(with: "DISKDUMP") { return "a kdump-compressed dump" }
        if start.begins(with: "\u{7f}ELF") { return "an ELF file" }
        if start.begins(with: "EMiL") || start.begins(with: "AVML") { return "a LiME image" }
        return foreign(start)
    }

    /// Asks one form after the other; nil when it is none of theirs.
    private static func known(
        _ source: any ByteSource, _ start: Bytes, base: UInt64, notes: [String]
    ) throws(MemoryFailure) -> (any PhysicalMemory)? {
        var notes = notes
        if base != 0 {
            notes.append("the base address \(hexadecimal(base)) is ignored: the dump knows its own addresses")
        }
        for probe in [KdumpCompressed.probe, ElfCore.probe, LimeImage.probe] {
            switch probe(source, start, notes) {
            case .mine(let memory): return memory
            case .notMine: continue
            case .failed(let failure): throw failure
            }
        }
        return nil
    }

    /// Forms that a memory image may come in but that are not read, by name, so that nobody takes them for raw images.
    private static func foreign(_ start: Bytes) -> StaticString? {
        switch start.u32(0)?.byteSwapped {
        case 0x0422_4d18: "lz4 data"
        case 0x894c_5a4f: "lzop data"
        case 0x5146_49fb: "a QCOW image"
        default: start.begins(with: "BZh") ? "bzip2 data" : nil
        }
    }

    /// How many bytes from the start are looked at to tell the form.
    private static let beginning = 4096

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
    ) throws(MemoryFailure) -> FileSource {
        let file: FileDescriptor
        do throws(CompressionError) {
            file = try unpack(source.file, wrapping, limit: limit)
        } catch {
            throw error.failure(source.name)
        }
        let status: FileStatus
        do throws(SystemError) { status = try file.status() } catch { throw error.failure(source.name) }
        return FileSource(file, size: status.size, name: source.name, mappable: true)
    }
}

extension Bytes {
    fileprivate var wrapping: Wrapping? { bytes.withUnsafeBytes { Wrapping(recognising: $0) } }
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
        let remedy: Phrase = cause == .notPermitted && effectiveUser() != 0 ? "run it as root" : ""
        return MemoryFailure(cause, source: name, "\(call): \(reason)", remedy: remedy)
    }
}

extension CompressionError {
    fileprivate func failure(_ name: String) -> MemoryFailure {
        switch cause {
        case .corrupt, .truncated, .trailingGarbage:
            MemoryFailure(
                .malformed, source: name, Phrase(message),
                remedy: "if it is a raw image that only looks like \(wrapping.name) data, use --raw")
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
