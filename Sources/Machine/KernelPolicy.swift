import Linux
import Text

/// What the kernel lets this process do, as far as it says so: the evidence by which a refusal is explained.
public struct KernelPolicy: Sendable {
    /// The mode of the lockdown module (security/lockdown/lockdown.c).
    public enum Lockdown: UInt8, Sendable {
        case none, integrity, confidentiality
        /// No such file (securityfs is not mounted, or no CONFIG_SECURITY_LOCKDOWN_LSM), or words that are not known.
        case unknown
    }

    public let lockdown: Lockdown
    /// The effective user is 0.
    public let isRoot: Bool
    /// CAP_SYS_RAWIO, which opening /dev/mem and /proc/kcore takes; nil when it cannot be told.
    public let mayRawIO: Bool?

    public init(lockdown: Lockdown, isRoot: Bool, mayRawIO: Bool?) {
        self.lockdown = lockdown
        self.isRoot = isRoot
        self.mayRawIO = mayRawIO
    }

    public init(_ paths: MachinePaths) {
        lockdown = KernelPolicy.text(paths.lockdown).map(KernelPolicy.lockdown(in:)) ?? .unknown
        isRoot = effectiveUser() == 0
        mayRawIO = KernelPolicy.text(paths.status).flatMap { KernelPolicy.hasCapability(17, in: $0) }
    }

    /// From a line like `none [integrity] confidentiality`: the mode in brackets is the one in force.
    static func lockdown(in text: [UInt8]) -> Lockdown {
        guard let open = text.firstIndex(of: UInt8(ascii: "[")),
            let close = text[open...].firstIndex(of: UInt8(ascii: "]"))
        else { return .unknown }
        let word = text[(open + 1)..<close]
        if word.spell("none") { return .none }
        if word.spell("integrity") { return .integrity }
        return word.spell("confidentiality") ? .confidentiality : .unknown
    }

    /// Whether the line `CapEff:` of /proc/PID/status (16 hexadecimal digits) has the bit; nil without such a line.
    static func hasCapability(_ number: Int, in status: [UInt8]) -> Bool? {
        for line in status.split(separator: UInt8(ascii: "\n")) where line.begin(with: "CapEff:") {
            let digits = line.dropFirst(7).drop { $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: " ") }
            return hexadecimalNumber(digits).map { $0 >> UInt64(number) & 1 == 1 }
        }
        return nil
    }

    private static func text(_ path: [UInt8]) -> [UInt8]? {
        do throws(SystemError) {
            return try FileDescriptor.contents(of: path, limit: 1 << 16)
        } catch {
            return nil
        }
    }
}

/// The two files through which the kernel shows physical memory, and which it guards in the same way.
public enum MemoryInterface {
    case devMem, kcore

    /// Why opening it failed. open_port (drivers/char/mem.c) and open_kcore (fs/proc/kcore.c) both want CAP_SYS_RAWIO,
    /// then ask the lockdown module: LOCKDOWN_DEV_MEM is forbidden from `integrity` on, LOCKDOWN_KCORE from
    /// `confidentiality` on. All of that is EPERM.
    public func refusal(_ error: SystemError, _ policy: KernelPolicy) -> MemoryFailure {
        let source = escaped(error.path)
        switch error.code {
        case ErrorCode.noSuchFile, ErrorCode.noSuchDevice, ErrorCode.noSuchDriver:
            return missing(source)
        case ErrorCode.accessDenied:
            return MemoryFailure(
                .notPermitted, source: source, "\(source) may not be opened: \(error.reason)",
                remedy: policy.isRoot ? "check the file's permissions and the security modules" : "run this as root")
        case ErrorCode.notPermitted:
            return forbidden(source, policy)
        default:
            return MemoryFailure(.inputOutput, source: source, "\(source) cannot be opened: \(error.reason)")
        }
    }

    private func missing(_ source: String) -> MemoryFailure {
        switch self {
        case .devMem:
            MemoryFailure(
                .notConfigured, source: source,
                "\(source) does not exist: the kernel was built without CONFIG_DEVMEM, or /dev is not set up",
                remedy: "mount devtmpfs on /dev, or use a kernel with CONFIG_DEVMEM")
        case .kcore:
            MemoryFailure(
                .notConfigured, source: source,
                "\(source) does not exist: the kernel was built without CONFIG_PROC_KCORE, or /proc is not mounted",
                remedy: "mount /proc, or use a kernel with CONFIG_PROC_KCORE")
        }
    }

    private func forbidden(_ source: String, _ policy: KernelPolicy) -> MemoryFailure {
        if policy.mayRawIO == false || (policy.mayRawIO == nil && !policy.isRoot) {
            return MemoryFailure(
                .notPermitted, source: source, "\(source) may not be opened: this process lacks CAP_SYS_RAWIO",
                remedy: policy.isRoot ? "run this outside of the container or with CAP_SYS_RAWIO" : "run this as root")
        }
        let mode: StaticString
        switch (policy.lockdown, self) {
        case (.confidentiality, _): mode = "the kernel is locked down (confidentiality)"
        case (.integrity, .devMem): mode = "the kernel is locked down (integrity)"
        case (.unknown, _): mode = "the kernel is probably locked down (its mode could not be read)"
        case (.none, _), (.integrity, .kcore):
            return MemoryFailure(
                .notPermitted, source: source, "\(source) may not be opened, and not for a lockdown",
                remedy: "look for a security module that forbids it")
        }
        switch self {
        case .devMem:
            return MemoryFailure(
                .lockdown, source: source, "\(source) may not be opened: \(mode)",
                remedy: "start without Secure Boot or lockdown=, or put the chain into a memmap=nn!ss range, which "
                    + "stays readable as /dev/pmem0")
        case .kcore:
            return MemoryFailure(
                .lockdown, source: source, "\(source) may not be opened: \(mode)",
                remedy: "start without Secure Boot or with no more than lockdown=integrity")
        }
    }
}
