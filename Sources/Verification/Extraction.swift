import CChecksum
import Linux
import PRAM
import Text

/// What became of one file that was to be extracted.
public struct Extraction {
    public enum Outcome: Int, CaseIterable, Sendable {
        case written, writtenFlat, writtenWithHoles, writtenUnproved, refused, failed

        public var name: StaticString {
            switch self {
            case .written: "written"
            case .writtenFlat: "written-flat"
            case .writtenWithHoles: "written-with-holes"
            case .writtenUnproved: "written-unproved"
            case .refused: "refused"
            case .failed: "failed"
            }
        }
    }

    public let name: [UInt8]
    public let outcome: Outcome
    /// Why it was not simply written; empty otherwise.
    public let message: String

    public init(name: [UInt8], outcome: Outcome, message: String) {
        self.name = name
        self.outcome = outcome
        self.message = message
    }
}

/// Writes files of a checked chain into a directory.
public struct Extractor {
    let directory: Directory
    let takesDamaged: Bool
    let replaces: Bool
    let keepsModeBits: Bool
    let synchronizes: Bool
    /// Whether the directory is one where files only wait for their places: then they are brought to the disk and read
    /// back many at a time.
    var isStaging = false
    /// How many threads write. Only in a staging directory each can have files of its own.
    var threads = 1

    /// - Parameters:
    ///   - takesDamaged: damaged files too, as far as they fit.
    ///   - replaces: files that exist give way.
    ///   - keepsModeBits: suid, sgid and sticky bits are kept.
    ///   - synchronizes: every file is on the disk, and was read back and compared, before it gets its name. On a tmpfs,
    ///     which has no disk, nothing but a second look at the same memory would come of it.
    public init(
        directory: Directory, takesDamaged: Bool, replaces: Bool, keepsModeBits: Bool, synchronizes: Bool = false
    ) {
        self.directory = directory
        self.takesDamaged = takesDamaged
        self.replaces = replaces
        self.keepsModeBits = keepsModeBits
        self.synchronizes = synchronizes && !directory.isKeptInMemory
    }

    /// - Parameter names: which files; empty for all.
    public func extract(
        _ names: [[UInt8]], of evaluation: ChainEvaluation, head: PFN, memory: any PhysicalMemory
    ) -> [Extraction] {
        var results: [Extraction] = []
        var found = [Bool](repeating: false, count: names.count)
        let files = evaluation.files
        let wanted = WantedNames(names)
        directory.removeLeftovers()
        extract(of: evaluation, head: head, memory: memory) { number in
            if names.isEmpty { return true }
            guard let place = wanted.place(of: files[number].name) else { return false }
            found[place] = true
            return true
        } told: { _, result in
            results.append(result)
        }
        for (place, name) in names.enumerated() where !found[wanted.place(of: name) ?? place] {
            results.append(Extraction(name: name, outcome: .failed, message: "the chain has no file of this name"))
        }
        return results
    }

    /// - Parameters:
    ///   - wants: whether a file, by its number, is to be written.
    ///   - told: what became of each that was, with its number; -1 for what concerns all of them.
    func extract(
        of evaluation: ChainEvaluation, head: PFN, memory: any PhysicalMemory, wants: (Int) -> Bool,
        told: @escaping (Int, Extraction) -> Void
    ) {
        let files = evaluation.files
        var chosen: [Int] = []
        for number in files.indices where !files[number].isParity && wants(number) { chosen.append(number) }
        let parts = isStaging && !synchronizes ? Extractor.parts(chosen, of: files, threads) : nil
        if let parts {
            write(parts, of: files, head: head, memory: memory, told)
        } else {
            let readBack = isStaging && synchronizes ? ReadBack(directory, told) : nil
            write(chosen, of: files, head: head, memory: memory, isAlone: false, readBack, told)
            readBack?.finish()
        }
        if synchronizes && !isStaging {
            do throws(SystemError) { try directory.synchronize() } catch {
                told(-1, Extraction(name: [], outcome: .failed, message: error.message))
            }
        }
    }

    /// Divides files among threads, in their order, so that each has about as many pages to write.
    /// - Returns: nil where that would not make it faster: one thread can as well compare while another one writes.
    private static func parts(_ chosen: [Int], of files: [StoredFile], _ threads: Int) -> [[Int]]? {
        // What a file takes besides its pages.
        func weight(_ number: Int) -> UInt64 { files[number].pages &+ 16 }
        var (sum, most): (UInt64, UInt64) = (0, 0)
        for number in chosen {
            sum &+= weight(number)
            most = max(most, weight(number))
        }
        guard threads > 1, sum >= 4096, most <= sum / 2 else { return nil }
        var parts: [[Int]] = [[]]
        var done: UInt64 = 0
        for number in chosen {
            // To the part in which most of it lies.
            if parts.count < threads, done &+ weight(number) / 2 >= sum / UInt64(threads) &* UInt64(parts.count) {
                parts.append([])
            }
            parts[parts.count - 1].append(number)
            done &+= weight(number)
        }
        return parts
    }

