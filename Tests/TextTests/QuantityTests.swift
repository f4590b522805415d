import Testing
import Text

@Suite struct QuantityTests {
    @Test(
        arguments: [
            (0, "0 bytes"), (1, "1 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (1536, "1.5 KiB"),
            (1024 * 1024 - 1, "1023.9 KiB"),
            (1 << 20, "1.0 MiB"), (5 << 30, "5.0 GiB"), (1 << 40, "1.0 TiB"), (1 << 50, "1.0 PiB"),
            (1 << 60, "1.0 EiB"),
            (.max, "15.9 EiB"),
        ] as [(UInt64, String)])
    func byteCounts(_ bytes: UInt64, _ text: String) { #expect(byteCount(bytes) == text) }

    @Test func nounsAgreeWithTheirNumber() {
        #expect(counted(0, "link") == "0 links")
        #expect(counted(1, "link") == "1 link")
        #expect(counted(2, "link") == "2 links")
        #expect(counted(1, "entry") == "1 entry")
        #expect(counted(2, "entry") == "2 entries")
        #expect(counted(1, "copy of a link", "copies of links") == "1 copy of a link")
        #expect(counted(2, "copy of a link", "copies of links") == "2 copies of links")
    }

    @Test(arguments: [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")])
    func partsAreEnumerated(_ parts: [String], _ text: String) { #expect(enumerated(parts) == text) }
}

@Suite struct NearestWordTests {
    private let names: [StaticString] = ["check", "list", "erase", "quarantine", "status", "save", "load"]

    private func nearest(_ word: String) -> String? { nearestWord(to: Array(word.utf8), among: names).map { "\($0)" } }

    @Test(arguments: [
        ("chekc", "check"), ("chck", "check"), ("sttus", "status"), ("quarantin", "quarantine"), ("lst", "list"),
    ])
    func aSlipIsNear(_ word: String, _ name: String) { #expect(nearest(word) == name) }

    @Test(arguments: ["", "x", "destroy", "checkcheckcheck", String(repeating: "a", count: 10_000)])
    func whatIsFarHasNoNearestWord(_ word: String) { #expect(nearest(word) == nil) }

    @Test func ofTwoEquallyNearWordsNoneIsNamed() {
        #expect(nearestWord(to: Array("lave".utf8), among: ["save", "lane"]) == nil)
    }
}
