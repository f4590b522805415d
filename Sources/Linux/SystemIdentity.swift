import Manifest

/// What the running kernel calls itself, and its clocks: see `Provenance`.
public enum SystemIdentity {
    /// uname(2)'s release: `6.1.0-18-amd64`.
    public static func kernelRelease() -> [UInt8] { SystemCalls.uname().release }

    /// uname(2)'s node name.
    public static func nodeName() -> [UInt8] { SystemCalls.uname().nodeName }

    /// CLOCK_REALTIME
    public static func wallTime() -> FileTime { time(.realTime) }
    /// CLOCK_MONOTONIC
    public static func monotonicTime() -> FileTime { time(.monotonic) }
    /// CLOCK_BOOTTIME
    public static func timeSinceBoot() -> FileTime { time(.bootTime) }

    private static func time(_ clock: SystemCalls.ClockName) -> FileTime {
        let now = SystemCalls.clock(clock)
        return FileTime(seconds: Int64(now.seconds), nanoseconds: UInt32(truncatingIfNeeded: now.nanoseconds))
    }
}
