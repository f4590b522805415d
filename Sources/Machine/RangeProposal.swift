import KernelCommandLine
import PRAM
import Text

/// A range that could be set aside for chains on this machine: one that `save` will accept once it is on the command
/// line, and that nothing else is likely to need.
public struct RangeProposal: Equatable, Sendable {
    public let range: PhysicalRange
    /// Whether other `memmap=` are on the line already, before which this one has to stand: KASLR heeds the first four.
    public let standsBeforeOthers: Bool

    /// What is proposed where nobody says how large it is to be.
    public static let usualSize: UInt64 = 64 << 20
    /// Ranges begin and end at multiples of this.
    static let alignment: UInt64 = 2 << 20
    /// Below it kernels are unpacked, and kexec -c needs room for the next one and its initrd.
    static let lowest: UInt64 = 128 << 20
    /// What is left free behind the end of the kernel, for the next one may be larger.
    static let behindKernel: UInt64 = 64 << 20
    /// What is left free at the end of a piece of RAM, at the least: initrds, kexec's segments and early allocations of
    /// the kernel go to the top.
    static let belowTop: UInt64 = 32 << 20

    /// Where a kernel for x86 lies when nobody moved it (CONFIG_PHYSICAL_START).
    private static let usualKernelStart: UInt64 = 16 << 20

    /// How many places are looked at in one piece of RAM.
    private static let startLimit = 512
    /// How many pieces of RAM are looked at; a machine has some ten.
    private static let pieceLimit = 2048

    /// nil where there is no such range, or too little is known.
    /// - Parameter size: in bytes; made a multiple of 2 MiB.
    public static func find(_ size: UInt64, in evidence: SetupEvidence) -> RangeProposal? {
        find(size, in: evidence, heedingKernel: true)
            ?? (evidence.machine.map(hasMovingKernel) == true ? find(size, in: evidence, heedingKernel: false) : nil)
    }

    /// Whether KASLR chose where this kernel lies: on the next boot it chooses again, and keeps off the range.
    private static func hasMovingKernel(_ machine: MachineEvidence) -> Bool {
        guard !machine.line.contains(named: "nokaslr"),
            let start = machine.iomem.resources.first(where: isKernel)?.range.start
        else { return false }
        return start != usualKernelStart
    }

    private static func isKernel(_ resource: Iomem.Resource) -> Bool { resource.name.begin(with: "Kernel ") }

    private static func find(_ size: UInt64, in evidence: SetupEvidence, heedingKernel: Bool) -> RangeProposal? {
        guard let machine = evidence.machine, let firmware = machine.firmware, !machine.isCrashKernel,
            size > 0, size <= 1 << 50, machine.iomem.skippedLines == 0, !machine.iomem.addressesAreHidden
        else { return nil }
        let size = (size + alignment - 1) & ~(alignment - 1)
        let taken = obstacles(machine, heedingKernel: heedingKernel) + evidence.efi
        let floor = heedingKernel ? lowestStart(machine.iomem) : lowest
        var best: (start: UInt64, distance: UInt64)?
        for piece in pieces(machine.iomem, firmware) {
            guard let (low, high) = bounds(piece, size, floor) else { continue }
            // In the middle, as far from both ends as may be.
            let wanted = low + (high - low) / 2
            var starts = starts(low, high, wanted, size, avoiding: taken)
            starts.sort { distance($0, wanted) < distance($1, wanted) }
            for start in starts.prefix(startLimit) where isAccepted(start, size, machine, taken) {
                let distance = distance(start, wanted)
                if best.map({ isPreferred(start, distance, to: $0) }) ?? true { best = (start, distance) }
                break
            }
        }
        guard let best, let range = PhysicalRange(start: best.start, size: size) else { return nil }
        let others = !MemmapParameters.find(in: machine.line).regions.isEmpty
        return RangeProposal(range: range, standsBeforeOthers: others)
    }

