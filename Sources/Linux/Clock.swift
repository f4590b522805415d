import CLinux

/// Nanoseconds of the monotonic clock, for elapsed time.
public func monotonicNanoseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
}

/// The time of day in seconds since 1970; 0 when it is before.
public func secondsSince1970() -> UInt64 { UInt64(max(0, time(nil))) }
