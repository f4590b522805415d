import Testing

@testable import KernelCommandLine

@Suite("Parameters as the kernel cuts them")
struct ParameterLineTests {
    static let table: [(String, [String])] = [
        ("", []),
        (" \t \n", []),
        ("\u{a0}", []),
        ("quiet", ["quiet"]),
        ("  a=1\t\tb ", ["a→1", "b"]),
        ("a\u{b}b\u{c}c\rd\ne", ["a", "b", "c", "d", "e"]),
        // Only these separate: not the next-line character 0x85, not other controls.
        ("a\u{85}b\u{1}c", ["a\u{85}b\u{1}c"]),
        // à in UTF-8 is C3 A0, and A0 separates; not in quotes.
        ("x=\u{c3}\u{a0}b", ["x→\u{c3}", "b"]),
        ("x=\"\u{c3}\u{a0}b\"", ["x→\u{c3}\u{a0}b"]),

        // The first = that is not in the first place.
        ("pram==1", ["pram→=1"]),
        ("=pram", ["=pram"]),
        ("=pram=1", ["=pram→1"]),
        ("==x", ["=→x"]),
        ("=", ["="]),
        ("a=", ["a→"]),
        ("a=b=c", ["a→b=c"]),

        // Quotes: one at each end goes, those between stay, all of them toggle.
        ("\"pram=1f\"", ["pram→1f"]),
        ("pram=\"1f\"", ["pram→1f"]),
        ("pram=\"1 f\" b", ["pram→1 f", "b"]),
        ("\"pram=1 f\" b", ["pram→1 f", "b"]),
        ("\"pram\"=1f", ["pram\"→1f"]),
        ("pr\"am=1\"f b", ["pr\"am→1\"f", "b"]),
        ("p=1\"f\" b", ["p→1\"f\"", "b"]),
        ("p=\"1\"f b", ["p→1\"f", "b"]),
        ("p=\"1\"\"2\" b", ["p→1\"\"2", "b"]),
        ("\"p=\"1f\"\" b", ["p→1f\"", "b"]),
        ("\"p=\"1 f\" b", ["p→1", "f\" b"]),
        ("\"p=\"", ["p→"]),
        ("p=\"\"", ["p→"]),
        ("p=\"\"\"\"", ["p→\"\""]),
        ("\"p\"", ["p"]),
        ("\"a b\" c", ["a b", "c"]),
        ("p\"", ["p\""]),
        ("\"\"", [""]),
        ("\"\" \"\"", ["", ""]),
        ("\"=a\"", ["=a"]),
        ("\"=a=b\"", ["=a→b"]),
        ("\"a\"b", ["a\"b"]),
        ("\\\"a b\\\"", ["\\\"a b\\\""]),
        ("'a b'", ["'a", "b'"]),

        // Quotes that nothing closes reach to the end.
        ("\"", [""]),
        ("a \"", ["a", ""]),
        ("\" a", [" a"]),
        ("p=\"", ["p→"]),
        ("p=\" a b", ["p→ a b"]),
        ("pram=1f\" a=2", ["pram→1f\" a=2"]),
        ("pram=1f\" a=\"2\"", ["pram→1f\" a=\"2\""]),
        ("\"p=1 a", ["p→1 a"]),

        // The end of the line.
        ("a b\n", ["a", "b"]),
        ("p=\"a\n", ["p→a"]),
        ("p=\"a\n\n", ["p→a\n"]),
        ("a=1\0b=2", ["a→1"]),
        ("a=\"1\0 b\"", ["a→1"]),
        ("\0a", []),

        // -- ends the parameters, if it is all there is.
        ("a -- b", ["a"]),
        ("-- b", []),
        (" -- ", []),
        ("--", []),
        ("a \"--\" b", ["a"]),
        ("a --x --= --=1 -_ - ---", ["a", "--x", "--→", "--→1", "-_", "-", "---"]),
        ("a \" -- \" b", ["a", " -- ", "b"]),
        ("a=-- b", ["a→--", "b"]),
        ("a __ b", ["a", "__", "b"]),
    ]

    @Test("Name and value", arguments: table)
    func nameAndValue(_ given: String, _ expected: [String]) {
        #expect(line(given).parameters.map(shown) == expected)
    }

    @Test("What follows -- is init's, cut by the same rules")
    func initParameters() {
        #expect(line("a -- b=\"1 2\" -- c\n").initParameters.map(shown) == ["b→1 2", "--", "c"])
        #expect(line("a \"--\" b").initParameters.map(shown) == ["b"])
        #expect(line("a b").initParameters.map(shown) == [])
        #expect(line("a --").initParameters.map(shown) == [])
        #expect(line("a -- b").doubleDash == 2..<4)
    }

