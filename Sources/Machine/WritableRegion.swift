import KernelCommandLine
import PRAM
import Text

/// The one place in physical memory that may be written to, found by rules that nothing waives.
///
/// Before the first byte: a parameter of this kernel's command line names the range; the firmware calls all of it
/// System RAM, so that it is no device; /proc/iomem shows that this kernel keeps off it and that no driver uses it;
/// and it is nobody else's: not ramoops's, not the crash kernel's, not the initrd's. A crash kernel writes nothing at
/// all.
public struct WritableRegion: Equatable {
    public enum Kind: Int {
        /// `memmap=nn$ss`
        case reserved
        /// `memmap=nn!ss`
        case persistent

        public var name: StaticString {
            switch self {
            case .reserved: "reserved"
            case .persistent: "persistent"
            }
        }
    }

    /// In bytes; whole pages, at least two.
    public let range: PhysicalRange
    public let kind: Kind

    /// A head page and one more: less holds no file.
    public static let smallest = 2 * UInt64(pageSize)

    /// Pure: whatever is to be known of the machine is in `machine`.
    /// - Parameter wanted: what --region says. nil: the only range that is named.
    public static func find(_ wanted: PhysicalRange?, in machine: MachineEvidence) throws(WriteRefusal)
        -> WritableRegion
    {
        try refuseCrashKernel(machine)
        let memmap = MemmapParameters.find(in: machine.line)
        let named = candidates(in: memmap)
        guard !named.isEmpty else { throw nothingNamed(memmap) }

        let chosen: [WritableRegion]
        if let wanted {
            chosen = named.filter { $0.range.contains(wanted) }.map { WritableRegion(range: wanted, kind: $0.kind) }
            if chosen.isEmpty { throw outside(wanted, of: named) }
        } else if named.count > 1 {
            throw WriteRefusal(
                .severalCandidates, "memmap= names several ranges: " + list(named),
                remedy: "choose one with --region START+SIZE")
        } else {
            chosen = named
        }
        // Several ranges can hold the wanted one when they overlap: the kinds differ, and the kernel knows which one
        // it made.
        var refusal: WriteRefusal?
        for region in chosen {
            do throws(WriteRefusal) {
                try region.check(machine)
                return region
            } catch {
                refusal = refusal ?? error
            }
        }
        throw refusal ?? nothingNamed(memmap)
    }

    /// The rules for a pmem device, which the caller has named: its range need not be on the command line, for it may
    /// be hardware, and it is claimed by its driver, through which it is written.
    public static func check(device range: PhysicalRange, in machine: MachineEvidence) throws(WriteRefusal) {
        try refuseCrashKernel(machine)
        try WritableRegion(range: range, kind: .persistent).checkOthers(machine)
        try checkReadable(machine.iomem)
        guard let outermost = machine.iomem.owners(of: range).first(where: { $0.depth == 0 }),
            outermost.name.starts(with: "Persistent Memory".utf8)
        else {
            throw WriteRefusal(
                .notReserved, "/proc/iomem does not call \(range.text) Persistent Memory",
                remedy: "use a device of memory that memmap=nn!ss sets aside")
        }
        if machine.iomem.isKernelMemory(anywhereIn: range) {
            throw WriteRefusal(
                .claimed, "\(range.text) holds System RAM that this kernel manages (dax/kmem)",
                remedy: "take the device out of system-ram mode: daxctl reconfigure-device --mode=devdax")
        }
    }

    // MARK: The command line

    /// Each range once, in the order of the line: a line that was put together by --reuse-cmdline names them twice.
    /// Those whose numbers the kernel did not take as they are written do not count, nor do those that pass 2^64.
    static func candidates(in memmap: MemmapParameters) -> [WritableRegion] {
        var found: [WritableRegion] = []
        for region in memmap.inEffect {
            guard let kind = kind(of: region), !region.wrapped, !region.startIsMissing, let start = region.start,
                let range = PhysicalRange(start: start, size: region.size)
            else { continue }
            let candidate = WritableRegion(range: range, kind: kind)
            if !found.contains(candidate) { found.append(candidate) }
        }
        return found
    }

