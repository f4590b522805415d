import KernelCommandLine
import Linux
import PRAM
import Text

/// What SUSE's supportconfig(8) has collected of a machine: text files in one folder, in which each file of the machine
/// is a section. A section begins with a line of `#==[ Configuration File ]===...#` and one of `# PATH`, and ends before
/// the next `#==[`; comments and empty lines were taken out on the way (conf_files in supportconfig.rc). What was not
/// there has `# PATH - File not found`.
struct Supportconfig {
    private static let fileLimit = 64 << 20
    private let folder: [UInt8]

    /// nil where the folder is none of its: then it holds a machine's files as they are.
    init?(_ paths: MachinePaths) {
        folder = paths.root + [UInt8(ascii: "/")]
        guard !paths.root.isEmpty, !FileDescriptor.exists(paths.commandLine),
            FileDescriptor.exists(folder + bytes("basic-environment.txt"))
        else { return nil }
    }

    private func text(_ name: StaticString) -> [UInt8] {
        (try? FileDescriptor.contents(of: folder + bytes(name), limit: Supportconfig.fileLimit)) ?? []
    }

    /// What a section holds, without the lines around it.
    static func section(_ path: StaticString, in text: [UInt8]) -> [UInt8]? {
        var found: [UInt8]?
        var wasHeader = false
        for line in TextLines(text) {
            if line.begin(with: "#==[") {
                if found != nil { return found }
                wasHeader = true
                continue
            }
            if found != nil { found! += line + [UInt8(ascii: "\n")] }
            if wasHeader, line.begin(with: "# "), line.dropFirst(2).spell(path) { found = [] }
            wasHeader = false
        }
        return found
    }

    private static func firstLine(_ path: StaticString, in text: [UInt8]) -> [UInt8]? {
        section(path, in: text).map { Array(line($0)) }
    }

    /// The firmware's map, as the kernel has logged it at its start (e820__print_table in arch/x86/kernel/e820.c):
    /// `BIOS-e820: [mem 0x0000000000100000-0x000000007ffdffff] usable`
    static func firmwareMap(inLog text: [UInt8]) -> FirmwareMap? {
        let start: StaticString = "BIOS-e820: [mem "
        var entries: [FirmwareMap.Entry] = []
        for line in TextLines(text) {
            guard let place = line.indices.first(where: { line[$0...].begin(with: start) }) else { continue }
            let rest = line[place...].dropFirst(start.utf8CodeUnitCount)
            let parts = rest.split(separator: UInt8(ascii: "]"), maxSplits: 1)
            let ends = parts.first?.split(separator: UInt8(ascii: "-")) ?? []
            guard parts.count == 2, ends.count == 2 else { continue }
            let type = parts[1].dropFirst()
            let isMemory = type.spell("usable")
            let words = isMemory ? bytes("System RAM")[...] : type
            guard let entry = FirmwareMap.entry(start: ends[0], end: ends[1], type: words), entries.count < 512,
                // The log stands there more than once.
                !entries.contains(where: { $0.range == entry.range })
            else { continue }
            entries.append(entry)
        }
        return entries.isEmpty ? nil : FirmwareMap(entries: entries)
    }

    func add(to evidence: inout SetupEvidence) {
        let boot = text("boot.txt")
        let crash = text("crash.txt")
        evidence.line = Supportconfig.firstLine("/proc/cmdline", in: boot).map { ParameterLine($0) }
        evidence.firmware = Supportconfig.firmwareMap(inLog: boot)
        if let grub = Supportconfig.section("/etc/default/grub", in: boot) { evidence.bootLoader.add(grub: grub) }
        if let word = Supportconfig.firstLine("/sys/kernel/kexec_loaded", in: crash) {
            evidence.isKernelLoaded = word.first == UInt8(ascii: "1")
        }
        let kernel = text("proc.txt")
        evidence.release = Supportconfig.firstLine("/proc/sys/kernel/osrelease", in: kernel) ?? []
        evidence.isKexecOff =
            Supportconfig.firstLine("/proc/sys/kernel/kexec_load_disabled", in: kernel)?.first == UInt8(ascii: "1")
    }
}
