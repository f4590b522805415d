import ChainWriting
import Foundation
import Machine
import MemorySources
import PRAM
import Testing
import Verification

@testable import PramVerify

/// What the documents name, and what the code has: the same words, on both sides. The lists come from the code.
private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

private func document(_ name: String) throws -> String {
    try String(contentsOf: root.appendingPathComponent(name), encoding: .utf8)
}

/// Every case of an enumeration whose raw values count from 0.
private func all<Kind: RawRepresentable>(_ kind: Kind.Type) -> [Kind] where Kind.RawValue == Int {
    var cases: [Kind] = []
    while let next = Kind(rawValue: cases.count) { cases.append(next) }
    return cases
}

private func words(_ names: [StaticString]) -> Set<String> { Set(names.map { "\($0)" }) }

/// What stands in backquotes in a text.
private func quoted(_ text: Substring) -> [String] {
    text.split(separator: "`", omittingEmptySubsequences: false).enumerated()
        .compactMap { $0.offset % 2 == 1 ? String($0.element) : nil }
}

/// The tables of a document, each by its heading line: the cells of its rows.
private func table(_ name: String, _ heading: String) throws -> [[Substring]] {
    let lines = try document(name).split(separator: "\n", omittingEmptySubsequences: false)
    var rows: [[Substring]] = []
    for start in lines.indices where lines[start] == heading {
        for line in lines[(start + 2)...] {
            guard line.hasPrefix("| ") else { break }
            // A bar inside of a cell is written \|.
            let cells = line.replacingOccurrences(of: "\\|", with: "\u{1}").dropFirst(2).dropLast(2)
            rows.append(cells.split(separator: " | ", omittingEmptySubsequences: false))
        }
    }
    try #require(!rows.isEmpty, "\(name) has no table \(heading)")
    return rows
}

/// The first words in backquotes of each row.
private func firsts(_ name: String, _ heading: String) throws -> [String] {
    try table(name, heading).compactMap { quoted($0[0]).first }
}

