import KernelCommandLine
import Linux
import PRAM
import Text
import Verification

/// A call of the program, taken apart.
struct Call {
    var command = CommandEntry(Check.self)
    /// Whether the call says which command it means.
    private(set) var isCommandNamed = false
    /// Where only the first word of several commands was given, to ask for help.
    private(set) var group: CommandGroup?
    /// What follows the command, as bytes.
    var operands: [[UInt8]] = []
    private var values: [[UInt8]?] = Option.allCases.map { _ in nil }
    /// Every option with its argument, in the order of the call.
    private var given: [(option: Option, value: [UInt8])] = []

    /// The arguments of an option that may be repeated, in the order of the call.
    func all(_ option: Option) -> [[UInt8]] { given.filter { $0.option == option }.map { $0.value } }
    func has(_ option: Option) -> Bool { values[option.rawValue] != nil }
    subscript(_ option: Option) -> [UInt8]? { values[option.rawValue] }

    /// A call that the program makes itself.
    init<Described: Command>(_ described: Described.Type) { command = CommandEntry(described) }

    /// The same call of another command, which takes from it what it knows.
    func turned<Described: Command>(into described: Described.Type) -> Call {
        var call = self
        call.command = CommandEntry(described)
        call.operands = []
        return call
    }

    mutating func set(_ option: Option, _ value: [UInt8] = []) { values[option.rawValue] = value }

    /// getopt_long(3) does the parsing: options and operands in any order, `--name=value`, unambiguous abbreviations,
    /// `--`.
    /// - Throws: `UsageError`
    init(_ count: Int32, _ words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) throws(UsageError) {
        let options = Option.allCases.map {
            OptionScanner.Option($0.name, takesArgument: $0.argument != nil, letter: $0.letter)
        }
        do throws(OptionScanner.Problem) {
            let scanner = try OptionScanner(count, words, options: options)
            for (index, value) in scanner.given {
                values[index] = value
                given.append((Option.allCases[index], value))
            }
            operands = scanner.operands
        } catch {
            switch error {
            case .needsArgument(let word): throw UsageError("option \(escaped(word)) needs an argument")
            case .unknownOrAmbiguous(let word): throw UsageError(Call.unknownOption(word))
            }
        }
        for option in Option.allCases where option.namesFile && has(option) && self[option] == [] {
            throw UsageError("--\(option.name) is empty; it takes \(option.argument ?? "")")
        }
        try takeCommand()
        // The first word of several commands alone, to ask for help.
        if group != nil { return }
        for option in given.map({ $0.option }) where !command.options.contains(option) {
            throw UsageError("--\(option.name) does not go with \(command.name)")
        }
        try refuseContradictions()
    }

