/// Nanoseconds of the monotonic clock, for elapsed time.
public func monotonicNanoseconds() -> UInt64 { SystemCalls.monotonicTime() }

/// Seconds since 1970, by this machine's clock.
public func secondsSince1970() -> UInt64 { UInt64(max(0, SystemCalls.time())) }

/// Does nothing for a while.
public func pause(microseconds: UInt32) { SystemCalls.sleep(microseconds: microseconds) }
