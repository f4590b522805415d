import KernelCommandLine
import Linux
import PRAM
import Text

extension SetupEvidence {
    /// Reads what the files below a root tell. What is missing or cannot be read is not known; nothing here fails.
    /// - Parameter isLive: whether these are the files of the machine that the program runs on; then kexec(8) is asked
    ///   for its version, too.
    public static func read(_ paths: MachinePaths, isLive: Bool) -> SetupEvidence {
        var evidence = SetupEvidence(isLive: isLive, policy: KernelPolicy(paths))
        evidence.readKernel(paths)
        evidence.readMemory(paths)
        evidence.readKexec(paths)
        evidence.kernels = BootKernels(paths)
        if evidence.release.isEmpty, let next = evidence.kernels.next {
            // Of a machine that does not run there is the next kernel alone.
            evidence.configuration = KernelConfiguration.read(paths, release: next.release)
        }
        evidence.bootLoader = BootLoaderFiles(paths)
        Supportconfig(paths)?.add(to: &evidence)
        evidence.units = UnitFiles(paths)
        evidence.lastStatus = FileDescriptor.firstLine(of: paths.below("/run/pram-verify/status")).map(Array.init) ?? []
        return evidence
    }

    /// Whether there is anything at all to judge.
    public var isEmpty: Bool {
        line == nil && iomem == nil && firmware == nil && configuration == nil && !kernels.isKnown
            && bootLoader.files.isEmpty
    }

    private mutating func readKernel(_ paths: MachinePaths) {
        line = file(paths.commandLine, limit: 1 << 16).map { ParameterLine($0) }
        release = isLive ? SystemIdentity.kernelRelease() : SetupEvidence.release(paths)
        configuration = KernelConfiguration.read(paths, release: release)
        kernelsHead = MachineEvidence.kernelsHead(paths)
        hasVmcore = FileDescriptor.exists(paths.vmcore)
        hasLiveUpdate = FileDescriptor.exists(paths.below("/dev/liveupdate"))
        hasDevMem = FileDescriptor.exists(paths.devMem)
        // Four bytes of attributes, then the value (Documentation/filesystems/efivarfs.rst).
        let variable = paths.below("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c")
        if let value = file(variable, limit: 4096), value.count == 5 {
            isSecureBoot = value[4] == 1
        } else if isLive, !FileDescriptor.exists(paths.below("/sys/firmware/efi")) {
            isSecureBoot = FileDescriptor.exists(paths.below("/sys/firmware")) ? false : nil
        }
    }

    /// Of a copy of another machine's files: /proc, or the start of /proc/version.
    private static func release(_ paths: MachinePaths) -> [UInt8] {
        if let line = FileDescriptor.firstLine(of: paths.below("/proc/sys/kernel/osrelease")) { return Array(line) }
        guard let line = FileDescriptor.firstLine(of: paths.below("/proc/version")), line.begin(with: "Linux version ")
        else { return [] }
        return Array(line.dropFirst(14).prefix { $0 != UInt8(ascii: " ") })
    }

    private mutating func readMemory(_ paths: MachinePaths) {
        do throws(MemoryFailure) { iomem = try Iomem.read(paths.iomem) } catch { iomemFailure = error }
        firmware = paths.firmwareMap.flatMap(FirmwareMap.read)
        initrd = file(paths.bootParameters, limit: 1 << 16).flatMap(MachineEvidence.initrd)
        ramoops = (try? MachineEvidence.ramoopsRange(in: paths.ramoops)) ?? nil
        efi = RuntimeServices.ranges(paths)
    }

    private mutating func readKexec(_ paths: MachinePaths) {
        isKexecOff = FileDescriptor.firstLine(of: paths.kexecLoadDisabled)?.first == UInt8(ascii: "1")
        isKernelLoaded = FileDescriptor.firstLine(of: paths.kexecLoaded).map { $0.first == UInt8(ascii: "1") }
        kexec = KexecTools(paths, isLive: isLive)
    }

    private func file(_ path: [UInt8], limit: Int) -> [UInt8]? {
        try? FileDescriptor.contents(of: path, limit: limit)
    }
}

extension KexecTools {
    /// dpkg's database of a machine with everything on it has some 10 MB.
    private static let databaseLimit = 32 << 20

    init(_ paths: MachinePaths, isLive: Bool) {
        let folders = ["/sbin", "/usr/sbin", "/usr/bin", "/usr/local/sbin"] as [StaticString]
        let isThere = folders.contains { folder in
            (try? FileDescriptor.status(of: paths.below(bytes(folder) + bytes("/kexec"))))?.isRegular ?? false
        }
        if isLive {
            let words = [bytes("kexec"), bytes("--version")]
            if let (ending, text) = try? ChildProgram.output(of: words, limit: 4096), ending == .exited(0) {
                self.init(isInstalled: true, version: KexecTools.version(in: text))
            } else {
                self.init(isInstalled: isThere)
            }
            return
        }
        if let status = try? FileDescriptor.contents(
            of: paths.below("/var/lib/dpkg/status"), limit: KexecTools.databaseLimit)
        {
            let version = KexecTools.version(inDpkgStatus: status)
            self.init(isInstalled: isThere || version != nil, version: version ?? [])
        } else {
            let hasPrograms = FileDescriptor.exists(paths.below("/usr/bin"))
            self.init(isInstalled: isThere ? true : hasPrograms ? false : nil)
        }
    }
}

