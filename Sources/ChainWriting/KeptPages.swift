import Linux
import PRAM

/// Pages in memory, with their numbers, in the order in which any threads bring them.
final class KeptPages {
    private static let most = 1 << 15

    private let monitor = Monitor()
    private let buffer: UnsafeMutableRawPointer
    private let capacity: Int
    private var numbers: [UInt64] = []

    /// - Returns: nil for more than 128 MiB.
    init?(_ capacity: Int) {
        guard capacity <= KeptPages.most else { return nil }
        self.capacity = capacity
        buffer = .allocate(byteCount: max(capacity, 1) * pageSize, alignment: pageSize)
    }

    deinit { buffer.deallocate() }

    var count: Int { numbers.count }
    func page(_ number: Int) -> UInt64 { numbers[number] }
    /// 4096 bytes, valid as long as this object is.
    func bytes(_ number: Int) -> UnsafeRawPointer { UnsafeRawPointer(buffer + number * pageSize) }

    /// Copies a page; more than there is room for are left out.
    func take(_ page: UInt64, _ bytes: UnsafeRawPointer) {
        monitor.lock()
        defer { monitor.unlock() }
        guard numbers.count < capacity else { return }
        (buffer + numbers.count * pageSize).copyMemory(from: bytes, byteCount: pageSize)
        numbers.append(page)
    }
}