    private static func kind(of region: MemoryMapRegion) -> Kind? {
        switch region.kind {
        case .reserved: .reserved
        case .persistent: .persistent
        default: nil
        }
    }

    static func nothingNamed(_ memmap: MemmapParameters) -> WriteRefusal {
        for region in memmap.inEffect {
            guard let value = region.parameter.value else { continue }
            let element = "memmap=" + escaped(value[region.range.clamped(to: value.indices)])
            let isLost: Bool
            switch region.kind {
            case .suspectLostDollar, .limit: isLost = true
            case .reserved: isLost = region.startIsMissing
            default: isLost = false
            }
            guard isLost else { continue }
            return WriteRefusal(
                .lostDollar,
                "\(element) on this kernel's command line reserves nothing: "
                    + (region.kind == .limit
                        ? "it limits the memory; if nn$ss was meant, something took the $ for a variable"
                        : "a boot loader or a shell took its $ for a variable"),
                remedy: "write \\$ in grub.cfg, \\\\\\$ in GRUB_CMDLINE_LINUX of /etc/default/grub, and look at "
                    + "/proc/cmdline after the next boot")
        }
        return WriteRefusal(
            .notNamed, "this kernel's command line reserves no memory for a chain",
            remedy: "boot with memmap=nn$ss (or memmap=nn!ss) on the command lines of both kernels, nn being the size "
                + "and ss the start of a range of RAM")
    }

    private static func outside(_ wanted: PhysicalRange, of named: [WritableRegion]) -> WriteRefusal {
        if let turned = PhysicalRange(start: wanted.size, size: wanted.start),
            named.contains(where: { $0.range.contains(turned) })
        {
            return WriteRefusal(
                .notNamed, "\(wanted.text) is not named by memmap=; the other way round it is",
                remedy: "the start comes first: --region \(turned.text)")
        }
        if named.contains(where: { $0.range.overlaps(wanted) }) {
            return WriteRefusal(
                .outsideCandidate, "\(wanted.text) reaches out of what memmap= names: " + list(named),
                remedy: "choose a --region inside of one of these ranges")
        }
        return WriteRefusal(
            .notNamed,
            "\(wanted.text) is not named by memmap= on this kernel's command line, which names " + list(named),
            remedy: "choose a --region inside of what is named, or name it: memmap=nn$ss")
    }

    // MARK: The rules for the range itself

    public static func refuseCrashKernel(_ machine: MachineEvidence) throws(WriteRefusal) {
        guard machine.isCrashKernel else { return }
        throw WriteRefusal(
            .crashKernel, "this is a crash kernel: it writes to no memory but its own",
            remedy: "read the chain with check, list or extract, and write after a normal boot")
    }

    private func check(_ machine: MachineEvidence) throws(WriteRefusal) {
        try checkAlignment()
        try checkOthers(machine)
        try checkFirmware(machine.firmware)
        try checkIomem(machine.iomem)
    }

    func checkAlignment() throws(WriteRefusal) {
        let page = UInt64(pageSize)
        let isAligned = range.start % page == 0 && range.last % page == page - 1
        if !isAligned {
            let whole = wholePages
            throw WriteRefusal(
                .notAligned, "\(range.text) does not consist of whole pages",
                remedy: whole.map { "use --region \($0.text), the pages that lie in it" }
                    ?? "name at least two whole pages, both numbers being multiples of 4096")
        }
        guard range.size >= WritableRegion.smallest else {
            throw WriteRefusal(
                .tooSmall, "\(range.text) is too small: a chain takes two pages and more",
                remedy: "reserve more: memmap=16M$ss")
        }
    }

