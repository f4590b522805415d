import Foundation
import Testing

@testable import Parity

/// Documentation/PARITY.md has tables; what they say is what the code does.
struct ParityDocumentTests {
    struct Row: Equatable {
        let offset: Int
        let size: Int
    }

    /// The cells of the rows of numbers below a heading.
    static func table(_ heading: String) throws -> [[String]] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(contentsOf: root.appendingPathComponent("Documentation/PARITY.md"), encoding: .utf8)
        let section = try #require(text.components(separatedBy: "\(heading)\n").dropFirst().first)
        var rows: [[String]] = []
        for line in section.components(separatedBy: "\n") {
            if line.hasPrefix("#") { break }
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            if cells.count > 3, Int(cells[0]) != nil { rows.append(cells) }
        }
        return rows
    }

    static func fields(_ heading: String) throws -> [String: Row] {
        var rows: [String: Row] = [:]
        for cells in try table(heading) {
            rows[cells[3]] = Row(offset: Int(cells[0])!, size: try #require(Int(cells[1])))
        }
        return rows
    }

    /// The fields fill the page without gap and overlap.
    static func expectWhole(_ rows: [String: Row]) {
        var end = 0
        for row in rows.values.sorted(by: { $0.offset < $1.offset }) {
            #expect(row.offset == end)
            end = row.offset + row.size
        }
        #expect(end == parityPageSize)
    }

    @Test func geometryPage() throws {
        let rows = try Self.fields("### Geometry page, fields")
        Self.expectWhole(rows)
        let layout = try #require(ParityLayout(head: 0x8_7654_3210, size: 70_000, pages: 60_000, percent: 5))
        let geometry = try #require(
            GeometryPage(
                layout, generation: 0x1122_3344_5566_7788, protected: GeometryPageTests.digest(layout.pages)))
        let page = geometry.encoded()
        let code = try #require(layout.code)
        for (field, number) in [
            ("mark", GeometryPage.mark), ("generation", geometry.generation), ("head", 0x8_7654_3210),
            ("front", 0x8_7654_3211), ("back", 0x8_7654_3210 + 69_999), ("mirror", layout.mirror),
            ("links", UInt64(layout.links)), ("pages", 60_000), ("protected", geometry.protected),
            ("groups", UInt64(code.groups)), ("rows", UInt64(code.rows)),
            ("digest", Digest.ofPage(page, from: 16, seed: GeometryPage.mark)),
        ] {
            let row = try #require(rows[field], "\(field)")
            #expect(row.size == 8 && page.word(at: row.offset) == number, "\(field)")
        }
        #expect(
            rows["runs"]?.offset == GeometryPage.runsStart && page[GeometryPage.runsStart...].allSatisfy { $0 == 0 })
        #expect(Array(page[..<8]) == Array("PVARITY1".utf8))
        #expect(rows.count == 13)
    }

    @Test func linksParityPage() throws {
        let rows = try Self.fields("### Links' parity page, fields")
        Self.expectWhole(rows)
        var page = [UInt8](repeating: 0x55, count: 4096)
        LinkParityPage.seal(&page, generation: 1, index: 2)
        #expect(rows["digest"] == Row(offset: 0, size: 8) && rows["parity"] == Row(offset: 8, size: 4088))
        #expect(page.word(at: 0) == Digest.ofPage(page, from: 8, seed: Digest.mixed(1) + 2))
        #expect(page[8...].allSatisfy { $0 == 0x55 })
    }

    @Test func promises() throws {
        let rows = try Self.table("## What is promised")
        #expect(rows.map { Int($0[0])! } == [1, 2, 3, 4, 5, 10, 20, 30, 40, 50])
        let pages = 524_288
        for row in rows {
            let percent = try #require(Int(row[0]))
            let code = try #require(Interleaving(pages: pages, percent: percent))
            let chain = try #require(ParityLayout.pagesNeeded(pages: pages, percent: percent))
            func text(_ number: Double) -> String { String(format: "%.2f", number) }
            #expect(row[1] == "\(code.columns)" && row[2] == "\(code.rows)")
            #expect(row[3] == text(100 * Double(code.parityPages) / Double(pages)))
            #expect(row[4] == text(100 * Double(code.parityPages) / Double(chain)))
            var lost = 0
            while InterleavingTests.chanceOfFailure(code, lost: Double(lost + 1) / 10_000) <= 0.001 { lost += 1 }
            #expect(row[5] == text(Double(lost) / 100), "\(percent) %")
        }
    }
}
