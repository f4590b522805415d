import CLinux
import Linux
import PRAM
import Testing

@testable import Machine
@testable import MemorySources

@Suite struct KdumpCompressedTests {
    private static let mixed: [UInt64: Codec] = [0: .zlib, 1: .none, 2: .zstd, 5: .zlib, 62: .zstd, 63: .none]

    @Test func `pages of every codec, and those left out`() throws {
        let memory = try opened(KdumpRecipe(Self.mixed).bytes)
        #expect(memory.kind == "kdump-compressed dump")
        #expect(memory.survey(0, 64) == "PPP--P" + String(repeating: "-", count: 56) + "PP")
        #expect(memory.survey(60, 8) == "--PP----")
        #expect(memory.notes.isEmpty)
        for number: UInt64 in [64, 4096, 1 << 52, .max - 1, .max] { #expect(memory.survey(number, 1) == "-") }
        #expect(memory.fetch(.max - 1, 3).allSatisfy { $0.state == .absent })
    }

    @Test(arguments: [KdumpRecipe.Width.wide, .i386, .arm], [1, 2, 3, 5, 6] as [Int32])
    func `every width and version of the headers`(_ width: KdumpRecipe.Width, _ version: Int32) throws {
        var recipe = KdumpRecipe(Self.mixed)
        recipe.width = width
        recipe.version = version
        #expect(try opened(recipe.bytes).survey(0, 7) == "PPP--P-")
        recipe.split = 2...61
        let part = try opened(recipe.bytes)
        // Version 1 knows of no split dumps.
        if version >= 2 {
            #expect(part.survey(0, 7) == "--P--P-")
            #expect(part.survey(60, 4) == "----")
            #expect(part.notes.map { $0.contains("--reassemble") } == [true])
        }
    }

    /// In steps of 4096 pages, within what the file holds.
    @Test func `the ranges that are told at once`() throws {
        var recipe = KdumpRecipe()
        recipe.maxMapNumber = 20_000
        for number: UInt64 in [3, 4100, 8191, 16_384, 19_999] {
            recipe.pages[number] = .init(codec: .zlib, bytes: page(number))
        }
        func ranges(_ limit: Int) throws -> [[UInt64]] {
            try opened(recipe.bytes).ranges(limit: limit).map { [$0.start >> 12, $0.last >> 12] }
        }
        #expect(try ranges(10) == [[0, 8191], [16_384, 19_999]])
        #expect(try ranges(1) == [[0, 8191]])
        recipe.split = 5000...17_000
        #expect(try ranges(10) == [[5000, 8191], [16_384, 17_000]])
    }

    @Test func `ranks hold across groups of 4096`() throws {
        var recipe = KdumpRecipe()
        recipe.maxMapNumber = 20_000
        var generator = SplitMix(state: 5)
        var expected = ""
        for number: UInt64 in 0..<20_000 {
            // Dense in places, empty for whole groups in others.
            let isDense = number < 3000 || number > 12_200
            let chosen = isDense ? Int.random(in: 0..<100, using: &generator) == 0 : number % 4096 == 0
            if chosen { recipe.pages[number] = .init(codec: .zlib, bytes: page(number)) }
            expected += chosen ? "P" : "-"
        }
        for split: ClosedRange<UInt64>? in [nil, 4096...12_287, 2999...12_500] {
            recipe.split = split
            let memory = try opened(recipe.bytes)
            var states = ""
            for (number, result) in memory.fetch(0, 20_000).enumerated() {
                states += result.state == .present && result.bytes == page(UInt64(number)) ? "P" : "-"
            }
            let wanted = zip(0..., expected).map { split?.contains($0) ?? true ? $1 : "-" }
            #expect(states == String(wanted))
        }
    }

    /// 64 TiB of address space, 4 GiB of bitmaps with one bit set: a sparse file of a few pages.
    @Test func `the largest bitmap costs a second at most`() throws {
        var recipe = KdumpRecipe()
        (recipe.maxMapNumber, recipe.bitmapBlocks) = (1 << 34, 0)
        var headers = recipe.bytes
        headers.put(UInt32(1 << 20), at: 436)
        let second = 8192 + 1 << 31, table = 8192 + 1 << 32
        let number: UInt64 = 0x3_1234_5678
        let file = Scratch(headers)
        let output = try FileDescriptor.open(file.path, O_WRONLY)
        func write(_ bytes: [UInt8], at offset: Int) throws {
            try bytes.withUnsafeBytes { try output.write($0, at: UInt64(offset)) }
        }
        try write([1 << UInt8(number % 8)], at: second + Int(number / 8))
        try write(little(UInt64(table + 24)) + little(UInt32(4096)) + zeros(12) + page(number), at: table)
        #expect(try file.open().survey(number - 2, 5) == "--P--")
    }

    @Test func `codecs that cannot be read are named`() throws {
        var recipe = KdumpRecipe([0: .lzo, 1: .none, 2: .snappy, 3: .zlib])
        let memory = try opened(recipe.bytes)
        #expect(memory.notes.isEmpty)
        #expect(memory.survey(0, 5) == "?P?P-")
        #expect(memory.notes.count == 2)
        recipe.status = 2
        #expect(failure(recipe.bytes)?.message == "its pages are compressed with lzo")
        recipe.status = 4
        #expect(failure(recipe.bytes)?.message == "its pages are compressed with snappy")
        #expect(failure(recipe.bytes)?.cause == .unsupported)
    }

    @Test func `descriptors that cannot be right cost their page only`() throws {
        var recipe = KdumpRecipe([0: .none, 1: .zlib, 2: .zstd, 3: .none, 4: .zlib, 5: .none])
        recipe.pages[0]!.offset = .max
        recipe.pages[1]!.size = .max
        recipe.pages[2]!.size = 0
        recipe.pages[3]!.size = 4095
        recipe.pages[4]!.bytes = page(4) + [0]
        #expect(try opened(recipe.bytes).survey(0, 7) == "?????P-")
        recipe.pages[0]!.offset = 0
        #expect(try opened(recipe.bytes).survey(0, 1) == "x")
        recipe.status = 8
        let incomplete = try opened(recipe.bytes)
        #expect(incomplete.fetch(0)[0].state == .absent)
        #expect(incomplete.notes.count == 1)
    }

    @Test func `pages past a cut are unreadable, those before it are there`() throws {
        let bytes = KdumpRecipe([0: .none, 1: .none, 2: .none, 3: .none]).bytes
        let cut = try opened(Array(bytes.dropLast(4097)))
        #expect(cut.survey(0, 2) == "PP" && cut.notes.isEmpty)
        #expect(cut.survey(0, 5) == "PP??-")
        #expect(cut.notes.map { $0.contains("cut short") } == [true])
        // Within the table of pages.
        let table = bytes.count - 4 * 4096 - 30
        let headless = try opened(Array(bytes[..<table]))
        #expect(headless.survey(0, 5) == "????-")
        #expect(headless.notes.map { $0.contains("cut short") } == [true])
    }

    @Test func `header fields at their extremes`() {
        func expect(_ cause: MemoryFailure.Cause, _ change: (inout KdumpRecipe) -> Void, at line: Int = #line) {
            var recipe = KdumpRecipe(Self.mixed)
            var bytes = recipe.bytes
            change(&recipe)
            // The changed headers before the body of the good file: its tables would be as long as the fields say.
            var headers = recipe
            (headers.subHeaderBlocks, headers.bitmapBlocks) = (1, 2)
            bytes.replaceSubrange(0..<8192, with: headers.bytes[..<8192])
            bytes.put(recipe.subHeaderBlocks, at: 432)
            bytes.put(recipe.bitmapBlocks, at: 436)
            #expect(failure(bytes)?.cause == cause, "line \(line): \(failure(bytes)?.message ?? "opened")")
        }
        expect(.unsupported) { $0.version = 7 }
        expect(.unsupported) { $0.version = -1 }
        expect(.unsupported) { $0.blockSize = 65536 }
        for size: UInt32 in [0, 1, 4095, 1 << 31, .max] { expect(.malformed) { $0.blockSize = size } }
        for count: UInt32 in [0, 1 << 31, .max] { expect(.malformed) { $0.subHeaderBlocks = count } }
        expect(.malformed) { $0.subHeaderBlocks = 0xffff }
        for count: UInt32 in [0, 1 << 31, .max] { expect(.malformed) { $0.bitmapBlocks = count } }
        for count: UInt64 in [65537, 1 << 40, .max] { expect(.malformed) { $0.maxMapNumber = count } }
        expect(.tooLarge) { ($0.maxMapNumber, $0.bitmapBlocks) = (1 << 34 + 1, .max) }
        expect(.malformed) { ($0.maxMapNumber, $0.bitmapBlocks) = (1 << 34, .max) }
    }

    @Test func `a split range at its extremes`() throws {
        var recipe = KdumpRecipe(Self.mixed)
        var bytes = recipe.bytes
        func part(_ start: UInt64, _ end: UInt64) throws(MemoryFailure) -> any PhysicalMemory {
            bytes.put(UInt32.max, at: 4096 + 12)
            bytes.put(start, at: 4096 + 80)
            bytes.put(end, at: 4096 + 88)
            return try opened(bytes)
        }
        #expect(try part(0, .max).survey(0, 3) == "PPP")
        #expect(try part(.max, .max).survey(0, 3) == "---")
        #expect(try part(64, 64).survey(60, 6) == "------")
        #expect(throws: MemoryFailure.self) { try part(1, 0) }
        // A descriptor table that begins at page 2, read as if it began at page 5: other pages, no harm.
        recipe.split = 2...63
        bytes = recipe.bytes
        #expect(try part(5, 64).survey(4, 3) == "-x-")
    }

    @Test func `an old diskdump and a big-endian dump are named`() {
        #expect(failure(Array("DISKDUMP".utf8).padded(to: 4096))?.message.contains("diskdump") == true)
        var bytes = KdumpRecipe().bytes
        bytes.put(UInt32(6).byteSwapped, at: 8)
        #expect(failure(bytes)?.message == "a big-endian dump")
    }
}
