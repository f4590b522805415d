import CLinux

/// How work in a process of its own ended.
public enum ApartOutcome {
    case ended(Int32)
    /// By a signal: a trap, or no memory.
    case killed(signal: Int32)
    /// It took too long, and was killed, or hangs in the kernel.
    case late
    case notStarted
}

/// Runs the body in a process of its own, and comes back in time whatever becomes of it. Call it before there are
/// threads.
public func runApart(milliseconds: Int32, _ body: @escaping () -> Int32) -> ApartOutcome {
    let box = Unmanaged.passRetained(Work(body))
    defer { box.release() }
    let result = pv_run_apart(runWork, box.toOpaque(), milliseconds)
    switch result {
    case PV_APART_NOT_STARTED: return .notStarted
    case PV_APART_LATE: return .late
    case ...PV_APART_KILLED: return .killed(signal: PV_APART_KILLED - result)
    default: return .ended(result)
    }
}

private final class Work {
    let call: () -> Int32
    init(_ call: @escaping () -> Int32) { self.call = call }
}

private func runWork(_ context: UnsafeMutableRawPointer?) -> Int32 {
    Unmanaged<Work>.fromOpaque(context!).takeUnretainedValue().call()
}
