/// Text broken between words so that its lines are no wider than they may be, with a newline at its end. A word that is
/// wider stands on a line of its own.
/// - Parameters:
///   - width: in columns.
///   - indent: of all lines but the first, and the column in which the first one starts.
public func wrapped(_ text: String, _ width: Int, indent: Int = 0) -> String {
    var lines: [UInt8] = []
    var column = indent
    for word in Array(text.utf8).split(separator: UInt8(ascii: " ")) {
        let isFirst = lines.isEmpty
        if !isFirst && column + 1 + word.count > width {
            lines.append(UInt8(ascii: "\n"))
            lines += [UInt8](repeating: UInt8(ascii: " "), count: indent)
            column = indent
        } else if !isFirst {
            lines.append(UInt8(ascii: " "))
            column += 1
        }
        lines += word
        column += word.count
    }
    lines.append(UInt8(ascii: "\n"))
    return String(decoding: lines, as: UTF8.self)
}
