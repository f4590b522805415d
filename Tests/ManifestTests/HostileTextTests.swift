import Testing

@testable import Manifest

/// Texts that a seeded mutator makes of good ones. Not to trap is the first thing asked; the second, that whatever
/// comes out is safe to use.
struct HostileTextTests {
    static let words: [String] = [
        "..", ".", "/", "//", "./", "../", "\\", "\\056\\056", "\\057", "\\000", "\\777", "\n", "\r\n", "\\\n", "#",
        "=",
        "type=", "type=link", "link=", "link=/etc/passwd", "type=dir", "type=char device=native,1,3", "/set ",
        "/unset ",
        "/unset all", "mode=7777", "mode=99999999999999999999999", "uid=4294967295",
        "time=-9223372036854775808.999999999",
        "time=-", "size=18446744073709551616", "contents=..", "flags=schg,sappnd", "flags=,,,", "nlink=0",
        "#xattr ", "#xattr+", "=====", "#linked ", "# pram-verify: ", "format=18446744073709551616", "\0", "\u{7f}",
        " ",
        "\t", "device=", "device=linux,,", "-", "-0", "+1",
    ]

    static func mutated(_ text: [UInt8], _ dice: inout Dice) -> [UInt8] {
        var text = text
        for _ in 0..<dice.roll(1...12) {
            let at = dice.roll(0...text.count)
            switch dice.roll(0...6) {
            case 0: if at < text.count { text[at] = UInt8(truncatingIfNeeded: dice.next()) }
            case 1: if at < text.count { text[at] ^= 1 << UInt8(dice.roll(0...7)) }
            case 2: text.removeSubrange(at..<min(text.count, at + dice.roll(0...60)))
            case 3: text.insert(contentsOf: Array(dice.pick(words).utf8), at: at)
            case 4:
                let end = min(text.count, at + dice.roll(0...200))
                let part = Array(text[at..<end])
                text.insert(contentsOf: part, at: dice.roll(0...text.count))
            case 5: for index in at..<min(text.count, at + 4096) { text[index] = 0 }
            default: text = Array(text.prefix(at)) + Array("\n".utf8) + text.dropFirst(at)
            }
        }
        return text
    }

    private func check(_ entry: TreeEntry) {
        #expect((try? TreePath(entry.path.bytes.isEmpty ? [46] : entry.path.bytes)) == entry.path)
        for name in entry.path.bytes.split(separator: 47, omittingEmptySubsequences: false)
        where !entry.path.bytes.isEmpty {
            #expect(!name.isEmpty && name.count <= 255 && !name.contains(0) && name != [46] && name != [46, 46])
        }
        #expect(entry.path.bytes.count <= TreePath.longest)
        #expect(entry.mode ?? 0 <= 0o7777)
        #expect(entry.uid != UInt32.max && entry.gid != UInt32.max)
        #expect(entry.time?.nanoseconds ?? 0 < 1_000_000_000)
        #expect((entry.kind == .symbolicLink) == !entry.target.isEmpty && !entry.target.contains(0))
        #expect(entry.contents.map { (1...255).contains($0.count) && !$0.contains(0) && !$0.contains(47) } ?? true)
        for attribute in entry.attributes {
            #expect((1...255).contains(attribute.name.count) && !attribute.name.contains(0))
            #expect(attribute.value.count <= 65_536)
        }
    }

    @Test(arguments: 0..<15) func nothingTrapsAndNothingUnsafeComesOut(_ seed: Int) throws {
        var dice = Dice(1000 + seed)
        let good = text(of: try (0..<4).map { _ in try dice.entry() }, dice.provenance())
        for _ in 0..<8 {
            let bad = Self.mutated(good, &dice)
            let reading = Reading(bad.pieces(&dice, longest: dice.pick([1, 50, 5000, 1 << 20])))
            for entry in reading.entries { check(entry) }
            // What was read is written, and read again as the same.
            let again = Reading([text(of: reading.entries)[...]])
            #expect(again.findings == [])
            for (old, new) in zip(reading.entries, again.entries) {
                var old = old
                if old.flags == [] { old.flags = nil }
                #expect(old == new)
            }
        }
    }

    @Test(arguments: 0..<10) func noise(_ seed: Int) {
        var dice = Dice(2000 + seed)
        for _ in 0..<10 {
            var text: [UInt8] = []
            for _ in 0..<dice.roll(0...200) {
                text += dice.once(in: 4) ? dice.bytes(dice.roll(0...9)) : Array(dice.pick(Self.words).utf8)
                if dice.once(in: 3) { text.append(dice.pick([32, 10])) }
            }
            let once = Reading([text[...]])
            for entry in once.entries { check(entry) }
            // In whatever pieces it comes, it is the same text.
            let pieces = Reading(text.pieces(&dice, longest: 3))
            #expect(once.entries == pieces.entries && once.findings == pieces.findings)
            var edit = ManifestEdit()
            for piece in text.pieces(&dice, longest: 9) { _ = edit.read(piece) { _ in .dropped } }
            edit.finish()
        }
    }

    /// A text without end and without line breaks, and one of endless attributes: what is kept stays within the limits.
    @Test func endlessThings() {
        var parser = ManifestParser()
        var findings: [ManifestFinding.Kind] = []
        func take(_ event: ManifestParser.Event) {
            if case .finding(let finding) = event { findings.append(finding.kind) }
        }
        let blanks = [UInt8](repeating: 32, count: 1 << 17)
        for _ in 0..<10 { parser.read(blanks[...], take) }
        parser.read([10], take)
        #expect(findings == [.longLine])
        findings = []
        let attributes = Array(String(repeating: "#xattr a=\n", count: 18_000).utf8)
        for _ in 0..<2 { parser.read(attributes[...], take) }
        #expect(findings.allSatisfy { $0 == .attributesTooLarge } && findings.count == 999)
        var last: TreeEntry?
        parser.read(Array("./a type=dir\n".utf8)[...]) { if case .entry(let entry) = $0 { last = entry } }
        #expect(last.map { $0.attributes.count <= (1 << 20) / 65 } ?? false)
    }
}
