import Linux
import Text

/// One thing that the program can be asked to do. Each command is one type in one file, and says everything about
/// itself; nothing here has a default, so the compiler names what a new command lacks.
protocol Command: SendableMetatype {
    static var name: StaticString { get }
    /// What one wants to do when one looks for it: --help lists commands by it.
    static var task: Task { get }
    /// The words behind the options, for the synopsis: " DIR [NAME...]".
    static var operands: StaticString { get }
    /// One line.
    static var summary: StaticString { get }
    /// A call as one would type it, behind the program's name.
    static var example: StaticString { get }
    /// All that it takes besides --help and --version, in the order in which they are shown.
    static var options: [Option] { get }
    /// What it goes by on the kernel command line.
    static var kernelParameters: [BootParameter] { get }
    /// Whether it may write to physical memory or to an image. Nothing is opened for writing by one that may not.
    static var writes: Bool { get }

    /// - Throws: only what makes the call itself wrong; whatever else goes wrong is said, and in the status.
    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus
}

/// What people want to do, in the order of --help.
enum Task: Int, CaseIterable, Sendable {
    case look, carry, mend, prepare, next, image, boot

    var heading: StaticString {
        switch self {
        case .look: "Look at a chain, on this machine or in a dump"
        case .carry: "Carry files over a kexec"
        case .mend: "Mend a damaged chain"
        case .prepare: "Prepare a machine"
        case .next: "Start the next kernel so that the chain lives"
        case .image: "Put the check into an initramfs"
        case .boot: "At boot"
        }
    }
}

/// Where a command speaks.
struct Streams {
    let output: Output
    let errors: Output

    /// A line about what the program did or did not do.
    func say(_ text: Phrase) { errors.write("pram-verify: \(text)\n") }
}

/// A command as a value: a row of the table.
struct CommandEntry: Sendable {
    let name: StaticString
    let task: Task
    let operands: StaticString
    let summary: StaticString
    let example: StaticString
    let options: [Option]
    let kernelParameters: [BootParameter]
    let writes: Bool
    let run: @Sendable (Call, Streams) throws(UsageError) -> ExitStatus

    init<Described: Command>(_ described: Described.Type) {
        name = Described.name
        task = Described.task
        operands = Described.operands
        summary = Described.summary
        example = Described.example
        options = Described.options + [.help, .version]
        kernelParameters = Described.kernelParameters
        writes = Described.writes
        run = { (call, streams) throws(UsageError) in try Described.run(call, streams) }
    }

    /// All commands, in the order of --help. The first is what a call without a command means.
    static let all = [
        CommandEntry(Check.self), CommandEntry(List.self), CommandEntry(Extract.self), CommandEntry(Map.self),
        CommandEntry(Save.self), CommandEntry(Load.self), CommandEntry(Erase.self),
        CommandEntry(Repair.self), CommandEntry(Drop.self), CommandEntry(Quarantine.self),
        CommandEntry(Doctor.self), CommandEntry(Rehearse.self),
        CommandEntry(Cmdline.self), CommandEntry(Kexec.self),
        CommandEntry(ListImage.self), CommandEntry(CheckImage.self), CommandEntry(AppendImage.self),
        CommandEntry(MakeImage.self), CommandEntry(ExtractImage.self),
        CommandEntry(Boot.self), CommandEntry(Service.self), CommandEntry(Status.self),
    ]

    /// What people do not call, and --help does not show.
    static let hidden = [CommandEntry(Complete.self)]

    static func named(_ word: [UInt8]) -> CommandEntry? {
        (all + hidden).first { entry in entry.name.withUTF8Buffer { $0.elementsEqual(word) } }
    }
}

/// Commands of two words that share the first one: `image list`. The program's help has one line for all of them.
struct CommandGroup: Sendable {
    let name: StaticString
    let task: Task
    let summary: StaticString
    /// The name with a blank behind it.
    let before: StaticString
    /// The second words, in the order of the table.
    let words: [StaticString]

    static let all = [
        CommandGroup(
            name: "image", task: .image,
            summary: "list, check, extend, make or extract an initrd or a unified kernel image", before: "image ",
            words: ["list", "check", "append", "make", "extract"])
    ]

    static func named(_ word: [UInt8]) -> CommandGroup? {
        all.first { group in group.name.withUTF8Buffer { $0.elementsEqual(word) } }
    }

    var commands: [CommandEntry] {
        CommandEntry.all.filter { entry in
            before.withUTF8Buffer { before in entry.name.withUTF8Buffer { $0.starts(with: before) } }
        }
    }
}

extension CommandEntry {
    var isInGroup: Bool { name.withUTF8Buffer { $0.contains(UInt8(ascii: " ")) } }
}
