/// One parameter of a command line, as lib/cmdline.c next_arg() cuts it out.
///
/// `name` and `value` are slices of the line's own bytes: their indices are positions in `ParameterLine.bytes`, so
/// `value.startIndex` says where the value stands. Both are bytes, not text: a command line has no encoding.
public struct Parameter: Equatable, Sendable {
    /// All bytes of the parameter with its quotes, without separators: positions in `ParameterLine.bytes`.
    public let range: Range<Int>

    /// The name without the quote that opens a quoted parameter. May be empty (`""`), may hold quotes (`pr"am`), and
    /// starts with `=` when the parameter does: a `=` in the first place does not split.
    public let name: ArraySlice<UInt8>

    /// What follows the first `=` after the first place; nil without one, empty for `name=`.
    public let value: ArraySlice<UInt8>?

    /// False when a quote is still open at the end of the line: whatever is appended then becomes part of this
    /// parameter.
    public let isClosed: Bool

    /// Whether the parameter has this name, `-` and `_` being equal, capitals and small letters not: parameq() in
    /// kernel/params.c.
    public func isNamed(_ name: ParameterName) -> Bool { name.matches(self.name) }

    /// Whether this is what ends the parameters: the name `--` and no value (kernel/params.c parse_args()).
    ///
    /// Quoted (`"--"`) it ends them too, from the kernels on that take the closing quote off a name without a value.
    /// 3.14 did not, and knew no `--` at all: see `ParameterLine.initParameters`.
    var isDoubleDash: Bool {
        value == nil && name.elementsEqual([UInt8(ascii: "-"), UInt8(ascii: "-")])
    }
}

/// The name of a parameter, to compare with: `line.last(named: "pram")`.
public struct ParameterName: ExpressibleByStringLiteral, Sendable {
    public let bytes: [UInt8]

    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    public init(stringLiteral name: StaticString) {
        bytes = name.withUTF8Buffer { unsafe [UInt8]($0) }
    }

    /// Whether `name` is this name, byte for byte, except that `-` equals `_`.
    public func matches(_ name: ArraySlice<UInt8>) -> Bool {
        name.elementsEqual(bytes) { underscored($0) == underscored($1) }
    }
}

private func underscored(_ byte: UInt8) -> UInt8 {
    byte == UInt8(ascii: "-") ? UInt8(ascii: "_") : byte
}

/// A run of parameters, cut out of the line one after the other, in order. Each pass takes time linear in the length of
/// the line and no memory.
public struct Parameters: Sequence, IteratorProtocol, Sendable {
    private let bytes: [UInt8]
    private var position: Int
    private let end: Int

    /// The parameters in `bytes[start..<end]`, which is cut down to what exists.
    init(in bytes: [UInt8], from start: Int, to end: Int) {
        self.bytes = bytes
        self.end = Swift.min(end, bytes.count)
        position = Swift.max(start, 0)
    }

    /// The next parameter; nil when only separators are left.
    ///
    /// The rules of next_arg(), which has no escapes and no other quote than `"`:
    /// - A parameter starts at the first byte that is no separator and ends at the first separator outside quotes.
    ///   Every `"` toggles quoting, wherever it stands.
    /// - The first `=` that is not in the first place (after an opening quote) splits, quoted or not.
    /// - The value loses a quote in its first place. It loses one in its last place if it lost the first or if the
    ///   whole parameter is quoted: `p="1f"` and `"p=1f"` both give 1f, but `"p="1f""` gives 1f" and `p=1"f"` stays
    ///   as it is.
    /// - A quoted parameter without a value loses both quotes (3.14 left the closing one in the name).
    public mutating func next() -> Parameter? {
        while position < end, ParameterLine.isSeparator(bytes[position]) { position += 1 }
        guard position < end else { return nil }

        let start = position
        let isQuoted = bytes[start] == quote
        if isQuoted { position += 1 }
        let nameStart = position
        var inQuote = isQuoted
        var equals: Int?
        while position < end {
            let byte = bytes[position]
            if !inQuote && ParameterLine.isSeparator(byte) { break }
            if byte == UInt8(ascii: "=") && equals == nil && position > nameStart { equals = position }
            if byte == quote { inQuote.toggle() }
            position += 1
        }

        let stop = position
        // A lone quote at the end of the line is an opening one only: its parameter is empty.
        let endsWithQuote = stop > nameStart && bytes[stop - 1] == quote
        guard let equals else {
            let nameEnd = isQuoted && endsWithQuote ? stop - 1 : stop
            return Parameter(range: start..<stop, name: bytes[nameStart..<nameEnd], value: nil, isClosed: !inQuote)
        }
        var valueStart = equals + 1
        let valueIsQuoted = valueStart < stop && bytes[valueStart] == quote
        if valueIsQuoted { valueStart += 1 }
        var valueEnd = stop
        if endsWithQuote && (valueIsQuoted || isQuoted) { valueEnd -= 1 }
        // In `p="` one quote is both the first and the last byte of the value.
        valueEnd = Swift.max(valueStart, valueEnd)
        return Parameter(
            range: start..<stop, name: bytes[nameStart..<equals], value: bytes[valueStart..<valueEnd],
            isClosed: !inQuote)
    }
}

let quote = UInt8(ascii: "\"")
