// What stands between the pieces of a String is put in by calls. Without these the compiler writes out the appending in
// place, piece by piece (see `Phrase`).
extension DefaultStringInterpolation {
    @inline(never) public mutating func appendInterpolation(_ piece: String) { appendLiteral(piece) }
    @inline(never) public mutating func appendInterpolation(_ piece: StaticString) { appendLiteral(piece.description) }
    @inline(never) public mutating func appendInterpolation(_ piece: Phrase) { appendLiteral(piece.text) }
    @inline(never) public mutating func appendInterpolation(_ number: Int) { appendLiteral(String(number)) }
    @inline(never) public mutating func appendInterpolation(_ number: UInt64) { appendLiteral(String(number)) }
    @inline(never) public mutating func appendInterpolation(_ number: Int32) { appendLiteral(String(number)) }
}
