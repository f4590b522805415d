import Testing

@testable import Manifest

/// Texts that others write, and texts that nobody should.
struct ParserTests {
    private static let head = "#mtree\n# pram-verify: format=1\n"

    @Test func relativeEntriesAndDefaults() throws {
        let reading = Reading(
            Self.head + """
                /set type=file uid=5 mode=0600
                .               type=dir
                    one  size=3
                    sub  type=dir  uid=7
                        \\
                        two mode=0644
                        deep type=dir
                        ..
                        three
                    ..
                /unset uid
                    four
                /unset all
                    five type=fifo

                """)
        #expect(reading.findings == [])
        #expect(reading.paths == ["", "one", "sub", "sub/two", "sub/deep", "sub/three", "four", "five"])
        #expect(reading.entries.map { $0.uid } == [5, 5, 7, 5, 5, 5, nil, nil])
        #expect(reading.entries.map { $0.mode } == [0o600, 0o600, 0o600, 0o644, 0o600, 0o600, 0o600, nil])
    }

    @Test func linesMayBeJoinedAndEndAsOnDOS() {
        let reading = Reading(Self.head + "./a type=file \\\r\n  mode=0644 \\\n size=7\r\n./b type=dir\n")
        #expect(reading.findings == [])
        #expect(reading.paths == ["a", "b"])
        #expect(reading.entries.first?.mode == 0o644 && reading.entries.first?.size == 7)
    }

    @Test func unknownKeywordsMeanNothing() {
        let reading = Reading(Self.head + "./a type=file sha256=00 optional nochange inode=5 tags=x uname=root =x =\n")
        #expect(reading.findings == [])
        #expect(reading.paths == ["a"])
    }

    @Test func escapes() {
        let reading = Reading(Self.head + "./a\\040\\134\\s\\n\\#\\*b type=link link=\\377\\001\n")
        #expect(reading.findings == [])
        #expect(reading.entries.first?.path.bytes == Array("a \\ \n#*b".utf8))
        #expect(reading.entries.first?.target == [255, 1])
    }

    static let wrong: [(line: String, kind: ManifestFinding.Kind)] = [
        ("/etc type=dir", .unknownCommand), ("./../x type=file", .path), ("./a/../../x type=file", .path),
        ("./a//b type=file", .path), ("./a/./b type=file", .path), ("./a/ type=dir", .path),
        ("./a\\000b type=file", .path), ("./a\\057..\\057..\\057b type=file", .path), ("./a\\9 type=file", .path),
        ("./a\\ type=file", .path), ("./a\\40 type=file", .path), ("./a\\400 type=file", .path),
        ("\\056\\056/x type=file", .path), ("./. type=file", .path), (". type=file", .path),
        ("\\057etc/passwd type=file", .path), ("./a mode=0644", .noType), ("./a type=socket", .value),
        ("./a type=link", .noTarget), ("./a type=link link=", .value), ("./a type=link link=a\\000", .value),
        ("./a type=char", .noDevice), ("./a type=char device=native,4096,0", .value),
        ("./a type=char device=native,0,1048576", .value), ("./a type=block device=linux,1,2,3", .value),
        ("./a type=block device=7", .value), ("./a type=file mode=u+x", .value), ("./a type=file mode=10000", .value),
        ("./a type=file mode=8", .value), ("./a type=file uid=-1", .value), ("./a type=file gid=4294967295", .value),
        ("./a type=file uid=", .value), ("./a type=file time=1.1000000000", .value),
        ("./a type=file time=1.-1", .value),
        ("./a type=file time=9223372036854775808", .value), ("./a type=file time=-9223372036854775809.0", .value),
        ("./a type=file size=9223372036854775808", .value), ("./a type=file size=99999999999999999999", .value),
        ("./a type=file contents=", .value), ("./a type=file contents=../x", .value),
        ("./a type=file contents=a\\000", .value), ("#linked x", .value), ("#xattr user.a", .attribute),
        ("#xattr =AAAA", .attribute), ("#xattr user.a=A", .attribute), ("#xattr+AAAA", .attribute),
        ("#xattr a\\000b=AAAA", .attribute), ("# pram-verify: format=x", .headValue), ("# pram-verify: x", .headValue),
        ("# pram-verify: time=x", .headValue), ("# pram-verify: format=2", .laterFormat),
        ("./a\u{1} x", .unreadableLine),
        ("./\u{e4} type=file", .unreadableLine), ("\0", .unreadableLine),
    ]

    @Test func whatIsWrongIsFoundAndCostsNoMore() {
        for (line, kind) in Self.wrong {
            let reading = Reading(Self.head + line + "\n./good type=dir\n")
            #expect(reading.kinds == [kind], "\(line)")
            #expect(reading.findings.first?.line == 3, "\(line)")
            #expect(reading.paths == ["good"], "\(line)")
        }
    }

