import Testing

@testable import KernelCommandLine

@Suite("Removing parameters")
struct RemovingTests {
    static let table: [(String, String)] = [
        ("", ""),
        ("quiet", "quiet"),
        ("pram=1", ""),
        ("pram=1\n", "\n"),
        ("a pram=1 b", "a b"),
        ("a\tpram=1 b", "a\tb"),
        ("pram=1 b", "b"),
        ("a pram=1", "a"),
        ("a pram=1\n", "a\n"),
        ("a pram=1 \n", "a \n"),
        ("a pram=1\0 pram=2", "a\0 pram=2"),
        ("a pram=1 pram=2 b", "a b"),
        ("a pram=1 pram=2", "a"),
        ("pram=1 pram=2", ""),
        ("  pram=1", " "),
        ("a  pram=1  b", "a   b"),
        ("a \"pram=1\" pram=\"2\" pram b", "a b"),
        ("a pram=1 -- pram=2", "a -- pram=2"),
        ("pram=1 -- x", "-- x"),
        ("a pram=1f\" b", "a"),
        ("a pram=1\u{a0}b", "a b"),
        // Not ours: the sed recipe with pram=[^ ]* eats all of these.
        ("xpram=1 foo.pram=2 a=\"x pram=3 y\" PRAM=4 =pram=5", "xpram=1 foo.pram=2 a=\"x pram=3 y\" PRAM=4 =pram=5"),
    ]

    @Test("Each goes with one separator, no other byte changes", arguments: table)
    func removing(_ given: String, _ expected: String) {
        #expect(text(line(given).removing(named: "pram").bytes) == expected)
    }

    @Test("With what follows --, when told so; the -- stays")
    func initScope() {
        #expect(text(line("pram=1 -- a pram=2 b").removing(named: "pram", in: .parametersAndInit).bytes) == "-- a b")
        #expect(text(line("x -- pram=2").removing(named: "pram", in: .parametersAndInit).bytes) == "x --")
    }

    @Test("Random lines: exactly the others are left, every other byte stays, and one separator goes with each")
    func random() {
        var generator = SeededGenerator(state: 3)
        for round in 0..<3_000 {
            let before = ParameterLine(generator.line())
            var removed: Set<Int> = []
            for parameter in Parameters(in: before.bytes, from: 0, to: before.end)
            where Int.random(in: 0..<3, using: &generator) == 0 { removed.insert(parameter.range.lowerBound) }
            let scope: EditScope = round % 2 == 0 ? .parameters : .parametersAndInit
            let after = before.removing(in: scope) { removed.contains($0.range.lowerBound) }

            let keptInit = before.initParameters.filter {
                round % 2 == 0 || !removed.contains($0.range.lowerBound)
            }
            let gone =
                before.parameters.filter { removed.contains($0.range.lowerBound) }
                + before.initParameters.filter { round % 2 == 1 && removed.contains($0.range.lowerBound) }
            #expect(after.initParameters.map(Content.init) == keptInit.map(Content.init))
            #expect(
                after.parameters.map(Content.init)
                    == before.parameters.filter { !removed.contains($0.range.lowerBound) }.map(Content.init))

            // Bytes: without the removed ranges both lines are the same, but for one separator a parameter.
            var rest: [UInt8] = []
            var position = 0
            for parameter in gone {
                rest += before.bytes[position..<parameter.range.lowerBound]
                position = parameter.range.upperBound
            }
            rest += before.bytes[position...]
            let missing = rest.count - after.bytes.count
            #expect(missing <= gone.count && missing >= gone.count - 1)
            #expect(isLeft(after.bytes, of: rest))
            let tail = before.bytes[before.end...]
            #expect(after.bytes.suffix(tail.count) == tail)
        }
    }

    /// Whether leaving separators out of `whole` gives `part`.
    private func isLeft(_ part: [UInt8], of whole: [UInt8]) -> Bool {
        var position = 0
        for byte in whole {
            if position < part.count && part[position] == byte {
                position += 1
            } else if !ParameterLine.isSeparator(byte) {
                return false
            }
        }
        return position == part.count
    }
}

@Suite("Inserting a parameter")
struct InsertingTests {
    static let table: [(String, String)] = [
        ("", "pram=1"),
        ("\n", "pram=1\n"),
        ("a", "a pram=1"),
        ("a ", "a pram=1"),
        ("a\t", "a\tpram=1"),
        ("a\n", "a pram=1\n"),
        ("a\0b", "a pram=1\0b"),
        ("a -- b", "a pram=1 -- b"),
        ("a  -- b", "a  pram=1 -- b"),
        ("-- b", "pram=1 -- b"),
        ("a \"--\" b\"", "a pram=1 \"--\" b\""),
        // Behind an open quote it would be text.
        ("a b=\"c d", "a pram=1 b=\"c d"),
        ("b=\"c d\n", "pram=1 b=\"c d\n"),
        ("a=\"b\"", "a=\"b\" pram=1"),
        ("pram=2", "pram=2 pram=1"),
    ]

    @Test("Before --, else at the end, never inside a quote", arguments: table)
    func inserting(_ given: String, _ expected: String) throws {
        let after = try line(given).inserting(latin1("pram=1"))
        #expect(text(after.bytes) == expected)
        #expect(PramParameter.find(in: after).pfn == 1)
    }

