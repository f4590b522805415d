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
        text += wrapped("\(group.summary)", width) + "\n"
        for command in group.commands { text += row("\(command.name)", 14, command.summary) }
        return text + "\npram-verify \(group.name) COMMAND --help tells more of one of them.\n"
    }

    /// Fits a screen.
    static func of(_ command: CommandEntry) -> String {
        var text = "Example: pram-verify \(command.example)\n"
        text += "Usage:   pram-verify \(command.name) [OPTION...]\(command.operands)\n\n"
        text += wrapped("\(command.summary)", width) + "\n"
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
        let text = wrapped("\(meaning)", width, indent: indent)
        return term.utf8.count <= column ? start + text : "  \(term)\n" + padded("", indent) + text
    }
}
