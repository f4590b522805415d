import Linux
import PRAM
import Text

/// What save, drop and quarantine have to say: one line for scripts on standard output, everything else on standard
/// error.
struct WrittenReport {
    static func write(_ report: Report, to output: Output, _ errors: Output) {
        guard let written = report.written, report.failure == nil else { return }
        for file in written.files {
            let name = file.name.isEmpty ? "(name not known)" : escaped(file.name)
            errors.write("pram-verify: \(name): \(file.fate): \(file.message)\n")
        }
        for warning in written.warnings { errors.write("pram-verify: \(warning)\n") }
        if !written.changed && written.warnings.isEmpty && report.status == [] {
            errors.write("pram-verify: there is nothing to do\n")
        }
        output.write("pram=\(String(written.head?.number ?? 0, radix: 16))\n")
    }
}