/// A part of the schema: a path of keys.
private func schema(_ path: String...) throws -> [String] {
    let data = try Data(contentsOf: root.appendingPathComponent("Documentation/report.schema.json"))
    var part = try JSONSerialization.jsonObject(with: data)
    for key in path { part = try #require((part as? [String: Any])?[key], "\(path)") }
    return try #require(part as? [Any]).compactMap { $0 as? String }
}

/// All manual pages, one after the other.
private func manualPages() throws -> String {
    let names = try FileManager.default.contentsOfDirectory(atPath: root.appendingPathComponent("man").path).sorted()
    try #require(names.count > 3)
    return try names.map { try document("man/" + $0) }.joined(separator: "\n")
}

/// What items of the manual's lists name, as one would type it: `.It Fl \-pfn Ns = Ns Ar HEX` is `--pfn=HEX`.
/// - Parameter macro: how they begin, `Fl` for options, of which one item may name several, and `Cm` for other words.
private func manualItems(_ macro: String) throws -> [String] {
    let items = try manualPages().split(separator: "\n").filter { $0.hasPrefix(".It \(macro) ") }.map {
        $0.dropFirst(4)
    }
    let each = items.flatMap { item in
        macro == "Fl" ? item.components(separatedBy: "Fl \\-").dropFirst().map { "--" + $0 } : [String(item)]
    }
    return each.map { item in
        item.split(separator: " ").filter { !["Ns", "Ar", "Cm", ","].contains($0) }.joined()
    }
}

private func expectSame(_ found: [String], _ code: Set<String>, _ place: String) {
    #expect(Set(found).count == found.count, "\(place): \(found) has words twice")
    #expect(code.subtracting(found).isEmpty, "missing in \(place)")
    #expect(Set(found).subtracting(code).isEmpty, "\(place) has what the program has not")
}

@Suite struct DocumentTests {
    private let report = "Documentation/REPORT.md"

    @Test func findings() throws {
        let kinds = words(Finding.Kind.allCases.map(\.name))
        try expectSame(schema("$defs", "finding", "properties", "kind", "enum"), kinds, "the schema")
        let rows =
            try table(report, "| kind | severity | meaning | what to do |")
            + table(report, "| kind | severity | meaning |")
        expectSame(rows.compactMap { quoted($0[0]).first }, kinds, report)
        for row in rows {
            let kind = Finding.Kind.allCases.first { "\($0.name)" == quoted(row[0]).first }
            #expect(kind.map { "\($0.severity.name)" } == String(row[1]), "the severity of \(row[0])")
        }
    }

    @Test func severitiesAndVerdicts() throws {
        let severities = words(all(Finding.Severity.self).map(\.name))
        expectSame(try firsts(report, "| severity | effect |"), severities, report)
        try expectSame(schema("$defs", "finding", "properties", "severity", "enum"), severities, "the schema")
        // What was not handed over is not damaged: the report has a word of its own for it.
        let verdicts = words(all(Verdict.self).map(\.name) + ["lost"])
        expectSame(try firsts(report, "| verdict | when |"), verdicts, report)
        try expectSame(schema("properties", "verdict", "enum"), verdicts, "the schema")
    }

    @Test func causes() throws {
        let causes = words(
            all(MemoryFailure.Cause.self).map(\.name) + all(WritingFailure.Cause.self).map(\.name)
                + WriteRefusal.Cause.allCases.map(\.name) + [
                    Failure.locked(.held(path: [], holder: nil)).cause, Failure.locked(.notAFile(path: [])).cause,
                ])
        expectSame(try firsts(report, "| cause | what it means |"), causes, report)
        // A refusal is of one way into memory; only a run as a whole may end by a call of its own.
        try expectSame(schema("$defs", "cause", "enum") + ["system-call"], causes, "the schema")
    }

    @Test func originsOfTheHead() throws {
        let origins = words(all(Head.Origin.self).map(\.name))
        try expectSame(schema("$defs", "head", "properties", "origin", "enum"), origins, "the schema")
        let row = try #require(try table(report, "| field | content |").first { $0[0] == "`head`" })
        let named = quoted(row[1]).filter { $0 != "pfn" && $0 != "origin" && !$0.hasPrefix("--") }
        expectSame(named, origins, report)
    }

    @Test func statusesOfFiles() throws {
        let statuses = words(all(StoredFile.Status.self).map(\.name))
        expectSame(try firsts(report, "| status | meaning | `extract` |"), statuses, report)
        try expectSame(schema("$defs", "file", "properties", "status", "enum"), statuses, "the schema")
    }

    @Test func outcomesOfExtraction() throws {
        let outcomes = words(all(Extraction.Outcome.self).map(\.name))
        try expectSame(schema("$defs", "extraction", "properties", "outcome", "enum"), outcomes, "the schema")
        let row = try #require(try table(report, "| field | content |").first { $0[0] == "`extracted[]`" })
        let text = try #require(row[1].split(separator: "(").last)
        expectSame(quoted(text).filter { $0 != "message" }, outcomes, report)
    }

    @Test func statusesOfBoot() throws {
        expectSame(
            try firsts(report, "| status | when | `pram-verify status` ends with |"),
            words(RunStatus.allCases.map(\.name)), report)
        for row in try table(report, "| status | when | `pram-verify status` ends with |") {
            let status = RunStatus.allCases.first { "\($0.name)" == quoted(row[0]).first }
            #expect(status.map { "\($0.exit.rawValue)" } == String(row[2]), "\(row[0])")
        }
        let actions = words(BootConfiguration.Action.allCases.map(\.name))
        let row = try #require(try table(report, "| file | mode | content |").first { $0[0] == "`action`" })
        expectSame(quoted(row[2]), actions, report)
    }

    @Test func filesInRun() throws {
        let files = words(RunFolder.File.allCases.map(\.name) + ["lock"])
        let rows = try table(report, "| file | mode | content |")
        expectSame(rows.compactMap { quoted($0[0]).first }, files, report)
        for row in rows {
            guard let file = RunFolder.File.allCases.first(where: { "\($0.name)" == quoted(row[0]).first }) else {
                continue
            }
            #expect("0" + String(file.mode, radix: 8) == row[1], "\(row[0])")
        }
        let state = try #require(try table(report, "| line of `saved` | value |").first { $0[0] == "`state`" })
        expectSame(quoted(state[1]), words(SaveNote.State.allCases.map(\.name)), report)
    }

    @Test func commands() throws {
        let commands = words(CommandEntry.all.map(\.name))
        let described = try manualPages().split(separator: "\n").filter { $0.hasPrefix(".It Cm ") }
            .map { $0.dropFirst(".It Cm ".count) }
        for command in commands {
            #expect(described.contains { $0 == command || $0.hasPrefix("\(command) ") }, "\(command)")
        }
        let firstWords = Set(commands.map { String($0.prefix { $0 != " " }) })
        for item in described where !item.contains("=") {
            let word = String(item.prefix { $0 != " " })
            #expect(firstWords.contains(word), "the manual has a command \(word) that the program has not")
        }
        // What has a report of its own.
        let reporting = commands.filter { !$0.hasPrefix("image ") }.subtracting([
            "kexec", "map", "service", "doctor", "rehearse",
        ])
        try expectSame(schema("properties", "command", "enum"), reporting, "the schema")
    }

    @Test func options() throws {
        let options = Set(Option.allCases.map { "--\($0.name)" })
        let items = try manualItems("Fl")
        let named = Set(items.map { String($0.prefix { $0 != "=" }) })
        #expect(options.subtracting(named).isEmpty, "missing in the manual pages")
        #expect(named.subtracting(options).isEmpty, "the manual pages have what the program has not")
        // With the word for its argument, on one of the pages, and on none without it.
        for option in Option.allCases {
            let argument = option.argument.map { "=\($0)" } ?? ""
            #expect(items.contains("--\(option.name)\(argument)"), "--\(option.name)\(argument)")
            guard option.argument != nil else { continue }
            #expect(!items.contains("--\(option.name)"), "--\(option.name) without its argument")
        }
    }

    @Test func kernelParameters() throws {
        let code = Set(BootParameter.allCases.map { "\($0.name)=\($0.values)" })
        let items = try manualItems("Cm").filter { $0.hasPrefix("pram_verify.") }
        expectSame(items, code, "the manual pages")
    }

    @Test func checksOfDoctor() throws {
        let data = try Data(contentsOf: root.appendingPathComponent("Documentation/doctor.schema.json"))
        var part = try JSONSerialization.jsonObject(with: data)
        for key in ["$defs", "doctor", "properties", "checks", "items", "properties"] {
            part = try #require((part as? [String: Any])?[key])
        }
        func words(_ name: String) -> [String]? {
            ((part as? [String: Any])?[name] as? [String: Any])?["enum"] as? [String]
        }
        #expect(words("id") == SetupCheck.ID.allCases.map { "\($0.name)" })
        #expect(words("state") == SetupCheck.State.allCases.map { "\($0.name)" })
        let items = try document("man/pram-verify-doctor.8").split(separator: "\n").filter { $0.hasPrefix(".It Li ") }
        #expect(items.map { String($0.dropFirst(7)) } == SetupCheck.ID.allCases.map { "\($0.name)" })
        let states = try #require(try table(report, "| line of `rehearsal` | value |").first { $0[0] == "`state`" })
        #expect(RehearsalRecord.State.allCases.allSatisfy { quoted(states[1]).contains("\($0.name)") })
    }

    @Test func exitStatuses() throws {
        let bits = ["0", "1", "4", "8", "16"]
        let manual = try document("man/pram-verify.8")
        let section = manual.components(separatedBy: ".Sh EXIT STATUS").last?.components(separatedBy: "\n.Sh ").first
        let items = (section ?? "").split(separator: "\n").filter { $0.hasPrefix(".It ") }.map { $0.dropFirst(4) }
        #expect(items.map { String($0) } == bits)
        #expect(try table(report, "| bit | meaning |").map { String($0[0]) } == bits)
        let named: [PramVerify.ExitStatus] = [[], .corrected, .damaged, .failed, .usage]
        #expect(named.map { "\($0.rawValue)" } == bits)
    }
}
