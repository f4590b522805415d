import Linux
import Machine
import MemorySources
import PRAM
import Text

/// The System RAM of a kernel that has pram, in which a chain lies between boot and mount. It is read by whatever way
/// reaches it, and written by write(2) on /dev/mem, which only kernels without CONFIG_STRICT_DEVMEM allow.
///
/// None of its pages is ours but the chain's own, and these only as long as /sys/kernel/pram still names the chain.
public final class PramKernelMemory: WritableMemory {
    private let live: LiveMemory
    private let file: FileDescriptor
    private let systemRAM: [PhysicalRange]

    /// - Parameters:
    ///   - file: /dev/mem, open for reading and writing.
    ///   - systemRAM: in bytes; nothing outside of it is written.
    public init(_ live: LiveMemory, writing file: consuming FileDescriptor, systemRAM: [PhysicalRange]) {
        self.live = live
        self.file = file
        self.systemRAM = systemRAM
    }

    /// Why nothing can be written, whatever is asked for; nil where writing can be tried.
    public var refusal: MemoryFailure? {
        guard let refused = live.systemRAMRefusal else { return nil }
        return MemoryFailure(
            refused.cause, source: "/dev/mem",
            "this kernel does not let its System RAM be written: \(refused.message)",
            remedy: "extract the intact files before the mount, or use a kernel without CONFIG_STRICT_DEVMEM")
    }

    /// Any page that has an address: `write` looks at each.
    public var pages: Range<UInt64> { 0..<1 << 52 }
    public var zerosMayBeHoles: Bool { live.zerosMayBeHoles }
    public func zerosMayBeHole(_ page: PFN) -> Bool { live.zerosMayBeHole(page) }
    public var kind: String { live.kind }
    public func contains(_ page: PFN) -> Bool { live.contains(page) }
    public func mapped(_ page: PFN) -> UnsafeRawPointer? { live.mapped(page) }

    public func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) {
        live.read(first, count: count, into: destination, states: states)
    }

    public func fill(
        _ first: PFN, count: Int, _ body: (UnsafeMutableRawBufferPointer) throws(SystemError) -> Void
    ) throws(SystemError) {
        throw SystemError("write", code: ErrorCode.notPermitted, path: file.path)
    }

    public func write(_ page: PFN, _ bytes: PageBytes) throws(SystemError) {
        guard let address = page.address, systemRAM.contains(where: { $0.contains(page) }) else {
            throw SystemError("write", code: ErrorCode.badAddress, path: file.path)
        }
        try file.write(bytes.bytes, at: address)
    }

    public func synchronize() throws(SystemError) {}
}
