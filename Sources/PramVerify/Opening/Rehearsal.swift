import Linux
import Machine
import Text

/// Where what became of a rehearsal is kept.
enum Rehearsal {
    /// Not the directory whose files the units save and restore: what is there must not look like a user's file.
    static let folder: StaticString = "/var/lib/pram-verify-state"
    static let file: StaticString = "rehearsal"

    /// Records are short.
    private static let limit = 1 << 16

    /// What is known of the last rehearsal of a machine: by the check at boot, or from the disk.
    static func last(_ paths: MachinePaths) -> RehearsalRecord? {
        let run = read(paths.below("/run/pram-verify/rehearsal"))
        let kept = read(paths.root + path)
        guard let run, let kept else { return run ?? kept }
        if kept.saved != run.saved { return kept.saved > run.saved ? kept : run }
        return run.state == .waiting ? kept : run
    }

    static var path: [UInt8] { bytes(folder) + [UInt8(ascii: "/")] + bytes(file) }

    static func read(_ path: [UInt8]) -> RehearsalRecord? {
        (try? FileDescriptor.contents(of: path, limit: limit)).flatMap { RehearsalRecord($0) }
    }
}
