import KernelCommandLine
import Linux
import PRAM
import Text
import Verification

/// What the program can be asked to do.
enum Command: Int, CaseIterable {
    case check, list, extract, save, load, erase, drop, quarantine, cmdline, boot, status

    var name: StaticString {
        switch self {
        case .check: "check"
        case .list: "list"
        case .extract: "extract"
        case .save: "save"
        case .load: "load"
        case .erase: "erase"
        case .drop: "drop"
        case .quarantine: "quarantine"
        case .cmdline: "cmdline"
        case .boot: "boot"
        case .status: "status"
        }
    }

    /// The words behind the options, for the synopsis.
    var operands: StaticString {
        switch self {
        case .extract: " DIR [NAME...]"
        case .save, .load: " DIR"
        default: ""
        }
    }

    var summary: StaticString {
        switch self {
        case .check: "verify the chain, link by link and page by page (the default)"
        case .list: "list the files of the chain, like ls -l, with what is known of each"
        case .extract: "write the intact files of the chain into the directory DIR"
        case .save: "write the regular files of the directory DIR as a chain into a reserved range of memory"
        case .load: "check the chain, and restore its intact files into the directory DIR"
        case .erase: "clear the head of the chain, so that no chain is left"
        case .drop: "cut out what is damaged, and keep everything else"
        case .quarantine: "keep what is damaged under other names, marked, and everything else as it is"
        case .cmdline: "print the command line for the next kexec, with pram= when the chain may be handed on"
        case .boot: "check at boot, as the kernel command line asks for: what the hooks of an initramfs run"
        case .status: "show what boot has found"
        }
    }

    /// Whether it may write memory; what it prints and how it ends is WritingRun's affair then.
    var writes: Bool {
        switch self {
        case .check, .list, .extract, .cmdline, .boot, .status: false
        default: true
        }
    }

    /// Whether standard output is one line, `pram=PFN`, for scripts.
    var printsHead: Bool { self == .save || self == .drop || self == .quarantine }

    static func named(_ word: [UInt8]) -> Command? {
        allCases.first { $0.name.withUTF8Buffer { $0.elementsEqual(word) } }
    }
}

/// Every option: the one table behind parsing, --help, and the checks of the manual page.
enum Option: Int, CaseIterable {
    case memory, base, raw, unpackLimit, pfn, cmdline, cmdlineFile
    case json, linksOnly, threads, damaged, force, preserveMode
    case region, device, size, replace, erase, dryRun, keepHoles, refit, salvage, cut
    case from, append, remove, kexecOptions, kexecFile, kexecLoad, checkLoaded
    case resume
    case help, version

    var name: StaticString {
        switch self {
        case .memory: "memory"
        case .base: "base"
        case .raw: "raw"
        case .unpackLimit: "unpack-limit"
        case .pfn: "pfn"
        case .cmdline: "cmdline"
        case .cmdlineFile: "cmdline-file"
        case .json: "json"
        case .linksOnly: "links-only"
        case .threads: "threads"
        case .damaged: "damaged"
        case .force: "force"
        case .preserveMode: "preserve-mode"
        case .region: "region"
        case .device: "device"
        case .size: "size"
        case .replace: "replace"
        case .erase: "erase"
        case .dryRun: "dry-run"
        case .keepHoles: "keep-holes"
        case .refit: "refit"
        case .salvage: "salvage"
        case .cut: "cut"
        case .from: "from"
        case .append: "append"
        case .remove: "remove"
        case .kexecOptions: "kexec-options"
        case .kexecFile: "kexec-file"
        case .kexecLoad: "kexec-load"
        case .checkLoaded: "check-loaded"
        case .resume: "resume"
        case .help: "help"
        case .version: "version"
        }
    }

    /// The word that stands for the argument; nil when there is none.
    var argument: StaticString? {
        switch self {
        case .memory: "auto|PATH"
        case .base: "ADDRESS"
        case .unpackLimit: "BYTES"
        case .pfn: "HEX"
        case .cmdline: "TEXT"
        case .cmdlineFile: "FILE"
        case .threads: "N"
        case .region: "START+SIZE"
        case .device: "PATH|PARTUUID=ID|PARTLABEL=NAME"
        case .size: "BYTES"
        case .from: "FILE"
        case .append: "TEXT"
        case .remove: "NAME"
        case .resume: "DEVICE"
        default: nil
        }
    }

