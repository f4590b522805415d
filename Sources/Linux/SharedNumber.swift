import CLinux

/// A number that a process and those it starts see and change together, whatever becomes of either.
public final class SharedNumber {
    /// nil where there is no memory for it: then each process has a number of its own.
    private let place: UnsafeMutableRawPointer?
    private var own: UInt64 = 0
    private static let size = 4096

    /// 0 at first. Make it before the other process is started.
    public init() {
        var code: Int32 = 0
        place = SystemCalls.mmap(
            nil, SharedNumber.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0, &code)
    }

    deinit { if let place { SystemCalls.munmap(place, SharedNumber.size) } }

    public var value: UInt64 {
        get {
            memoryFence()
            return place?.load(as: UInt64.self) ?? own
        }
        set {
            if let place { place.storeBytes(of: newValue, as: UInt64.self) } else { own = newValue }
            memoryFence()
        }
    }
}
