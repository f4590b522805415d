import Compression
import Initrd
import Linux
import Text

/// An x86 kernel image (bzImage), looked into for the forms in which it takes memory over from another kernel.
public enum KernelImage {
    /// Why it cannot be told what is in an image.
    public enum Fault: Error {
        case system(SystemError)
        /// No boot header, or none with a payload (before Linux 2.6.26).
        case notAKernel
        /// Packed in a way that is not unpacked here: its name.
        case otherPacking(StaticString)
        /// It does not unpack; what the decoder says.
        case broken(StreamError)

        public var message: Phrase {
            switch self {
            case .system(let error): Phrase(error.message)
            case .notAKernel: "it is no x86 kernel image (bzImage)"
            case .otherPacking(let name): "it is packed with \(name), which is not unpacked here"
            case .broken(let error): "it does not unpack: at offset \(error.offset): \(error.detail)"
            }
        }
    }

    /// Kernels are packed by xz with a dictionary of up to 128 MiB (scripts/xz_wrap.sh); no more of it is touched than
    /// they unpack to.
    private static let memoryLimit: UInt64 = 160 << 20
    /// No kernel unpacks to more.
    private static let longest: UInt64 = 1 << 30

    /// The forms that are named in it: "kho-v4", "luo-v5" and the like, each once, ascending.
    public static func handOverForms(_ path: [UInt8]) throws(Fault) -> [[UInt8]] {
        let file: FileDescriptor
        do throws(SystemError) { file = try open(path) } catch { throw .system(error) }
        let size: UInt64
        do throws(SystemError) { size = try file.status().size } catch { throw .system(error) }
        let payload = try payload(file, size)
        let form = try form(file, payload.lowerBound)
        // Behind all but gzip, which has it itself, four bytes tell how much it unpacks to (scripts/Makefile.lib).
        let end = form == .gzip ? payload.upperBound : payload.upperBound - 4
        let window = InputWindow(payload.lowerBound..<end)
        guard let reader = StreamReader(form, memoryLimit: memoryLimit) else {
            throw .broken(StreamError(.outOfResources, at: payload.lowerBound))
        }
        var search = FormSearch()
        while reader.length < longest {
            do throws(StreamError) {
                guard let bytes = try reader.next(window, file) else { break }
                search.take(bytes)
            } catch {
                throw .broken(error)
            }
        }
        return search.found
    }

    /// The same in the flattened device tree that a kernel hands over, as debugfs shows it.
    public static func handOverForms(in tree: [UInt8]) -> [[UInt8]] {
        var search = FormSearch()
        tree.withUnsafeBytes { search.take($0) }
        return search.found
    }

    private static func open(_ path: [UInt8]) throws(SystemError) -> FileDescriptor {
        guard try FileDescriptor.status(of: path).isRegular else {
            throw SystemError("open", code: ErrorCode.invalid, path: path)
        }
        return try FileDescriptor.openWithoutWaiting(path)
    }

    /// Documentation/arch/x86/boot.rst: setup_sects at 0x1f1, "HdrS" at 0x202, the protocol's version at 0x206 (2.08 has
    /// a payload), payload_offset at 0x248, counted from where the protected-mode code begins, payload_length at 0x24c.
    private static func payload(_ file: borrowing FileDescriptor, _ size: UInt64) throws(Fault) -> Range<UInt64> {
        let head = try bytes(file, at: 0, count: 0x250)
        guard head.count == 0x250, head[0x202..<0x206].elementsEqual("HdrS".utf8),
            UInt16(head[0x206]) | UInt16(head[0x207]) << 8 >= 0x208
        else { throw .notAKernel }
        func word(_ offset: Int) -> UInt64 {
            (0..<4).reduce(0) { $0 | UInt64(head[offset + $1]) << (8 * UInt64($1)) }
        }
        let sectors = UInt64(head[0x1f1] == 0 ? 4 : head[0x1f1])
        // No overflow: each is below 2^33.
        let start = (sectors + 1) * 512 + word(0x248)
        let end = start + word(0x24c)
        guard word(0x24c) > 8, end <= size else { throw .notAKernel }
        return start..<end
    }

    private static func form(_ file: borrowing FileDescriptor, _ offset: UInt64) throws(Fault) -> StreamForm {
        let magic = try bytes(file, at: offset, count: 6)
        if magic.starts(with: [0x1f, 0x8b]) { return .gzip }
        if magic.starts(with: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]) { return .xz }
        if magic.starts(with: [0x28, 0xb5, 0x2f, 0xfd]) { return .zstd }
        if magic.starts(with: [0x02, 0x21, 0x4c, 0x18]) { return .lz4Legacy }
        if magic.starts(with: [0x5d, 0, 0]) { return .lzma }
        if magic.starts(with: "BZh".utf8) { throw .otherPacking("bzip2") }
        if magic.starts(with: [0x89, 0x4c, 0x5a, 0x4f]) { throw .otherPacking("lzo") }
        throw .otherPacking("something unknown")
    }

    private static func bytes(
        _ file: borrowing FileDescriptor, at offset: UInt64, count: Int
    ) throws(Fault) -> [UInt8] {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
        defer { buffer.deallocate() }
        do throws(SystemError) {
            return Array(buffer[..<(try file.read(at: offset, into: buffer))])
        } catch {
            throw .system(error)
        }
    }
}

/// Finds names like "kho-v4", with a NUL behind them, in bytes that come piece by piece.
struct FormSearch {
    private static let words: [StaticString] = ["kho-v", "luo-v", "luo-session-v", "memfd-v"]
    /// The longest word, three digits, and a byte on either side.
    private static let longest = 18
    private static let most = 16

    /// Ascending.
    private(set) var found: [[UInt8]] = []
    private var tail: [UInt8] = []

    init() {}

    mutating func take(_ bytes: UnsafeRawBufferPointer) {
        // What may have begun in the piece before.
        let border = tail + bytes.prefix(FormSearch.longest)
        border.withUnsafeBytes { search($0) }
        search(bytes)
        tail = Array((tail + bytes.suffix(FormSearch.longest)).suffix(FormSearch.longest))
    }

    /// Every one of the words has "-v": that is what is looked for.
    private mutating func search(_ bytes: UnsafeRawBufferPointer) {
        var place = 0
        let dash = UInt8(ascii: "-")
        while place + 1 < bytes.count {
            guard bytes[place] == dash, bytes[place + 1] == UInt8(ascii: "v") else {
                place += 1
                continue
            }
            check(bytes, place + 2)
            place += 2
        }
    }

    /// - Parameter end: behind "-v".
    private mutating func check(_ bytes: UnsafeRawBufferPointer, _ end: Int) {
        var digits = end
        while digits < bytes.count, digits < end + 4, bytes[digits] >= 0x30, bytes[digits] <= 0x39 { digits += 1 }
        guard digits > end, digits < end + 4, digits < bytes.count, bytes[digits] == 0 else { return }
        for word in FormSearch.words {
            let length = word.utf8CodeUnitCount
            guard end >= length + 1, !isWord(bytes[end - length - 1]) else { continue }
            let isIt = word.withUTF8Buffer { $0.elementsEqual(bytes[(end - length)..<end]) }
            guard isIt else { continue }
            enter(Array(bytes[(end - length)..<digits]))
        }
    }

    private func isWord(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "-") || byte >= 0x30 && byte <= 0x39 || byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7a
    }

    private mutating func enter(_ form: [UInt8]) {
        guard found.count < FormSearch.most, !found.contains(where: { $0 == form }) else { return }
        found.append(form)
        found.sort { $0.lexicographicallyPrecedes($1) }
    }
}
