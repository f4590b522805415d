import Initrd
import Testing

/// A record as a sequence of bytes, with any field made wrong.
struct Recipe {
    var magic = "070701"
    var inode: UInt32 = 1
    var mode: UInt32 = 0o100644
    var links: UInt32 = 1
    var name: [UInt8] = Array("file".utf8) + [0]
    var nameSize: UInt32?
    var data: [UInt8] = []
    var size: UInt32?
    var checksum: UInt32 = 0
    var node: (UInt32, UInt32) = (0, 0)

    var bytes: [UInt8] {
        func hex(_ number: UInt32) -> String {
            let digits = String(number, radix: 16)
            return String(repeating: "0", count: 8 - digits.count) + digits
        }
        let fields: [UInt32] = [
            inode, mode, 0, 0, links, 0x5000_0000, size ?? UInt32(data.count), 8, 1, node.0, node.1,
            nameSize ?? UInt32(name.count), checksum,
        ]
        var out = Array(magic.utf8) + Array(fields.map(hex).joined().utf8) + name
        while out.count % 4 != 0 { out.append(0) }
        out += data
        while out.count % 4 != 0 { out.append(0) }
        return out
    }

    static var trailer: [UInt8] { Recipe(mode: 0, name: Array("TRAILER!!!".utf8) + [0]).bytes }
}

/// What a parser makes of a stream that comes in pieces of a size.
struct Reading: Equatable {
    var records: [NewcRecord] = []
    var data: [[UInt8]] = []
    var trailers = 0
    var fault: NewcFault?

    init(_ stream: [UInt8], piece: Int = .max, verifying: Bool = false, at offset: UInt64 = 0) {
        var parser = NewcParser(at: offset, verifyingChecksums: verifying)
        var start = 0
        do throws(NewcFault) {
            while start < stream.count {
                let end = piece > stream.count - start ? stream.count : start + piece
                let part = Array(stream[start..<end])
                try take(part, &parser)
                start = end
            }
            try take([], &parser)
            try parser.finish()
        } catch {
            fault = error
        }
    }

    private mutating func take(_ piece: [UInt8], _ parser: inout NewcParser) throws(NewcFault) {
        var cursor = 0
        while true {
            let event = try parser.next(piece.span, &cursor)
            switch event {
            case .needsMore:
                #expect(cursor == piece.count)
                return
            case .record(let record):
                records.append(record)
                data.append([])
            case .data(let range): data[data.count - 1] += piece[range]
            case .endOfData: break
            case .trailer: trailers += 1
            }
        }
    }
}

@Suite struct NewcParserTests {
    private static let archive: [UInt8] =
        Recipe(mode: 0o040755, links: 2, name: Array("d".utf8) + [0]).bytes
        + Recipe(inode: 7, links: 2, name: Array("d/a".utf8) + [0]).bytes
        + Recipe(inode: 7, links: 2, name: Array("d/b".utf8) + [0], data: Array("hard link".utf8)).bytes
        + Recipe(mode: 0o120777, name: Array("l".utf8) + [0], data: Array("d/a".utf8)).bytes
        + Recipe(mode: 0o020600, name: Array("console".utf8) + [0], node: (5, 1)).bytes
        + Recipe.trailer

    @Test(arguments: [1, 2, 3, 4, 5, 7, 64, 109, 110, 111, 4096])
    func everySplitReadsTheSame(_ piece: Int) {
        let whole = Reading(Self.archive)
        #expect(Reading(Self.archive, piece: piece) == whole)
        #expect(whole.fault == nil)
        #expect(whole.trailers == 1)
        #expect(whole.records.map { String(decoding: $0.name, as: UTF8.self) } == ["d", "d/a", "d/b", "l", "console"])
        #expect(whole.data[2] == Array("hard link".utf8))
        #expect(whole.records[3].target == Array("d/a".utf8))
        #expect(whole.records[4].nodeMajor == 5 && whole.records[4].nodeMinor == 1)
        #expect(whole.records[1].isSameFile(as: whole.records[2]))
    }

    @Test func archivesFollowEachOtherWithAndWithoutEndMarksAndZeros() {
        let one = Recipe(data: [1]).bytes
        let stream = one + one + Recipe.trailer + [UInt8](repeating: 0, count: 512) + one + [0, 0, 0, 0]
        let reading = Reading(stream)
        #expect(reading.fault == nil && reading.records.count == 3 && reading.trailers == 1)
    }

    @Test func misalignedRecordsAreRefusedAsTheKernelDoes() {
        let one = Recipe(data: [1]).bytes
        #expect(Reading(one + [0, 0] + one).fault == NewcFault(.misaligned, at: UInt64(one.count + 2)))
        #expect(Reading(one, at: 512).fault == nil)
    }