    /// Memory below 4 GiB is there on every machine and in every kernel's view; there the middle counts.
    private static func isPreferred(
        _ start: UInt64, _ distance: UInt64, to best: (start: UInt64, distance: UInt64)
    ) -> Bool {
        let (isLow, bestIsLow) = (start < 1 << 32, best.start < 1 << 32)
        return isLow == bestIsLow ? distance < best.distance : isLow
    }

    private static func distance(_ a: UInt64, _ b: UInt64) -> UInt64 { a > b ? a - b : b - a }

    // MARK: - Where

    /// RAM by the firmware's word that this kernel manages: each piece lies in one resource at the top level, and what
    /// touches is joined.
    private static func pieces(_ iomem: Iomem, _ firmware: FirmwareMap) -> [PhysicalRange] {
        var ram: [PhysicalRange] = []
        for entry in firmware.entries where entry.type.spell("System RAM") { ram.append(entry.range) }
        ram.sort { $0.start < $1.start }
        var joined: [PhysicalRange] = []
        for range in ram {
            if let last = joined.last, last.last != .max, range.start <= last.last + 1,
                let both = PhysicalRange(start: last.start, last: max(last.last, range.last))
            {
                joined[joined.count - 1] = both
            } else {
                joined.append(range)
            }
        }
        var pieces: [PhysicalRange] = []
        for managed in iomem.systemRAM.prefix(pieceLimit) {
            for range in joined.prefix(pieceLimit) where range.overlaps(managed) {
                let piece = PhysicalRange(start: max(range.start, managed.start), last: min(range.last, managed.last))
                if let piece { pieces.append(piece) }
            }
        }
        if pieces.count > 64 {
            pieces.sort { $0.size > $1.size }
            pieces.removeLast(pieces.count - 64)
        }
        return pieces
    }

    /// What nobody may be put on: all that is printed below System RAM, and what does not show there.
    private static func obstacles(_ machine: MachineEvidence, heedingKernel: Bool) -> [PhysicalRange] {
        var taken: [PhysicalRange] = []
        for resource in machine.iomem.resources where resource.depth > 0 || !resource.name.spell("System RAM") {
            guard heedingKernel || !isKernel(resource) else { continue }
            taken.append(resource.range)
        }
        for entry in machine.firmware?.entries ?? [] where !entry.type.spell("System RAM") { taken.append(entry.range) }
        let line = machine.line
        taken += WritableRegion.crashReservations(on: line) + WritableRegion.initrds(on: line)
        taken += [machine.initrd, machine.ramoops, WritableRegion.ramoops(on: line)].compactMap { $0 }
        for region in MemmapParameters.find(in: line).regions {
            guard let start = region.start, region.size > 0 else { continue }
            if let range = PhysicalRange(start: start, size: region.size) ?? PhysicalRange(start: start, last: .max) {
                taken.append(range)
            }
        }
        for region in BannedRegions.find(in: line).regions {
            if let range = PhysicalRange(start: region.start, end: region.end) { taken.append(range) }
        }
        return taken
    }

    /// Behind the kernel, wherever it lies.
    private static func lowestStart(_ iomem: Iomem) -> UInt64 {
        var floor = lowest
        for resource in iomem.resources where isKernel(resource) {
            // With KASLR it may lie high up, and the next one elsewhere.
            guard resource.range.last < 1 << 30 else { continue }
            floor = max(floor, resource.range.last + behindKernel)
        }
        return (floor + alignment - 1) & ~(alignment - 1)
    }

    /// The lowest and the highest start in a piece of RAM.
    private static func bounds(_ piece: PhysicalRange, _ size: UInt64, _ floor: UInt64) -> (UInt64, UInt64)? {
        let margin = max(belowTop, piece.size / 8)
        guard piece.last < 1 << 52, piece.size > margin, piece.size - margin >= size else { return nil }
        let highest = (piece.last - margin + 1 - size) & ~(alignment - 1)
        let (start, overflow) = max(piece.start, floor).addingReportingOverflow(alignment - 1)
        let low = start & ~(alignment - 1)
        guard !overflow, low <= highest else { return nil }
        return (low, highest)
    }

