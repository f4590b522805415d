import Linux
import Text

/// Where a machine shows itself: every file that is looked at lies below one root directory.
///
/// `/` is the machine that the program runs on. Another root is a copy of another machine's files, or what a test has
/// made: its symbolic links lead where they would lead on that machine. Single paths can be changed for tests.
public struct MachinePaths: Sendable {
    /// Empty for `/`, otherwise without a slash at its end.
    public let root: [UInt8]

    public var commandLine: [UInt8]
    public var iomem: [UInt8]
    /// nil: do not look, and take every range called Reserved for memory (see `AddressMap`).
    public var firmwareMap: [UInt8]?
    public var devMem: [UInt8]
    public var kcore: [UInt8]
    /// In a crash kernel only.
    public var vmcore: [UInt8]
    public var lockdown: [UInt8]
    /// Block devices, among them pmem0, pmem1 ...
    public var block: [UInt8]
    /// The folder of their device nodes.
    public var devices: [UInt8]
    /// For this process's capabilities.
    public var status: [UInt8]
    /// x86 only (Documentation/ABI/testing/sysfs-kernel-boot_params).
    public var bootParameters: [UInt8]
    /// What the boot loader, or the kernel that did a kexec, has left for this one; x86 only.
    public var setupData: [UInt8]
    /// The same of arm64's device tree: what was handed over.
    public var handOverTree: [UInt8]
    /// What the kernel says of each page frame.
    public var pageFlags: [UInt8]
    public var memoryInformation: [UInt8]
    public var liveUpdate: [UInt8]
    public var ramoops: [UInt8]
    /// What of EFI is still in use when the kernel runs (Documentation/ABI/testing/sysfs-firmware-efi-runtime-map).
    public var runtimeMap: [UInt8]
    /// What a kernel with pram holds.
    public var pram: [UInt8]
    /// 1 when a kernel is loaded for kexec.
    public var kexecLoaded: [UInt8]
    /// 1 when kexec is switched off until the next boot.
    public var kexecLoadDisabled: [UInt8]
    /// There is hibernation in the kernel when this folder has the file `disk`.
    public var power: [UInt8]
    /// The driver of pmem devices, once it is there.
    public var pmemDriver: [UInt8]

    public init(root: [UInt8] = []) {
        var root = root
        while root.last == UInt8(ascii: "/") { root.removeLast() }
        self.root = root
        func below(_ path: StaticString) -> [UInt8] { rootedPath(bytes(path), below: root) }
        commandLine = below("/proc/cmdline")
        iomem = below("/proc/iomem")
        firmwareMap = below("/sys/firmware/memmap")
        devMem = below("/dev/mem")
        kcore = below("/proc/kcore")
        vmcore = below("/proc/vmcore")
        lockdown = below("/sys/kernel/security/lockdown")
        block = below("/sys/block")
        devices = below("/dev")
        status = below("/proc/self/status")
        bootParameters = below("/sys/kernel/boot_params/data")
        setupData = below("/sys/kernel/boot_params/setup_data")
        handOverTree = below("/proc/device-tree/chosen/linux,kho-fdt")
        pageFlags = below("/proc/kpageflags")
        memoryInformation = below("/proc/meminfo")
        liveUpdate = below("/dev/liveupdate")
        ramoops = below("/sys/module/ramoops/parameters")
        runtimeMap = below("/sys/firmware/efi/runtime-map")
        pram = below("/sys/kernel/pram")
        kexecLoaded = below("/sys/kernel/kexec_loaded")
        kexecLoadDisabled = below("/proc/sys/kernel/kexec_load_disabled")
        power = below("/sys/power")
        pmemDriver = below("/sys/module/nd_pmem")
    }
}
