import CLinux

/// The words of a command line, taken apart by getopt_long(3): options and operands in any order, `--name=value`,
/// unambiguous abbreviations, `--`.
public struct OptionScanner {
    public struct Option: Sendable {
        let name: StaticString
        let takesArgument: Bool

        public init(_ name: StaticString, takesArgument: Bool) {
            self.name = name
            self.takesArgument = takesArgument
        }
    }

    public enum Problem: Error, Sendable {
        /// With the word as it was given.
        case needsArgument([UInt8])
        case unknownOrAmbiguous([UInt8])
    }

    /// In the order given: which of the options it was taken for, and its argument, empty where it takes none.
    public private(set) var given: [(index: Int, argument: [UInt8])] = []
    public private(set) var operands: [[UInt8]] = []

    /// - Parameters:
    ///   - count: argc.
    ///   - words: argv; the words are put into another order. getopt_long remembers the array, so it must stay.
    ///   - help: which option `-h` stands for.
    public init(
        _ count: Int32, _ words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>, options: [Option], help: Int
    ) throws(Problem) {
        // Numbers that no character has.
        let first: Int32 = 0x100
        var table = options.indices.map {
            option(
                name: UnsafeRawPointer(options[$0].name.utf8Start).assumingMemoryBound(to: CChar.self),
                has_arg: options[$0].takesArgument ? required_argument : no_argument, flag: nil,
                val: first + Int32($0))
        }
        table.append(option(name: nil, has_arg: 0, flag: nil, val: 0))
        pv_restart_options()
        while true {
            let before = pv_optind()
            let code = getopt_long(count, words, ":h", table, nil)
            if code == -1 { break }
            let index = code == Int32(UInt8(ascii: "h")) ? help : Int(code - first)
            guard options.indices.contains(index) else {
                let word = bytes(of: words[Int(max(before, pv_optind() - 1))])
                throw code == Int32(UInt8(ascii: ":")) ? .needsArgument(word) : .unknownOrAmbiguous(word)
            }
            given.append((index, options[index].takesArgument ? bytes(of: pv_optarg()) : []))
        }
        for place in pv_optind()..<max(pv_optind(), count) { operands.append(bytes(of: words[Int(place)])) }
    }
}

/// The bytes of a C string; empty for NULL.
public func bytes(of text: UnsafePointer<CChar>?) -> [UInt8] {
    guard let text else { return [] }
    return Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
}
