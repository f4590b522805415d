/// "1 link", "2 links", "3 entries".
public func counted(_ number: Int, _ noun: StaticString) -> String {
    if number == 1 { return "1 \(noun)" }
    let isEntry = noun.withUTF8Buffer { unsafe $0.count > 1 && $0[$0.count - 1] == UInt8(ascii: "y") }
    if isEntry { return "\(number) entries" }
    return "\(number) \(noun)s"
}

/// The same where the plural is more than an s.
public func counted(_ number: Int, _ noun: StaticString, _ nouns: StaticString) -> String {
    number == 1 ? "1 \(noun)" : "\(number) \(nouns)"
}

/// "1 link, 2 pages and 3 files"
public func enumerated(_ parts: [String]) -> String {
    var text = ""
    for (number, part) in parts.enumerated() {
        if number > 0 { text += number == parts.count - 1 ? " and " : ", " }
        text += part
    }
    return text
}

/// A number of bytes in the largest binary unit that leaves at least 1, with one decimal place.
public func byteCount(_ bytes: UInt64) -> String {
    let units: [StaticString] = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    var unit = 0
    var scale: UInt64 = 1
    while unit < 6 && bytes / scale >= 1024 {
        scale *= 1024
        unit += 1
    }
    if unit == 0 { return "\(bytes) bytes" }
    return "\(bytes / scale).\(bytes % scale / (scale / 1024) * 10 / 1024) \(units[unit])"
}

/// Text filled up with blanks to a width, for columns.
public func padded(_ text: String, _ width: Int) -> String {
    var text = text
    for _ in 0..<max(0, width - text.utf8.count) { text += " " }
    return text
}

public func padded(_ text: StaticString, _ width: Int) -> String { padded("\(text)", width) }