    @Test("Ranges cover the quotes; name and value know their place")
    func ranges() throws {
        let parameter = try #require(line("a  \"pram=1f\" b").last(named: "pram"))
        #expect(parameter.range == 3..<12)
        #expect(parameter.name.startIndex == 4)
        #expect(parameter.value?.indices == 9..<11)
    }

    @Test("An open quote is seen, wherever it opens")
    func unclosed() {
        #expect(line("a=\"1\" b").unclosed == nil)
        #expect(line("a=\"1 b").unclosed?.range == 0..<6)
        #expect(line("x a\"\n").unclosed?.range == 2..<4)
        #expect(line("x -- a\"").unclosed?.range == 5..<7)
    }

    @Test("Names: - equals _, nothing else does")
    func names() {
        #expect(line("pram-banned=1").contains(named: "pram_banned"))
        #expect(line("pram_banned=1").contains(named: "pram-banned"))
        let others = [
            "PRAM=1", "pr-am=1", "xpram=1", "foo.pram=1", "prams=1", "pra=1", "p=pram=1", "\"pram\"=1", "=pram",
        ]
        for other in others {
            #expect(!line(other).contains(named: "pram"), "\(other)")
        }
        #expect(line("pram").contains(named: "pram"))
        #expect(line("\"pram\"").contains(named: "pram"))
        #expect(line("a").contains(named: "a"))
        #expect(!line("a").contains(named: ""))
        #expect(line("a -- pram=1").contains(named: "pram") == false)
    }

    @Test("Lookups")
    func lookups() {
        let line = line("panic=5 nokaslr ramoops.mem_address=0x8 panic=10 ramoops.mem-size=1M lockdown -- panic=1")
        #expect(line.all(named: "panic").map(shown) == ["panic→5", "panic→10"])
        #expect(line.last(named: "panic").map(shown) == "panic→10")
        #expect(line.last(named: "lockdown").map(shown) == "lockdown")
        #expect(line.last(named: "ramoops.mem_size").map(shown) == "ramoops.mem-size→1M")
        #expect(line.last(named: "resume") == nil)
    }

    /// These three together determine the ranges, so this checks the scanner against the rule, not against itself.
    @Test("Random bytes: ranges are in order, all else is separators, and quotes decide where a range ends")
    func randomRanges() {
        var generator = SeededGenerator(state: 1)
        for _ in 0..<3_000 {
            let bytes = generator.line()
            let line = ParameterLine(bytes)
            var position = 0
            for parameter in Parameters(in: bytes, from: 0, to: line.end) {
                #expect(parameter.range.lowerBound >= position && !parameter.range.isEmpty)
                #expect(bytes[position..<parameter.range.lowerBound].allSatisfy(ParameterLine.isSeparator))
                #expect(position == 0 || parameter.range.lowerBound > position)
                var quotes = 0
                for index in parameter.range {
                    #expect(quotes % 2 == 1 || !ParameterLine.isSeparator(bytes[index]))
                    if bytes[index] == UInt8(ascii: "\"") { quotes += 1 }
                }
                let end = parameter.range.upperBound
                #expect(parameter.isClosed == (quotes % 2 == 0))
                #expect(end == line.end || parameter.isClosed && ParameterLine.isSeparator(bytes[end]))
                #expect(parameter.name.startIndex >= parameter.range.lowerBound && parameter.name.endIndex <= end)
                if let value = parameter.value {
                    #expect(value.startIndex > parameter.name.endIndex && value.endIndex <= end)
                }
                position = end
            }
            #expect(bytes[position..<line.end].allSatisfy(ParameterLine.isSeparator))
        }
    }

    /// What took time with the square of the length would need hours for these.
    @Test(
        "Long lines take linear time", .timeLimit(.minutes(1)),
        arguments: ["a ", "\"", "=", "a=\"b c\" ", "pram=1 ", " ", "memmap=1M$1M,", "-- "])
    func longLines(_ piece: String) {
        let piece = latin1(piece)
        let line = ParameterLine((0..<300_000 / piece.count).flatMap { _ in piece })
        _ = PramParameter.find(in: line)
        _ = MemmapParameters.find(in: line)
        _ = BannedRegions.find(in: line)
        let without = line.removing(named: "pram", in: .parametersAndInit)
        #expect(!without.contains(named: "pram"))
    }
}
