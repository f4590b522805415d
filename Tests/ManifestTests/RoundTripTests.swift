import Testing

@testable import Manifest

struct RoundTripTests {
    @Test(arguments: 0..<20) func whatIsWrittenIsRead(_ seed: Int) throws {
        var dice = Dice(seed)
        let head = dice.provenance()
        var entries: [TreeEntry] = []
        for _ in 0..<10 { entries.append(try dice.entry()) }
        let text = text(of: entries, head)
        let longest = dice.pick([1, 7, 100, 4096, 1 << 20])
        let reading = Reading(text.pieces(&dice, longest: longest))
        #expect(reading.findings == [])
        #expect(reading.provenance == head)
        #expect(reading.entries.count == entries.count)
        for (read, written) in zip(reading.entries, entries) { #expect(read == written) }
    }

    @Test func largeAttributes() throws {
        var dice = Dice(5)
        var entry = TreeEntry(path: try TreePath([97]), kind: .directory)
        for length in [24_575, 24_576, 24_577, 49_153, 65_536] {
            entry.attributes.append(ExtendedAttribute(name: dice.bytes(255, in: 1...255), value: dice.bytes(length)))
        }
        let text = text(of: [entry])
        #expect(text.split(separator: 10).allSatisfy { $0.count < 65_536 })
        let reading = Reading(text.pieces(&dice, longest: 5000))
        #expect(reading.findings == [] && reading.entries == [entry])
    }

    @Test func theTextIsPrintableASCII() throws {
        var dice = Dice(1)
        let text = text(of: try (0..<40).map { _ in try dice.entry() }, dice.provenance())
        #expect(text.allSatisfy { $0 == 10 || $0 >= 0x20 && $0 < 0x7f })
        // libarchive refuses lines of 65,536 bytes.
        let longest = text.split(separator: 10).map(\.count).max() ?? 0
        #expect(longest < 65_536)
    }

    @Test func anEntryOfEachKindAsItIsDocumented() throws {
        var file = TreeEntry(path: try TreePath(Array("./a/b c".utf8)), kind: .regular)
        file.mode = 0o644
        (file.uid, file.gid, file.links, file.size) = (1000, 100, 2, 5)
        file.time = FileTime(seconds: -5, nanoseconds: 7)
        file.flags = [.immutable, .noDump]
        file.contents = Array("a%b c".utf8)
        file.attributes = [ExtendedAttribute(name: Array("user.x".utf8), value: [0, 255])]
        var link = TreeEntry(path: try TreePath(Array("l".utf8)), kind: .symbolicLink)
        link.target = Array("../#".utf8)
        link.linkGroup = 3
        var node = TreeEntry(path: try TreePath(Array("n".utf8)), kind: .blockDevice)
        node.device = DeviceNumber(major: 7, minor: 300)
        let top = TreeEntry(path: .top, kind: .directory)
        let text = String(decoding: text(of: [top, file, link, node]), as: UTF8.self)
        #expect(
            text == """
                #mtree
                # pram-verify: format=1
                . type=dir
                #xattr user.x=AP8=
                ./a/b\\040c type=file mode=0644 uid=1000 gid=100 time=-5.000000007 size=5 nlink=2 flags=schg,nodump contents=a%b\\040c
                #linked 3
                ./l type=link link=../\\043
                ./n type=block device=native,7,300

                """)
    }

    @Test(arguments: 0...70) func base64(_ length: Int) {
        var dice = Dice(length)
        let bytes = dice.bytes(length)
        var text: [UInt8] = []
        Base64.append(bytes[...], to: &text)
        #expect(Base64.decoded(text[...]) == bytes)
        #expect(text.count == (length + 2) / 3 * 4)
        if !text.isEmpty { #expect(Base64.decoded(text.dropLast()) == nil) }
    }

    @Test func base64OfTheStandard() {
        for (bytes, text) in [("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            #expect(Base64.decoded(Array(text.utf8)[...]) == Array(bytes.utf8))
        }
        for wrong in ["Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm 9", "Zm9_"] {
            #expect(Base64.decoded(Array(wrong.utf8)[...]) == nil, "\(wrong)")
        }
    }
}
