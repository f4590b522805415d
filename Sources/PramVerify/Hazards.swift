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
        let device = path(ofDevice: value)
        guard FileDescriptor.exists(device) else {
            return "resume=\(escaped(value.prefix(80))) was not there yet when boot looked: whether a hibernated system "
                + "waits in it is in the kernel's log"
        }
        return hibernation(on: device, line)
    }

    /// The same of a device that has just appeared. Where the line has no `resume=`, an initramfs may know of a device
    /// by other ways.
    static func hibernation(on device: [UInt8], _ line: ParameterLine) -> String? {
        guard !line.contains(named: "noresume"),
            let file = try? FileDescriptor.open(device, O_RDONLY | O_NONBLOCK | O_NOCTTY) else { return nil }
        if let value = line.last(named: "resume")?.value,
            let named = try? FileDescriptor.status(of: path(ofDevice: value)), let this = try? file.status(),
            named.st_rdev != this.st_rdev
        {
            return nil
        }
        var offset: Int64 = 0
        if let pages = line.last(named: "resume_offset")?.value {
            let (bytes, overflow) = KernelNumber.memparse(pages).value.multipliedReportingOverflow(by: UInt64(pageSize))
            guard !overflow, let bytes = Int64(exactly: bytes) else { return nil }
            offset = bytes
        }
        guard (try? BlockProbe.holdsHibernatedSystem(file, at: offset)) == true else { return nil }
        return "\(escaped(device.prefix(80))) holds a hibernated system: resuming it replaces all memory, and the chain "
            + "with it; noresume on the command line keeps the chain"
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
