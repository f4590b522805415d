/// RFC 4648, section 4: the common alphabet, with padding.
enum Base64 {
    private static func character(_ value: UInt32) -> UInt8 {
        switch UInt8(truncatingIfNeeded: value & 63) {
        case let value where value < 26: UInt8(ascii: "A") + value
        case let value where value < 52: UInt8(ascii: "a") + (value - 26)
        case let value where value < 62: UInt8(ascii: "0") + (value - 52)
        case 62: UInt8(ascii: "+")
        default: UInt8(ascii: "/")
        }
    }

    private static func value(_ character: UInt8) -> UInt32? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }

    static func append(_ bytes: ArraySlice<UInt8>, to text: inout [UInt8]) {
        var at = bytes.startIndex
        while at < bytes.endIndex {
            let count = min(3, bytes.endIndex - at)
            var group: UInt32 = 0
            for place in 0..<3 { group = group << 8 | (place < count ? UInt32(bytes[at + place]) : 0) }
            for place in 0..<4 {
                let shift = UInt32(18 - 6 * place)
                text.append(place <= count ? character(group >> shift) : UInt8(ascii: "="))
            }
            at += count
        }
    }

    /// nil for everything that `append` does not write.
    static func decoded(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 4 * 3)
        var at = text.startIndex
        while at < text.endIndex {
            let isLast = text.endIndex - at == 4
            var padding = 0
            if isLast && text[at + 3] == UInt8(ascii: "=") { padding = text[at + 2] == UInt8(ascii: "=") ? 2 : 1 }
            var group: UInt32 = 0
            for place in 0..<4 {
                guard let bits = place < 4 - padding ? value(text[at + place]) : 0 else { return nil }
                group = group << 6 | bits
            }
            // Bits behind the last byte are zero, so that no two texts stand for the same bytes.
            guard group & (padding == 2 ? 0xffff : padding == 1 ? 0xff : 0) == 0 else { return nil }
            for place in 0..<3 - padding { bytes.append(UInt8(truncatingIfNeeded: group >> UInt32(16 - 8 * place))) }
            at += 4
        }
        return bytes
    }
}
