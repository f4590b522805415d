/// Bytes as words of an mtree text: what could end a word, begin a comment, a pattern or an escape, or does not print
/// in ASCII, becomes a backslash and three octal digits (vis(3) with VIS_OCTAL). libarchive, FreeBSD's mtree and
/// NetBSD's read that alike.
enum VisEncoding {
    /// Letters, digits, and the punctuation that means nothing to anybody.
    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "+"), UInt8(ascii: ","), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "/"): true
        case UInt8(ascii: ":"), UInt8(ascii: "@"), UInt8(ascii: "_"), UInt8(ascii: "%"), UInt8(ascii: "~"): true
        default: false
        }
    }

    static func append(_ bytes: some Sequence<UInt8>, to text: inout [UInt8]) {
        for byte in bytes {
            if isPlain(byte) {
                text.append(byte)
            } else {
                text.append(UInt8(ascii: "\\"))
                text.append(UInt8(ascii: "0") + (byte >> 6))
                text.append(UInt8(ascii: "0") + (byte >> 3 & 7))
                text.append(UInt8(ascii: "0") + (byte & 7))
            }
        }
    }

    /// The bytes that a word stands for; nil when a backslash is followed by nothing known. Besides octal digits the
    /// letters of C and `\s`, a blank, are read, and a backslash before punctuation stands for that.
    static func decoded(_ word: ArraySlice<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(word.count)
        var at = word.startIndex
        while at < word.endIndex {
            let byte = word[at]
            at += 1
            if byte != UInt8(ascii: "\\") {
                bytes.append(byte)
                continue
            }
            guard at < word.endIndex else { return nil }
            if word[at] >= UInt8(ascii: "0") && word[at] <= UInt8(ascii: "7") {
                guard word.endIndex - at >= 3 else { return nil }
                var value = 0
                for digit in word[at..<at + 3] {
                    guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "7") else { return nil }
                    value = value << 3 | Int(digit - UInt8(ascii: "0"))
                }
                guard let value = UInt8(exactly: value) else { return nil }
                bytes.append(value)
                at += 3
            } else {
                guard let value = letter(word[at]) else { return nil }
                bytes.append(value)
                at += 1
            }
        }
        return bytes
    }

    private static func letter(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "a"): 7
        case UInt8(ascii: "b"): 8
        case UInt8(ascii: "t"): 9
        case UInt8(ascii: "n"): 10
        case UInt8(ascii: "v"): 11
        case UInt8(ascii: "f"): 12
        case UInt8(ascii: "r"): 13
        case UInt8(ascii: "s"): 32
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): nil
        case UInt8(ascii: "8"), UInt8(ascii: "9"): nil
        case 0x21..<0x7f: byte
        default: nil
        }
    }
}
