// Text as the kernel writes it into the files of /proc and /sys.

/// A whole field of hexadecimal digits as the kernel prints numbers, with or without `0x`; nil for anything else, also
/// for an empty field and for more than 64 bits.
public func hexadecimalNumber(_ field: ArraySlice<UInt8>) -> UInt64? {
    var digits = field
    if digits.begin(with: "0x") { digits = digits.dropFirst(2) }
    guard !digits.isEmpty else { return nil }
    var number: UInt64 = 0
    for byte in digits {
        guard let digit = hexadecimalDigit(byte), number >> 60 == 0 else { return nil }
        number = number << 4 | digit
    }
    return number
}

private func hexadecimalDigit(_ byte: UInt8) -> UInt64? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte - UInt8(ascii: "a")) + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(byte - UInt8(ascii: "A")) + 10
    default: nil
    }
}

extension Sequence<UInt8> {
    /// Whether these bytes are exactly `text`.
    public func spell(_ text: StaticString) -> Bool {
        text.withUTF8Buffer { unsafe elementsEqual($0) }
    }
}

extension Collection<UInt8> {
    /// Whether these bytes begin with `text`.
    public func begin(with text: StaticString) -> Bool {
        text.withUTF8Buffer { unsafe prefix($0.count).elementsEqual($0) }
    }
}

/// The bytes of a literal, for paths.
public func bytes(_ text: StaticString) -> [UInt8] {
    text.withUTF8Buffer { unsafe Array($0) }
}
