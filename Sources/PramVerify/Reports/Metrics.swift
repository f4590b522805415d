import Linux
import PRAM
import Text

extension Report {
    /// The figures of this run for node_exporter's textfile collector.
    func writeMetrics(_ status: RunStatus, _ output: Output) {
        func gauge(_ name: StaticString, _ help: StaticString, _ value: UInt64) {
            head(name, help)
            output.write("pram_verify_\(name) \(value)\n")
        }
        func head(_ name: StaticString, _ help: StaticString) {
            output.write("# HELP pram_verify_\(name) \(help)\n# TYPE pram_verify_\(name) gauge\n")
        }
        head("status", "1 for what is known of the chain, 0 for everything else.")
        for word in RunStatus.allCases {
            output.write("pram_verify_status{status=\"\(word.name)\"} \(word == status ? 1 : 0)\n")
        }
        gauge("links", "Links of the chain.", UInt64(evaluation?.links.count ?? 0))
        let files = (evaluation?.files ?? []).filter { !$0.isParity }
        gauge("files", "Files of the chain.", UInt64(files.count))
        gauge("files_intact", "Files that are intact.", UInt64(files.count { $0.status == .intact }))
        gauge("pages_checked", "Pages whose checksums were computed.", evaluation?.pagesChecked ?? 0)
        gauge("findings", "What was found.", UInt64(findings.count))
        // Prometheus wants seconds, and reads an exponent.
        head("check_duration_seconds", "How long the check took.")
        output.write("pram_verify_check_duration_seconds \(elapsedNanoseconds / 1_000_000)e-3\n")
        gauge("check_time_seconds", "When it was done, in seconds since 1970.", secondsSince1970())
    }
}
