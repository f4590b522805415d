import KernelCommandLine
import PRAM
import Text

/// What is about to destroy a chain, or has done so: who else was given its pages.
public final class Hazards {
    private let systemRAM: [PhysicalRange]
    private let crashKernel: [PhysicalRange]
    private let initrd: [PhysicalRange]
    private let ramoops: [PhysicalRange]
    private let lacksNokaslr: Bool
    private let isStock: Bool
    private let reserved: ReservedMemory
    private let kaslr: KaslrView
    /// All that was looked at.
    public private(set) var pages = PageRuns()
    private var inSystemRAM: UInt64 = 0
    private var isHandedOver = false
    private var inCrashKernel: UInt64 = 0
    private var inInitrd: UInt64 = 0
    private var inRamoops: UInt64 = 0
    private var unseenByKaslr: UInt64 = 0
    private var whyUnseen: KaslrView.Unseen?

    /// - Parameter kernelsHead: what a kernel with pram holds, 0 for nothing; nil for a kernel without pram.
    public init(_ machine: MachineEvidence, kernelsHead: UInt64?) {
        let crash: StaticString = "Crash kernel"
        crashKernel =
            machine.iomem.resources
            .filter { resource in crash.withUTF8Buffer { $0.elementsEqual(resource.name) } }.map { $0.range }
            + WritableRegion.crashReservations(on: machine.line)
        initrd = (machine.initrd.map { [$0] } ?? []) + WritableRegion.initrds(on: machine.line)
        ramoops = [machine.ramoops, WritableRegion.ramoops(on: machine.line)].compactMap { $0 }
        // A kernel that holds a chain has reserved its pages.
        systemRAM = kernelsHead ?? 0 == 0 ? machine.iomem.kernelMemory : []
        reserved = ReservedMemory(machine.line)
        kaslr = KaslrView(machine.line)
        isStock = kernelsHead == nil
        lacksNokaslr = kernelsHead != nil && !machine.line.contains(named: "nokaslr")
    }

    public func look(at page: PFN) {
        pages.insert(page)
        if isStock, let address = page.address, let range = PhysicalRange(start: address, size: UInt64(pageSize)),
            reserved.contains(range), case .unseen(let reason) = kaslr.covers(start: range.start, last: range.last)
        {
            unseenByKaslr += 1
            whyUnseen = reason
        } else if systemRAM.contains(where: { $0.contains(page) }) {
            inSystemRAM += 1
        }
        if crashKernel.contains(where: { $0.contains(page) }) { inCrashKernel += 1 }
        if initrd.contains(where: { $0.contains(page) }) { inInitrd += 1 }
        if ramoops.contains(where: { $0.contains(page) }) { inRamoops += 1 }
    }

    /// A chain that the former kernel has handed over lies in memory that this one leaves alone, although the memory map
    /// does not show it.
    public func disregard(managed: Bool) { isHandedOver = managed }

    public var sentences: [String] {
        var sentences: [String] = []
        func add(_ count: UInt64, _ text: StaticString) {
            let pages = counted(Int(clamping: count), "page")
            if count > 0 { sentences.append(Phrase("\(pages) of the chain \(text)").text) }
        }
        if !isHandedOver {
            add(inSystemRAM, "in memory that this kernel manages and reuses: its command line lacks memmap=nn$ss")
        }
        add(inCrashKernel, "in what crashkernel= sets aside")
        add(inRamoops, "where ramoops keeps the logs of crashed kernels")
        add(inInitrd, "where the boot loader put the initrd")
        if let whyUnseen {
            let pages = counted(Int(clamping: unseenByKaslr), "page")
            sentences.append(
                Phrase(
                    "\(pages) of the chain where KASLR may have put this kernel, and may put the next: "
                        + "\(whyUnseen.sentence); put the range's memmap= before all others, or nokaslr on the line"
                ).text)
        }
        if lacksNokaslr {
            sentences.append("without nokaslr a kernel that has pram may come to lie on the chain")
        }
        return sentences
    }
}
