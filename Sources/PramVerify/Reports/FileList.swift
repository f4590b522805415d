import Linux
import PRAM
import Text

/// The files of a chain, one a line, like ls -l: mode, pages, size, status, name.
struct FileList {
    /// - Parameter all: the file that holds parity, too.
    static func write(_ report: Report, all: Bool, to output: Output) {
        let files = (report.evaluation?.files ?? []).filter { all || !$0.isParity }
        var sizeWidth = 1
        var pagesWidth = 1
        for file in files {
            sizeWidth = max(sizeWidth, String(file.size).utf8.count)
            pagesWidth = max(pagesWidth, String(file.pages).utf8.count)
        }
        for file in files {
            let pages = leftPadded(String(file.pages), pagesWidth)
            let size = leftPadded(String(file.size), sizeWidth)
            let name = file.name.isEmpty ? "?" : escaped(file.name)
            output.write("\(modeText(file.mode)) \(pages) \(size) \(padded(file.status.name, 13)) \(name)\n")
        }
    }

    /// A mode as ls(1) shows it: "-rw-r--r--".
    static func modeText(_ mode: UInt32) -> String {
        var text = mode & 0xf000 == 0x8000 ? "-" : "?"
        for (shift, special) in [(UInt32(6), UInt32(0o4000)), (3, 0o2000), (0, 0o1000)] {
            let bits = mode >> shift
            text += bits & 4 != 0 ? "r" : "-"
            text += bits & 2 != 0 ? "w" : "-"
            let runs = bits & 1 != 0
            if mode & special != 0 {
                text += shift == 0 ? (runs ? "t" : "T") : (runs ? "s" : "S")
            } else {
                text += runs ? "x" : "-"
            }
        }
        return text
    }

    private static func leftPadded(_ text: String, _ width: Int) -> String {
        var blanks = ""
        for _ in 0..<max(0, width - text.utf8.count) { blanks += " " }
        return blanks + text
    }
}
