import Linux
import MemorySources
import PRAM

/// The files in memory that a session has kept, by the page frames that their pages have: what the links of a chain name.
///
/// So a chain can be read where nobody may read this machine's memory as such (lockdown=confidentiality closes
/// /proc/kcore, and leaves /proc/self/pagemap open to CAP_SYS_ADMIN).
public final class KeptFile: PhysicalMemory {
    private let mapping: Mapping
    private let base: UnsafeMutableRawPointer
    private let order: FrameOrder

    public var kind: String { "memfd" }
    public var zerosMayBeHoles: Bool { false }

    /// - Parameter files: of whole pages; they may be closed afterwards.
    /// - Throws: EPERM where page frames are hidden; EINVAL for an empty file.
    public init(_ files: [MemoryFileDescriptor]) throws(SystemError) {
        let mapping = try Mapping(files)
        base = mapping.base
        let frames = try PageFrames.find(base, count: mapping.count / pageSize)
        // The head is the first place of the first file, whatever came behind it.
        let own = Int(clamping: try files[0].size() / UInt64(pageSize))
        guard let first = FrameOrder(Array(frames.prefix(own)))?.frames.first,
            let order = FrameOrder(frames, head: first)
        else { throw SystemError("mmap", code: ErrorCode.outOfMemory) }
        self.order = order
        self.mapping = consume mapping
    }

    /// The frame of its first place, where the head of a chain is.
    public var first: PFN { PFN(order.frames[0]) }

    public func contains(_ page: PFN) -> Bool { order.place(ofFrame: page.number) != nil }

    public func mapped(_ page: PFN) -> UnsafeRawPointer? {
        order.place(ofFrame: page.number).map { UnsafeRawPointer(base + order.page($0) * pageSize) }
    }

    public func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) {
        readMapped(first, count: count, into: destination, states: states)
    }
}

extension PhysicalMemory {
    /// Reads pages out of this process's own mapping of them, page by page: what is mapped may be cut off by others.
    func readMapped(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) {
        for index in 0..<count {
            guard let page = first.advanced(by: UInt64(index)), let source = mapped(page) else {
                states[index] = .absent
                continue
            }
            let isWhole = guardedCopy(source, to: destination + index * pageSize, count: pageSize)
            states[index] = isWhole ? .present : .unreadable
        }
    }
}