    var commands: [Command] {
        switch self {
        case .linksOnly: [.check]
        case .raw, .unpackLimit: [.check, .list, .extract, .load, .cmdline]
        case .from, .append, .remove, .kexecOptions, .kexecFile, .kexecLoad, .checkLoaded: [.cmdline]
        case .resume: [.boot]
        case .json: Command.allCases.filter { $0 != .cmdline && $0 != .boot }
        case .cmdlineFile: Command.allCases.filter { $0 != .cmdline && $0 != .boot && $0 != .status }
        case .damaged, .preserveMode: [.extract, .load]
        case .force: [.extract, .load, .save]
        case .region, .device: [.save, .load, .erase, .drop, .quarantine]
        case .size, .replace: [.save]
        case .erase: [.load]
        case .dryRun: [.drop, .quarantine]
        case .keepHoles, .refit: [.drop]
        case .salvage, .cut: [.drop, .quarantine]
        case .help, .version: Command.allCases
        default: Command.allCases.filter { $0 != .boot && $0 != .status }
        }
    }

    var summary: StaticString {
        switch self {
        case .memory: "the memory to look at: this machine's (auto), or a dump"
        case .base: "the physical address of a raw image's first byte (0)"
        case .raw: "take the dump for a raw image, whatever its first bytes look like"
        case .unpackLimit: "how much a compressed dump may unpack to (1T)"
        case .pfn: "the head of the chain, a page frame number"
        case .cmdline: "a kernel command line with pram= on it"
        case .cmdlineFile: "a file that holds such a line (/proc/cmdline)"
        case .json: "write the report as JSON"
        case .linksOnly: "look at links only; nothing is called intact then"
        case .threads: "how many threads verify pages (all processors)"
        case .damaged: "extract damaged files too, bad pages as holes"
        case .force: "replace files that exist"
        case .preserveMode: "keep suid, sgid and sticky bits"
        case .region: "the reserved range to write, where there are several"
        case .device: "a pmem device to write instead"
        case .size: "how large to make an image that is written"
        case .replace: "save over the chain that the range holds"
        case .erase: "clear the head once every file was restored"
        case .dryRun: "show what would be done, and do nothing"
        case .keepHoles: "keep damaged files too, bad pages as holes, marked"
        case .refit: "make every link fit again as a kernel wants it, and drop nothing"
        case .salvage: "keep what cannot prove that it belongs to the chain, marked"
        case .cut: "drop what cannot prove that it belongs to the chain"
        case .from: "a file with the line to start from (/proc/cmdline)"
        case .append: "put in parameters; may be repeated"
        case .remove: "take out the parameters of this name; may be repeated"
        case .kexecOptions: "print what kexec is to be called with, so that the chain lives"
        case .kexecFile: "kexec_file_load will be used (kexec -s)"
        case .kexecLoad: "kexec_load will be used (kexec -c)"
        case .checkLoaded: "see that a kernel is loaded, and check the chain once more"
        case .resume: "say whether a hibernated system waits on the device, and nothing else"
        case .help: "show this help"
        case .version: "show the version"
        }
    }
}

/// A call of the program, taken apart.
struct Invocation {
    var command = Command.check
    /// What follows the command, as bytes.
    var operands: [[UInt8]] = []
    private var values: [[UInt8]?] = Option.allCases.map { _ in nil }
    /// Every option with its argument, in the order of the call.
    private var given: [(option: Option, value: [UInt8])] = []

    /// The arguments of an option that may be repeated, in the order of the call.
    func all(_ option: Option) -> [[UInt8]] { given.filter { $0.option == option }.map { $0.value } }
    func has(_ option: Option) -> Bool { values[option.rawValue] != nil }
    subscript(_ option: Option) -> [UInt8]? { values[option.rawValue] }

    // What no option names, and `boot` alone asks for.
    /// See `ChainCheck.Options`.
    var deadline: UInt64?
    var progress: ((UInt64) -> Void)?
    var observe: ((WalkedLink, UnsafeBufferPointer<EntryResult>) -> Void)?

