import Text

/// The names of files that are not complete yet: `.pram-verify-PROCESS-SERIAL.tmp`.
public enum TemporaryName {
    private static let start: StaticString = ".pram-verify-"
    private static let end: StaticString = ".tmp"

    static func make(process: Int32, _ serial: Int) -> [UInt8] {
        Array("\(start)\(process)-\(serial)\(end)".utf8)
    }

    /// Which process made a file of this name; nil for other names.
    public static func process(of name: [UInt8]) -> Int32? {
        let end = bytes(end)
        guard name.begin(with: start), name.suffix(end.count).elementsEqual(end) else { return nil }
        let numbers = name.dropFirst(bytes(start).count).dropLast(end.count)
        guard let dash = numbers.firstIndex(of: UInt8(ascii: "-")), let process = decimalNumber(numbers[..<dash]),
            decimalNumber(numbers[(dash + 1)...]) != nil
        else { return nil }
        return Int32(exactly: process)
    }
}
