import KernelCommandLine
import Linux
import PRAM
import Text

/// What tells whether the former kernel has handed memory over to this one (KHO, Kexec HandOver), and whether this one
/// has taken it.
public struct HandOverEvidence: Sendable {
    /// Whether there is something from the former kernel: setup_data of type 10 (SETUP_KEXEC_KHO,
    /// arch/x86/include/uapi/asm/setup_data.h), on arm64 /chosen/linux,kho-fdt. nil where that cannot be told.
    public var arrived: Bool?
    /// "KHO: found kexec handover data."
    public var isFound = false
    /// Whether the kernel's log has everything from the start, so that what it does not have was not said.
    public var logIsWhole = false
    /// What the kernel says of a form that it does not know; empty where it does not.
    public var incompatible: [UInt8] = []
    /// Whether the command line has `kho=` or `liveupdate=`, as every line has that names a chain which is handed over so.
    public var isAskedFor = false

    public init() {}

    public static func collect(_ line: ParameterLine, _ paths: MachinePaths = MachinePaths()) -> HandOverEvidence {
        var evidence = HandOverEvidence()
        evidence.isAskedFor = line.contains(named: "kho") || line.contains(named: "liveupdate")
        evidence.arrived = arrival(paths)
        evidence.logIsWhole = KernelMessages.each { evidence.take($0) }
        return evidence
    }

    /// One message of the kernel, without its header.
    public mutating func take(_ message: ArraySlice<UInt8>) {
        guard message.begin(with: "KHO:") else { return }
        if has(message, "found kexec handover data") { isFound = true }
        if has(message, "incompatible"), incompatible.isEmpty { incompatible = Array(message.prefix(200)) }
    }

    /// /sys/kernel/boot_params/setup_data/N/type, `0x%x` (Documentation/ABI/testing/sysfs-kernel-boot_params).
    private static func arrival(_ paths: MachinePaths) -> Bool? {
        guard let names = try? Directory.names(in: paths.setupData) else {
            if FileDescriptor.exists(paths.handOverTree) { return true }
            // Without any setup_data there is no such folder; the boot parameters tell that there would be one.
            return FileDescriptor.exists(paths.bootParameters) ? false : nil
        }
        for name in names {
            let path = paths.setupData + [UInt8(ascii: "/")] + name + bytes("/type")
            guard let text = FileDescriptor.firstLine(of: path) else { continue }
            if (try? KernelNumber.kstrtoul(text)) == 10 { return true }
        }
        return false
    }

    /// Whether a chain that starts there is one that only such a hand-over can have carried: in memory that this kernel
    /// manages, reserved by nothing.
    /// - Parameter kernelsHead: what a kernel with pram holds; nil for a kernel without pram.
    public func concerns(_ head: PFN, _ machine: MachineEvidence, kernelsHead: UInt64?) -> Bool {
        guard kernelsHead == nil, isAskedFor || arrived == true else { return false }
        guard let address = head.address, let page = PhysicalRange(start: address, size: UInt64(pageSize)) else {
            return false
        }
        return !ReservedMemory(machine.line).contains(page)
            && machine.iomem.kernelMemory.contains { $0.contains(head) }
    }

    /// Why nothing can have arrived; nil where it may have.
    public var loss: Loss? {
        if !incompatible.isEmpty { return .refused }
        if arrived == false { return .never }
        return arrived == true && logIsWhole && !isFound ? .ignored : nil
    }

    public enum Loss: UInt64, Sendable {
        /// The former kernel has handed nothing over.
        case never = 1
        /// It has, in a form that this kernel does not know.
        case refused = 2
        /// This kernel has taken what came, and the chain's memory was not part of it.
        case notKept = 3
        /// Something has arrived, and this kernel does not know what it is.
        case ignored = 4
    }
}

/// Whether `text` has `word` in it.
private func has(_ text: ArraySlice<UInt8>, _ word: StaticString) -> Bool {
    var rest = text
    while !rest.isEmpty {
        if rest.begin(with: word) { return true }
        rest = rest.dropFirst()
    }
    return false
}

