import Linux
import Text

/// What a file that is named as a kernel is, as far as its start tells.
public enum KernelFile: Sendable {
    case kernel
    /// Something else: empty, cut short before the header, or no kernel at all.
    case other
    /// The name leads to no regular file.
    case missing
    /// It may not be read: distributions keep kernels for root alone.
    case unreadable

    /// A bzImage has "HdrS" at byte 0x202 (Documentation/arch/x86/boot.rst), arm64's Image "ARM" and 0x64 at byte 56
    /// (Documentation/arch/arm64/booting.rst), an EFI image that unpacks itself "MZ" at byte 0 and "zimg" at byte 4
    /// (drivers/firmware/efi/libstub/zboot-header.S), and an ELF kernel its usual four.
    private static let signatures: [(start: Int, text: StaticString)] = [
        (0x202, "HdrS"), (56, "ARMd"), (4, "zimg"), (0, "\u{7f}ELF"),
    ]

    init(_ path: [UInt8]) {
        guard let status = try? FileDescriptor.status(of: path), status.isRegular else {
            self = .missing
            return
        }
        var start = [UInt8](repeating: 0, count: 0x206)
        guard let file = try? FileDescriptor.openWithoutWaiting(path),
            let count = start.withUnsafeMutableBytes({ room in try? file.read(at: 0, into: room) })
        else {
            self = .unreadable
            return
        }
        let isKernel = KernelFile.signatures.contains { signature in
            signature.start + 4 <= count
                && start[signature.start..<signature.start + 4].elementsEqual(bytes(signature.text))
        }
        self = isKernel ? .kernel : .other
    }

    /// What is wrong with it, to follow its name; nil where nothing is known to be.
    var fault: StaticString? {
        switch self {
        case .kernel, .unreadable: nil
        case .other: "is no kernel that can be started"
        case .missing: "leads to no file"
        }
    }
}
