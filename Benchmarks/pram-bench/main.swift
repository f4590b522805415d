// The parts of `make bench` that are not pram-verify itself: makes chains to measure on, and does to their pages what the
// program is compared with. Benchmarks/report runs it; see Documentation/PERFORMANCE.md.
//
//   pram-bench make PATH bytes=N files=N order=sequential|reversed|random [huge=1] [zeros=1]
//   pram-bench run PATH head=PFN peer=NAME threads=N mapped=before|during|never [limit=BYTES]
//   pram-bench peers
//
// Each answers with one line of JSON.

import CLinux
import Linux
import Text

/// What follows the path: key=value.
struct Arguments {
    private let words: ArraySlice<String>
    init(_ words: ArraySlice<String>) { self.words = words }

    subscript(_ key: String) -> String? {
        words.first { $0.hasPrefix(key + "=") }.map { String($0.dropFirst(key.count + 1)) }
    }

    func number(_ key: String, radix: Int = 10) -> UInt64? { self[key].flatMap { UInt64($0, radix: radix) } }
}

func fail(_ message: String) -> Never {
    let errors = Output(2, name: "standard error")
    errors.write("pram-bench: \(message)\n")
    errors.flush()
    exit(16)
}

let words = CommandLine.arguments
do throws(SystemError) {
    pv_signals_prepare()
    let output = Output(1, name: "standard output")
    switch words.dropFirst().first {
    case "make" where words.count > 2:
        output.write("\(try ChainMaker(Arguments(words[3...])).make(Array(words[2].utf8)))\n")
    case "run" where words.count > 2:
        output.write("\(try PeerRun(Arguments(words[3...]), Array(words[2].utf8)).run())\n")
    case "peers":
        output.write(Phrase("[" + Peer.all.map { "\"\($0.name)\"" }.joined(separator: ", ") + "]\n"))
    default: fail("make, run or peers")
    }
    try output.finish()
} catch {
    fail(error.message)
}
