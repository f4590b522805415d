import CLinux

/// A number that nobody can foresee. Never waits: early at boot, before the kernel has gathered enough, it is the clock
/// alone.
public func randomNumber() -> UInt64 {
    var number = monotonicNanoseconds()
    _ = withUnsafeMutableBytes(of: &number) { getrandom($0.baseAddress, $0.count, UInt32(GRND_NONBLOCK)) }
    return number
}
