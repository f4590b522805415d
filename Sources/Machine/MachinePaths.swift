import Text

/// Where a machine shows itself: every file that is looked at lies below one root directory.
///
/// `/` is the machine that the program runs on. Another root is a copy of another machine's files, or what a test has
/// made; single paths can be changed for tests.
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
        commandLine = root + bytes("/proc/cmdline")
        iomem = root + bytes("/proc/iomem")
        firmwareMap = root + bytes("/sys/firmware/memmap")
        devMem = root + bytes("/dev/mem")
        kcore = root + bytes("/proc/kcore")
        vmcore = root + bytes("/proc/vmcore")
        lockdown = root + bytes("/sys/kernel/security/lockdown")
        block = root + bytes("/sys/block")
        devices = root + bytes("/dev")
        status = root + bytes("/proc/self/status")
        bootParameters = root + bytes("/sys/kernel/boot_params/data")
        setupData = root + bytes("/sys/kernel/boot_params/setup_data")
        handOverTree = root + bytes("/proc/device-tree/chosen/linux,kho-fdt")
        pageFlags = root + bytes("/proc/kpageflags")
        memoryInformation = root + bytes("/proc/meminfo")
        liveUpdate = root + bytes("/dev/liveupdate")
        ramoops = root + bytes("/sys/module/ramoops/parameters")
        runtimeMap = root + bytes("/sys/firmware/efi/runtime-map")
        pram = root + bytes("/sys/kernel/pram")
        kexecLoaded = root + bytes("/sys/kernel/kexec_loaded")
        kexecLoadDisabled = root + bytes("/proc/sys/kernel/kexec_load_disabled")
        power = root + bytes("/sys/power")
        pmemDriver = root + bytes("/sys/module/nd_pmem")
    }
}
