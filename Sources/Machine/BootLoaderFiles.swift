import KernelCommandLine
import PRAM
import Text

/// Where the command line of the next boot from power-off comes from: the files that an administrator edits.
public struct BootLoaderFiles {
    public enum Kind {
        /// /etc/default/grub: a shell reads it, and GRUB what that makes of it.
        case grub
        /// grub.cfg, which is made of that
        case grubConfiguration
        /// /etc/kernel/cmdline
        case kernelCommandLine
        /// An entry of the Boot Loader Specification, its `options` lines together.
        case entry
    }

    public struct File {
        public var kind: Kind
        public var path: [UInt8]
        /// The line as the kernel will get it.
        public var line: ParameterLine
        /// Something on the way takes a `$` of a `memmap=` for a variable.
        public var losesDollar = false
    }

    public var files: [File] = []
    /// What stands between the quotes of GRUB_CMDLINE_LINUX, as it is written there; nil without such a line, or one that
    /// only a shell understands.
    public var grubValue: [UInt8]?
    /// update-grub(8), grub2-mkconfig(8), grubby(8), kernel-install(8) and bootctl(1) are there.
    public var hasUpdateGrub = false
    public var hasGrub2 = false
    public var hasGrubby = false
    public var hasKernelInstall = false

    public init() {}

    public var hasGrub: Bool { files.contains { $0.kind == .grub } }

    public mutating func add(grub text: [UInt8]) {
        var line: [UInt8] = []
        var losesDollar = false
        for name in ["GRUB_CMDLINE_LINUX=", "GRUB_CMDLINE_LINUX_DEFAULT="] as [StaticString] {
            guard let written = BootLoaderFiles.assignment(name, in: text) else { continue }
            if name.utf8CodeUnitCount == 19 { grubValue = BootLoaderFiles.betweenQuotes(written) }
            let shell = BootLoaderFiles.asShell(written)
            let grub = BootLoaderFiles.asGrub(shell.text)
            let hasMemmap = ParameterLine(grub.text).contains(named: "memmap")
            losesDollar = losesDollar || hasMemmap && (shell.lost || grub.lost)
            line += (line.isEmpty ? [] : [UInt8(ascii: " ")]) + grub.text
        }
        files.append(
            File(kind: .grub, path: bytes("/etc/default/grub"), line: ParameterLine(line), losesDollar: losesDollar))
    }

    /// Its first `linux` line, which is that of the first entry: what starts when nobody chooses.
    public mutating func add(grubConfiguration text: [UInt8], path: [UInt8]) {
        func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
        for row in text.split(separator: UInt8(ascii: "\n")) {
            let row = row.drop(while: isBlank)
            guard row.begin(with: "linux"), let blank = row.firstIndex(where: isBlank), blank - row.startIndex < 10
            else {
                continue
            }
            // Behind the kernel's own name.
            let words = row[blank...].drop(while: isBlank).drop { !isBlank($0) }
            let grub = BootLoaderFiles.asGrub(Array(words.drop(while: isBlank)))
            let line = ParameterLine(grub.text)
            // Variables that have nothing to do with it are usual there.
            let isCut = line.all(named: "memmap").contains { parameter in
                parameter.value?.contains { $0 == 0x21 || $0 == 0x23 || $0 == 0x24 || $0 == 0x40 } == false
            }
            files.append(File(kind: .grubConfiguration, path: path, line: line, losesDollar: grub.lost && isCut))
            return
        }
    }

    public mutating func add(kernelCommandLine text: [UInt8]) {
        let line = text.map { $0 == UInt8(ascii: "\n") ? UInt8(ascii: " ") : $0 }
        files.append(File(kind: .kernelCommandLine, path: bytes("/etc/kernel/cmdline"), line: ParameterLine(line)))
    }

