import CLinux

/// The words of a call, taken apart by getopt_long(3): options and operands in any order, `--name=value`, unambiguous
/// abbreviations, `--`. -h is --help.
public struct OptionParser {
    public enum Found {
        /// The option's place in the table, and its argument; empty without one.
        case option(Int, [UInt8])
        case lacksArgument([UInt8])
        /// Unknown, or an abbreviation of several.
        case unknown([UInt8])
    }

    private let count: Int32
    private let words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let names: [(name: StaticString, hasArgument: Bool)]
    private var table: [option]

    /// - Parameter names: of all options, without their dashes; the names must outlive the parser.
    public init(
        _ count: Int32, _ words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>,
        _ names: [(name: StaticString, hasArgument: Bool)]
    ) {
        self.count = count
        self.words = words
        self.names = names
        table = []
        for (number, entry) in names.enumerated() {
            table.append(
                option(
                    name: UnsafeRawPointer(entry.name.utf8Start).assumingMemoryBound(to: CChar.self),
                    has_arg: entry.hasArgument ? required_argument : no_argument, flag: nil,
                    val: 0x100 + Int32(number)))
        }
        table.append(option(name: nil, has_arg: 0, flag: nil, val: 0))
        pv_restart_options()
    }

    /// nil behind the last option.
    public mutating func next() -> Found? {
        let before = pv_optind()
        let code = getopt_long(count, words, ":h", table, nil)
        if code == -1 { return nil }
        if code == Int32(UInt8(ascii: "h")) {
            return names.firstIndex { $0.name.withUTF8Buffer { $0.elementsEqual("help".utf8) } }.map { .option($0, []) }
        }
        let number = Int(code) - 0x100
        guard names.indices.contains(number) else {
            let word = bytes(of: words[Int(max(before, pv_optind() - 1))])
            return code == Int32(UInt8(ascii: ":")) ? .lacksArgument(word) : .unknown(word)
        }
        return .option(number, names[number].hasArgument ? bytes(of: pv_optarg()) : [])
    }

    /// What is no option, once `next` has returned nil.
    public var operands: [[UInt8]] {
        (pv_optind()..<max(pv_optind(), count)).map { bytes(of: words[Int($0)]) }
    }
}

/// The bytes of a C string; empty for NULL.
private func bytes(of text: UnsafePointer<CChar>?) -> [UInt8] {
    guard let text else { return [] }
    return Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
}
