import CChecksum
import Glibc
import Testing

/// Do the functions that the program calls give the kernel's checksums? Serialized, for the choice of a path is global.
@Suite(.serialized) struct ChecksumTests {
    @Test func knownAnswers() {
        let digits = Array("123456789".utf8)
        #expect(pv_crc32c(0, digits, digits.count) == 0x58E3_FA20)
        #expect(pv_crc32(0, digits, digits.count) == 0x2DFD_2D88)
        #expect(pv_crc32c(0x1234, nil, 0) == 0x1234)
        #expect(pv_crc32(0x1234, nil, 0) == 0x1234)
        // The usual checksums of these bytes, with inversion before and after (RFC 3720, zlib).
        #expect(~pv_crc32c(~0, digits, digits.count) == 0xE306_9283)
        #expect(~pv_crc32(~0, digits, digits.count) == 0xCBF4_3926)
        let ascending = Array(UInt8(0)..<32)
        #expect(~pv_crc32c(~0, ascending, 32) == 0x46DD_794E)
    }

    @Test func theFirstPathThatRunsIsInUse() {
        let crc32c = Path.running.first { pv_crc_path_has_crc32c($0.index) }
        let crc32 = Path.running.first { pv_crc_path_has_crc32($0.index) }
        #expect(pv_crc_path_in_use_crc32c() == crc32c?.index)
        #expect(pv_crc_path_in_use_crc32() == crc32?.index)
    }

    @Test func copies() {
        for length in Array(0...200) + [4095, 4096, 4097, 8192, 12000] {
            var copy = [UInt8](repeating: 0xAA, count: length + 1)
            let checksum = pv_crc32c_copy(7, &copy, sample, length)
            #expect(checksum == pv_crc32c(7, sample, length))
            #expect(copy == sample[..<length] + [0xAA])
        }
    }

    @Test(arguments: Path.running)
    func pagesByEveryPath(_ path: Path) {
        let crc32c = Path.all[pv_crc_path_in_use_crc32c()], crc32 = Path.all[pv_crc_path_in_use_crc32()]
        #expect(pv_crc_force_path(path.index))
        defer { _ = pv_crc_force_path(crc32.index) && pv_crc_force_path(crc32c.index) }
        if pv_crc_path_has_crc32c(path.index) { #expect(pv_crc_path_in_use_crc32c() == path.index) }
        if pv_crc_path_has_crc32(path.index) { #expect(pv_crc_path_in_use_crc32() == path.index) }
        // Scattered, overlapping, at odd addresses, the same one twice, and more or fewer than are fetched ahead.
        let offsets = [8192, 0, 4096, 12288, 77, 77, 1, 4097, 12287]
        for count in 0...offsets.count {
            let batch = Batch(offsets.prefix(count))
            batch.run(pv_crc32c_pages)
            #expect(batch.done == count)
            #expect(batch.checksums == offsets.prefix(count).map { Batch.expected($0) })
        }
    }

    @Test func aBatchGoesOnWhereItStopped() {
        let batch = Batch([0, 1, 2, 3, 4, 5, 6])
        batch.done = 4
        batch.run(pv_crc32c_pages)
        #expect(batch.done == 7)
        #expect(batch.checksums == [0, 0, 0, 0] + [4, 5, 6].map { Batch.expected($0) })
    }

    /// Every page of a batch vanishes in turn. The handler notes `done` and brings the page back.
    @Test func doneNamesThePageThatCannotBeRead() throws {
        let memory = try GuardedMemory(pages: 6)
        memory.start.copyMemory(from: sample, byteCount: 3 * 4096)
        (memory.start + 3 * 4096).copyMemory(from: sample, byteCount: 3 * 4096)
        for missing in 0..<6 {
            let batch = Batch(addresses: (0..<6).map { UnsafeRawPointer(memory.start + $0 * 4096) })
            fault = Fault(batch: batch.raw, page: memory.start + missing * 4096)
            mprotect(fault.page, 4096, PROT_NONE)
            var action = sigaction(), before = sigaction()
            action.__sigaction_handler.sa_handler = { _ in
                fault.done = fault.batch?.pointee.done
                fault.first = fault.batch?.pointee.checksums[0]
                mprotect(fault.page, 4096, PROT_READ | PROT_WRITE)
            }
            sigaction(SIGSEGV, &action, &before)
            batch.run(pv_crc32c_pages)
            sigaction(SIGSEGV, &before, nil)
            #expect(fault.done == missing)
            if missing > 0 { #expect(fault.first == Batch.expected(0)) }
            #expect(batch.done == 6)
            #expect(batch.checksums == (0..<6).map { Batch.expected($0 % 3 * 4096) })
        }
    }

    @Test func readingReadsEveryWord() {
        let batch = Batch([0, 4096, 33])
        batch.run(pv_read_pages)
        #expect(batch.done == 3)
        #expect(
            batch.checksums
                == [0, 4096, 33].map { offset in
                    stride(from: offset, to: offset + 4096, by: 4).reduce(UInt32(0)) { sum, i in
                        sum ^ sample.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: i, as: UInt32.self) }
                    }
                })
    }

