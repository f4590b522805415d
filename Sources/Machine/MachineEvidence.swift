import KernelCommandLine
import Linux
import Text
import PRAM

/// Why the machine cannot be asked.
public enum MachineFailure: Error {
    case system(SystemError, remedy: StaticString)
    case memory(MemoryFailure)
}

/// What the running machine says about its memory: all that the rules for writing go by.
public struct MachineEvidence: Sendable {
    /// The running kernel's.
    public var line: ParameterLine
    /// nil when there is none: no CONFIG_FIRMWARE_MEMMAP, or /sys is not mounted.
    public var firmware: FirmwareMap?
    public var iomem: Iomem
    /// /proc/vmcore exists, which it does in a crash kernel only (fs/proc/vmcore.c).
    public var hasVmcore = false
    /// Where the boot loader put the initrd; nil when it is not known, or there was none.
    public var initrd: PhysicalRange?
    /// The range of the ramoops driver that is in use.
    public var ramoops: PhysicalRange?

    public init(
        line: ParameterLine, firmware: FirmwareMap?, iomem: Iomem, hasVmcore: Bool = false,
        initrd: PhysicalRange? = nil, ramoops: PhysicalRange? = nil
    ) {
        self.line = line
        self.firmware = firmware
        self.iomem = iomem
        self.hasVmcore = hasVmcore
        self.initrd = initrd
        self.ramoops = ramoops
    }

    /// Whether this kernel runs inside of another one's memory, to save what is left of it: `elfcorehdr=` is what kexec
    /// adds to its command line (Documentation/admin-guide/kdump/kdump.rst).
    public var isCrashKernel: Bool { hasVmcore || MachineEvidence.isCrashKernel(line) }

    /// As far as the command line tells.
    public static func isCrashKernel(_ line: ParameterLine) -> Bool {
        let name: ParameterName = "elfcorehdr"
        return line.contains(named: name) || line.initParameters.contains { $0.isNamed(name) }
    }

    /// The same for whoever needs nothing else of the machine; also where it cannot be told.
    public static func isCrashKernel(_ line: ParameterLine, _ paths: MachinePaths) -> Bool {
        (try? tellsCrashKernel(line, paths)) ?? true
    }

    /// - Throws: where it cannot be told.
    public static func tellsCrashKernel(_ line: ParameterLine, _ paths: MachinePaths) throws(SystemError) -> Bool {
        if isCrashKernel(line) { return true }
        return try hasVmcore(paths)
    }

    /// - Throws: where it cannot be told.
    private static func hasVmcore(_ paths: MachinePaths) throws(SystemError) -> Bool {
        do throws(SystemError) {
            _ = try FileDescriptor.status(of: paths.vmcore)
            return true
        } catch {
            guard error.code == ErrorCode.noSuchFile else { throw error }
            return false
        }
    }

    /// What a kernel with pram holds (/sys/kernel/pram, `%lx`; 0 for nothing); nil when the kernel has no pram.
    public static func kernelsHead(_ paths: MachinePaths = MachinePaths()) -> UInt64? {
        guard let text = try? FileDescriptor.contents(of: paths.pram, limit: 4096) else { return nil }
        return try? KernelNumber.kstrtoul(text[...], .hexadecimal)
    }
}

extension MachineEvidence {
    /// - Throws: when anything that exists cannot be read. What cannot be looked at does not count as harmless.
    public static func collect(_ paths: MachinePaths = MachinePaths()) throws(MachineFailure) -> MachineEvidence {
        let line: ParameterLine
        do throws(SystemError) { line = try paths.parameterLine() } catch {
            throw .system(error, remedy: "mount /proc")
        }
        let iomem: Iomem
        do throws(MemoryFailure) { iomem = try Iomem.read(paths.iomem) } catch { throw .memory(error) }
        return MachineEvidence(
            line: line, firmware: paths.firmwareMap.flatMap(FirmwareMap.read), iomem: iomem,
            hasVmcore: (try? hasVmcore(paths)) ?? true, initrd: try contents(paths.bootParameters).flatMap(initrd),
            ramoops: try ramoopsRange(in: paths.ramoops))
    }

    /// struct boot_params (Documentation/arch/x86/zero-page.rst and boot.rst): ramdisk_image at 0x218 and
    /// ramdisk_size at 0x21c, 32 bits each, with their upper halves at 0x0c0 and 0x0c4.
    public static func initrd(in bootParameters: [UInt8]) -> PhysicalRange? {
        func word(_ offset: Int) -> UInt64 {
            guard offset + 4 <= bootParameters.count else { return 0 }
            return (0..<4).reduce(0) { $0 | UInt64(bootParameters[offset + $1]) << (8 * UInt64($1)) }
        }
        return PhysicalRange(start: word(0xc0) << 32 | word(0x218), size: word(0xc4) << 32 | word(0x21c))
    }

    /// From the parameters of the driver that is loaded. It also shows there what it was told by the firmware or by a
    /// device tree (ramoops_probe in fs/pstore/ram.c). 0 is none.
    static func ramoopsRange(in folder: [UInt8]) throws(MachineFailure) -> PhysicalRange? {
        guard let address = try contents(folder + Array("/mem_address".utf8)),
            let start = try? KernelNumber.kstrtoul(address[...]), start > 0
        else { return nil }
        let text = try contents(folder + Array("/mem_size".utf8)) ?? []
        // An address alone still tells what was meant.
        let size = (try? KernelNumber.kstrtoul(text[...])) ?? 0
        return PhysicalRange(start: start, size: max(size, 1)) ?? PhysicalRange(start: start, last: .max)
    }

    /// nil when there is no such file.
    private static func contents(_ path: [UInt8]) throws(MachineFailure) -> [UInt8]? {
        do throws(SystemError) {
            return try FileDescriptor.contents(of: path, limit: 1 << 16)
        } catch {
            if error.code == ErrorCode.noSuchFile { return nil }
            throw .system(error, remedy: "run this as root")
        }
    }
}