    /// A call that the program makes itself, of words as they would be given to it.
    /// - Parameter last: an operand behind them, whatever it looks like.
    init<Described: Command>(
        _ described: Described.Type, _ words: [[UInt8]], _ last: [UInt8]?
    ) throws(UsageError) {
        let name = Described.name.withUTF8Buffer { Array($0) }
        let all = [[], name] + words + (last.map { [Array("--".utf8), $0] } ?? [])
        var text: [UInt8] = []
        var starts: [Int] = []
        for word in all {
            starts.append(text.count)
            text += word.prefix { $0 != 0 } + [0]
        }
        let place = UnsafeMutablePointer<CChar>.allocate(capacity: text.count)
        defer { place.deallocate() }
        for (index, byte) in text.enumerated() { place[index] = CChar(bitPattern: byte) }
        let pointers = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: starts.count + 1)
        defer { pointers.deallocate() }
        for (index, start) in starts.enumerated() { pointers[index] = place + start }
        pointers[starts.count] = nil
        try self.init(Int32(starts.count), pointers)
    }

    /// Takes the command off the operands: its one word, or its two.
    private mutating func takeCommand() throws(UsageError) {
        guard let word = operands.first else { return }
        if let named = CommandEntry.named(word) {
            command = named
        } else if let named = CommandGroup.named(word) {
            guard operands.count > 1 else {
                guard has(.help) || has(.version) else {
                    throw UsageError("\(named.name) needs one more word: \(Call.listed(named.words))")
                }
                group = named
                return
            }
            let second = operands[1]
            guard let both = CommandEntry.named(word + [UInt8(ascii: " ")] + second) else {
                let near = Call.suggestion(second, named.words, before: named.before)
                throw UsageError("unknown command \(named.name) \(escaped(second))\(near)")
            }
            command = both
            operands.removeFirst()
        } else {
            let names = CommandEntry.all.map { $0.name } + CommandGroup.all.map { $0.name }
            throw UsageError("unknown command \(escaped(word))\(Call.suggestion(word, names))")
        }
        isCommandNamed = true
        operands.removeFirst()
    }

    /// The command, or the first of its two words, that a call names which cannot be taken apart: by its first word that
    /// is the name of one.
    static func nameOfCommand(
        _ count: Int32, _ words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    ) -> StaticString? {
        let all = callWords(count, words)
        for (number, word) in all.enumerated() {
            if let named = CommandEntry.named(word) { return named.name }
            guard let group = CommandGroup.named(word) else { continue }
            let next = number + 1 < all.count ? all[number + 1] : []
            return CommandEntry.named(word + [UInt8(ascii: " ")] + next)?.name ?? group.name
        }
        return nil
    }

    /// "list, check, make"
    private static func listed(_ words: [StaticString]) -> Phrase {
        words.dropFirst().reduce(words.first.map { "\($0)" } ?? "") { $0 + ", \($1)" }
    }

    private static func unknownOption(_ word: [UInt8]) -> Phrase {
        let name = word.drop { $0 == UInt8(ascii: "-") }.prefix { $0 != UInt8(ascii: "=") }
        return "unknown or ambiguous option \(escaped(word))"
            + Phrase(suggestion(Array(name), Option.allCases.map { $0.name }, before: "--"))
    }

    /// " (did you mean NAME?)", where one of the names is near.
    private static func suggestion(_ word: [UInt8], _ names: [StaticString], before: StaticString = "") -> String {
        guard let near = nearestWord(to: word, among: names) else { return "" }
        return Phrase("; did you mean \(before)\(near)?").text
    }
}

extension Call {
    /// - Throws: when there are not so many words behind the command.
    func requireOperands(_ range: ClosedRange<Int>, _ what: StaticString = "") throws(Failure) {
        if operands.count < range.lowerBound { throw .usage(UsageError("\(command.name) needs \(what)")) }
        if operands.count > range.upperBound {
            throw .usage(UsageError("too many words: \(escaped(operands[range.upperBound]))"))
        }
    }

    func threadCount() throws(Failure) -> Int {
        guard let text = self[.threads] else { return min(processorCount(), 256) }
        guard let number = decimalNumber(text[...]), number >= 1, number <= 256 else {
            throw .usage(UsageError("--threads takes a number from 1 to 256"))
        }
        return Int(number)
    }

    /// In seconds.
    func timeout() throws(Failure) -> UInt64? {
        guard let text = self[.timeout] else { return nil }
        guard let number = decimalNumber(text[...]), 1...86400 ~= number else {
            throw .usage(UsageError("--timeout takes a number of seconds from 1 to 86400"))
        }
        return number
    }

    /// The physical address of an image's first byte: that of a page.
    func base() throws(Failure) -> UInt64 {
        let base = try size(.base) ?? 0
        guard base % 4096 == 0 else {
            throw .usage(
                UsageError("--base takes an address that is a multiple of 4096, not \(escaped(self[.base] ?? []))"))
        }
        return base
    }

    /// In bytes.
    func unpackLimit() throws(Failure) -> UInt64 { try size(.unpackLimit) ?? 1 << 40 }

    /// A number of bytes as the kernel writes them: decimal, 0x, octal, with a suffix K, M, G, T, P or E.
    func size(_ option: Option) throws(Failure) -> UInt64? {
        guard let text = self[option] else { return nil }
        let number = KernelNumber.memparse(text[...])
        guard !text.isEmpty, let first = text.first, first >= UInt8(ascii: "0") && first <= UInt8(ascii: "9"),
            number.rest.isEmpty, !number.wrapped
        else {
            throw .usage(
                UsageError("--\(option.name) takes a number of bytes such as 4096, 64M or 1G, not \(escaped(text))"))
        }
        return number.value
    }

    /// What --region names.
    func region() throws(Failure) -> PhysicalRange? {
        guard let text = self[.region] else { return nil }
        do throws(UsageError) { return try PhysicalRange(region: text) } catch { throw .usage(error) }
    }
}
