/// Bytes from memory, images and command lines as printable ASCII, without loss: what is not printable ASCII, and the
/// backslash itself, becomes `\xNN`. Non-ASCII letters too: two names that look alike must stay two names on the
/// screen, and the console of an initramfs has no fonts.
public func escaped(_ bytes: some Sequence<UInt8>) -> String {
    var out: [UInt8] = []
    for byte in bytes {
        if byte >= 0x20 && byte < 0x7f && byte != UInt8(ascii: "\\") {
            out.append(byte)
        } else {
            out += [UInt8(ascii: "\\"), UInt8(ascii: "x"), hexDigit(byte >> 4), hexDigit(byte & 15)]
        }
    }
    return String(decoding: out, as: UTF8.self)
}

/// Two lower-case hexadecimal digits a byte.
public func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    var out: [UInt8] = []
    for byte in bytes {
        out.append(hexDigit(byte >> 4))
        out.append(hexDigit(byte & 15))
    }
    return String(decoding: out, as: UTF8.self)
}

/// A number as `0x...`, lower case, no leading zeros.
public func hexadecimal(_ number: UInt64) -> String { "0x" + String(number, radix: 16) }

func hexDigit(_ nibble: UInt8) -> UInt8 {
    nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") - 10 + nibble
}