    /// Several threads each write files of their own; what became of them is told in the order of the chain.
    private func write(
        _ parts: [[Int]], of files: [StoredFile], head: PFN, memory: any PhysicalMemory,
        _ told: @escaping (Int, Extraction) -> Void
    ) {
        let results = parts.map { _ in Results() }
        Division.run(parts.count, threads: parts.count) { range in
            for part in range {
                self.write(parts[part], of: files, head: head, memory: memory, isAlone: true, nil) {
                    results[part].list.append(($0, $1))
                }
            }
        }
        for part in results { for (number, result) in part.list { told(number, result) } }
    }

    private final class Results { var list: [(Int, Extraction)] = [] }

    /// Goes along the chain and writes files, whose numbers ascend.
    private func write(
        _ numbers: [Int], of files: [StoredFile], head: PFN, memory: any PhysicalMemory, isAlone: Bool,
        _ readBack: ReadBack?, _ told: @escaping (Int, Extraction) -> Void
    ) {
        guard let last = numbers.last else { return }
        var target: Target?
        var next = 0
        ChainExtraction(memory: memory, files: files, seed: randomNumber(), fileEnd: last + 1, isAlone: isAlone).run(
            head: head
        ) { number in
            guard next < numbers.count, numbers[next] == number else { return nil }
            next += 1
            let file = files[number]
            if let reason = refusal(file) {
                told(number, Extraction(name: file.name, outcome: .refused, message: reason))
                return nil
            }
            do throws(SystemError) {
                target = try Target(directory, file, readsBack: synchronizes, isStaged: isStaging)
                return target
            } catch {
                told(number, Extraction(name: file.name, outcome: .failed, message: error.message))
                return nil
            }
        } end: { number, outcome in
            guard let ended = target else { return }
            target = nil
            let result = complete(files[number], ended, outcome)
            if let readBack, let written = ended.written, result.outcome != .failed {
                readBack.add(number, result, written)
            } else {
                told(number, result)
            }
        }
        // The chain ended earlier than when it was checked: what it held there is not to be missed in silence.
        for number in numbers[next...] {
            told(
                number,
                Extraction(
                    name: files[number].name, outcome: .failed, message: "the chain has changed since it was checked"))
        }
    }

    private func refusal(_ file: StoredFile) -> String? {
        if !file.metaFits { return "its META page does not fit, so its name and size are unverified" }
        if !FileImage.isSafe(file.name) { return "its name is not one safe path component" }
        if file.isDuplicate { return "an earlier file has the same name" }
        if file.status != .intact && !takesDamaged {
            return "it is \(file.status.name); --damaged extracts it all the same"
        }
        if file.size > UInt64(Int64.max) { return "its size is more than a file can have" }
        return nil
    }

    private func complete(_ file: StoredFile, _ target: Target, _ outcome: ChainExtraction.Outcome) -> Extraction {
        func failed(_ message: String) -> Extraction {
            directory.remove(target.name)
            return Extraction(name: file.name, outcome: .failed, message: message)
        }
        if let failure = outcome.failure { return failed(failure.message) }
        if file.status == .intact && outcome.holeCount > 0 {
            return failed("its pages have changed since they were checked")
        }
        do throws(SystemError) {
            // In a staging directory it has its name, and its owner and its mode come with its place.
            if !isStaging {
                guard try target.finish(mode: file.mode & (keepsModeBits ? 0o7777 : 0o777)) else {
                    return failed("it does not read back as written")
                }
                try directory.rename(target.name, to: file.name, replace: replaces)
            }
        } catch {
            return failed(
                error.code == ErrorCode.exists ? "a file of this name exists; --force replaces it" : error.message)
        }
        guard outcome.holeCount > 0 else {
            switch file.status {
            case .intact: return Extraction(name: file.name, outcome: .written, message: "")
            case .quarantined, .indeterminate:
                return Extraction(name: file.name, outcome: .writtenUnproved, message: "it is \(file.status.name)")
            case .incomplete, .damaged:
                return Extraction(
                    name: file.name, outcome: .writtenWithHoles,
                    message: "it is \(file.status.name): what is missing of it reads as zeros")
            }
        }
        var list = ""
        for index in outcome.holes.prefix(20) { list += list.isEmpty ? "\(index)" : ", \(index)" }
        if outcome.holeCount > 20 { list += ", ..." }
        return Extraction(
            name: file.name, outcome: .writtenWithHoles,
            message: (outcome.holeCount == 1
                ? "1 bad page was left as a hole" : "\(outcome.holeCount) bad pages were left as holes")
                + ", at page index \(list)")
    }
}

