import Linux
import Machine
import Text

/// The flattened form of a dump, which `makedumpfile -F` and QEMU write where they cannot seek: the pieces of the real
/// file in the order they were made, each with its place. Read here as if it were that real file; where pieces overlap,
/// the later one wins, and where there is none, there are zeros, as after `makedumpfile -R`.
///
///     0     "makedumpfile", four NULs; i64 type, 1; i64 version, 1; up to 4096 unused
///     4096  records: i64 offset in the real file, i64 size, then so many bytes
///           the last record has offset and size -1
///
/// All numbers are big-endian. Source: makedumpfile.h (struct makedumpfile_header, makedumpfile_data_header), QEMU's
/// dump.h.
///
/// The index holds no single records but runs: records that follow each other both here and in the real file. Where in
/// a run a byte lies is found by reading the run's headers once more.
final class FlattenedDump: ByteSource {
    static let signature: StaticString = "makedumpfile\0\0\0\0"
    /// QEMU's records hold 16 KiB: a run is then 256 KiB long, and the limit on runs is met by files of 512 GiB.
    private static let recordsPerRun = 16
    /// 80 MiB of index.
    private static let runLimit = 1 << 21
    private static let headerSize = 16
    private static let firstRecord: UInt64 = 4096

    /// Records that lie one behind the other in the flattened file and hold adjacent bytes of the real one.
    private struct Run {
        /// The place in the real file of the first record's bytes.
        let offset: UInt64
        /// The place in the flattened file of the first record's header.
        let header: UInt64
    }

    let size: UInt64
    var name: String { file.name }
    /// Whether the end marker was missing: the writer did not finish, or the file was cut.
    let isCutShort: Bool

    private let file: any ByteSource
    private let runs: [Run]
    /// Offsets in the real file, with indices into `runs`.
    private let map: ExtentMap

    init(_ file: any ByteSource) throws(MemoryFailure) {
        let start = try file.bytes(at: 0, count: 32)
        guard let type = start.bigEndian(16), let version = start.bigEndian(24) else {
            throw MemoryFailure(
                .malformed, source: file.name, "the flattened dump's header is cut short", remedy: DumpFile.anew)
        }
        guard type == 1, version == 1 else {
            throw MemoryFailure(
                .unsupported, source: file.name,
                "a flattened dump of type \(type), version \(version); type 1, version 1 is read",
                remedy: DumpFile.anew)
        }
        var index = Index()
        isCutShort = try !index.read(file)
        // The later a run, the higher its layer.
        let last = index.runs.count - 1
        map = ExtentMap(
            index.extents.reversed().map { Extent(start: $0.start, last: $0.last, piece: last - $0.piece) })
        runs = index.runs.reversed()
        size = index.size
        self.file = file
    }

    /// Goes through all records once and makes runs of them.
    private struct Index {
        private(set) var runs: [Run] = []
        /// Of the real file, one for each run.
        private(set) var extents: [Extent] = []
        /// Of the real file, in bytes.
        private(set) var size: UInt64 = 0
        private var recordsInRun = 0
        /// Where the next record has to begin in the real file to belong to the last run.
        private var expected: UInt64 = 0

        /// - Returns: whether the end marker was met.
        mutating func read(_ file: any ByteSource) throws(MemoryFailure) -> Bool {
            var headers = Headers(file)
            var at = FlattenedDump.firstRecord
            while at < file.size {
                guard let (offset, length) = try headers.record(at: at) else { return false }
                if offset == -1 { return true }
                guard offset >= 0, length >= 0, offset.addingReportingOverflow(length).overflow == false else {
                    throw MemoryFailure(
                        .malformed, source: file.name,
                        "the record at \(at) in the flattened dump has offset \(offset), size \(length)",
                        remedy: DumpFile.anew)
                }
                let data = at + UInt64(FlattenedDump.headerSize)
                // data may pass the end of the file, by the 15 bytes that are missing from a header at most.
                let held = data < file.size ? min(UInt64(length), file.size - data) : 0
                if held > 0 {
                    guard add(UInt64(offset), count: held, header: at) else {
                        throw MemoryFailure(
                            .tooLarge, source: file.name,
                            "the flattened dump is in more than \(FlattenedDump.runLimit) pieces",
                            remedy: "rearrange it with makedumpfile -R")
                    }
                }
                guard held == UInt64(length) else { return false }
                // A record without bytes in the middle of a run would end the walk through it; none is written, so
                // begin anew.
                if length == 0 { recordsInRun = FlattenedDump.recordsPerRun }
                at = data + held
            }
            return false
        }

