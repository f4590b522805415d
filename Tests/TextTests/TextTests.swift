import Testing

@testable import Text

@Suite struct EscapingTests {
    @Test func printableASCIIStays() {
        let printable = (UInt8(0x20)..<0x7f).filter { $0 != UInt8(ascii: "\\") }
        #expect(Array(escaped(printable).utf8) == printable)
    }

    @Test func everyByteIsTwoHexDigitsOtherwise() {
        #expect(escaped([0x00]) == "\\x00")
        #expect(escaped([0x0a, 0x1b, 0x7f, 0x80, 0xff]) == "\\x0a\\x1b\\x7f\\x80\\xff")
        #expect(escaped(Array("é".utf8)) == "\\xc3\\xa9")
        #expect(escaped(Array("a\\b".utf8)) == "a\\x5cb")
        #expect(escaped([UInt8]()) == "")
    }

    /// No two byte strings look alike, and each can be had back.
    @Test func nothingIsLost() {
        for byte in 0...UInt8.max {
            let text = Array(escaped([byte, UInt8(ascii: "x")]).utf8)
            #expect(text.allSatisfy { $0 >= 0x20 && $0 < 0x7f })
            if text[0] == UInt8(ascii: "\\") {
                #expect(UInt8(String(decoding: text[2..<4], as: UTF8.self), radix: 16) == byte)
                #expect(text.count == 5)
            } else {
                #expect(text == [byte, UInt8(ascii: "x")])
            }
        }
        // A name that holds what an escape looks like is not the name that the escape stands for.
        #expect(escaped(Array("\\x41".utf8)) != escaped(Array("A".utf8)))
    }

    @Test func hexadecimalNumbers() {
        #expect(hexadecimal(0) == "0x0")
        #expect(hexadecimal(0x9b79) == "0x9b79")
        #expect(hexadecimal(UInt64.max) == "0xffffffffffffffff")
        #expect(hexadecimal([0x00, 0x0f, 0xf0, 0xff] as [UInt8]) == "000ff0ff")
    }
}

@Suite struct JSONWriterTests {
    private func written(_ body: (inout JSONWriter) -> Void) -> String {
        let text = Collector()
        var json = JSONWriter { text.bytes += $0 }
        body(&json)
        json.finish()
        return String(decoding: text.bytes, as: UTF8.self)
    }

    private final class Collector { var bytes: [UInt8] = [] }

    private func compact(_ text: String) -> String { text.filter { $0 != " " && $0 != "\n" } }

    @Test func everyKindOfValue() {
        let text = written {
            $0.beginObject()
            $0.string("text", "a" + "b")
            $0.string("fixed", "c" as StaticString)
            $0.number("big", UInt64.max)
            $0.number("small", -1)
            $0.bool("yes", true)
            $0.bool("no", false)
            $0.null("nothing")
            $0.beginArray("list")
            $0.number(nil, 1)
            $0.string(nil, "two")
            $0.beginObject()
            $0.endObject()
            $0.endArray()
            $0.beginArray("empty")
            $0.endArray()
            $0.endObject()
        }
        #expect(
            compact(text)
                == #"{"text":"ab","fixed":"c","big":18446744073709551615,"small":-1,"yes":true,"no":false,"#
                + #""nothing":null,"list":[1,"two",{}],"empty":[]}"#)
        #expect(text.hasSuffix("}\n"))
    }

    @Test func stringsAreQuoted() {
        #expect(compact(written { $0.string(nil, "a\"b\\c") }) == #""a\"b\\c""#)
        #expect(written { $0.string(nil, "\n\u{1}\u{1f}") } == #""\u000a\u0001\u001f""# + "\n")
    }

    @Test func entriesOfAListStandOnALineEach() {
        let text = written {
            $0.beginObject()
            $0.beginArray("files")
            for name in ["a", "b"] {
                $0.beginObject()
                $0.string("name", name)
                $0.number("size", 1)
                $0.endObject()
            }
            $0.endArray()
            $0.endObject()
        }
        let lines = text.split(separator: "\n")
        #expect(lines.filter { $0.contains("\"name\"") }.count == 2)
        #expect(lines.first { $0.contains("\"a\"") }?.contains("\"size\"") == true)
    }

    @Test func longTextComesInPieces() {
        var pieces = 0
        let text = Collector()
        var json = JSONWriter {
            pieces += 1
            text.bytes += $0
        }
        json.beginArray()
        for number in 0..<50_000 { json.number(nil, number) }
        json.endArray()
        json.finish()
        #expect(pieces > 3)
        #expect(
            compact(String(decoding: text.bytes, as: UTF8.self)) == "["
                + (0..<50_000).map(String.init).joined(separator: ",") + "]")
    }
}
