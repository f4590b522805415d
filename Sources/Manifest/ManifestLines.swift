/// The lines of a text that comes in pieces. A backslash before a line break joins two lines to one.
struct ManifestLines {
    struct Line {
        /// As it stands there, line breaks inside it and the backslashes before them too, without the one that ends it.
        /// Empty when it is too long.
        var raw: [UInt8] = []
        /// Counted from 1: the first of the lines that are joined.
        var number: UInt64 = 1
        var isTooLong = false
        var isJoined = false
        /// No line break ended it: the text did.
        var isCut = false

        /// Without the joints, and without a carriage return at its end.
        var text: [UInt8] {
            var text = raw
            if isJoined {
                text.removeAll(keepingCapacity: true)
                for byte in raw {
                    if byte == UInt8(ascii: "\n") {
                        // The backslash, and where a carriage return stands between, that too.
                        if text.last == UInt8(ascii: "\r") { text.removeLast() }
                        if text.last == UInt8(ascii: "\\") { text.removeLast() }
                    } else {
                        text.append(byte)
                    }
                }
            }
            if text.last == UInt8(ascii: "\r") { text.removeLast() }
            return text
        }
    }

    private let limit: Int
    private var piece: ArraySlice<UInt8> = []
    private var line = Line()
    private var hasBegun = false
    private var nextNumber: UInt64 = 1
    /// Whether what was read of the line ends with a backslash that nothing escapes, and perhaps a carriage return.
    private var isEscaped = false
    private var isAfterReturn = false

    /// - Parameter limit: bytes of a line; longer ones are skipped.
    init(limit: Int) { self.limit = limit }

    /// Gives more of the text; the last piece must have been used up.
    mutating func feed(_ text: ArraySlice<UInt8>) { piece = text }

    /// The next whole line; nil when more text is needed.
    mutating func next() -> Line? {
        while let byte = piece.first {
            if !hasBegun { begin() }
            if byte == UInt8(ascii: "\n") {
                piece = piece.dropFirst()
                nextNumber += 1
                guard isEscaped else {
                    hasBegun = false
                    return line
                }
                line.isJoined = true
                isEscaped = false
                isAfterReturn = false
                keep([byte])
                continue
            }
            let end = piece.firstIndex(of: UInt8(ascii: "\n")) ?? piece.endIndex
            look(at: piece[..<end])
            keep(piece[..<end])
            piece = piece[end...]
        }
        return nil
    }

    /// What is left at the end of the text: a line without an end, if anything.
    mutating func last() -> Line? {
        guard hasBegun else { return nil }
        hasBegun = false
        line.isCut = true
        return line
    }

    private mutating func begin() {
        line = Line(number: nextNumber)
        hasBegun = true
        isEscaped = false
        isAfterReturn = false
    }

    private mutating func look(at text: ArraySlice<UInt8>) {
        for byte in text {
            if byte == UInt8(ascii: "\\") {
                isEscaped = isAfterReturn || !isEscaped
                isAfterReturn = false
            } else if byte == UInt8(ascii: "\r") && !isAfterReturn {
                isAfterReturn = true
            } else {
                isEscaped = false
                isAfterReturn = false
            }
        }
    }

    private mutating func keep(_ text: ArraySlice<UInt8>) {
        if line.isTooLong { return }
        if line.raw.count + text.count > limit {
            line.isTooLong = true
            line.raw = []
        } else {
            line.raw += text
        }
    }
}
