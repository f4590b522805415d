import CLinux
import Linux
import MemorySources
import PRAM
import Text

/// The System RAM of a kernel that has pram, in which a chain lies between boot and mount. It is read by whatever way
/// reaches it, and written by write(2) on /dev/mem, which only kernels without CONFIG_STRICT_DEVMEM allow.
///
/// None of its pages is ours but the chain's own, and these only as long as /sys/kernel/pram still names the chain.
final class PramKernelMemory: WritableMemory {
    private let live: LiveMemory
    private let file: FileDescriptor
    private let systemRAM: [PhysicalRange]

    init(_ machine: MachineEvidence) throws(Failure) {
        do throws(MemoryFailure) { live = try LiveMemory.open() } catch { throw .memory(error) }
        file = try calling(remedy: WritingTarget.devMemRemedy) { () throws(SystemError) in
            try FileDescriptor.open(Array("/dev/mem".utf8), O_RDWR)
        }
        systemRAM = machine.iomem.systemRAM
    }

    /// Why nothing can be written, whatever is asked for; nil where writing can be tried.
    var refusal: MemoryFailure? {
        guard let refused = live.systemRAMRefusal else { return nil }
        return MemoryFailure(
            refused.cause, source: "/dev/mem",
            "this kernel does not let its System RAM be written: \(refused.message)",
            remedy: "extract the intact files before the mount, or use a kernel without CONFIG_STRICT_DEVMEM")
    }

    /// Any page that has an address: `write` looks at each.
    var pages: Range<UInt64> { 0..<1 << 52 }
    var zerosMayBeHoles: Bool { live.zerosMayBeHoles }
    func zerosMayBeHole(_ page: PFN) -> Bool { live.zerosMayBeHole(page) }
    var kind: String { live.kind }
    func contains(_ page: PFN) -> Bool { live.contains(page) }
    func mapped(_ page: PFN) -> UnsafeRawPointer? { live.mapped(page) }

    func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) {
        live.read(first, count: count, into: destination, states: states)
    }

    func fill(
        _ first: PFN, count: Int, _ body: (UnsafeMutableRawBufferPointer) throws(SystemError) -> Void
    ) throws(SystemError) {
        throw SystemError("write", code: ErrorCode.notPermitted, path: file.path)
    }

    func write(_ page: PFN, _ bytes: PageBytes) throws(SystemError) {
        guard let address = page.address, systemRAM.contains(where: { $0.contains(page) }) else {
            throw SystemError("write", code: ErrorCode.badAddress, path: file.path)
        }
        try file.write(bytes.bytes, at: address)
    }

    func synchronize() throws(SystemError) {}
}
