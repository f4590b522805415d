import KernelCommandLine
import PRAM
import Text

/// All that decides whether a machine can carry data over a kexec, as far as it is known. Plain values: nothing here
/// looks at the machine (see `SetupReading`), and every judgement is made of them alone (see `SetupCheck`).
public struct SetupEvidence {
    /// Whether these are the files of the machine that the program runs on, and of now: then what is missing is missing.
    /// Of another machine's files it is only not known.
    public var isLive: Bool

    // The kernel that runs
    public var line: ParameterLine?
    public var release: [UInt8] = []
    public var configuration: KernelConfiguration?
    public var policy: KernelPolicy
    /// nil where it cannot be told.
    public var isSecureBoot: Bool?
    /// What a kernel with pram holds, 0 for nothing; nil for a kernel without pram.
    public var kernelsHead: UInt64?
    public var hasVmcore = false
    public var hasLiveUpdate = false

    // Memory
    public var iomem: Iomem?
    /// Why there is no `iomem`.
    public var iomemFailure: MemoryFailure?
    public var firmware: FirmwareMap?
    public var initrd: PhysicalRange?
    public var ramoops: PhysicalRange?
    /// What the firmware goes on using while the kernel runs.
    public var efi: [PhysicalRange] = []
    public var hasDevMem = false

    // kexec
    public var kexec = KexecTools()
    public var isKexecOff = false
    /// nil where it cannot be told.
    public var isKernelLoaded: Bool?
    /// What `kexec` of this program has loaded; nil for none, or another program's.
    public var loaded: LoadedKernel?

    // The next boots
    public var kernels = BootKernels()
    /// Where this kernel could hand memory over: in which forms those in /boot take it.
    public var takers: [Taker] = []
    public var bootLoader = BootLoaderFiles()
    /// One for each image of an initramfs that was looked at.
    public var images: [ImageState] = []
    public var units = UnitFiles()

    // What was carried
    public var chain = ChainState.notLookedAt("")
    /// The word that the last look at memory has left in /run.
    public var lastStatus: [UInt8] = []
    public var rehearsal: RehearsalRecord?

    public init(isLive: Bool, policy: KernelPolicy) {
        self.isLive = isLive
        self.policy = policy
    }

    public struct LoadedKernel {
        public var kernel: [UInt8]
        public var line: ParameterLine

        public init(kernel: [UInt8], line: ParameterLine) {
            self.kernel = kernel
            self.line = line
        }
    }

    /// A kernel image that was looked into.
    public struct Taker {
        /// As this machine has it.
        public var path: [UInt8]
        /// "kho-v4" and the like, ascending; none for a kernel that takes no memory over.
        public var forms: [[UInt8]]
        /// Why it cannot be told; empty where it can.
        public var fault: String
        /// Whether it is the image of the kernel that runs.
        public var isOwn: Bool

        public init(path: [UInt8], forms: [[UInt8]], fault: String = "", isOwn: Bool) {
            self.path = path
            self.forms = forms
            self.fault = fault
            self.isOwn = isOwn
        }

        public var list: String { forms.map { escaped($0) }.joined(separator: ", ") }
        public var takesMemoryOver: Bool { forms.contains { $0.starts(with: "kho-".utf8) } }
    }

    /// Whether a kernel takes over what this one hands over; nil where it cannot be told.
    public func fits(_ taker: Taker) -> Bool? {
        guard taker.fault.utf8.isEmpty else { return nil }
        guard taker.takesMemoryOver else { return false }
        guard let own = takers.first(where: { $0.isOwn && $0.takesMemoryOver }) else { return nil }
        return own.forms.elementsEqual(taker.forms)
    }

    /// An initramfs, judged as `image check` does.
    public struct ImageState {
        public enum Verdict { case good, bad, unknown }

        public var path: [UInt8]
        public var verdict: Verdict
        /// What is wrong: one clause; empty where nothing is.
        public var text: String
        public var remedy: String

        public init(path: [UInt8], verdict: Verdict, text: String = "", remedy: String = "") {
            self.path = path
            self.verdict = verdict
            self.text = text
            self.remedy = remedy
        }
    }

    /// The chain that memory holds now.
    public enum ChainState {
        /// Why nobody has looked.
        case notLookedAt(String)
        case none
        /// The next kernel would be told of it: how much it holds, and its head.
        case ready(contents: String, head: UInt64)
        /// It would not: why, and what would help.
        case notHandedOn(String, remedy: String)
    }

    /// What the rules for writing go by; nil where too little is known for them.
    public var machine: MachineEvidence? {
        guard let line, let iomem else { return nil }
        return MachineEvidence(
            line: line, firmware: firmware, iomem: iomem, hasVmcore: hasVmcore, initrd: initrd, ramoops: ramoops)
    }

