import Text

/// What --help says: of the program as a whole, commands by what one wants to do; of one command, an example first.
enum Help {
    static var ofProgram: String {
        var text =
            "Usage: pram-verify COMMAND [OPTION...]\n\n"
            + "Verifies the chain of pages that a kernel hands to the next one through kexec\n(pram=PFN). Without a "
            + "command it checks the chain this machine was handed.\n"
        for task in Task.allCases {
            text += "\n\(task.heading)\n"
            for command in CommandEntry.all where command.task == task && !command.isInGroup {
                text += row("\(command.name)", 10, command.summary)
            }
            for group in CommandGroup.all where group.task == task { text += row("\(group.name)", 10, group.summary) }
        }
        return text + "\npram-verify COMMAND --help tells more of one command.\n" + exitStatus
    }

    /// Of commands that share their first word.
    static func of(_ group: CommandGroup) -> String {
        var text = "Usage: pram-verify \(group.name) COMMAND [OPTION...]\n\n"
        text += wrapped(group.summary, indent: 0, from: 0) + "\n"
        for command in group.commands { text += row("\(command.name)", 14, command.summary) }
        return text + "\npram-verify \(group.name) COMMAND --help tells more of one of them.\n"
    }

    /// Fits a screen.
    static func of(_ command: CommandEntry) -> String {
        var text = "Example: pram-verify \(command.example)\n"
        text += "Usage:   pram-verify \(command.name) [OPTION...]\(command.operands)\n\n"
        text += wrapped(command.summary, indent: 0, from: 0) + "\n"
        for option in command.options {
            switch option {
            case .help, .version: break
            default:
                let letter = option.letter.map { "-\(String(decoding: [$0], as: UTF8.self)), " } ?? ""
                let argument = option.argument.map { "=\($0)" } ?? ""
                text += row("\(letter)--\(option.name)\(argument)", 24, option.summary)
            }
        }
        if !command.kernelParameters.isEmpty { text += "\nKernel parameters\n" }
        for parameter in command.kernelParameters {
            text += row("\(parameter.name)=\(parameter.values)", 24, parameter.summary)
        }
        return text
    }

    static let exitStatus =
        "\nExit status: 0 intact or no chain, 1 damage was cut out, 4 damaged or it cannot\nbe told, 8 could not look "
        + "or write, 16 wrong usage.\n"

    private static let width = 79

    /// A term and what it means, in two columns; a term that is too long has a line of its own.
    private static func row(_ term: String, _ column: Int, _ meaning: StaticString) -> String {
        let indent = column + 3
        let start = "  " + padded(term, column) + " "
        if term.utf8.count <= column { return start + wrapped(meaning, indent: indent, from: indent) }
        let blanks = padded("", indent)
        return "  \(term)\n" + blanks + wrapped(meaning, indent: indent, from: indent)
    }

    /// Text broken between words, with a newline at its end.
    /// - Parameters:
    ///   - indent: of all lines but the first, in columns.
    ///   - from: the column in which the first line starts.
    private static func wrapped(_ text: StaticString, indent: Int, from: Int) -> String {
        var lines: [UInt8] = []
        var column = from
        for word in bytes(text).split(separator: UInt8(ascii: " ")) {
            if column > indent && column + 1 + word.count > width {
                lines.append(UInt8(ascii: "\n"))
                lines += [UInt8](repeating: UInt8(ascii: " "), count: indent)
                column = indent
            } else if column > from || lines.last.map({ $0 != UInt8(ascii: " ") }) ?? false {
                lines.append(UInt8(ascii: " "))
                column += 1
            }
            lines += word
            column += word.count
        }
        lines.append(UInt8(ascii: "\n"))
        return String(decoding: lines, as: UTF8.self)
    }
}
