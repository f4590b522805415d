import CLinux
import Manifest

/// What the running kernel calls itself, and its clocks: see `Provenance`.
public enum SystemIdentity {
    /// uname(2)'s release: `6.1.0-18-amd64`.
    public static func kernelRelease() -> [UInt8] { text(pv_kernel_release) }

    /// uname(2)'s node name.
    public static func nodeName() -> [UInt8] { text(pv_node_name) }

    /// CLOCK_REALTIME
    public static func wallTime() -> FileTime { time(CLOCK_REALTIME) }
    /// CLOCK_MONOTONIC
    public static func monotonicTime() -> FileTime { time(CLOCK_MONOTONIC) }
    /// CLOCK_BOOTTIME
    public static func timeSinceBoot() -> FileTime { time(pv_clock_boottime()) }

    private static func time(_ clock: clockid_t) -> FileTime {
        var now = timespec()
        clock_gettime(clock, &now)
        return FileTime(seconds: Int64(now.tv_sec), nanoseconds: UInt32(truncatingIfNeeded: now.tv_nsec))
    }

    private static func text(_ call: (UnsafeMutablePointer<CChar>?, Int) -> Void) -> [UInt8] {
        var text = [UInt8](repeating: 0, count: 256)
        text.withUnsafeMutableBytes { call($0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count) }
        return Array(text.prefix { $0 != 0 })
    }
}
