import KernelCommandLine
import Linux
import MemorySources
import PRAM

/// What the running machine says about its memory: all that the rules for writing go by.
struct MachineEvidence {
    /// The running kernel's.
    var line: ParameterLine
    /// nil when there is none: no CONFIG_FIRMWARE_MEMMAP, or /sys is not mounted.
    var firmware: FirmwareMap?
    var iomem: Iomem
    /// /proc/vmcore exists, which it does in a crash kernel only (fs/proc/vmcore.c).
    var hasVmcore = false
    /// Where the boot loader put the initrd; nil when it is not known, or there was none.
    var initrd: PhysicalRange?
    /// The range of the ramoops driver that is in use.
    var ramoops: PhysicalRange?

    /// Whether this kernel runs inside of another one's memory, to save what is left of it: `elfcorehdr=` is what kexec
    /// adds to its command line (Documentation/admin-guide/kdump/kdump.rst).
    var isCrashKernel: Bool { hasVmcore || MachineEvidence.isCrashKernel(line) }

    static func isCrashKernel(_ line: ParameterLine) -> Bool {
        let name: ParameterName = "elfcorehdr"
        return line.contains(named: name) || line.initParameters.contains { $0.isNamed(name) }
    }
}

/// Where the running machine shows itself. Other paths are for tests alone: no option and no environment variable
/// reaches them.
struct MachinePaths {
    var live = LivePaths()
    var commandLine = Array("/proc/cmdline".utf8)
    var vmcore = Array("/proc/vmcore".utf8)
    /// x86 only (Documentation/ABI/testing/sysfs-kernel-boot_params).
    var bootParameters = Array("/sys/kernel/boot_params/data".utf8)
    var ramoops = Array("/sys/module/ramoops/parameters".utf8)
}

extension MachineEvidence {
    /// - Throws: when anything that exists cannot be read. What cannot be looked at does not count as harmless.
    static func collect(_ paths: MachinePaths = MachinePaths()) throws(Failure) -> MachineEvidence {
        let text: [UInt8]
        do throws(SystemError) {
            text = try FileDescriptor.contents(of: paths.commandLine, limit: Head.lineLimit)
        } catch {
            throw .system(error, remedy: "mount /proc")
        }
        let iomem: Iomem
        do throws(MemoryFailure) { iomem = try Iomem.read(paths.live.iomem) } catch { throw .memory(error) }
        return MachineEvidence(
            line: ParameterLine(text), firmware: paths.live.firmwareMap.flatMap(FirmwareMap.read), iomem: iomem,
            hasVmcore: exists(paths.vmcore), initrd: try contents(paths.bootParameters).flatMap(initrd),
            ramoops: try ramoops(in: paths.ramoops))
    }

    /// struct boot_params (Documentation/arch/x86/zero-page.rst and boot.rst): ramdisk_image at 0x218 and
    /// ramdisk_size at 0x21c, 32 bits each, with their upper halves at 0x0c0 and 0x0c4.
    static func initrd(in bootParameters: [UInt8]) -> PhysicalRange? {
        func word(_ offset: Int) -> UInt64 {
            guard offset + 4 <= bootParameters.count else { return 0 }
            return (0..<4).reduce(0) { $0 | UInt64(bootParameters[offset + $1]) << (8 * UInt64($1)) }
        }
        return PhysicalRange(start: word(0xc0) << 32 | word(0x218), size: word(0xc4) << 32 | word(0x21c))
    }

    /// From the parameters of the driver that is loaded. It also shows there what it was told by the firmware or by a
    /// device tree (ramoops_probe in fs/pstore/ram.c). 0 is none.
    private static func ramoops(in folder: [UInt8]) throws(Failure) -> PhysicalRange? {
        guard let address = try contents(folder + Array("/mem_address".utf8)),
            let start = try? KernelNumber.kstrtoul(address[...]), start > 0
        else { return nil }
        let text = try contents(folder + Array("/mem_size".utf8)) ?? []
        // An address alone still tells what was meant.
        let size = (try? KernelNumber.kstrtoul(text[...])) ?? 0
        return PhysicalRange(start: start, size: max(size, 1)) ?? PhysicalRange(start: start, last: .max)
    }

    /// nil when there is no such file.
    private static func contents(_ path: [UInt8]) throws(Failure) -> [UInt8]? {
        do throws(SystemError) {
            return try FileDescriptor.contents(of: path, limit: 1 << 16)
        } catch {
            if error.code == ErrorCode.noSuchFile { return nil }
            throw .system(error, remedy: "run this as root")
        }
    }

    /// Also when that cannot be told.
    private static func exists(_ path: [UInt8]) -> Bool {
        do throws(SystemError) {
            _ = try FileDescriptor.status(of: path)
            return true
        } catch {
            return error.code != ErrorCode.noSuchFile
        }
    }
}