    /// By every path at once, so that tables are built and functions chosen by many threads.
    @Test func threadsAgree() async {
        let expected = pv_crc32c(0, sample, 4096)
        let paths = Path.running.filter { pv_crc_path_has_crc32c($0.index) }
        let results = await withTaskGroup(of: UInt32.self) { group in
            for _ in 0..<8 {
                for path in paths { group.addTask { pv_crc32c_by(path.index, 0, sample, 4096) } }
                group.addTask { pv_crc32c(0, sample, 4096) }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(results == Array(repeating: expected, count: 8 * (paths.count + 1)))
    }
}

/// What the handler of a fault needs and what it has seen. A signal handler captures nothing, so it is global.
struct Fault {
    var batch: UnsafeMutablePointer<pv_page_batch>?
    var page: UnsafeMutableRawPointer?
    var done: Int?
    var first: UInt32?
}
nonisolated(unsafe) var fault = Fault()

/// A batch and the memory it points to.
final class Batch {
    let raw = UnsafeMutablePointer<pv_page_batch>.allocate(capacity: 1)
    private let pages: UnsafeMutableBufferPointer<UnsafeRawPointer?>
    private let results: UnsafeMutableBufferPointer<UInt32>
    /// The sample at an address that stays.
    nonisolated(unsafe) private static let bytes = {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: sample.count, alignment: 64)
        copy.copyBytes(from: sample)
        return UnsafeRawPointer(copy.baseAddress!)
    }()

    init(addresses: [UnsafeRawPointer]) {
        pages = .allocate(capacity: addresses.count)
        _ = pages.initialize(from: addresses)
        results = .allocate(capacity: addresses.count)
        results.initialize(repeating: 0)
        raw.initialize(to: pv_page_batch())
        raw.pointee.pages = UnsafePointer(pages.baseAddress)
        raw.pointee.checksums = results.baseAddress
        raw.pointee.count = addresses.count
    }

    /// Pages that start at these offsets in the sample.
    convenience init(_ offsets: some Sequence<Int>) { self.init(addresses: offsets.map { Self.bytes + $0 }) }

    deinit {
        pages.deallocate()
        results.deallocate()
        raw.deallocate()
    }

    func run(_ function: (UnsafeMutableRawPointer?) -> Void) { function(raw) }

    var checksums: [UInt32] { Array(results) }
    var done: Int {
        get { raw.pointee.done }
        set { raw.pointee.done = newValue }
    }

    static func expected(_ offset: Int) -> UInt32 {
        Definition.crc32c.ofPrefixes(Array(sample[offset..<offset + 4096]), seed: 0).last!
    }
}
