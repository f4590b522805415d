import CLinux
import KernelCommandLine
import Linux
import MemorySources
import PRAM
import Text

/// What is about to destroy a chain, or has done so: who else was given its pages.
final class Hazards {
    private let systemRAM: [PhysicalRange]
    private let crashKernel: [PhysicalRange]
    private let initrd: [PhysicalRange]
    private let lacksNokaslr: Bool
    /// All that was looked at.
    private(set) var pages = PageRuns()
    private var inSystemRAM: UInt64 = 0
    private var inCrashKernel: UInt64 = 0
    private var inInitrd: UInt64 = 0

    /// - Parameter kernelsHead: what a kernel with pram holds, 0 for nothing; nil for a kernel without pram.
    init(_ machine: MachineEvidence, kernelsHead: UInt64?) {
        let crash: StaticString = "Crash kernel"
        crashKernel = machine.iomem.resources
            .filter { resource in crash.withUTF8Buffer { $0.elementsEqual(resource.name) } }.map { $0.range }
            + WritableRegion.crashReservations(on: machine.line)
        initrd = (machine.initrd.map { [$0] } ?? []) + WritableRegion.initrds(on: machine.line)
        // A kernel that holds a chain has reserved its pages.
        systemRAM = kernelsHead ?? 0 == 0 ? machine.iomem.systemRAM : []
        lacksNokaslr = kernelsHead != nil && !machine.line.contains(named: "nokaslr")
    }

    func look(at page: PFN) {
        pages.insert(page)
        if systemRAM.contains(where: { $0.contains(page) }) { inSystemRAM += 1 }
        if crashKernel.contains(where: { $0.contains(page) }) { inCrashKernel += 1 }
        if initrd.contains(where: { $0.contains(page) }) { inInitrd += 1 }
    }

    var sentences: [String] {
        var sentences: [String] = []
        func add(_ count: UInt64, _ text: StaticString) {
            let pages = TextReport.counted(Int(clamping: count), "page")
            if count > 0 { sentences.append(Phrase("\(pages) of the chain \(text)").text) }
        }
        add(inSystemRAM, "in memory that this kernel manages and reuses: its command line lacks memmap=nn$ss")
        add(inCrashKernel, "in what crashkernel= sets aside")
        add(inInitrd, "where the boot loader put the initrd")
        if lacksNokaslr {
            sentences.append("without nokaslr a kernel that has pram may come to lie on the chain")
        }
        return sentences
    }

    /// Whether a hibernated system waits on the device that `resume=` names: resuming it overwrites everything.
    static func hibernation(_ line: ParameterLine) -> String? {
        guard !line.contains(named: "noresume"), let value = line.last(named: "resume")?.value, !value.isEmpty
        else { return nil }
        let name = escaped(value.prefix(80))
        guard let device = try? FileDescriptor.open(path(ofDevice: value), O_RDONLY | O_NONBLOCK) else {
            return "resume=\(name) is not there yet, so it is not known whether a hibernated system waits in it"
        }
        guard (try? BlockProbe.holdsHibernatedSystem(device)) == true else { return nil }
        return "resume=\(name) holds a hibernated system: resuming it replaces all memory, and the chain with it"
    }

    /// As udev names devices.
    static func path(ofDevice value: ArraySlice<UInt8>) -> [UInt8] {
        let names: [(StaticString, StaticString)] = [
            ("UUID=", "/dev/disk/by-uuid/"), ("LABEL=", "/dev/disk/by-label/"),
            ("PARTUUID=", "/dev/disk/by-partuuid/"), ("PARTLABEL=", "/dev/disk/by-partlabel/"),
        ]
        for (name, folder) in names
        where name.withUTF8Buffer({ $0.elementsEqual(value.prefix($0.count)) }) {
            return folder.withUTF8Buffer { Array($0) } + value.dropFirst(name.utf8CodeUnitCount)
        }
        return Array(value)
    }
}
