import Foundation
import Testing

@testable import Manifest

/// Documentation/MANIFEST.md names what the code knows, and nothing else.
struct ManifestDocumentTests {
    /// The first cells of the rows of the table that has this title in its first column.
    private func table(_ title: String) throws -> [String] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(contentsOf: root.appendingPathComponent("Documentation/MANIFEST.md"), encoding: .utf8)
        let rows = try #require(text.components(separatedBy: "\n| \(title) |").dropFirst().first)
        return rows.components(separatedBy: "\n").dropFirst(2).prefix { $0.hasPrefix("|") }.map { row in
            row.split(separator: "|")[0].trimmingCharacters(in: CharacterSet(charactersIn: " `"))
        }
    }

    @Test func keywords() throws {
        #expect(try table("keyword") == Keyword.allCases.map { "\($0.name)" })
    }

    @Test func comments() throws {
        let documented = try table("comment")
        #expect(documented.count == Annotation.allCases.count)
        for (row, annotation) in zip(documented, Annotation.allCases) { #expect(row.hasPrefix("\(annotation.name)")) }
    }

    @Test func head() throws {
        #expect(try table("key") == Provenance.Key.allCases.map { "\($0.name)" })
    }

    @Test func findings() throws {
        #expect(try table("finding") == ManifestFinding.Kind.allCases.map { "\($0.name)" })
    }

    @Test func numbers() {
        let limits = TreeEntry.Limits()
        #expect(limits.line == 327_680 && limits.entries == 16_777_216 && limits.text == 4 << 30)
        #expect(limits.attributes == 1 << 20 && TreePath.longest == 65_536)
    }
}