    /// nil when there are fewer than two.
    private var wholePages: PhysicalRange? {
        let page = UInt64(pageSize)
        let (up, overflow) = range.start.addingReportingOverflow(page - 1)
        // The end of the last whole page, exclusive; 2^64 itself is left out.
        let end = (range.last == .max ? .max : range.last + 1) & ~(page - 1)
        guard !overflow, let whole = PhysicalRange(start: up & ~(page - 1), end: end),
            whole.size >= WritableRegion.smallest
        else { return nil }
        return whole
    }

    /// Memory of others that need not show in /proc/iomem: ramoops maps what has a struct page without asking
    /// (persistent_ram_vmap in fs/pstore/ram_core.c), and an initrd never shows.
    private func checkOthers(_ machine: MachineEvidence) throws(WriteRefusal) {
        try checkRamoops(machine)
        try checkCrashReservation(machine)
        try checkInitrd(machine)
    }

    func checkRamoops(_ machine: MachineEvidence) throws(WriteRefusal) {
        let line = machine.line
        if [machine.ramoops, WritableRegion.ramoops(on: line)].contains(where: overlaps)
            || machine.iomem.resources.contains(where: { $0.isRamoops && $0.range.overlaps(range) })
        {
            throw WriteRefusal(
                .ramoops, "\(text) is ramoops's, which keeps the logs of crashed kernels there",
                remedy: "choose another range, or move ramoops.mem_address")
        }
    }

    func checkCrashReservation(_ machine: MachineEvidence) throws(WriteRefusal) {
        if WritableRegion.crashReservations(on: machine.line).contains(where: { range.overlaps($0) })
            || machine.iomem.resources.contains(where: {
                $0.name.elementsEqual("Crash kernel".utf8) && $0.range.overlaps(range)
            })
        {
            throw WriteRefusal(
                .crashReservation, "\(text) is set aside for the crash kernel",
                remedy: "choose another range, or another address for crashkernel=")
        }
    }

    func checkInitrd(_ machine: MachineEvidence) throws(WriteRefusal) {
        if overlaps(machine.initrd) || WritableRegion.initrds(on: machine.line).contains(where: { range.overlaps($0) })
        {
            throw WriteRefusal(
                .initrd, "\(text) is where the boot loader put the initrd",
                remedy: "choose another range")
        }
    }

    private func overlaps(_ other: PhysicalRange?) -> Bool { other.map { range.overlaps($0) } ?? false }

    /// The firmware's map knows nothing of `memmap=`. What it calls System RAM is RAM and no device.
    func checkFirmware(_ firmware: FirmwareMap?) throws(WriteRefusal) {
        guard let firmware else {
            throw WriteRefusal(
                .firmwareMapMissing,
                "there is no firmware's memory map to tell RAM from devices (/sys/firmware/memmap)",
                remedy: "mount /sys, or use a kernel with CONFIG_FIRMWARE_MEMMAP")
        }
        let other = firmware.entries.contains {
            !$0.type.elementsEqual("System RAM".utf8) && $0.range.overlaps(range)
        }
        let ram = firmware.entries.filter { $0.type.elementsEqual("System RAM".utf8) }.map { $0.range }
        guard !other, range.isCovered(by: ram) else {
            throw WriteRefusal(
                .notFirmwareRAM, "the firmware does not call all of \(text) System RAM, so it may be a device's",
                remedy: "choose a range inside of what /sys/firmware/memmap calls System RAM")
        }
    }

