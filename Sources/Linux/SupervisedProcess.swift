import CLinux

/// How a supervised process ended.
public enum ProcessOutcome: Sendable {
    /// Its body returned this number.
    case ended(Int32)
    /// Before its body returned: by a signal (a trap, or no memory), or in a way that nothing tells (0).
    case killed(signal: Int32)
    /// It took too long, and was killed, or hangs in the kernel.
    case late
    case notStarted
}

/// Runs the body in a process of its own, and comes back in time whatever becomes of it. Call it before there are
/// threads.
///
/// The body's number comes back through a pipe, whose end also shows that the process is gone. So the process counts as
/// ended only when its body has returned, whatever waitpid(2) is able to tell.
public func runSupervised(milliseconds: Int32, _ body: () -> Int32) -> ProcessOutcome {
    var ends: (reading: Int32, writing: Int32) = (-1, -1)
    guard !SystemCalls.pipe(&ends).failed else { return .notStarted }
    // Where a caller has SIGCHLD ignored, no status would be left to wait for.
    let before = SystemCalls.takeChildSignal()
    defer { SystemCalls.giveBackChildSignal(before) }
    let child = SystemCalls.fork()
    if child.value == 0 {
        SystemCalls.close(ends.reading)
        SystemCalls.endWithParent()
        deliver(body(), to: ends.writing)
    }
    SystemCalls.close(ends.writing)
    defer { SystemCalls.close(ends.reading) }
    guard !child.failed else { return .notStarted }

    let deadline = monotonicNanoseconds() + UInt64(max(0, milliseconds)) * 1_000_000
    let (result, isGone) = receive(from: ends.reading, until: deadline)
    guard isGone else {
        // Not waited for: a process that hangs in the kernel does not even end so.
        SystemCalls.kill(child.number)
        return .late
    }
    var status: Int32 = 0
    if !SystemCalls.waitpid(child.number, &status).failed, pv_was_killed(status) {
        return .killed(signal: pv_signal_of(status))
    }
    return result.map { .ended($0) } ?? .killed(signal: 0)
}

/// The child's end.
private func deliver(_ result: Int32, to pipe: Int32) -> Never {
    // So few bytes are written as a whole.
    let isDelivered = withUnsafeBytes(of: result) {
        SystemCalls.write(pipe, $0.baseAddress!, $0.count).value == $0.count
    }
    SystemCalls.exit(isDelivered ? 0 : 1)
}

/// Reads until the pipe is closed.
/// - Returns: what was delivered, and whether the pipe was closed in time.
private func receive(from pipe: Int32, until deadline: UInt64) -> (result: Int32?, isGone: Bool) {
    var result: Int32?
    while true {
        let now = monotonicNanoseconds()
        let left = now < deadline ? (deadline - now + 999_999) / 1_000_000 : 0
        guard SystemCalls.poll(pipe, milliseconds: Int32(clamping: left)).value > 0 else { return (result, false) }
        var delivered: Int32 = 0
        let count = withUnsafeMutableBytes(of: &delivered) { SystemCalls.read(pipe, $0.baseAddress!, $0.count).value }
        guard count > 0 else { return (result, true) }
        result = count == MemoryLayout<Int32>.size ? delivered : nil
    }
}