    @Test func damagedHeaders() {
        func cause(_ bytes: [UInt8]) -> NewcFault.Cause? { Reading(bytes).fault?.cause }
        #expect(cause(Recipe(magic: "070707").bytes) == .oldPortableForm)
        #expect(cause(Recipe(magic: "0707x1").bytes) == .noRecord)
        #expect(cause(Array("garbage!".utf8)) == .noRecord)
        #expect(cause(Recipe(nameSize: 0).bytes) == .noName)
        #expect(cause(Recipe(nameSize: 4097).bytes) == .nameTooLong(4097))
        #expect(cause(Recipe(nameSize: .max).bytes) == .nameTooLong(.max))
        #expect(cause(Recipe(name: Array("abcd".utf8)).bytes) == .nameNotTerminated)
        #expect(cause(Recipe(size: .max).bytes) == .truncated)
        #expect(cause(Array(Recipe(data: [1, 2, 3, 4]).bytes.dropLast())) == .truncated)
        for field in 0..<13 {
            var bytes = Recipe().bytes
            bytes[6 + field * 8 + 3] = UInt8(ascii: "g")
            #expect(cause(bytes) == .notHexadecimal(field: field))
        }
        // strtoul would take a prefix and a sign.
        for prefix in ["0x", "-1", " 1", "+1"] {
            var bytes = Recipe().bytes
            bytes.replaceSubrange(6..<8, with: prefix.utf8)
            #expect(cause(bytes) == .notHexadecimal(field: 0))
        }
    }

    @Test func namesEndAtTheFirstNUL() {
        let record = Reading(Recipe(name: Array("ab\0cd".utf8) + [0]).bytes).records.first
        #expect(record?.name == Array("ab".utf8))
        #expect(Reading(Recipe(name: Array("TRAILER!!!\0x".utf8) + [0]).bytes).trailers == 1)
    }

    @Test func checksums() {
        let good = Recipe(magic: "070702", data: [200, 100], checksum: 300).bytes
        let bad = Recipe(magic: "070702", data: [200, 101], checksum: 300).bytes
        #expect(Reading(good, verifying: true).fault == nil)
        #expect(Reading(bad, piece: 1, verifying: true).fault?.cause == .wrongChecksum)
        #expect(Reading(bad).fault == nil)
        #expect(Reading(Recipe(data: [1], checksum: 9).bytes, verifying: true).fault == nil)
    }

    @Test func targetsOfLinksThatAreTooLongArePassedOver() {
        let long = [UInt8](repeating: 0x61, count: 4097)
        let link = Recipe(mode: 0o120777, data: long).bytes
        let reading = Reading(link + Recipe().bytes)
        #expect(reading.records.first?.target == nil && reading.records.first?.isPassedOver == true)
        #expect(reading.records.count == 2 && reading.fault == nil)
        #expect(Reading(Recipe(mode: 0o120777, data: Array(long.dropLast())).bytes).records[0].target?.count == 4096)
    }

    @Test func whatIsSkippedNeedNotBeRead() throws {
        var parser = NewcParser()
        func isRecord(_ bytes: [UInt8]) throws -> Bool {
            var cursor = 0
            let event = try parser.next(bytes.span, &cursor)
            if case .record = event { return true }
            return false
        }
        #expect(try isRecord(Array(Recipe(data: [9, 9, 9, 9], size: 1 << 31).bytes.dropLast(4))))
        #expect(parser.skippable == 1 << 31)
        parser.skip(1 << 31)
        #expect(try !isRecord([]))
        #expect(try isRecord(Recipe().bytes))
    }

    /// Bytes changed at random places: every reading ends, and never reads past the piece (that would trap).
    @Test(arguments: 0..<40)
    func mutations(_ seed: UInt64) {
        var dice = seed &* 0x9e37_79b9_7f4a_7c15 | 1
        func roll(_ sides: Int) -> Int {
            dice ^= dice << 13
            dice ^= dice >> 7
            dice ^= dice << 17
            return Int(dice % UInt64(sides))
        }
        for _ in 0..<50 {
            var bytes = Self.archive
            for _ in 0...roll(6) { bytes[roll(bytes.count)] = [0, 0x30, 0x46, 0x66, 0xff, UInt8(roll(256))][roll(6)] }
            if roll(3) == 0 { bytes.removeLast(roll(bytes.count)) }
            #expect(Reading(bytes, piece: 1 + roll(200)) == Reading(bytes))
        }
    }
}