    @Test func wrongThingsAreWrongInDefaultsToo() {
        let reading = Reading(Self.head + "/set mode=9\n./a type=file\n./b type=file mode=0600\n")
        #expect(reading.kinds == [.value])
        #expect(reading.paths == ["b"])
    }

    @Test func aTextWithoutAHead() {
        #expect(Reading("./a type=dir\n").kinds == [.noHead])
        #expect(Reading("").kinds == [.noHead])
        #expect(Reading("./a type=dir\n").paths == ["a"])
        // What comes after the first entry is no head.
        let late = Reading("./a type=dir\n# pram-verify: format=1\n# pram-verify: host=x\n")
        #expect(late.provenance == nil)
    }

    @Test func aTextThatWasCut() {
        let reading = Reading(Self.head + "./a type=dir\n./b type=file size=12")
        #expect(reading.kinds == [.cutLine])
        #expect(reading.paths == ["a"])
    }

    /// A page of zeros where a damaged one was: the entries that it touched are lost, and no attribute goes to another.
    @Test func aHoleCostsWhatItTouches() throws {
        var entries: [TreeEntry] = []
        for number in 0..<400 {
            var entry = TreeEntry(path: try TreePath(Array("./dir/file\(number)".utf8)), kind: .regular)
            entry.mode = 0o600
            entry.attributes = [ExtendedAttribute(name: Array("user.n".utf8), value: Array("\(number)".utf8))]
            entries.append(entry)
        }
        let whole = text(of: entries)
        for start in stride(from: 0, to: whole.count - 4096, by: 1013) {
            var holed = whole
            for index in start..<start + 4096 { holed[index] = 0 }
            let reading = Reading([holed[...]])
            #expect(reading.kinds.contains(.unreadableLine))
            #expect(reading.entries.count >= 400 - 4096 / 50 - 2)
            for entry in reading.entries {
                let number = entry.path.name.dropFirst(4)
                // Its attribute may be lost, and is never another's.
                #expect(entry.attributes.allSatisfy { $0.value.elementsEqual(number) })
            }
        }
    }

    @Test func relativeEntriesBehindAHoleHaveNoPlace() {
        let reading = Reading(Self.head + "a type=dir\n b\0 type=dir\n c type=file\n./d type=file\n")
        #expect(reading.kinds == [.unreadableLine, .lostDirectory])
        #expect(reading.paths == ["a", "d"])
    }

    @Test func limits() {
        var limits = TreeEntry.Limits()
        limits.entries = 2
        let many = Reading(Self.head + "./a type=dir\n./b type=dir\n./c type=dir\n./d type=dir\n", limits: limits)
        #expect(many.paths == ["a", "b"] && many.kinds == [.tooManyEntries])
        limits = TreeEntry.Limits()
        limits.text = 50
        let large = Reading(Self.head + "./a type=dir\n./b type=dir\n./c type=dir\n", limits: limits)
        #expect(large.paths == ["a"] && large.kinds == [.tooMuchText])
        limits = TreeEntry.Limits()
        limits.line = 30
        let long = Reading(Self.head + "./a type=dir mode=0755 uid=000000000000001\n./b type=dir\n", limits: limits)
        #expect(long.paths == ["b"] && long.kinds == [.longLine])
        let joined = Reading(Self.head + "./a type=dir \\\nmode=0755 \\\n uid=01\n./b type=dir\n", limits: limits)
        #expect(joined.paths == ["b"] && joined.kinds == [.longLine])
        limits = TreeEntry.Limits()
        limits.findings = 3
        let wrong = Reading(Self.head + String(repeating: "/x\n", count: 10), limits: limits)
        #expect(wrong.findings.count == 3 && wrong.omitted == 7)
    }

    @Test func attributesHaveALimit() {
        var limits = TreeEntry.Limits()
        limits.attributes = 64 + 6 + 3
        let fits = Reading(Self.head + "#xattr user.a=AAAA\n./a type=dir\n", limits: limits)
        #expect(fits.findings == [] && fits.entries.first?.attributes.count == 1)
        let many = Reading(
            Self.head + "#xattr user.a=AAAA\n#xattr user.b=\n./a type=dir\n./b type=dir\n", limits: limits)
        #expect(many.kinds == [.attributesTooLarge] && many.entries.first?.attributes.count == 1)
        #expect(many.entries.last?.attributes == [])
        let long = Reading(Self.head + "#xattr user.a=AAAA\n#xattr+AAAA\n#xattr+AAAA\n./a type=dir\n", limits: limits)
        #expect(long.kinds == [.attributesTooLarge, .attribute] && long.entries.first?.attributes == [])
    }
}