    /// The kernel's own view: one resource at the top level holds all of it under the name that `memmap=` gives, and no
    /// other resource touches it. Older kernels write `reserved` (e820_type_to_string in arch/x86/kernel/e820.c).
    func checkIomem(_ iomem: Iomem) throws(WriteRefusal) {
        try WritableRegion.checkReadable(iomem)
        guard let owner = iomem.resources.first(where: { $0.depth == 0 && $0.range.contains(range) }),
            isName(owner.name)
        else {
            let owners = iomem.resources.filter { $0.depth == 0 && $0.range.overlaps(range) }
            let names = owners.map { "\"\(escaped($0.name))\"" }.joined(separator: " and ")
            throw WriteRefusal(
                .notReserved,
                "/proc/iomem shows \(text) as \(owners.isEmpty ? "nothing" : names), not as "
                    + (kind == .reserved ? "Reserved" : "Persistent Memory"),
                remedy: "let memmap= name RAM that nothing else on the command line names")
        }
        if let child = iomem.resources.first(where: { $0.depth > 0 && $0.range.overlaps(range) }) {
            let isPmem = kind == .persistent && child.name.starts(with: "namespace".utf8)
            throw WriteRefusal(
                .claimed, "a driver uses \(text): \"\(escaped(child.name))\"",
                remedy: isPmem ? "write through its device: --device /dev/pmemN" : "choose another range")
        }
    }

    private static func checkReadable(_ iomem: Iomem) throws(WriteRefusal) {
        guard iomem.skippedLines == 0, !iomem.addressesAreHidden else {
            throw WriteRefusal(
                .iomemUnclear, "/proc/iomem cannot be understood, so nobody knows who uses which memory",
                remedy: iomem.addressesAreHidden
                    ? "run this as root, outside of containers" : "report its text as a bug")
        }
    }

    private func isName(_ name: [UInt8]) -> Bool {
        switch kind {
        case .reserved: name.elementsEqual("Reserved".utf8) || name.elementsEqual("reserved".utf8)
        case .persistent:
            name.elementsEqual("Persistent Memory (legacy)".utf8) || name.elementsEqual("Persistent Memory".utf8)
        }
    }

    // MARK: Memory that others were given on the command line

    /// `ramoops.mem_address=` and `ramoops.mem_size=`: for a driver that is still to be loaded. Without a size it does
    /// nothing, but then the address alone tells what was meant.
    static func ramoops(on line: ParameterLine) -> PhysicalRange? {
        guard let address = line.last(named: "ramoops.mem_address")?.value,
            let start = try? KernelNumber.kstrtoul(address)
        else { return nil }
        let size = line.last(named: "ramoops.mem_size")?.value.flatMap { try? KernelNumber.kstrtoul($0) } ?? 1
        return PhysicalRange(start: start, size: max(size, 1)) ?? PhysicalRange(start: start, last: .max)
    }

    /// Those with an address. Of a list of ranges the size is not known here; /proc/iomem tells where it was granted.
    public static func crashReservations(on line: ParameterLine) -> [PhysicalRange] {
        CrashKernelReservation.all(in: line).compactMap {
            guard let start = $0.offset?.value else { return nil }
            return PhysicalRange(start: start, size: max($0.size?.value ?? 1, 1))
                ?? PhysicalRange(start: start, last: .max)
        }
    }

    /// `initrdmem=ss,nn`, and `initrd=ss,nn` as it was called before (init/do_mounts_initrd.c). Where a boot loader
    /// left the name of a file there is no number.
    public static func initrds(on line: ParameterLine) -> [PhysicalRange] {
        (line.all(named: "initrdmem") + line.all(named: "initrd")).compactMap {
            guard let value = $0.value else { return nil }
            let start = KernelNumber.memparse(value)
            guard start.rest.count < value.count, start.rest.first == UInt8(ascii: ",") else { return nil }
            let size = KernelNumber.memparse(start.rest.dropFirst()).value
            return PhysicalRange(start: start.value, size: size)
                ?? (size == 0 ? nil : PhysicalRange(start: start.value, last: .max))
        }
    }

    // MARK: Words

    private var text: String { range.text }

    private static func list(_ named: [WritableRegion]) -> Phrase {
        Phrase(named.map { "\($0.range.text) (\($0.kind.name))" }.joined(separator: ", "))
    }
}

extension Iomem.Resource {
    /// The names the driver gives its memory: "ramoops", "ramoops:dump(0/4)"; older kernels "persistent_ram".
    var isRamoops: Bool {
        name.starts(with: "ramoops".utf8) || name.starts(with: "persistent_ram".utf8)
    }
}
