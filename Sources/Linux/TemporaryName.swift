import Text

/// The names of files that are not complete yet, `.pram-verify-PROCESS-SERIAL.tmp`, and of directories in which files wait
/// for their places, `.pram-verify-PROCESS-SERIAL.staging`.
public enum TemporaryName {
    private static let start: StaticString = ".pram-verify-"

    enum Kind: CaseIterable {
        case file, staging

        var end: StaticString {
            switch self {
            case .file: ".tmp"
            case .staging: ".staging"
            }
        }
    }

    static func make(_ kind: Kind = .file, process: Int32, _ serial: Int) -> [UInt8] {
        Array("\(start)\(process)-\(serial)\(kind.end)".utf8)
    }

    /// Which process made a file, or a directory, of this name; nil for other names.
    public static func process(of name: [UInt8]) -> Int32? {
        for kind in Kind.allCases { if let process = process(of: name, kind) { return process } }
        return nil
    }

    static func process(of name: [UInt8], _ kind: Kind) -> Int32? {
        let end = bytes(kind.end)
        guard name.begin(with: start), name.suffix(end.count).elementsEqual(end) else { return nil }
        let numbers = name.dropFirst(bytes(start).count).dropLast(end.count)
        guard let dash = numbers.firstIndex(of: UInt8(ascii: "-")), let process = decimalNumber(numbers[..<dash]),
            decimalNumber(numbers[(dash + 1)...]) != nil
        else { return nil }
        return Int32(exactly: process)
    }
}
