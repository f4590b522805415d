import CLinux

/// Another program of the system, run to its end: kexec(8), systemctl(1).
public enum ChildProgram {
    public enum Ending: Equatable, Sendable {
        /// With this exit status.
        case exited(Int32)
        case killed(signal: Int32)
        /// Nothing tells.
        case unknown
    }

    /// Runs a program that is looked for in PATH, with this process's environment and standard error, and waits for it.
    /// What it writes on standard output goes to standard error, for that is where what others say belongs.
    /// - Parameter words: its name and its arguments.
    /// - Throws: ENOENT where there is none of this name.
    public static func run(_ words: [[UInt8]]) throws(SystemError) -> Ending { try run(words, output: 2) }

    /// The same, for what it writes on standard output.
    /// - Parameter limit: in bytes; what comes after them is read and left out.
    public static func output(of words: [[UInt8]], limit: Int) throws(SystemError) -> (Ending, [UInt8]) {
        var ends: (reading: Int32, writing: Int32) = (-1, -1)
        try SystemCalls.pipe(&ends).get("pipe")
        let reading = FileDescriptor(adopting: ends.reading, path: [])
        let before = SystemCalls.takeChildSignal()
        defer { SystemCalls.giveBackChildSignal(before) }
        var child: Int32 = -1
        let spawned = SystemCalls.spawn(words, ends.writing, &child)
        SystemCalls.close(ends.writing)
        try spawned.get("exec", path: words.first ?? [])
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        var last: SystemCalls.Answer
        repeat {
            last = chunk.withUnsafeMutableBytes { SystemCalls.read(reading.number, $0.baseAddress!, $0.count) }
            if last.value > 0 { bytes += chunk[..<min(last.value, limit - bytes.count)] }
        } while last.value > 0
        // Whatever went wrong, the program is waited for; half of what it says is nothing to go by.
        let ending = ending(of: child)
        try last.get("read", path: words.first ?? [])
        return (ending, bytes)
    }

    private static func run(_ words: [[UInt8]], output: Int32) throws(SystemError) -> Ending {
        let before = SystemCalls.takeChildSignal()
        defer { SystemCalls.giveBackChildSignal(before) }
        var child: Int32 = -1
        try SystemCalls.spawn(words, output, &child).get("exec", path: words.first ?? [])
        return ending(of: child)
    }

    private static func ending(of child: Int32) -> Ending {
        var status: Int32 = 0
        guard !SystemCalls.waitpid(child, &status).failed else { return .unknown }
        return pv_was_killed(status) ? .killed(signal: pv_signal_of(status)) : .exited(pv_exit_status_of(status))
    }
}