    /// The ranges that the running kernel's line sets aside, each once; of very many the first ones.
    public var named: [WritableRegion] {
        line.map { Array(WritableRegion.candidates(in: MemmapParameters.find(in: $0)).prefix(16)) } ?? []
    }

    /// Of a copy of a machine's files the configuration alone may tell.
    public var isPramKernel: Bool {
        kernelsHead != nil || !isLive && configuration.map { $0["CONFIG_PRAM"] != .off } ?? false
    }
}

/// kexec(8), and what is known of it.
public struct KexecTools {
    /// nil where it cannot be told.
    public var isInstalled: Bool?
    /// "2.0.29"; empty where it is not known.
    public var version: [UInt8] = []

    public init(isInstalled: Bool? = nil, version: [UInt8] = []) {
        self.isInstalled = isInstalled
        self.version = version
    }

    /// Whether it tries kexec_file_load first where nothing else is said, which it does since 2.0.26; nil where that is
    /// not known.
    public var prefersFileLoad: Bool? {
        let numbers = KexecTools.numbers(version)
        guard numbers.count >= 2 else { return nil }
        let wanted: [UInt64] = [2, 0, 26]
        for (index, number) in wanted.enumerated() {
            let own = index < numbers.count ? numbers[index] : 0
            if own != number { return own > number }
        }
        return true
    }

    /// The numbers at the start of a version: 2, 0, 29 of "2.0.29-1".
    static func numbers(_ version: [UInt8]) -> [UInt64] {
        let text = version.prefix { $0 == UInt8(ascii: ".") || $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
        return text.split(separator: UInt8(ascii: ".")).prefix(6).compactMap { decimalNumber($0) }
    }

    /// The word behind "kexec-tools" in what `kexec --version` says.
    static func version(in text: [UInt8]) -> [UInt8] {
        for line in text.split(separator: UInt8(ascii: "\n")) where line.begin(with: "kexec-tools ") {
            return Array(line.dropFirst(12).prefix { $0 > UInt8(ascii: " ") }.prefix(40))
        }
        return []
    }

    /// The version that a dpkg database names; nil where the package is not installed.
    static func version(inDpkgStatus text: [UInt8]) -> [UInt8]? {
        var isPackage = false
        var isInstalled = false
        for line in TextLines(text) {
            if line.begin(with: "Package: ") {
                isPackage = line.dropFirst(9).spell("kexec-tools")
                isInstalled = false
            } else if isPackage, line.begin(with: "Status: ") {
                isInstalled = line.suffix(10).spell(" installed")
            } else if isPackage, isInstalled, line.begin(with: "Version: ") {
                return Array(line.dropFirst(9).prefix(40))
            }
        }
        return nil
    }
}

/// The kernels that lie in /boot.
public struct BootKernels {
    /// Whether there is such a folder to look into.
    public var isKnown = false
    /// The one that starts where nothing else is said; nil where there is none.
    public var next: Kernel?

    public init() {}

    public struct Kernel {
        /// As this machine has them.
        public var path: [UInt8]
        public var initrd: [UInt8]?
        public var release: [UInt8]
        public var file: KernelFile

        public init(path: [UInt8], initrd: [UInt8]? = nil, release: [UInt8], file: KernelFile = .kernel) {
            self.path = path
            self.initrd = initrd
            self.release = release
            self.file = file
        }
    }

    /// Whether a release comes before another: numbers by their value, all else byte by byte.
    public static func isOlder(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        var (x, y) = (a[...], b[...])
        while let p = x.first, let q = y.first {
            if isDigit(p) && isDigit(q) {
                let (m, n) = (x.prefix(while: isDigit), y.prefix(while: isDigit))
                let (u, v) = (m.drop { $0 == UInt8(ascii: "0") }, n.drop { $0 == UInt8(ascii: "0") })
                if u.count != v.count { return u.count < v.count }
                if !u.elementsEqual(v) { return u.lexicographicallyPrecedes(v) }
                x = x.dropFirst(m.count)
                y = y.dropFirst(n.count)
            } else {
                if p != q { return p < q }
                x = x.dropFirst()
                y = y.dropFirst()
            }
        }
        return x.isEmpty && !y.isEmpty
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
}

/// What ties the program to systemd and to Debian's kexec-tools.
public struct UnitFiles {
    /// Whether there are units at all on this machine.
    public var isKnown = false
    /// pram-verify.service.
    public var unit = State.missing
    /// Debian's kexec-tools load a kernel on the way to a reboot (LOAD_KEXEC=true).
    public var debianLoads = false
    /// The file that makes them load it so that a chain lives.
    public var hasDebianHook = false

    public init() {}

    public enum State { case missing, disabled, masked, enabled }
}