    public mutating func add(entry text: [UInt8], path: [UInt8]) {
        var line: [UInt8] = []
        for row in text.split(separator: UInt8(ascii: "\n")) where row.begin(with: "options") {
            guard let blank = row.dropFirst(7).first, blank == UInt8(ascii: " ") || blank == UInt8(ascii: "\t") else {
                continue
            }
            line += row.dropFirst(7)
        }
        // grub2 of Fedora keeps the line in a variable of its own.
        guard !line.contains(UInt8(ascii: "$")) || ParameterLine(line).contains(named: "memmap") else { return }
        files.append(File(kind: .entry, path: path, line: ParameterLine(line)))
    }

    /// What the last assignment of a name says, with its quotes.
    private static func assignment(_ name: StaticString, in text: [UInt8]) -> ArraySlice<UInt8>? {
        var last: ArraySlice<UInt8>?
        for row in text.split(separator: UInt8(ascii: "\n")) {
            let row = row.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
            if row.begin(with: name) { last = row.dropFirst(name.utf8CodeUnitCount) }
        }
        return last
    }

    /// Of a value in double quotes with nothing behind them.
    private static func betweenQuotes(_ value: ArraySlice<UInt8>) -> [UInt8]? {
        var value = value
        while value.last == UInt8(ascii: " ") || value.last == UInt8(ascii: "\t") { value.removeLast() }
        guard value.count >= 2, value.first == UInt8(ascii: "\""), value.last == UInt8(ascii: "\"") else { return nil }
        let inner = value.dropFirst().dropLast()
        var isEscaped = false
        for byte in inner {
            if byte == UInt8(ascii: "\"") && !isEscaped { return nil }
            isEscaped = byte == UInt8(ascii: "\\") && !isEscaped
        }
        return isEscaped ? nil : Array(inner)
    }

    /// What a shell makes of a word of an assignment: quotes go, a backslash keeps what is behind it, variables are
    /// taken for empty.
    private static func asShell(_ value: ArraySlice<UInt8>) -> (text: [UInt8], lost: Bool) {
        var text: [UInt8] = []
        var lost = false
        var quote: UInt8?
        var rest = value
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "'") where quote != UInt8(ascii: "\""),
                UInt8(ascii: "\"") where quote != UInt8(ascii: "'"):
                quote = quote == nil ? byte : nil
            case UInt8(ascii: "\\") where quote != UInt8(ascii: "'"):
                guard let next = rest.popFirst() else { break }
                let isSpecial =
                    next == UInt8(ascii: "\\") || next == UInt8(ascii: "$") || next == UInt8(ascii: "\"")
                    || next == UInt8(ascii: "`")
                if quote != nil && !isSpecial { text.append(byte) }
                text.append(next)
            case UInt8(ascii: "$") where quote != UInt8(ascii: "'"):
                if skipVariable(&rest) { lost = true } else { text.append(byte) }
            case UInt8(ascii: " ") where quote == nil, UInt8(ascii: "\t") where quote == nil: return (text, lost)
            default: text.append(byte)
            }
        }
        return (text, lost)
    }

    /// What GRUB makes of what stands without quotes in grub.cfg.
    private static func asGrub(_ value: [UInt8]) -> (text: [UInt8], lost: Bool) {
        var text: [UInt8] = []
        var lost = false
        var rest = value[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\") {
                if let next = rest.popFirst() { text.append(next) }
            } else if byte == UInt8(ascii: "$") {
                if skipVariable(&rest) { lost = true } else { text.append(byte) }
            } else {
                text.append(byte)
            }
        }
        return (text, lost)
    }

    /// Takes the name behind a `$`: one digit, or letters and what may follow them.
    private static func skipVariable(_ rest: inout ArraySlice<UInt8>) -> Bool {
        func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
        func isLetter(_ byte: UInt8) -> Bool {
            byte == UInt8(ascii: "_") || byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z")
        }
        guard let first = rest.first else { return false }
        if isDigit(first) {
            rest.removeFirst()
            return true
        }
        if first == UInt8(ascii: "{") {
            rest = rest.drop { $0 != UInt8(ascii: "}") }.dropFirst()
            return true
        }
        guard isLetter(first) else { return false }
        rest = rest.drop { isLetter($0) || isDigit($0) }
        return true
    }
}
