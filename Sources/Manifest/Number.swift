/// Numbers as an mtree text has them. Nothing here traps or wraps: what does not fit is nil.
enum Number {
    /// Digits in the radix 8 or 10, at least one, nothing else.
    static func unsigned(_ text: ArraySlice<UInt8>, radix: UInt64 = 10) -> UInt64? {
        if text.isEmpty { return nil }
        var value: UInt64 = 0
        for byte in text {
            guard byte >= UInt8(ascii: "0"), UInt64(byte - UInt8(ascii: "0")) < radix else { return nil }
            let (product, tooLarge) = value.multipliedReportingOverflow(by: radix)
            let (sum, tooLargeNow) = product.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
            if tooLarge || tooLargeNow { return nil }
            value = sum
        }
        return value
    }

    static func signed(_ text: ArraySlice<UInt8>) -> Int64? {
        if text.first == UInt8(ascii: "-") {
            guard let magnitude = unsigned(text.dropFirst()) else { return nil }
            if magnitude == UInt64(Int64.max) + 1 { return .min }
            guard let value = Int64(exactly: magnitude) else { return nil }
            return -value
        }
        guard let magnitude = unsigned(text) else { return nil }
        return Int64(exactly: magnitude)
    }

    /// `SEC`, or `SEC.NSEC`: what stands behind the dot counts nanoseconds. Nine digits can also be read as a fraction,
    /// and so everybody reads the same; fewer are read as libarchive and mtree do.
    static func time(_ text: ArraySlice<UInt8>) -> FileTime? {
        guard let dot = text.firstIndex(of: UInt8(ascii: ".")) else {
            guard let seconds = signed(text) else { return nil }
            return FileTime(seconds: seconds)
        }
        guard let seconds = signed(text[..<dot]), let nanoseconds = unsigned(text[(dot + 1)...]),
            nanoseconds <= 999_999_999
        else { return nil }
        return FileTime(seconds: seconds, nanoseconds: UInt32(truncatingIfNeeded: nanoseconds))
    }

    static func append(_ value: UInt64, to text: inout [UInt8], radix: UInt64 = 10, width: Int = 1) {
        var digits: [UInt8] = []
        var rest = value
        while rest > 0 || digits.count < width {
            digits.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % radix))
            rest /= radix
        }
        text.append(contentsOf: digits.reversed())
    }

    static func append(_ time: FileTime, to text: inout [UInt8]) {
        if time.seconds < 0 { text.append(UInt8(ascii: "-")) }
        append(time.seconds.magnitude, to: &text)
        text.append(UInt8(ascii: "."))
        append(UInt64(time.nanoseconds), to: &text, width: 9)
    }
}

/// Whether bytes are those of a fixed word.
func equal(_ bytes: ArraySlice<UInt8>, _ word: StaticString) -> Bool {
    guard bytes.count == word.utf8CodeUnitCount else { return false }
    return word.withUTF8Buffer { word in unsafe bytes.elementsEqual(word) }
}

/// Whether bytes begin with a fixed word.
func begins(_ bytes: ArraySlice<UInt8>, with word: StaticString) -> Bool {
    equal(bytes.prefix(word.utf8CodeUnitCount), word)
}

func append(_ word: StaticString, to text: inout [UInt8]) {
    word.withUTF8Buffer { word in unsafe text.append(contentsOf: word) }
}