/// What the kernel says of page frames: /proc/kpageflags, 64 bits a frame
/// (Documentation/admin-guide/mm/pagemap.rst).
public struct FrameCensus: Sendable {
    /// Frames without any flag: those that were handed over and that nobody has taken out are so. (Others of the kernel's
    /// own are so, too.)
    public var held: UInt64 = 0
    /// Frames of a file in memory: taken out of the session, and open still.
    public var retrieved: UInt64 = 0
    /// Free, or in use for something else.
    public var others: UInt64 = 0
    /// Of which nothing is told.
    public var unknown: UInt64 = 0

    public init() {}

    public var total: UInt64 { held + retrieved + others + unknown }

    private static let slab: UInt64 = 1 << 7
    private static let buddy: UInt64 = 1 << 10
    private static let anonymous: UInt64 = 1 << 12
    private static let swapBacked: UInt64 = 1 << 14
    private static let noPage: UInt64 = 1 << 20
    private static let pageTable: UInt64 = 1 << 26

    public mutating func take(_ flags: UInt64) {
        let other = FrameCensus.slab | FrameCensus.buddy | FrameCensus.anonymous | FrameCensus.noPage
        if flags & ~FrameCensus.zeroPageBits == 0 {
            held += 1
        } else if flags & (other | FrameCensus.pageTable) == 0, flags & FrameCensus.swapBacked != 0 {
            retrieved += 1
        } else {
            others += 1
        }
    }

    /// KPF_RESERVED, and what a build without some of the flags sets nothing for.
    private static let zeroPageBits: UInt64 = 1 << 32

    /// Calls `body` with each run of page frames without any flag, in ascending order; false ends it.
    /// - Parameter isOver: asked every 16 MiB; true ends it, too.
    public static func forEachRunWithoutFlags(
        in range: PhysicalRange, _ paths: MachinePaths = MachinePaths(), isOver: () -> Bool = { false },
        _ body: (Range<UInt64>) -> Bool
    ) {
        guard let file = try? FileDescriptor.open(paths.pageFlags) else { return }
        var words = [UInt64](repeating: 0, count: 4096)
        var page = (range.start + UInt64(pageSize) - 1) / UInt64(pageSize)
        let end = range.last / UInt64(pageSize) + 1
        var start = page
        while page < end {
            if isOver() { return }
            let wanted = Int(min(UInt64(words.count), end - page))
            let (number, name) = (file.number, file.path)
            let got = words.withUnsafeMutableBytes { bytes -> Int in
                let room = UnsafeMutableRawBufferPointer(rebasing: bytes[..<(wanted * 8)])
                return (try? FileDescriptor.read(number, name, at: page * 8, into: room)) ?? 0
            }
            guard got >= 8 else { break }
            for word in words[..<(got / 8)] {
                if word & ~FrameCensus.zeroPageBits != 0 {
                    if start < page, !body(start..<page) { return }
                    start = page + 1
                }
                page += 1
            }
        }
        if start < page { _ = body(start..<page) }
    }

    /// - Parameter ranges: whole pages.
    public static func take(_ ranges: [PhysicalRange], _ paths: MachinePaths = MachinePaths()) -> FrameCensus {
        var census = FrameCensus()
        let file: FileDescriptor
        do throws(SystemError) { file = try FileDescriptor.open(paths.pageFlags) } catch {
            for range in ranges { census.unknown += range.size / UInt64(pageSize) }
            return census
        }
        var words = [UInt64](repeating: 0, count: 1024)
        for range in ranges {
            var page = range.start / UInt64(pageSize)
            let end = range.last / UInt64(pageSize) + 1
            while page < end {
                let run = Int(min(UInt64(words.count), end - page))
                let (number, name) = (file.number, file.path)
                let got = words.withUnsafeMutableBytes { bytes -> Int in
                    let room = UnsafeMutableRawBufferPointer(rebasing: bytes[..<(run * 8)])
                    do throws(SystemError) {
                        return try FileDescriptor.read(number, name, at: page * 8, into: room)
                    } catch {
                        return 0
                    }
                }
                for word in words[..<(got / 8)] { census.take(word) }
                census.unknown += UInt64(run - got / 8)
                page += UInt64(run)
            }
        }
        return census
    }
}