/// The names on the command line, found fast even when there are many.
private struct WantedNames {
    private let sorted: [(name: [UInt8], place: Int)]

    init(_ names: [[UInt8]]) {
        sorted = names.enumerated().map { (name: $0.element, place: $0.offset) }
            .sorted { $0.name.lexicographicallyPrecedes($1.name) }
    }

    func place(of name: [UInt8]) -> Int? {
        var low = 0
        var high = sorted.count
        while low < high {
            let middle = (low + high) / 2
            if sorted[middle].name.lexicographicallyPrecedes(name) { low = middle + 1 } else { high = middle }
        }
        return low < sorted.count && sorted[low].name == name ? sorted[low].place : nil
    }
}

/// A file on its way into a directory.
private final class Target: FileSink {
    private let file: FileDescriptor
    private let size: UInt64
    private let vectors = UnsafeMutableBufferPointer<FileDescriptor.Piece>.allocate(capacity: 256)
    /// What was written, to be read back; nil when it is not to be.
    private var copies: WrittenCopies?

    /// - Parameter isStaged: under its own name, for nobody else looks at the directory.
    init(_ directory: Directory, _ stored: StoredFile, readsBack: Bool, isStaged: Bool) throws(SystemError) {
        copies = readsBack ? WrittenCopies() : nil
        file = try isStaged ? directory.create(stored.name) : directory.createTemporary()
        size = stored.size
        // The size first: what is not written is a hole, and a size that the file system refuses shows before the
        // copying.
        do throws(SystemError) { try file.truncate(to: size) } catch {
            directory.remove(file.path)
            throw SystemError(error.call, code: error.code, path: stored.name)
        }
    }

    /// The name that it has for now.
    var name: [UInt8] { file.path }
    /// What is to be read back.
    var written: ReadBack.Written? { copies?.written }

    deinit { vectors.deallocate() }

    func write(_ pages: UnsafeBufferPointer<UnsafeRawPointer?>, at index: UInt64) throws(SystemError) {
        let (offset, overflow) = index.multipliedReportingOverflow(by: UInt64(pageSize))
        guard !overflow, offset < size else { return }  // behind the end: only in damaged files
        var left = size - offset
        var count = 0
        for page in pages where left > 0 && count < 256 {
            let length = Int(min(left, UInt64(pageSize)))
            var page = page
            if let copies, let source = page {
                guard let copy = copies.take(source, count: length, place: count) else {
                    throw SystemError("read", code: ErrorCode.badAddress, path: file.path)
                }
                page = copy
            }
            vectors.initializeElement(at: count, to: FileDescriptor.Piece(page!, count: length))
            left -= UInt64(length)
            count += 1
        }
        let written = size - offset - left
        try file.write(UnsafeBufferPointer(rebasing: vectors[..<count]), at: offset)
        copies?.wrote(offset, written)
    }

    /// Gives the file its mode, and where it is to be read back, waits until it is on the disk and compares it.
    /// - Returns: false when it does not read back as written.
    func finish(mode: UInt32) throws(SystemError) -> Bool {
        try file.setMode(mode)
        guard let copies else { return true }
        try file.synchronize()
        file.forgetCache()
        return try copies.readBack(file)
    }
}

/// Remembers what was written to a file: which parts, and one checksum over all of them in order.
private final class WrittenCopies {
    private static let capacity = 256
    private let buffer = UnsafeMutableRawPointer.allocate(byteCount: capacity * pageSize, alignment: pageSize)
    private(set) var written = ReadBack.Written()

    deinit { buffer.deallocate() }

    /// Copies up to a page out of memory that may vanish, and adds it to the checksum.
    func take(_ source: UnsafeRawPointer, count: Int, place: Int) -> UnsafeRawPointer? {
        guard place < WrittenCopies.capacity else { return nil }
        let copy = buffer + place * pageSize
        guard guardedCopy(source, to: copy, count: count) else { return nil }
        written.checksum = pv_crc32c(written.checksum, copy, count)
        return UnsafeRawPointer(copy)
    }

    func wrote(_ offset: UInt64, _ count: UInt64) {
        if let last = written.parts.last, last.offset + last.count == offset {
            written.parts[written.parts.count - 1].count += count
        } else {
            written.parts.append((offset, count))
        }
    }

    func readBack(_ file: borrowing FileDescriptor) throws(SystemError) -> Bool {
        try ReadBack.fits(
            file, written,
            UnsafeMutableRawBufferPointer(start: buffer, count: WrittenCopies.capacity * pageSize))
    }
}
