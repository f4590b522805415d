import Linux
import PRAM
import Testing

@testable import Machine
@testable import MemorySources

/// Bytes in memory, for the layers that do not care where they come from.
private final class ArraySource: ByteSource {
    let bytes: [UInt8]
    let name = "array"
    init(_ bytes: [UInt8]) { self.bytes = bytes }
    var size: UInt64 { UInt64(bytes.count) }
    func read(at offset: UInt64, into destination: UnsafeMutableRawBufferPointer) -> Int {
        guard offset < size else { return 0 }
        let part = bytes[Int(offset)...].prefix(destination.count)
        destination.copyBytes(from: part)
        return part.count
    }
    func mapped(at offset: UInt64, count: Int) -> UnsafeRawPointer? { nil }
    func endOfHole(at offset: UInt64) -> UInt64 { offset }
}

@Suite struct FlattenedDumpTests {
    @Test(arguments: [1000, 4096, 16384, 1 << 20])
    func `kdump and ELF dumps in records of any size`(_ size: Int) throws {
        let kdump = KdumpRecipe([0: .zlib, 1: .none, 7: .zstd]).bytes
        let elf = ElfRecipe(segments: [.init(address: 4096, bytes: pages(1..<9))]).bytes
        for seed: UInt64? in [nil, 1] {
            #expect(try opened(flattened(kdump, recordSize: size, shuffledBy: seed)).survey(0, 9) == "PP-----P-")
            #expect(try opened(flattened(elf, recordSize: size, shuffledBy: seed)).survey(0, 10) == "-PPPPPPPP-")
        }
    }

    @Test func `the later record wins, gaps are zeros, as after rearranging`() throws {
        var generator = SplitMix(state: 11)
        for _ in 0..<300 {
            func random(_ range: Range<Int>) -> Int { .random(in: range, using: &generator) }
            var plain: [UInt8] = []
            var records: [(offset: Int64, bytes: [UInt8])] = []
            var next = 0
            for _ in 0..<random(0..<200) {
                // Mostly behind one another, so that runs form.
                let offset = random(0..<8) > 0 ? next : random(0..<900)
                let bytes = (0..<random(0..<30)).map { _ in UInt8(random(1..<256)) }
                records.append((Int64(offset), bytes))
                next = offset + bytes.count
                if !bytes.isEmpty {
                    plain = plain.padded(to: next)
                    plain.replaceSubrange(offset..<next, with: bytes)
                }
            }
            let dump = try FlattenedDump(ArraySource(flattened(records)))
            #expect(dump.size == UInt64(plain.count))
            #expect(!dump.isCutShort)
            #expect(try dump.bytes(at: 0, count: plain.count + 10).bytes == plain)
            for offset in 0..<plain.count {
                let end = Int(dump.endOfHole(at: UInt64(offset)))
                #expect(end >= offset && end <= plain.count && plain[offset..<end].allSatisfy { $0 == 0 })
            }
            for _ in 0..<20 {
                let from = random(0..<plain.count + 1), count = random(0..<99)
                let part = try dump.bytes(at: UInt64(from), count: count).bytes
                #expect(part == Array(plain[from...].prefix(count)))
            }
        }
    }

    @Test func `a cut is noted, what lies before it is read`() throws {
        let elf = ElfRecipe(segments: [.init(address: 0, bytes: pages(0..<9))]).bytes
        let whole = flattened(elf, recordSize: 5000)
        let memory = try opened(Array(whole.dropLast(16 + 4096)))
        #expect(memory.survey(0, 10) == "PPPPPPPP--")
        #expect(memory.notes.contains { $0.contains("end marker") })
        for cut in 1...40 { #expect(try opened(Array(whole.dropLast(cut))).survey(0, 2) == "PP") }
    }

    @Test func `headers and records that cannot be`() {
        func records(_ offset: Int64, _ size: Int64) -> MemoryFailure? {
            failure(flattened([], end: false) + big(offset) + big(size) + page(0))
        }
        #expect(records(-2, 4096)?.cause == .malformed)
        #expect(records(0, -1)?.cause == .malformed)
        #expect(records(.min, .min)?.cause == .malformed)
        #expect(records(.max, .max)?.cause == .malformed)
        #expect(records(.max, 1)?.cause == .malformed)
        #expect(records(0, .max)?.message.contains("flattened form") == true)
        #expect(failure(flattened([]))?.cause == .unsupported)
        #expect(failure(Array("makedumpfile\0\0\0\0".utf8))?.message == "the flattened dump's header is cut short")
        var other = flattened([])
        other[23] = 2
        #expect(failure(other)?.cause == .unsupported)
        #expect(failure(flattened(flattened([]), recordSize: 999))?.cause == .unsupported)
    }
}
