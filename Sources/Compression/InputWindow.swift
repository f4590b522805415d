import Linux

/// A part of a file, read from front to back through one buffer.
public final class InputWindow {
    private static let capacity = 1 << 17
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 64)
    private var unreadRange = 0..<0
    /// Where in the file the next byte lies.
    public private(set) var offset: UInt64
    /// Where the part ends.
    public let end: UInt64
    /// The file has turned out to be shorter than the part.
    private var ended = false

    /// - Parameter range: in bytes of the file.
    public init(_ range: Range<UInt64>) {
        offset = range.lowerBound
        end = range.upperBound
    }

    deinit { buffer.deallocate() }

    /// What was read and not taken yet; the memory is good until the next call of anything here.
    public var unread: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: buffer[unreadRange]) }

    public var isAtEnd: Bool { unreadRange.isEmpty && (ended || offset >= end) }

    /// Takes bytes; more than are unread are passed over without being read.
    public func advance(_ count: UInt64) {
        if count <= UInt64(unreadRange.count) {
            unreadRange = unreadRange.lowerBound + Int(count)..<unreadRange.upperBound
        } else {
            unreadRange = 0..<0
        }
        let (place, overflow) = offset.addingReportingOverflow(count)
        offset = overflow ? end : min(place, end)
    }

    /// Reads on, unless at least `least` bytes are unread.
    public func fill(_ file: borrowing FileDescriptor, atLeast least: Int = 1) throws(SystemError) {
        guard unreadRange.count < least, !ended, offset < end else { return }
        let wanted = Int(min(UInt64(buffer.count), end - offset))
        guard unreadRange.count < wanted else { return }
        let count = try file.read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted]))
        unreadRange = 0..<count
        ended = count < wanted
    }
}
