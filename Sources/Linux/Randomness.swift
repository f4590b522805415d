/// A number that nobody can foresee, or, where the kernel has no randomness yet, at least none that was used before.
/// Never waits: early at boot, waiting could last for minutes.
public func randomNumber() -> UInt64 {
    var number: UInt64 = 0
    let answer = withUnsafeMutableBytes(of: &number) { SystemCalls.getrandom($0.baseAddress!, $0.count) }
    if answer.value == MemoryLayout<UInt64>.size { return number }
    // The clock and the process, well mixed (the finaliser of SplitMix64).
    var mixed = monotonicNanoseconds() &+ UInt64(SystemCalls.getpid()) << 40
    mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return mixed ^ mixed >> 31
}
