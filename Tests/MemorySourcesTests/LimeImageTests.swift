import PRAM
import Testing

@testable import Machine
@testable import MemorySources

@Suite struct LimeImageTests {
    @Test func `ranges behind each other, ends inclusive`() throws {
        let memory = try opened(
            lime(4096, 3 * 4096 - 1, pages(1..<3)) + lime(0, 4095, page(0)) + lime(9 * 4096, 10 * 4096 - 1, page(9)))
        #expect(memory.kind == "LiME image")
        #expect(memory.survey(0, 11) == "PPP------P-")
        #expect(
            memory.ranges(limit: 9).map { [$0.start, $0.last] } == [[0, 4095], [4096, 12_287], [36_864, 40_959]])
        #expect(memory.ranges(limit: 2).count == 2)
    }

    @Test func `a last range that is cut short`() throws {
        let memory = try opened(lime(0, 4 * 4096 - 1, pages(0..<2) + [1]))
        #expect(memory.survey(0, 5) == "PP---")
        #expect(memory.notes.count == 1)
    }

    /// What was read before stays; what lies behind is not in the image, and the note says why.
    @Test func `whatever lies behind a range costs no range before it`() throws {
        let good = lime(4096, 3 * 4096 - 1, pages(1..<3)) + lime(9 * 4096, 10 * 4096 - 1, page(9))
        let next = Array(lime(20 * 4096, 21 * 4096 - 1, page(20)))
        let cases: [(rest: [UInt8], word: String)] = [
            (zeros(1), "zeros at offset 12352"), (zeros(4096), "zeros at offset 12352"),
            (zeros(32) + next, "zeros at offset 12352"), (Array("junk".utf8), "no LiME header at offset 12352"),
            (page(3), "no LiME header at offset 12352"), (Array(next[..<3]), "is cut short"),
            (Array(next[..<4]), "is cut short"), (Array(next[..<31]), "is cut short"),
            (lime(20 * 4096, 21 * 4096 - 1, page(20), version: 2), "LiME version 2 at offset 12352"),
            (lime(1, 0, page(20)), "has the range 0x1 to 0x0"),
        ]
        for (rest, word) in cases {
            let memory = try opened(good + rest)
            #expect(memory.survey(0, 22) == "-PP------P------------", "\(word)")
            #expect(memory.notes.count == 1 && memory.notes[0].contains(word), "\(memory.notes)")
            #expect(memory.notes[0].hasSuffix("what follows is left out"))
            // Packed, it is no different.
            #expect(try opened(gzip(good + rest)).survey(0, 22) == "-PP------P------------")
        }
        #expect(try opened(good + next).notes == [])
        #expect(try opened(good + next[..<32]).survey(20, 1) == "-")
    }

    @Test func `headers that cannot be`() {
        let good = lime(0, 4095, page(0))
        #expect(failure(lime(4096, 4095, page(0)))?.cause == .malformed)
        #expect(failure(lime(0, .max, page(0)))?.cause == .malformed)
        #expect(failure(lime(0, 4095, page(0), version: 2))?.cause == .unsupported)
        #expect(failure(Array(good[..<20]))?.message == "the LiME header at offset 0 is cut short")
        #expect(failure(Array("AVML".utf8) + Array(good[4...]))?.message.contains("snappy") == true)
        #expect((try? opened(lime(1, .max, page(0))))?.survey(0, 1) == "-")
    }
}
