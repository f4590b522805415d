import KernelCommandLine
import Linux
import Machine
import MemoryPicture
import PRAM
import Text

/// What lies where, as far as a machine's files, a command line and a dump tell: the background of a picture. What cannot be
/// looked at leaves a gap and a sentence, never an error.
struct DrawnRanges {
    /// A range of /proc/iomem with its name.
    struct Named {
        let pages: Stretch
        let name: [UInt8]
    }

    /// More than any machine has; of a dump, what is behind stays blank.
    static let rangeLimit = 1 << 16
    /// Beyond so many, names are left out.
    private static let nameLimit = 2048

    private(set) var stretches: [Stretch] = []
    private(set) var names: [Named] = []
    /// What command lines keep a kernel off, in their order: where chains may lie.
    private(set) var reserved: [PhysicalRange] = []
    /// What could not be looked at.
    private(set) var notes: [String] = []
    /// Whether what is there is a machine's, and not a dump's alone.
    private(set) var isMachines = false

    var background: Background { Background(stretches) }

    private mutating func add(_ range: PhysicalRange, _ content: Content) {
        if let stretch = Stretch(start: range.start, last: range.last, content) { stretches.append(stretch) }
    }

    /// What a machine says of itself.
    mutating func add(_ paths: MachinePaths) {
        isMachines = true
        do throws(MemoryFailure) {
            let iomem = try Iomem.read(paths.iomem)
            add(iomem, firmware: paths.firmwareMap.flatMap(FirmwareMap.read))
        } catch {
            notes.append("\(error.source): \(error.message)")
        }
        for range in RuntimeServices.ranges(paths) { add(range, .firmware) }
        if let text = try? FileDescriptor.contents(of: paths.bootParameters, limit: 1 << 16),
            let range = MachineEvidence.initrd(in: text)
        {
            add(range, .initrd)
        }
        if let line = try? paths.parameterLine() { add(line) }
    }

    private mutating func add(_ iomem: Iomem, firmware: FirmwareMap?) {
        for region in AddressMap(iomem, firmware: firmware).regions {
            switch region.nature {
            case .systemRAM: add(region.range, .memory)
            case .persistent: add(region.range, .persistent)
            // Without a firmware's map the name alone says nothing; what the command line keeps free is added by itself.
            // Below 1 MiB the kernel itself does so.
            case .reserved: add(region.range, firmware == nil || region.range.last < 1 << 20 ? .device : .reserved)
            case .hidden: add(region.range, .reserved)
            case .firmware, .device: add(region.range, .device)
            }
        }
        for resource in iomem.resources {
            if resource.name.begin(with: "Kernel ") {
                add(resource.range, .kernel)
            } else if resource.name.spell("Crash kernel") {
                add(resource.range, .crashKernel)
            } else if resource.name.begin(with: "ACPI ") {
                add(resource.range, .firmware)
            }
            if iomem.resources.count <= DrawnRanges.nameLimit,
                let pages = Stretch(start: resource.range.start, last: resource.range.last, .nothing)
            {
                names.append(Named(pages: pages, name: resource.name))
            }
        }
    }

    /// What a command line sets aside and forbids.
    mutating func add(_ line: ParameterLine) {
        for range in ReservedMemory(line).elements {
            if !reserved.contains(range) { reserved.append(range) }
            add(range, .reserved)
        }
        for range in WritableRegion.initrds(on: line) { add(range, .initrd) }
        for region in BannedRegions.find(in: line).regions {
            if let range = PhysicalRange(start: region.start, end: region.end) { add(range, .banned) }
        }
    }

    /// What a dump holds.
    mutating func add(_ memory: any PhysicalMemory) {
        let ranges = memory.ranges(limit: DrawnRanges.rangeLimit)
        for range in ranges { add(range, .memory) }
        if ranges.count == DrawnRanges.rangeLimit {
            notes.append("the dump has more than \(ranges.count) ranges: the rest is not drawn")
        }
    }

    /// The range that holds this page and was set aside, as pages; without a page the first one of a command line.
    func reservedRange(around page: PFN?, on background: Background) -> Range<UInt64>? {
        for range in reserved where page.map({ range.contains($0) }) ?? true {
            return range.start >> 12..<(range.last >> 12) + 1
        }
        guard let page else { return nil }
        let wanted = background.pieces.first { piece in
            (piece.content == .reserved || piece.content == .persistent)
                && piece.first <= page.number && page.number < piece.end
        }
        return wanted.map { $0.first..<$0.end }
    }
}
