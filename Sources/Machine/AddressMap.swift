import PRAM
import Text

/// Which physical addresses of the running machine are memory, and what kind: /proc/iomem and the firmware's map
/// together.
///
/// It decides what may be touched at all. Reading a device's registers can change its state or hang the machine, and a
/// PFN out of a damaged chain may point anywhere; so only what is known to be memory by name is ever read:
///
/// | /proc/iomem says | nature |
/// |---|---|
/// | System RAM, at any depth ("System RAM (kmem)" too), with all that lies under it | `systemRAM` |
/// | Persistent Memory, Persistent Memory (legacy), Soft Reserved, with all that lies under it | `persistent` |
/// | Reserved, reserved, Unknown E820 type, RAM buffer, ACPI Tables, ACPI Non-volatile Storage | see below |
/// | any other name, Unusable memory among them | `device` |
/// | nothing, and the firmware's map says System RAM: cut off by `mem=` | `hidden` |
///
/// "Reserved" is what `memmap=nn$ss` becomes, but also what firmware calls its devices' windows. Where the firmware's
/// map says System RAM for it, it is `reserved`, otherwise `firmware`. Without a firmware's map (no
/// CONFIG_FIRMWARE_MEMMAP) the name alone must do. The names are e820_type_to_string's (arch/x86/kernel/e820.c).
public struct AddressMap: Sendable {
    public enum Nature: UInt8, Sendable {
        /// The kernel manages it.
        case systemRAM
        /// RAM that the kernel was told to leave alone (`memmap=nn$ss`).
        case reserved
        /// `memmap=nn!ss`, NVDIMMs, memory set aside for one use.
        case persistent
        /// RAM above the limit of `mem=`, in no resource at all.
        case hidden
        /// Reserved, but not by this kernel's command line: may be a device. Never read.
        case firmware
        /// Not memory. Never read.
        case device
    }

    public struct Region: Sendable {
        /// In bytes, both ends belong to it; not always whole pages.
        public let range: PhysicalRange
        public let nature: Nature
    }

    /// Ascending and without overlap; neighbours differ in nature or do not touch.
    public let regions: [Region]

    /// - Parameter firmware: nil when there is none: then names decide, and no memory is found above a `mem=` limit.
    public init(_ iomem: Iomem, firmware: FirmwareMap?) {
        let resources = iomem.resources
        let entries = firmware?.entries ?? []
        let borders = Borders(resources.map { $0.range } + entries.map { $0.range })
        // The innermost resource of an address is the last one printed that holds it.
        let owners = borders.owners(of: resources.map { $0.range })
        let types = borders.owners(of: entries.map { $0.range })
        let claims = AddressMap.claims(of: resources)
        let isRAM = entries.map { $0.type.spell("System RAM") }

        var regions: [Region] = []
        for (index, range) in borders.ranges.enumerated() {
            let firmwareSaysRAM = types[index].map { isRAM[$0] } ?? false
            let nature: Nature
            if let owner = owners[index] {
                switch claims[owner] {
                case .systemRAM: nature = .systemRAM
                case .persistent: nature = .persistent
                case .ambiguous: nature = firmware == nil || firmwareSaysRAM ? .reserved : .firmware
                case .other: nature = .device
                }
            } else if firmwareSaysRAM {
                nature = .hidden
            } else {
                continue
            }
            if let last = regions.last, last.nature == nature, last.range.last &+ 1 == range.start,
                let joined = PhysicalRange(start: last.range.start, last: range.last)
            {
                regions[regions.count - 1] = Region(range: joined, nature: nature)
            } else {
                regions.append(Region(range: range, nature: nature))
            }
        }
        self.regions = regions
    }

    /// All ranges of one nature, ascending. Those that are `persistent` are Persistent Memory and Soft Reserved without
    /// the System RAM in them, however deep /proc/iomem nests it.
    public func ranges(_ nature: Nature) -> [PhysicalRange] {
        regions.filter { $0.nature == nature }.map { $0.range }
    }

    /// The region that holds the page's first byte.
    public func region(around page: PFN) -> Region? {
        guard let address = page.address else { return nil }
        var (low, high) = (0, regions.count)
        while low < high {
            let middle = low + (high - low) / 2
            if regions[middle].range.last < address { low = middle + 1 } else { high = middle }
        }
        guard low < regions.count, regions[low].range.contains(address) else { return nil }
        return regions[low]
    }

    /// The region that holds the whole page.
    public func region(holding page: PFN) -> Region? {
        guard let region = region(around: page), region.range.contains(page) else { return nil }
        return region
    }

    private enum Claim { case systemRAM, persistent, ambiguous, other }

    /// What each resource says of its addresses, what it inherits included.
    private static func claims(of resources: [Iomem.Resource]) -> [Claim] {
        var claims: [Claim] = []
        claims.reserveCapacity(resources.count)
        for resource in resources {
            let name = resource.name
            // A parent comes before its children.
            let inherited: Claim? = resource.parent.map { claims[$0] }
            if inherited == .systemRAM || name.begin(with: "System RAM") {
                claims.append(.systemRAM)
            } else if inherited == .persistent || name.begin(with: "Persistent Memory") || name.spell("Soft Reserved") {
                claims.append(.persistent)
            } else if name.spell("Reserved") || name.spell("reserved") || name.spell("Unknown E820 type")
                || name.spell("RAM buffer") || name.spell("ACPI Tables") || name.spell("ACPI Non-volatile Storage")
            {
                claims.append(inherited == .other ? .other : .ambiguous)
            } else {
                claims.append(.other)
            }
        }
        return claims
    }
}

/// The pieces into which the ends of some ranges cut the address space: within a piece, all of them agree.
private struct Borders {
    /// Ascending; pieces that no range covers are among them.
    let ranges: [PhysicalRange]
    private let starts: [UInt64]

    init(_ input: [PhysicalRange]) {
        var cuts: [UInt64] = [0]
        for range in input {
            cuts.append(range.start)
            if range.last < .max { cuts.append(range.last + 1) }
        }
        cuts.sort()
        var starts: [UInt64] = []
        for cut in cuts where starts.last != cut { starts.append(cut) }
        self.starts = starts
        ranges = starts.indices.compactMap { index in
            PhysicalRange(start: starts[index], last: index + 1 < starts.count ? starts[index + 1] - 1 : .max)
        }
    }

    /// For each piece the index of the last of `input` that covers it. `input` is part of what cut the pieces.
    ///
    /// Painted from the last range to the first; `next` skips what is painted already (a union-find with path halving),
    /// so that thousands of resources nested in each other stay cheap.
    func owners(of input: [PhysicalRange]) -> [Int?] {
        var owners = [Int?](repeating: nil, count: starts.count)
        var next = Array(0...starts.count)
        func unpainted(_ start: Int) -> Int {
            var piece = start
            while next[piece] != piece {
                next[piece] = next[next[piece]]
                piece = next[piece]
            }
            return piece
        }
        for (index, range) in input.enumerated().reversed() {
            var piece = unpainted(first(notBefore: range.start))
            while piece < starts.count && starts[piece] <= range.last {
                owners[piece] = index
                next[piece] = piece + 1
                piece = unpainted(piece + 1)
            }
        }
        return owners
    }

    private func first(notBefore address: UInt64) -> Int {
        var (low, high) = (0, starts.count)
        while low < high {
            let middle = low + (high - low) / 2
            if starts[middle] < address { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
