/// A sentence put together by string interpolation.
///
/// It is a String in the end. But where a parameter is a Phrase, `"... \(name) ..."` becomes a call for each piece;
/// where it is a String, the compiler writes out the appending in place, piece by piece, some 120 bytes each time. This
/// program explains a lot, and an initramfs pays for every byte.
public struct Phrase: ExpressibleByStringInterpolation, Sendable {
    public let text: String

    public init(_ text: String) { self.text = text }

    @inline(never) public init(stringLiteral text: StaticString) { self.text = "\(text)" }

    @inline(never) public init(stringInterpolation pieces: StringInterpolation) { text = pieces.text }

    public struct StringInterpolation: StringInterpolationProtocol {
        var text = ""

        @inline(never) public init(literalCapacity: Int, interpolationCount: Int) {}

        @inline(never) public mutating func appendLiteral(_ piece: StaticString) { text += "\(piece)" }
        @inline(never) public mutating func appendInterpolation(_ piece: StaticString) { text += "\(piece)" }
        @inline(never) public mutating func appendInterpolation(_ piece: String) { text += piece }
        @inline(never) public mutating func appendInterpolation(_ piece: Phrase) { text += piece.text }
        @inline(never) public mutating func appendInterpolation(_ number: UInt64) { text += String(number) }
        @inline(never) public mutating func appendInterpolation(_ number: Int) { text += String(number) }
        @inline(never) public mutating func appendInterpolation(_ number: UInt32) { text += String(number) }
        @inline(never) public mutating func appendInterpolation(_ number: Int32) { text += String(number) }
        @inline(never) public mutating func appendInterpolation(_ number: UInt16) { text += String(number) }
        @inline(never) public mutating func appendInterpolation(_ number: Int64) { text += String(number) }
        @inline(never) public mutating func appendInterpolation(_ number: UInt8) { text += String(number) }
    }

    @inline(never) public static func + (a: Phrase, b: Phrase) -> Phrase { Phrase(a.text + b.text) }
}
