import CCompletions
import Linux
import Text

/// `complete`: what a shell needs to complete calls of this program, made from the tables of commands and options. Not in
/// --help: `make install` calls it.
enum Complete: Command {
    static let name: StaticString = "complete"
    static let task = Task.boot
    static let operands: StaticString = " bash|zsh|fish"
    static let summary: StaticString = "print what completes calls of this program in a shell"
    static let example: StaticString = "complete bash"
    static let options: [Option] = []
    static let kernelParameters: [BootParameter] = []
    static let writes = false

    /// The line of the files in completions/ in whose place the table goes.
    private static let place: StaticString = "#TABLE#\n"

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        guard call.operands.count == 1 else {
            throw UsageError("complete needs the name of a shell: bash, zsh or fish")
        }
        let shell = call.operands[0]
        for number in 0..<3 {
            let (name, bytes) = embedded(number)
            if name != shell { continue }
            let place = Complete.place.withUTF8Buffer { Array($0) }
            let start = (0...bytes.count - place.count).first { bytes[$0...].starts(with: place) } ?? bytes.count
            streams.output.write(Array(bytes[..<start]))
            forEachRow { row in
                streams.output.write(number == 2 ? "set -a __pram_verify_table '" : "_pram_verify_table+=('")
                streams.output.write(row.bytes)
                streams.output.write(number == 2 ? "'\n" : "')\n")
            }
            streams.output.write(Array(bytes[start...].dropFirst(place.count)))
            return []
        }
        throw UsageError("no completion for \(escaped(shell)): bash, zsh or fish")
    }

    private static func embedded(_ number: Int) -> (name: [UInt8], bytes: [UInt8]) {
        withUnsafePointer(to: pv_completions) { pointer in
            pointer.withMemoryRebound(to: pv_completion.self, capacity: 3) { all in
                var name: [UInt8] = []
                var place = 0
                while let byte = all[number].shell.map({ $0[place] }), byte != 0 {
                    name.append(UInt8(bitPattern: byte))
                    place += 1
                }
                return (name, Array(UnsafeBufferPointer(start: all[number].bytes, count: all[number].count)))
            }
        }
    }

    /// Fields set apart by tabs, for between single quotes in each of the three shells; a dash for one that is empty.
    private struct Row {
        var bytes: [UInt8] = []

        mutating func add(_ field: [UInt8]) {
            if !bytes.isEmpty { bytes.append(UInt8(ascii: "\t")) }
            for byte in field {
                if byte == UInt8(ascii: "'") { bytes += Array("'\\'".utf8) }
                bytes.append(byte)
            }
            if field.isEmpty { bytes.append(UInt8(ascii: "-")) }
        }

        mutating func add(_ field: StaticString) { add(field.withUTF8Buffer { Array($0) }) }
    }

    private static func forEachRow(_ body: (Row) -> Void) {
        for option in Option.allCases {
            var row = Row()
            row.add("o")
            row.add(option.name)
            row.add(option.argument ?? "")
            row.add(option.letter.map { [$0] } ?? [])
            row.add(option.summary)
            body(row)
        }
        for command in CommandEntry.all {
            var row = Row()
            row.add("c")
            row.add(command.name)
            // They begin with a blank.
            row.add(command.operands.withUTF8Buffer { Array($0.dropFirst()) })
            var names: [UInt8] = []
            for option in command.options {
                if !names.isEmpty { names.append(UInt8(ascii: " ")) }
                names += option.name.withUTF8Buffer { Array($0) }
            }
            row.add(names)
            row.add(command.summary)
            body(row)
        }
        for group in CommandGroup.all {
            var row = Row()
            row.add("g")
            row.add(group.name)
            row.add("")
            row.add("")
            row.add(group.summary)
            body(row)
        }
    }
}
