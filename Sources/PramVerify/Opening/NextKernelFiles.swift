import Linux
import Machine
import PRAM
import Text

/// The next kernel and its initrd, as far as it can be foreseen which they will be.
enum NextKernelFiles {
    private static let usualKernel: UInt64 = 16 << 20

    /// In bytes, both together.
    static func size() -> UInt64 {
        let release = SystemIdentity.kernelRelease()
        var pairs: [(kernel: [UInt8], initrd: [UInt8]?)] = []
        if let loaded = LoadNote.current() { pairs.append((loaded.kernel, loaded.initrd)) }
        if let kernel = environment("KEXEC_KERNEL") { pairs.append((kernel, environment("KEXEC_INITRD"))) }
        pairs.append((bytes("/vmlinuz"), bytes("/initrd.img")))
        pairs.append((bytes("/boot/vmlinuz-") + release, bytes("/boot/initrd.img-") + release))
        for (kernel, initrd) in pairs {
            guard let kernel = size(of: kernel) else { continue }
            return kernel &+ (initrd.flatMap { size(of: $0) } ?? bootInitrd())
        }
        return usualKernel &+ bootInitrd()
    }

    private static func size(of path: [UInt8]) -> UInt64? {
        guard let status = try? FileDescriptor.status(of: path), status.isRegular else { return nil }
        return min(status.size, 1 << 40)
    }

    /// That with which this kernel was started.
    private static func bootInitrd() -> UInt64 {
        guard let text = try? FileDescriptor.contents(of: MachinePaths().bootParameters, limit: 1 << 16) else {
            return 0
        }
        return MachineEvidence.initrd(in: text)?.size ?? 0
    }
}