        /// Adds a record's bytes to the last run, or begins another; false when there are too many.
        private mutating func add(_ place: UInt64, count: UInt64, header: UInt64) -> Bool {
            size = max(size, place + count)
            if !runs.isEmpty, place == expected, recordsInRun < FlattenedDump.recordsPerRun {
                extents[extents.count - 1].last = place + count - 1
                recordsInRun += 1
            } else {
                guard runs.count < FlattenedDump.runLimit else { return false }
                extents.append(Extent(start: place, last: place + count - 1, piece: runs.count))
                runs.append(Run(offset: place, header: header))
                recordsInRun = 1
            }
            expected = place + count
            return true
        }
    }

    func mapped(at offset: UInt64, count: Int) -> UnsafeRawPointer? { nil }

    func endOfHole(at offset: UInt64) -> UInt64 {
        let index = map.index(at: offset)
        return index < map.extents.count ? max(offset, map.extents[index].start) : max(offset, size)
    }

    func read(at offset: UInt64, into destination: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
        guard offset < size, let base = destination.baseAddress else { return 0 }
        let count = min(destination.count, Int(clamping: size - offset))
        var done = 0
        var index = map.index(at: offset)
        while done < count {
            let position = offset + UInt64(done)
            let rest = UnsafeMutableRawBufferPointer(start: base + done, count: count - done)
            // size > position, so there is an extent that holds this byte or a later one.
            let extent = map.extents[index]
            if extent.start > position {
                let gap = min(rest.count, Int(clamping: extent.start - position))
                UnsafeMutableRawBufferPointer(rebasing: rest[..<gap]).initializeMemory(as: UInt8.self, repeating: 0)
                done += gap
                continue
            }
            let wanted = min(rest.count, Int(clamping: extent.last - position) + 1)
            let part = UnsafeMutableRawBufferPointer(rebasing: rest[..<wanted])
            let got = try read(runs[extent.piece], at: position, into: part)
            done += got
            if got < wanted { return done }
            index += 1
        }
        return done
    }

    /// Walks through the records of a run. Short when the file is no longer what it was when the index was made.
    private func read(
        _ run: Run, at position: UInt64, into destination: UnsafeMutableRawBufferPointer
    ) throws(SystemError) -> Int {
        guard let base = destination.baseAddress else { return 0 }
        var done = 0
        var header = run.header
        var recordStart = run.offset
        for _ in 0..<Self.recordsPerRun {
            var numbers: (offset: Int64, length: Int64) = (0, 0)
            let got = try withUnsafeMutableBytes(of: &numbers) { buffer throws(SystemError) in
                try file.read(at: header, into: buffer)
            }
            let length = UInt64(clamping: Int64(bigEndian: numbers.length))
            guard got == Self.headerSize, Int64(bigEndian: numbers.offset) == Int64(exactly: recordStart), length > 0
            else { return done }

            let data = header + UInt64(Self.headerSize)
            let wanted = position + UInt64(done)
            if wanted < recordStart + length {
                let skip = wanted - recordStart
                let part = min(destination.count - done, Int(clamping: length - skip))
                let buffer = UnsafeMutableRawBufferPointer(start: base + done, count: part)
                let got = try file.read(at: data + skip, into: buffer)
                done += got
                if got < part || done == destination.count { return done }
            }
            header = data + length
            recordStart += length
        }
        return done
    }

    /// Reads record headers in ascending order, a block at a time: small records share one read.
    private struct Headers {
        private let file: any ByteSource
        private var block = Bytes([])
        private var start: UInt64 = 0

        init(_ file: any ByteSource) { self.file = file }

        /// Offset and size; nil when the file ends inside the header.
        mutating func record(at offset: UInt64) throws(MemoryFailure) -> (offset: Int64, size: Int64)? {
            if offset < start || offset - start + UInt64(FlattenedDump.headerSize) > UInt64(block.count) {
                block = try file.bytes(at: offset, count: 4096)
                start = offset
            }
            let at = Int(offset - start)
            guard let place = block.bigEndian(at), let size = block.bigEndian(at + 8) else { return nil }
            return (place, size)
        }
    }
}
