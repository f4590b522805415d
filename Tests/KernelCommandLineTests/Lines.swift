@testable import KernelCommandLine

/// Bytes of a text; `\u{a0}` and other scalars below 256 stand for that one byte, so that no test depends on UTF-8.
func latin1(_ text: String) -> [UInt8] { text.unicodeScalars.map { UInt8($0.value) } }

func text(_ bytes: some Sequence<UInt8>) -> String {
    String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
}

func line(_ text: String) -> ParameterLine { ParameterLine(latin1(text)) }

/// `name` or `name→value`: an arrow because names and values may hold `=`.
func shown(_ parameter: Parameter) -> String {
    text(parameter.name) + (parameter.value.map { "→" + text($0) } ?? "")
}

/// What the same parameter looks like elsewhere in a line.
struct Content: Equatable {
    let name: [UInt8]
    let value: [UInt8]?
    let isClosed: Bool

    init(_ parameter: Parameter) {
        name = [UInt8](parameter.name)
        value = parameter.value.map { [UInt8]($0) }
        isClosed = parameter.isClosed
    }
}

/// SplitMix64: the same lines in every run.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }

    /// A line in which quotes, separators and `=` are frequent, sometimes with a NUL, 0xA0 or any byte at all.
    mutating func line(maximum: Int = 60) -> [UInt8] {
        let pieces: [String] = [
            "pram", "pr-am", "memmap", "pram_banned", "crashkernel", "=", "=", "\"", "\"", " ", " ", "  ", "\t", "\n",
            "\u{a0}", "--", " -- ", "1f", "0x", "+", "32M", "$", "@", "%", "!", "#", ",", "-", "exactmap", "\0", "x",
            "99999999999999999999", "E", "08",
        ]
        var bytes: [UInt8] = []
        for _ in 0..<Int.random(in: 0...maximum, using: &self) {
            let piece = Int.random(in: 0...pieces.count, using: &self)
            // NULs end the line, so that most of them would only make the test shorter.
            if piece == pieces.count {
                bytes.append(UInt8.random(in: 0...255, using: &self))
            } else if pieces[piece] != "\0" || Int.random(in: 0..<20, using: &self) == 0 {
                bytes += latin1(pieces[piece])
            }
        }
        return bytes
    }
}
