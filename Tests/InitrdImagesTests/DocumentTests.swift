import Foundation
import Initrd
import Testing

@testable import InitrdImages

/// What IMAGES.md and the schema name, and what the code has: the same words, on both sides.
@Suite struct ImageDocumentTests {
    private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private func text(_ name: String) throws -> String {
        try String(contentsOf: root.appendingPathComponent(name), encoding: .utf8)
    }

    private func schema(_ path: String...) throws -> [String] {
        let data = try Data(contentsOf: root.appendingPathComponent("Documentation/image.schema.json"))
        var part = try JSONSerialization.jsonObject(with: data)
        for key in path { part = try #require((part as? [String: Any])?[key], "\(path)") }
        return try #require(part as? [Any]).compactMap { $0 as? String }
    }

    /// The words in backquotes in the first column of the table below a heading line.
    private func firsts(_ heading: String) throws -> [String] {
        let lines = try text("Documentation/IMAGES.md").components(separatedBy: "\n")
        let start = try #require(lines.firstIndex(of: heading), "\(heading)")
        return lines[(start + 2)...].prefix { $0.hasPrefix("| ") }.flatMap { line in
            line.components(separatedBy: " | ")[0].components(separatedBy: "`").enumerated()
                .compactMap { $0.offset % 2 == 1 ? $0.element : nil }
        }
    }

    @Test func linesOfTheCheck() throws {
        let subjects = CheckLine.Subject.allCases.map { "\($0.name)" }
        #expect(try schema("properties", "lines", "items", "properties", "subject", "enum") == subjects)
        #expect(try firsts("| line | good when | not well: what to do |").sorted() == subjects.sorted())
        let verdicts = [CheckLine.Verdict.good, .bad, .unknown, .note].map { "\($0.name)" }
        #expect(try schema("properties", "lines", "items", "properties", "verdict", "enum") == verdicts)
    }

    @Test func flavours() throws {
        let flavours = Flavour.allCases.map { "\($0.name)" }
        #expect(try schema("properties", "flavour", "enum") == flavours)
        let manual = try text("man/pram-verify-image.8")
        #expect(manual.contains(".It Fl \\-flavour Ns = Ns Cm \(flavours.joined(separator: " | "))\n"))
    }
}