extension BootKernels {
    /// Looks into /boot.
    public init(_ paths: MachinePaths) {
        self.init()
        let folder = paths.below("/boot")
        guard let names = try? Directory.names(in: folder) else { return }
        isKnown = true
        let prefix: StaticString = "vmlinuz-"
        var releases = names.filter { $0.begin(with: prefix) }.map { Array($0.dropFirst(prefix.utf8CodeUnitCount)) }
        releases.removeAll { $0.begin(with: "0-rescue") || $0.isEmpty }
        guard var release = releases.max(by: BootKernels.isOlder) else { return }
        // Where Debian's packages put a link to the newest; a file that has been removed is no link's target.
        if let target = paths.root.isEmpty ? try? canonicalPath(bytes("/vmlinuz")) : paths.below("/vmlinuz") {
            let name = target[(target.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0)...]
            let linked = Array(name.dropFirst(prefix.utf8CodeUnitCount))
            if name.begin(with: prefix), releases.contains(linked) { release = linked }
        }
        let initrds = [
            bytes("initrd.img-") + release, bytes("initramfs-") + release + bytes(".img"), bytes("initrd-") + release,
        ]
        let initrd = initrds.first { names.contains($0) }.map { bytes("/boot/") + $0 }
        let path = bytes("/boot/") + bytes(prefix) + release
        next = Kernel(path: path, initrd: initrd, release: release, file: KernelFile(paths.below(path)))
    }
}

extension BootLoaderFiles {
    private static let fileLimit = 1 << 20
    /// More than a boot partition has.
    private static let entryLimit = 64

    init(_ paths: MachinePaths) {
        self.init()
        func text(_ path: [UInt8]) -> [UInt8]? {
            try? FileDescriptor.contents(of: path, limit: BootLoaderFiles.fileLimit)
        }
        if let grub = text(paths.below("/etc/default/grub")) { add(grub: grub) }
        for path in ["/boot/grub/grub.cfg", "/boot/grub2/grub.cfg"] as [StaticString] {
            if let text = text(paths.below(path)) { add(grubConfiguration: text, path: bytes(path)) }
        }
        if let line = text(paths.below("/etc/kernel/cmdline")) { add(kernelCommandLine: line) }
        for folder in ["/boot/loader/entries", "/efi/loader/entries", "/boot/efi/loader/entries"] as [StaticString] {
            let names = (try? Directory.names(in: paths.below(folder))) ?? []
            for name in names.filter({ $0.suffix(5).spell(".conf") }).prefix(BootLoaderFiles.entryLimit) {
                let path = bytes(folder) + [UInt8(ascii: "/")] + name
                if let entry = text(paths.below(path)) { add(entry: entry, path: path) }
            }
        }
        func has(_ name: StaticString) -> Bool {
            ["/usr/sbin/", "/usr/bin/", "/sbin/"].contains { (folder: StaticString) in
                FileDescriptor.exists(paths.below(bytes(folder) + bytes(name)))
            }
        }
        hasUpdateGrub = has("update-grub")
        hasGrub2 = has("grub2-mkconfig")
        hasGrubby = has("grubby")
        hasKernelInstall = has("kernel-install")
    }
}

extension UnitFiles {
    private static let folders: [StaticString] = [
        "/etc/systemd/system/", "/usr/local/lib/systemd/system/", "/usr/lib/systemd/system/", "/lib/systemd/system/",
    ]

    init(_ paths: MachinePaths) {
        self.init()
        isKnown = UnitFiles.folders.contains { FileDescriptor.exists(paths.below($0)) }
        unit = UnitFiles.state("pram-verify.service", paths)
        hasDebianHook = FileDescriptor.exists(paths.below("/etc/default/kexec.d/pram-verify"))
        let settings = try? FileDescriptor.contents(of: paths.below("/etc/default/kexec"), limit: 1 << 16)
        for line in (settings ?? []).split(separator: UInt8(ascii: "\n")) where line.begin(with: "LOAD_KEXEC=") {
            let value = line.dropFirst(11)
            debianLoads = value.spell("true") || value.spell("\"true\"")
        }
    }

    private static func state(_ name: StaticString, _ paths: MachinePaths) -> State {
        let own = paths.below(bytes("/etc/systemd/system/") + bytes(name))
        if let target = paths.root.isEmpty ? try? canonicalPath(own) : own,
            target.elementsEqual(paths.devices + bytes("/null"))
        {
            return .masked
        }
        let isThere = folders.contains { FileDescriptor.exists(paths.below(bytes($0) + bytes(name))) }
        guard isThere else { return .missing }
        // The link may lead to a place that exists on that machine alone.
        let wants = paths.below("/etc/systemd/system/multi-user.target.wants")
        let names = (try? Directory.names(in: wants)) ?? []
        return names.contains { $0.spell(name) } ? .enabled : .disabled
    }
}