    /// A chain that was verified a moment ago: `cmdline` need not do so again.
    var known: (head: PFN, evaluation: ChainEvaluation, layout: ChainLayout, pages: PageRuns)?

    /// A call that the program makes itself.
    init(_ command: Command) { self.command = command }

    mutating func set(_ option: Option, _ value: [UInt8] = []) { values[option.rawValue] = value }

    /// getopt_long(3) does the parsing: options and operands in any order, `--name=value`, unambiguous abbreviations,
    /// `--`.
    /// - Throws: `UsageError`
    init(_ count: Int32, _ words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) throws(UsageError) {
        let options = Option.allCases.map { OptionScanner.Option($0.name, takesArgument: $0.argument != nil) }
        do throws(OptionScanner.Problem) {
            let scanner = try OptionScanner(count, words, options: options, help: Option.help.rawValue)
            for (index, value) in scanner.given {
                values[index] = value
                if let option = Option(rawValue: index), option != .help { given.append((option, value)) }
            }
            operands = scanner.operands
        } catch {
            switch error {
            case .needsArgument(let word): throw UsageError("option \(escaped(word)) needs an argument")
            case .unknownOrAmbiguous(let word): throw UsageError("unknown or ambiguous option \(escaped(word))")
            }
        }
        if let word = operands.first {
            guard let named = Command.named(word) else { throw UsageError("unknown command \(escaped(word))") }
            command = named
            operands.removeFirst()
        }
        for option in given.map({ $0.option }) where !option.commands.contains(command) {
            throw UsageError("--\(option.name) does not go with \(command.name)")
        }
    }
}

extension Invocation {
    func threadCount() throws(Failure) -> Int {
        guard let text = self[.threads] else { return min(processorCount(), 256) }
        guard let number = Int(String(decoding: text, as: UTF8.self)), number >= 1, number <= 256 else {
            throw .usage(UsageError("--threads takes a number from 1 to 256"))
        }
        return number
    }

    /// A number of bytes as the kernel writes them: decimal, 0x, octal, with a suffix K, M, G, T, P or E.
    func size(_ option: Option) throws(Failure) -> UInt64? {
        guard let text = self[option] else { return nil }
        let number = KernelNumber.memparse(text[...])
        guard !text.isEmpty, let first = text.first, first >= UInt8(ascii: "0") && first <= UInt8(ascii: "9"),
            number.rest.isEmpty, !number.wrapped
        else {
            throw .usage(UsageError("--\(option.name) takes a number of bytes, not \(escaped(text))"))
        }
        return number.value
    }
}

/// The call itself was wrong.
struct UsageError: Error {
    let message: String
    init(_ message: Phrase) { self.message = message.text }
}

enum Usage {
    static let version: StaticString = "0.1.0"

    static var help: String {
        var text = "Usage:\n"
        for command in Command.allCases { text += "  pram-verify \(command.name) [OPTION...]\(command.operands)\n" }
        text +=
            "\nVerifies the chain of pages that a kernel hands to the next one through kexec (pram=PFN).\n\nCommands:\n"
        for command in Command.allCases { text += "  \(padded(command.name, 9)) \(command.summary)\n" }
        text += "\nOptions:\n"
        for option in Option.allCases {
            let argument = option.argument.map { "=\($0)" } ?? ""
            text += "  \(padded("--\(option.name)\(argument)", 22)) \(option.summary)\n"
        }
        text += "\nKernel parameters that boot goes by:\n"
        for parameter in BootParameter.allCases {
            text += "  \(parameter.name)=\(parameter.values)\n      \(parameter.summary)\n"
        }
        text +=
            "\nExit status: 0 intact or no chain, 1 damage was cut out, 4 damaged or indeterminate,\n"
            + "8 could not look or write, 16 wrong usage.\n"
        return text
    }
}

/// Text filled up with blanks to a width, for columns.
func padded(_ text: String, _ width: Int) -> String {
    var text = text
    for _ in 0..<max(0, width - text.utf8.count) { text += " " }
    return text
}

func padded(_ text: StaticString, _ width: Int) -> String { padded("\(text)", width) }
