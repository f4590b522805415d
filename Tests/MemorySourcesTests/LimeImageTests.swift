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

    @Test func `headers that cannot be`() {
        let good = lime(0, 4095, page(0))
        #expect(failure(lime(4096, 4095, page(0)))?.cause == .malformed)
        #expect(failure(lime(0, .max, page(0)))?.cause == .malformed)
        #expect(failure(lime(0, 4095, page(0), version: 2))?.cause == .unsupported)
        #expect(failure(good + Array(good[..<20]))?.message == "the LiME header at offset 4128 is cut short")
        #expect(failure(good + page(3))?.message == "no LiME header at offset 4128, where one is due")
        #expect(failure(Array("AVML".utf8) + Array(good[4...]))?.message.contains("snappy") == true)
        #expect((try? opened(lime(1, .max, page(0))))?.survey(0, 1) == "-")
    }
}