    /// Starts worth looking at: the middle, and next to whatever lies in the way.
    private static func starts(
        _ low: UInt64, _ high: UInt64, _ wanted: UInt64, _ size: UInt64, avoiding taken: [PhysicalRange]
    ) -> [UInt64] {
        let coarse: UInt64 = 16 << 20
        var starts = [wanted & ~(coarse - 1), wanted & ~(alignment - 1), low, high]
        for other in taken where other.last >= low && other.start <= high.addingReportingOverflow(size).partialValue {
            if other.last < high { starts.append((other.last + alignment) & ~(alignment - 1)) }
            if other.start >= low + size { starts.append((other.start - size) & ~(alignment - 1)) }
            // On to the next round number, where there is room.
            if other.last < high { starts.append((other.last + coarse) & ~(coarse - 1)) }
        }
        return starts.filter { $0 >= low && $0 <= high }
    }

    /// The very rules by which `save` goes, for the range as it would be.
    private static func isAccepted(
        _ start: UInt64, _ size: UInt64, _ machine: MachineEvidence, _ taken: [PhysicalRange]
    ) -> Bool {
        guard let range = PhysicalRange(start: start, size: size), !taken.contains(where: { $0.overlaps(range) }) else {
            return false
        }
        do throws(WriteRefusal) {
            try WritableRegion(range: range, kind: .persistent).checkBeforeReserved(machine)
            return true
        } catch {
            return false
        }
    }

    // MARK: - How it is written

    public enum Spelling: CaseIterable {
        /// `memmap=nn!ss`, which no boot loader spoils, and which stays readable under a lockdown.
        case persistent
        /// `memmap=nn$ss`
        case reserved
    }

    /// As the kernel is to read it.
    public func parameter(_ spelling: Spelling) -> String {
        let mark: StaticString = spelling == .persistent ? "!" : "$"
        return Phrase("memmap=\(sizeText)\(mark)\(hexadecimal(range.start))").text
    }

    /// As it stands between double quotes in /etc/default/grub: a shell takes the first backslash and keeps `\$`, and
    /// GRUB takes the second.
    public func grubParameter(_ spelling: Spelling) -> String {
        let mark: StaticString = spelling == .persistent ? "!" : "\\\\\\$"
        return Phrase("memmap=\(sizeText)\(mark)\(hexadecimal(range.start))").text
    }

    /// The whole line of /etc/default/grub.
    /// - Parameter present: what stands between the quotes now.
    public func grubLine(_ spelling: Spelling, _ present: [UInt8]?) -> String {
        let present = escapedForPrinting(present ?? [])
        let blank: StaticString = present.utf8.isEmpty ? "" : " "
        return Phrase("GRUB_CMDLINE_LINUX=\"\(grubParameter(spelling))\(blank)\(present)\"").text
    }

    /// Backslashes belong to what an administrator copies; all else that is not printable is shown as such.
    private func escapedForPrinting(_ text: [UInt8]) -> String {
        var out: [UInt8] = []
        for byte in text {
            if byte == UInt8(ascii: "\\") { out.append(byte) } else { out += Array(escaped([byte]).utf8) }
        }
        return String(decoding: out, as: UTF8.self)
    }

    private var sizeText: String {
        if range.size % (1 << 30) == 0 { return Phrase("\(range.size >> 30)G").text }
        return Phrase("\(range.size >> 20)M").text
    }
}

extension WritableRegion {
    /// The rules that do not depend on whether the range is set aside already.
    func checkBeforeReserved(_ machine: MachineEvidence) throws(WriteRefusal) {
        try WritableRegion.refuseCrashKernel(machine)
        try checkAlignment()
        try checkRamoops(machine)
        try checkCrashReservation(machine)
        try checkInitrd(machine)
        try checkFirmware(machine.firmware)
    }
}
