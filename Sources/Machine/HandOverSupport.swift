import KernelCommandLine
import Linux
import Text

/// Whether this kernel can keep memory over a kexec, and what is missing where it cannot.
public enum HandOverSupport {
    /// nil where /dev/liveupdate is there.
    public static func refusal(_ line: ParameterLine, _ paths: MachinePaths = MachinePaths()) -> MemoryFailure? {
        guard !FileDescriptor.exists(paths.liveUpdate) else { return nil }
        var isUnknown = false
        KernelMessages.each { message in
            guard message.begin(with: "Unknown kernel command line parameters") else { return }
            for word in message.split(separator: UInt8(ascii: " ")) {
                var word = word
                while let first = word.first, first == UInt8(ascii: "\"") { word = word.dropFirst() }
                if word.begin(with: "kho=") || word.begin(with: "liveupdate=") { isUnknown = true }
            }
        }
        return refusal(line, isUnknown: isUnknown)
    }

    /// Pure.
    /// - Parameter isUnknown: whether the kernel has said that it knows one of the two parameters not.
    static func refusal(_ line: ParameterLine, isUnknown: Bool) -> MemoryFailure {
        let (kho, update) = (isOn("kho", line), isOn("liveupdate", line))
        let message: StaticString
        let remedy: StaticString
        if isUnknown || kho && update {
            message = "this kernel has no support for keeping memory over a kexec (/dev/liveupdate is not there)"
            remedy = "use a kernel with CONFIG_LIVEUPDATE and CONFIG_LIVEUPDATE_MEMFD, or a range of memmap=nn$ss"
        } else if !kho && !update {
            message =
                "kho=on and liveupdate=on are missing on this kernel's command line (/dev/liveupdate is not there)"
            remedy = "start the kernel with both; a kernel before 7.1, or without CONFIG_LIVEUPDATE, has no support"
        } else if update {
            message = "kho=on is missing on this kernel's command line (/dev/liveupdate is not there)"
            remedy = "start the kernel with kho=on and liveupdate=on"
        } else {
            message = "liveupdate=on is missing on this kernel's command line (/dev/liveupdate is not there)"
            remedy = "start the kernel with kho=on and liveupdate=on"
        }
        return MemoryFailure(
            .notConfigured, source: "/dev/liveupdate", Phrase("\(message)"), remedy: Phrase("\(remedy)"))
    }

    /// As the kernel reads a switch (kstrtobool): the last one that it can read wins.
    public static func isOn(_ name: ParameterName, _ line: ParameterLine) -> Bool {
        var isOn = false
        for parameter in line.all(named: name) {
            guard let value = parameter.value, let first = value.first else { continue }
            switch first | 0x20 {
            case UInt8(ascii: "y"), UInt8(ascii: "t"), UInt8(ascii: "1"): isOn = true
            case UInt8(ascii: "n"), UInt8(ascii: "f"), UInt8(ascii: "0"): isOn = false
            case UInt8(ascii: "o"):
                let second = value.dropFirst().first.map { $0 | 0x20 }
                if second == UInt8(ascii: "n") { isOn = true }
                if second == UInt8(ascii: "f") { isOn = false }
            default: break
            }
        }
        return isOn
    }
}

/// How much memory a chain may take that is kept over a kexec.
public struct HandOverRoom: Sendable {
    /// Bytes that are free outside of what the kernel sets aside for the next one (CMA): only there memory can be kept,
    /// and the next kernel's image is loaded there, too.
    public var free: UInt64
    /// Twice the next kernel's and its initrd's files.
    public var forKernel: UInt64

    public init(free: UInt64, forKernel: UInt64) {
        self.free = free
        self.forKernel = forKernel
    }

    /// - Parameter bytes: of the chain.
    public func hasRoom(for bytes: UInt64) -> Bool {
        let (needed, overflow) = bytes.addingReportingOverflow(forKernel)
        return !overflow && free > needed
    }

    /// Lines of /proc/meminfo: `MemFree:         12345 kB`. MemFree less CmaFree, in bytes; nil without the former.
    public static func free(in text: [UInt8]) -> UInt64? {
        guard let all = kilobytes("MemFree:", in: text) else { return nil }
        let kept = kilobytes("CmaFree:", in: text) ?? 0
        return all > kept ? (all - kept) << 10 : 0
    }

    static func kilobytes(_ name: StaticString, in text: [UInt8]) -> UInt64? {
        for line in text.split(separator: UInt8(ascii: "\n")) where line.begin(with: name) {
            for word in line.split(separator: UInt8(ascii: " ")).dropFirst() {
                guard let number = decimalNumber(word), number < 1 << 50 else { return nil }
                return number
            }
        }
        return nil
    }

    /// - Returns: nil where /proc/meminfo does not tell.
    public static func freeNow(_ paths: MachinePaths = MachinePaths()) -> UInt64? {
        guard let text = try? FileDescriptor.contents(of: paths.memoryInformation, limit: 1 << 16) else { return nil }
        return free(in: text)
    }

    /// MemFree alone, in bytes.
    public static func memFree(_ paths: MachinePaths = MachinePaths()) -> UInt64? {
        guard let text = try? FileDescriptor.contents(of: paths.memoryInformation, limit: 1 << 16) else { return nil }
        return kilobytes("MemFree:", in: text).map { $0 << 10 }
    }

    /// Has the kernel drop what it keeps of files on disks and can read again (/proc/sys/vm/drop_caches).
    public static func dropCaches() {
        guard let file = try? FileDescriptor.openForUpdate(Array("/proc/sys/vm/drop_caches".utf8)) else { return }
        try? file.write(Array("1\n".utf8), at: 0)
    }
}
