import CLinux

/// The words of a command line, taken apart by getopt_long(3): options and operands in any order, `--name=value`,
/// unambiguous abbreviations, `--`.
public struct OptionScanner {
    public struct Option: Sendable {
        let name: StaticString
        let takesArgument: Bool
        /// The letter behind one dash; nil where it has none.
        let letter: UInt8?

        public init(_ name: StaticString, takesArgument: Bool, letter: UInt8? = nil) {
            self.name = name
            self.takesArgument = takesArgument
            self.letter = letter
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
    public init(
        _ count: Int32, _ words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>, options: [Option]
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
        let letters = OptionScanner.letters(options)
        pv_restart_options()
        while true {
            let before = pv_optind()
            let code = getopt_long(count, words, letters, table, nil)
            if code == -1 { break }
            let letter = options.firstIndex { $0.letter.map { Int32($0) } == code }
            let index = letter ?? Int(code - first)
            guard options.indices.contains(index) else {
                let word = bytes(of: words[Int(max(before, pv_optind() - 1))])
                throw code == Int32(UInt8(ascii: ":")) ? .needsArgument(word) : .unknownOrAmbiguous(word)
            }
            given.append((index, options[index].takesArgument ? bytes(of: pv_optarg()) : []))
        }
        for place in pv_optind()..<max(pv_optind(), count) { operands.append(bytes(of: words[Int(place)])) }
    }

    /// What getopt_long wants to know of letters: a colon first, so that it tells what is missing from what is unknown,
    /// and one behind each letter that takes an argument.
    private static func letters(_ options: [Option]) -> [CChar] {
        var letters = [CChar(bitPattern: UInt8(ascii: ":"))]
        for option in options {
            guard let letter = option.letter else { continue }
            letters.append(CChar(bitPattern: letter))
            if option.takesArgument { letters.append(CChar(bitPattern: UInt8(ascii: ":"))) }
        }
        return letters + [0]
    }
}

/// The bytes of a C string; empty for NULL.
public func bytes(of text: UnsafePointer<CChar>?) -> [UInt8] {
    guard let text else { return [] }
    return Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
}

/// The words behind the program's name, in the order that they have by now: getopt_long(3) moves operands to the end.
public func callWords(_ count: Int32, _ words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> [[UInt8]] {
    (1..<max(1, Int(count))).map { bytes(of: words[$0]) }
}