    @Test("Refused before an open quote of the same name, which would win")
    func overridden() {
        #expect(throws: EditFault.overriddenByUnclosed(2..<9)) {
            try line("a \"pram=2").inserting(latin1("pram=1"))
        }
        #expect(throws: EditFault.overriddenByUnclosed(0..<15)) {
            try line("pram-banned=\"0-").inserting(latin1("pram_banned=0-1"))
        }
    }

    @Test(
        "Refused if it is not one parameter",
        arguments: [
            "", " ", " a", "a ", "a b", "a\n", "a\u{a0}b", "a=\"b", "\"", "--", "\"--\"", "a\0", "\0", "x=\u{c3}\u{a0}",
        ])
    func notOneParameter(_ given: String) {
        #expect(throws: EditFault.notOneParameter) { try line("quiet").inserting(latin1(given)) }
    }

    @Test("Random lines: the new parameter is read, the others are as they were, no byte is lost")
    func random() throws {
        var generator = SeededGenerator(state: 4)
        var inserted = 0
        for _ in 0..<3_000 {
            let before = ParameterLine(generator.line())
            let new = generator.line(maximum: 4)
            let after: ParameterLine
            do {
                after = try before.inserting(new)
            } catch {
                #expect(isRight(error, for: before, new))
                continue
            }
            inserted += 1
            let content = try #require(ParameterLine(new).parameters.map(Content.init).first)
            let old = before.parameters.map(Content.init)
            let now = after.parameters.map(Content.init)
            let place = before.doubleDash == nil && before.unclosed != nil ? old.count - 1 : old.count
            #expect(now == old[..<place] + [content] + old[place...])
            #expect(after.initParameters.map(Content.init) == before.initParameters.map(Content.init))
            let added = after.bytes.count - before.bytes.count - new.count
            #expect(added >= 0 && added <= 2)
            let tail = before.bytes[before.end...]
            #expect(after.bytes.suffix(tail.count) == tail)
        }
        #expect(inserted > 200)
    }

    /// Whether the refusal is right.
    private func isRight(_ error: any Error, for before: ParameterLine, _ new: [UInt8]) -> Bool {
        let alone = ParameterLine(new)
        return switch error as? EditFault {
        case .notOneParameter:
            alone.parameters.map(\.range) != [0..<new.count] || alone.unclosed != nil
        case .overriddenByUnclosed(let range): range == before.unclosed?.range
        default: false
        }
    }
}

@Suite("Text of a parameter")
struct ParameterTextTests {
    static let table: [(String, String?, String?)] = [
        ("pram", "1f", "pram=1f"),
        ("nokaslr", nil, "nokaslr"),
        ("a", "", "a="),
        ("a", "b c", "a=\"b c\""),
        ("a", "\u{c3}\u{a0}", "a=\"\u{c3}\u{a0}\""),
        ("a", "b=c", "a=b=c"),
        ("a b", "c", "\"a b=c\""),
        ("a", "b\"c\"d", "a=b\"c\"d"),
        ("a", "b\" \"c", "a=b\" \"c"),
        ("a", "\"b\"", "a=\"\"b\"\""),
        // Nothing escapes a quote.
        ("a", "b\"c", nil),
        ("a", "b \" c", nil),
        ("a", "b\0c", nil),
        ("", "b", nil),
        ("a=b", "c", nil),
        ("a b", nil, nil),
        ("", nil, nil),
        ("--", nil, nil),
        ("a=b", nil, nil),
    ]

    @Test("Quoted only where it must be, refused where it cannot", arguments: table)
    func text(_ name: String, _ value: String?, _ expected: String?) {
        let text = try? Parameter.text(name: latin1(name), value: value.map(latin1))
        #expect(text.map { KernelCommandLineTests.text($0) } == expected)
    }

    @Test("Whatever has a text is read back from a line as it was")
    func random() throws {
        var generator = SeededGenerator(state: 5)
        var texts = 0
        for _ in 0..<3_000 {
            let name = generator.line(maximum: 3)
            let value = generator.line(maximum: 5)
            guard let text = try? Parameter.text(name: name, value: value) else { continue }
            texts += 1
            let parameter = try #require(line("a b=\"c d\"").inserting(text).parameters.map(Content.init).last)
            #expect(parameter.name == name && parameter.value == value)
        }
        #expect(texts > 300, "only \(texts) have a text")
    }
}

@Suite("Length limits")
struct LengthLimitTests {
    @Test("The newline and what follows a NUL do not count; nothing is cut")
    func limits() throws {
        let longest = [UInt8](repeating: UInt8(ascii: "a"), count: 2047)
        #expect(ParameterLine(longest).exceeds(.x86) == nil)
        #expect(ParameterLine(longest + latin1("\n")).exceeds(.x86) == nil)
        #expect(ParameterLine(longest + latin1("\0more")).exceeds(.x86) == nil)
        #expect(ParameterLine(longest + latin1("a")).exceeds(.x86) == LineTooLong(length: 2048, limit: .x86))
        #expect(
            ParameterLine(longest).exceeds(.x86KexecFileLoad) == LineTooLong(length: 2047, limit: .x86KexecFileLoad))
        #expect(ParameterLine([UInt8](longest[..<2016])).exceeds(.x86KexecFileLoad) == nil)
        #expect(try ParameterLine(longest).inserting(latin1("b")).end == 2049)
    }
}
