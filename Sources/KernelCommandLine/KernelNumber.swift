/// Numbers as the kernel's own parsers take them, on 64-bit kernels (unsigned long is 64 bits).
///
/// They are not C's strtoul: no leading blanks, no `-`, no digit separators, and memparse does not notice overflow.
/// As in C a NUL ends the text.
public enum KernelNumber {
    public enum Radix: Sendable {
        /// `0x` and a hexadecimal digit: 16. Another leading `0`: 8. Else 10. The kernel's radix 0.
        case detected
        case octal
        case decimal
        /// 16, with or without a leading `0x` or `0X`.
        case hexadecimal
    }

    public enum Fault: Error, Equatable, Sendable {
        /// -EINVAL: no digits, or anything but one newline after them.
        case notANumber
        /// -ERANGE: 2^64 or more. Comes before `notANumber` when both are true.
        case overflow
    }

    /// lib/kstrtox.c kstrtoul() and kstrtoull(): one optional `+`, the prefix the radix allows, at least one digit, one
    /// optional newline, nothing else. `0x` alone, `+`, `0x+1` and the empty text are no numbers.
    public static func kstrtoul(_ text: ArraySlice<UInt8>, _ radix: Radix = .detected) throws(Fault) -> UInt64 {
        var cursor = Cursor(text)
        if cursor.byte(0) == UInt8(ascii: "+") { cursor.advance(1) }
        let digits = cursor.number(radix)
        guard !digits.wrapped else { throw .overflow }
        guard digits.count > 0 else { throw .notANumber }
        if cursor.byte(0) == UInt8(ascii: "\n") { cursor.advance(1) }
        guard cursor.byte(0) == 0 else { throw .notANumber }
        return digits.value
    }

    /// lib/cmdline.c memparse(): digits with the radix detected, then at most one of K M G T P E in either case (2^10
    /// ... 2^60). It stops where it no longer understands, so the caller looks at what is left. No sign is accepted.
    public static func memparse(_ text: ArraySlice<UInt8>) -> MemoryNumber {
        var cursor = Cursor(text)
        let digits = cursor.number(.detected)
        let shift: UInt64 =
            switch cursor.byte(0) | 0x20 {
            case UInt8(ascii: "k"): 10
            case UInt8(ascii: "m"): 20
            case UInt8(ascii: "g"): 30
            case UInt8(ascii: "t"): 40
            case UInt8(ascii: "p"): 50
            case UInt8(ascii: "e"): 60
            default: 0
            }
        if shift > 0 { cursor.advance(1) }
        let isTooLarge = digits.value > UInt64.max >> shift
        return MemoryNumber(
            value: digits.value << shift, wrapped: digits.wrapped || isTooLarge, rest: cursor.rest)
    }

    /// lib/vsprintf.c simple_strtoull() with radix 0: like `memparse` without a suffix.
    static func simpleStrtoull(_ text: ArraySlice<UInt8>) -> MemoryNumber {
        var cursor = Cursor(text)
        let digits = cursor.number(.detected)
        return MemoryNumber(value: digits.value, wrapped: digits.wrapped, rest: cursor.rest)
    }
}

/// What memparse() made of a text.
public struct MemoryNumber: Equatable, Sendable {
    /// What the kernel takes: modulo 2^64.
    public let value: UInt64

    /// Whether the text says 2^64 or more, so that `value` is not what was written. The kernel does not notice.
    public let wrapped: Bool

    /// What was not understood. Nothing was, not even a suffix, when this is the whole text.
    public let rest: ArraySlice<UInt8>
}

/// A position in a text that reads, as in C, a NUL where the text ends.
struct Cursor {
    private(set) var rest: ArraySlice<UInt8>

    init(_ text: ArraySlice<UInt8>) { rest = text }

    /// The byte `offset` places on, 0 beyond the end.
    func byte(_ offset: Int) -> UInt8 {
        offset < rest.count ? rest[rest.startIndex + offset] : 0
    }

    mutating func advance(_ count: Int) { rest = rest.dropFirst(count) }

    /// Prefix and digits; `count` leaves the prefix out, so 0 means that there is no number (`0x` alone in radix 16).
    mutating func number(_ radix: KernelNumber.Radix) -> (value: UInt64, wrapped: Bool, count: Int) {
        let hasHexadecimalPrefix = byte(0) == UInt8(ascii: "0") && byte(1) | 0x20 == UInt8(ascii: "x")
        let base: UInt64
        switch radix {
        case .hexadecimal:
            base = 16
            if hasHexadecimalPrefix { advance(2) }
        case .detected:
            // Detecting, the prefix needs a digit behind it: the number in `0xg` is 0 and `xg` is left over.
            if hasHexadecimalPrefix && digit(byte(2)) != nil {
                base = 16
                advance(2)
            } else {
                base = byte(0) == UInt8(ascii: "0") ? 8 : 10
            }
        case .octal: base = 8
        case .decimal: base = 10
        }

        var value: UInt64 = 0
        var wrapped = false
        var count = 0
        while let digit = digit(byte(count)), digit < base {
            let (product, productWrapped) = value.multipliedReportingOverflow(by: base)
            let (sum, sumWrapped) = product.addingReportingOverflow(digit)
            value = sum
            if productWrapped || sumWrapped { wrapped = true }
            count += 1
        }
        advance(count)
        return (value, wrapped, count)
    }

    private func digit(_ byte: UInt8) -> UInt64? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(byte - UInt8(ascii: "A") + 10)
        default: nil
        }
    }
}
