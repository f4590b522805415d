import Linux
import PRAM
import Text

/// The kernel's tree of physical address ranges and their owners, as /proc/iomem prints it:
///
///     00100000-3fffffff : System RAM
///       01000000-02209987 : Kernel code
///
/// Two blanks a level, hexadecimal addresses, the end INCLUSIVE (r_show in kernel/resource.c). Levels below the
/// kernel's limit (5, later 8) are printed at that limit: there a resource that lies within the one before it is its
/// child, for siblings never overlap. A reader without CAP_SYS_ADMIN is shown zeros instead of
/// addresses.
public struct Iomem: Sendable {
    public struct Resource: Sendable {
        /// In bytes, both ends belong to it.
        public let range: PhysicalRange
        /// The owner's name as the driver gave it: any bytes but a newline.
        public let name: [UInt8]
        /// As printed: 0 for the top level.
        public let depth: Int
        /// The index of the resource that this one is printed under; nil at the top level.
        public let parent: Int?

        /// Whether a resource that is printed at `depth` after this one, or after what lies below it, is its child.
        fileprivate func holds(_ other: PhysicalRange, at depth: Int) -> Bool {
            if self.depth != depth { return self.depth < depth }
            // Zeros are what is shown to those who may see no addresses.
            return range.contains(other) && range.last > 0
        }
    }

    /// More than any machine has.
    static let resourceLimit = 1 << 17

    /// In the order of the file: a parent comes before its children.
    public let resources: [Resource]
    /// Lines that are no resource, or an inverted one, or too many. They are left out, and so may be what they meant.
    public let skippedLines: Int

    /// Never fails: what cannot be understood is counted.
    public init(parsing text: [UInt8]) {
        var resources: [Resource] = []
        var skipped = 0
        var ancestors: [Int] = []
        var start = 0
        while start < text.count {
            let end = text[start...].firstIndex(of: UInt8(ascii: "\n")) ?? text.count
            let line = text[start..<end]
            start = end + 1
            guard !line.isEmpty else { continue }
            guard resources.count < Iomem.resourceLimit, let (depth, range, name) = Iomem.parse(line) else {
                skipped += 1
                continue
            }
            while let last = ancestors.last, !resources[last].holds(range, at: depth) { ancestors.removeLast() }
            let resource = Resource(range: range, name: name, depth: depth, parent: ancestors.last)
            ancestors.append(resources.count)
            resources.append(resource)
        }
        self.resources = resources
        skippedLines = skipped
    }

    /// Every address is zero: what the kernel shows to a reader without CAP_SYS_ADMIN.
    public var addressesAreHidden: Bool {
        !resources.isEmpty && resources.allSatisfy { $0.range.start == 0 && $0.range.last == 0 }
    }

    /// The ranges at the top level that are System RAM, in the order of the file.
    public var systemRAM: [PhysicalRange] {
        resources.filter { $0.depth == 0 && $0.name.spell("System RAM") }.map { $0.range }
    }

    /// What the kernel manages, however deep it lies: System RAM in Persistent Memory or Soft Reserved, too, as dax/kmem
    /// makes it ("System RAM (kmem)"), and without what lies below System RAM itself. Everything in it is the
    /// kernel's: it may neither be written nor be called a range that a next kernel leaves alone.
    public var kernelMemory: [PhysicalRange] {
        var isKernels: [Bool] = []
        var ranges: [PhysicalRange] = []
        for resource in resources {
            let inherited = resource.parent.map { isKernels[$0] } ?? false
            let isRAM = resource.name.begin(with: "System RAM")
            if isRAM && !inherited { ranges.append(resource.range) }
            isKernels.append(isRAM || inherited)
        }
        return ranges
    }

    /// Whether the kernel manages any byte of the range.
    public func isKernelMemory(anywhereIn range: PhysicalRange) -> Bool {
        kernelMemory.contains { $0.overlaps(range) }
    }

    /// The resources that hold the whole of `range`, the outermost first.
    public func owners(of range: PhysicalRange) -> [Resource] {
        resources.filter { $0.range.contains(range) }
    }

    /// The resources printed directly under the one at `index`.
    public func children(of index: Int) -> [Resource] {
        resources.filter { $0.parent == index }
    }

    /// `blanks start-end : name`; nil for anything else.
    private static func parse(_ line: ArraySlice<UInt8>) -> (depth: Int, range: PhysicalRange, name: [UInt8])? {
        let text = line.drop { $0 == UInt8(ascii: " ") }
        guard let dash = text.firstIndex(of: UInt8(ascii: "-")),
            let start = hexadecimalNumber(text[..<dash])
        else { return nil }
        let rest = text[(dash + 1)...]
        guard let blank = rest.firstIndex(of: UInt8(ascii: " ")),
            let last = hexadecimalNumber(rest[..<blank]),
            let range = PhysicalRange(start: start, last: last),
            rest[blank...].begin(with: " : ")
        else { return nil }
        return ((text.startIndex - line.startIndex) / 2, range, Array(rest[blank...].dropFirst(3)))
    }
}

extension Iomem {
    /// Reads /proc/iomem.
    /// - Throws: `.notPermitted` when it shows no addresses, `.malformed` when it names no range at all.
    public static func read(_ path: [UInt8]) throws(MemoryFailure) -> Iomem {
        let source = escaped(path)
        let text: [UInt8]
        do throws(SystemError) {
            text = try FileDescriptor.contents(of: path, limit: 16 << 20)
        } catch {
            switch error.code {
            case ErrorCode.noSuchFile:
                throw MemoryFailure(
                    .noSuchFile, source: source, "\(source) does not exist: /proc is not mounted",
                    remedy: "mount /proc")
            case ErrorCode.notPermitted, ErrorCode.accessDenied:
                throw MemoryFailure(
                    .notPermitted, source: source, "\(source) may not be read: \(error.reason)",
                    remedy: "run this as root")
            default:
                throw MemoryFailure(.inputOutput, source: source, "\(source) cannot be read: \(error.reason)")
            }
        }
        let iomem = Iomem(parsing: text)
        if iomem.resources.isEmpty {
            throw MemoryFailure(.malformed, source: source, "\(source) names no range of addresses")
        }
        if iomem.addressesAreHidden {
            throw MemoryFailure(
                .notPermitted, source: source, "\(source) shows no addresses: this process lacks CAP_SYS_ADMIN",
                remedy: "run this as root, outside of containers")
        }
        return iomem
    }
}
