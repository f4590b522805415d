/// Writes JSON piece by piece, so that a report of a million files is never in memory as a whole. The caller opens and
/// closes objects and arrays; commas and line breaks are the writer's affair.
public struct JSONWriter {
    private var buffer: [UInt8] = []
    private let sink: ([UInt8]) -> Void
    private var depth = 0
    private var needsComma = false
    /// Members of arrays and objects at this depth and deeper stand on one line.
    private let compactDepth = 2

    /// - Parameter sink: takes the text, in pieces of some 64 KiB.
    public init(sink: @escaping ([UInt8]) -> Void) { self.sink = sink }

    public mutating func beginObject(_ key: StaticString? = nil) { begin(key, UInt8(ascii: "{")) }
    public mutating func endObject() { end(UInt8(ascii: "}")) }
    public mutating func beginArray(_ key: StaticString? = nil) { begin(key, UInt8(ascii: "[")) }
    public mutating func endArray() { end(UInt8(ascii: "]")) }

    public mutating func string(_ key: StaticString?, _ value: String) {
        prepare(key)
        appendQuoted(value.utf8)
    }

    public mutating func string(_ key: StaticString?, _ value: StaticString) {
        prepare(key)
        appendQuoted(value)
    }

    public mutating func number(_ key: StaticString?, _ value: UInt64) {
        prepare(key)
        append(String(value))
    }

    public mutating func number(_ key: StaticString?, _ value: Int) {
        prepare(key)
        append(String(value))
    }

    public mutating func bool(_ key: StaticString?, _ value: Bool) {
        prepare(key)
        append(value ? "true" : "false")
    }

    public mutating func null(_ key: StaticString?) {
        prepare(key)
        append("null")
    }

    /// Ends the text with a line break and hands over what is left of it.
    public mutating func finish() {
        buffer.append(UInt8(ascii: "\n"))
        flush()
    }

    private mutating func begin(_ key: StaticString?, _ bracket: UInt8) {
        prepare(key)
        buffer.append(bracket)
        depth += 1
        needsComma = false
    }

    private mutating func end(_ bracket: UInt8) {
        let isCompact = depth > compactDepth
        depth -= 1
        if needsComma && !isCompact { breakLine() }
        buffer.append(bracket)
        needsComma = true
    }

    private mutating func prepare(_ key: StaticString?) {
        if needsComma { buffer.append(UInt8(ascii: ",")) }
        if depth > 0 { breakLine(afterComma: needsComma) }
        needsComma = true
        if let key {
            appendQuoted(key)
            append(": ")
        }
        if buffer.count >= 1 << 16 { flush() }
    }

    private mutating func breakLine(afterComma: Bool = false) {
        if depth > compactDepth {
            if afterComma { buffer.append(UInt8(ascii: " ")) }
        } else {
            buffer.append(UInt8(ascii: "\n"))
            for _ in 0..<depth * 2 { buffer.append(UInt8(ascii: " ")) }
        }
    }

    private mutating func flush() {
        sink(buffer)
        buffer.removeAll(keepingCapacity: true)
    }

    private mutating func append(_ text: String) { buffer.append(contentsOf: text.utf8) }

    private mutating func appendQuoted(_ text: StaticString) {
        buffer.append(UInt8(ascii: "\""))
        text.withUTF8Buffer { bytes in
            unsafe buffer.append(contentsOf: bytes)
        }
        buffer.append(UInt8(ascii: "\""))
    }

    private mutating func appendQuoted(_ text: String.UTF8View) {
        let backslash = UInt8(ascii: "\\")
        buffer.append(UInt8(ascii: "\""))
        for byte in text {
            switch byte {
            case UInt8(ascii: "\""), backslash:
                buffer.append(backslash)
                buffer.append(byte)
            case 0..<0x20:
                buffer += [backslash, UInt8(ascii: "u"), UInt8(ascii: "0"), UInt8(ascii: "0")]
                buffer += [hexDigit(byte >> 4), hexDigit(byte & 15)]
            default: buffer.append(byte)
            }
        }
        buffer.append(UInt8(ascii: "\""))
    }
}
