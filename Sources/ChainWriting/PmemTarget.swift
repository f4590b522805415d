import Linux
import Machine
import PRAM
import Text

/// How a caller names the pmem device to write to.
public enum DeviceName: Sendable {
    /// A device node, or a symbolic link to one.
    case path([UInt8])
    /// `PARTUUID=...`, capitals and small letters being equal.
    case partitionUUID([UInt8])
    /// `PARTLABEL=...`, byte for byte.
    case partitionLabel([UInt8])

    /// nil for empty names, and for `LABEL=` and `UUID=`, which name a file system: where one is, no chain may go.
    public init?(_ text: [UInt8]) {
        if text.begin(with: "PARTUUID=") {
            self = .partitionUUID(Array(text.dropFirst(9)))
        } else if text.begin(with: "PARTLABEL=") {
            self = .partitionLabel(Array(text.dropFirst(10)))
        } else if text.begin(with: "LABEL=") || text.begin(with: "UUID=") {
            return nil
        } else {
            self = .path(text)
        }
        guard !word.isEmpty, !word.contains(0) else { return nil }
    }

    private var word: [UInt8] {
        switch self {
        case .path(let word), .partitionUUID(let word), .partitionLabel(let word): word
        }
    }

    /// As the caller wrote it.
    var text: String {
        switch self {
        case .path(let word): escaped(word)
        case .partitionUUID(let word): "PARTUUID=" + escaped(word)
        case .partitionLabel(let word): "PARTLABEL=" + escaped(word)
        }
    }
}

/// A pmem device or a partition of one, as sysfs describes it, before anything is opened.
public struct PmemSite: Sendable {
    /// The kernel's name: "pmem0", "pmem0p1".
    public let name: [UInt8]
    /// The disk it is or lies on.
    public let disk: [UInt8]
    /// nil for the whole disk.
    public let partition: Int?
    /// The device number, as in st_rdev.
    public let device: UInt64
    /// The whole pages of physical memory that the device shows byte for byte; a refusal says why there are none.
    public let range: Result<PhysicalRange, MemoryFailure>

    /// All of them.
    /// - Parameter block: /sys/block
    public static func all(block: [UInt8]) -> [PmemSite] {
        var sites: [PmemSite] = []
        for disk in names(block) where disk.begin(with: "pmem") {
            let folder = block + bytes("/") + disk
            guard let device = deviceNumber(folder) else { continue }
            sites.append(
                PmemSite(
                    name: disk, disk: disk, partition: nil, device: device,
                    range: read { () throws(MemoryFailure) in try range(of: disk, folder, start: 0, folder) }))
            for name in names(folder) where name.starts(with: disk) {
                let place = folder + bytes("/") + name
                guard let device = deviceNumber(place), let number = field(place, "/partition").flatMap(decimalNumber),
                    let partition = Int(exactly: number)
                else { continue }
                // In sectors of 512 bytes, whatever the disk's own sectors are (block/partitions/core.c).
                let start = field(place, "/start").flatMap(decimalNumber)
                sites.append(
                    PmemSite(
                        name: name, disk: disk, partition: partition, device: device,
                        range: read { () throws(MemoryFailure) in try range(of: name, folder, start: start, place) }))
            }
        }
        return sites
    }

    /// The range of a disk or partition. sysfs says of a namespace (drivers/nvdimm/namespace_devs.c): `resource`, its
    /// first address; `size`, its bytes; `mode`; `holder`, what has been laid over it.
    ///
    /// `mode` is "raw" for a namespace in raw mode. It is "memory" for what `memmap=nn!ss` makes, too, although
    /// nothing is laid over that: the kernel only gives its pages a struct page (mode_show, pmem_should_map_pages).
    /// So "memory" counts as raw when there is no holder and the disk is exactly as large as the namespace. With a
    /// holder (fsdax, devdax, sector) metadata lies at its head or between its sectors.
    private static func range(
        of name: [UInt8], _ disk: [UInt8], start: UInt64?, _ place: [UInt8]
    ) throws(MemoryFailure) -> PhysicalRange {
        let source = escaped(name)
        guard let mode = field(disk, "/device/mode"), let holder = field(disk, "/device/holder"),
            let size = field(disk, "/device/size").flatMap(decimalNumber),
            let diskSectors = field(disk, "/size").flatMap(decimalNumber),
            mode.spell("raw") || mode.spell("memory") && diskSectors == size >> 9, holder.isEmpty
        else {
            throw MemoryFailure(
                .unsupported, source: source,
                "\(source) is not a namespace in raw mode: its device does not show the memory byte for byte",
                remedy: "ndctl create-namespace --force --mode=raw (this destroys what is on it), or reserve memory "
                    + "with memmap=nn!ss")
        }
        guard let resource = field(disk, "/device/resource").flatMap(hexadecimalNumber), resource > 0 else {
            throw MemoryFailure(
                .notPermitted, source: source, "the physical address of \(source) is not shown",
                remedy: "run this as root")
        }
        guard let start, let sectors = field(place, "/size").flatMap(decimalNumber),
            start <= diskSectors, sectors > 0, sectors <= diskSectors - start, diskSectors <= size >> 9,
            let disk = PhysicalRange(start: resource, size: size)
        else { throw MemoryFailure(.malformed, source: source, "sysfs contradicts itself about the size of \(source)") }
        // No overflow: the partition's first byte lies in the disk, and the disk in 64 bits of address.
        let base = disk.start + start << 9
        guard base & 0xfff == 0 else {
            throw MemoryFailure(
                .unsupported, source: source,
                "\(source) starts at \(hexadecimal(base)), in the middle of a page: a chain is made of whole pages",
                remedy: "let the partition start at a multiple of 4096 bytes of physical address")
        }
        guard let range = PhysicalRange(start: base, size: (sectors & ~7) << 9), range.size >= 2 * UInt64(pageSize)
        else {
            throw MemoryFailure(
                .unsupported, source: source, "\(source) is too small: a chain takes two pages and more")
        }
        return range
    }

    private static func read(
        _ body: () throws(MemoryFailure) -> PhysicalRange
    ) -> Result<PhysicalRange, MemoryFailure> {
        do throws(MemoryFailure) { return .success(try body()) } catch { return .failure(error) }
    }

    /// `dev`: "259:0", made into one number as st_rdev has it (new_encode_dev in include/linux/kdev_t.h).
    private static func deviceNumber(_ folder: [UInt8]) -> UInt64? {
        guard let text = field(folder, "/dev"), let colon = text.firstIndex(of: UInt8(ascii: ":")),
            let major = decimalNumber(text[..<colon]), let minor = decimalNumber(text[(colon + 1)...]),
            major < 1 << 12, minor < 1 << 20
        else { return nil }
        return minor & 0xff | major << 8 | (minor & ~0xff) << 12
    }

    private static func names(_ folder: [UInt8]) -> [[UInt8]] {
        do throws(SystemError) { return try Directory.names(in: folder) } catch { return [] }
    }

    private static func field(_ folder: [UInt8], _ name: StaticString) -> ArraySlice<UInt8>? {
        FileDescriptor.firstLine(of: folder + bytes(name))
    }
}

/// A pmem device that was found, opened for writing by this process alone, and looked at: nothing that anybody could
/// miss lies on it. What is written goes to the block device's cache, so it is in memory only once fsync(2) has
/// returned.
public final class PmemTarget {
    public let file: FileDescriptor
    public let site: PmemSite
    /// The physical memory that the file shows from its first byte on: whole pages, at least two.
    public let range: PhysicalRange

    /// Finds a device by name, among the pmem devices only: no other disk of the machine is touched.
    /// - Parameters:
    ///   - name: for PARTUUID= and PARTLABEL= the partition tables of the pmem disks are read (libblkid, no cache
    ///     file).
    ///   - overwrite: whether what libblkid recognises on it may be lost. No other rule gives way.
    /// - Throws: cause `occupied` for what `overwrite` would allow, and for nothing else.
    public static func open(
        _ name: DeviceName, overwrite: Bool, paths: MachinePaths = MachinePaths()
    ) throws(MemoryFailure) -> PmemTarget {
        let site = try find(name, among: PmemSite.all(block: paths.block), devices: paths.devices)
        // Refused before it is opened: opening a device exclusively may disturb others.
        _ = try site.range.get()
        let path = paths.devices + bytes("/") + site.name
        // Looked at before it is opened for writing, which is an act for some devices, and once more afterwards.
        let named: UInt64?
        do throws(SystemError) { named = try FileDescriptor.status(of: path).blockDevice } catch {
            throw refusal(error)
        }
        guard named == site.device else { throw otherDevice(path) }
        let file: FileDescriptor
        do throws(SystemError) { file = try FileDescriptor.openExclusively(path) } catch { throw refusal(error) }
        guard file.blockDevice == site.device else { throw otherDevice(path) }
        return try PmemTarget(file, site, overwrite: overwrite)
    }

    private static func otherDevice(_ path: [UInt8]) -> MemoryFailure {
        MemoryFailure(
            .malformed, source: escaped(path), "\(escaped(path)) is not the device that sysfs calls so",
            remedy: "mount devtmpfs on /dev")
    }

    /// - Parameter file: open for reading and writing.
    init(_ file: consuming FileDescriptor, _ site: PmemSite, overwrite: Bool) throws(MemoryFailure) {
        range = try site.range.get()
        self.site = site
        let source = escaped(file.path)
        if !overwrite {
            let found: [Signature]
            do throws(SystemError) {
                found = try BlockProbe.signatures(of: file)
            } catch {
                throw MemoryFailure(.inputOutput, source: source, "\(source) cannot be looked at: \(error.reason)")
            }
            if !found.isEmpty {
                throw MemoryFailure(
                    .occupied, source: source,
                    "\(source) is not empty: it holds \(found.map(PmemTarget.describe).joined(separator: " and "))",
                    remedy: "use --force when that may be lost")
            }
        }
        self.file = file
    }

    static func find(
        _ name: DeviceName, among sites: [PmemSite], devices: [UInt8]
    ) throws(MemoryFailure) -> PmemSite {
        let found: [PmemSite]
        switch name {
        case .path(let path):
            let device: UInt64?
            do throws(SystemError) {
                device = try FileDescriptor.status(of: path).blockDevice
            } catch {
                throw MemoryFailure(
                    error.code == ErrorCode.noSuchFile ? .noSuchFile : .notPermitted, source: name.text,
                    "\(name.text) cannot be found: \(error.reason)")
            }
            guard let device else {
                throw MemoryFailure(.notAFile, source: name.text, "\(name.text) is not a block device")
            }
            found = sites.filter { $0.device == device }
        case .partitionUUID(let uuid):
            found = partitions(of: sites, devices) { $0.uuid.elementsEqual(uuid) { lowerCase($0) == lowerCase($1) } }
        case .partitionLabel(let label):
            found = partitions(of: sites, devices) { $0.name == label }
        }
        guard let site = found.first else {
            throw MemoryFailure(
                .noSuchFile, source: name.text, "\(name.text) is no pmem device or partition of one",
                remedy: "only memory can hold a chain: reserve some with memmap=nn!ss and load nd_e820 and nd_pmem")
        }
        guard found.count == 1 else {
            throw MemoryFailure(
                .malformed, source: name.text,
                "\(name.text) names several devices: "
                    + Phrase(found.map { escaped($0.name) }.joined(separator: ", ")),
                remedy: "name one of them by its path")
        }
        return site
    }

    /// The sites of those partitions that the condition takes. Disks that cannot be read have none.
    private static func partitions(
        of sites: [PmemSite], _ devices: [UInt8], where condition: (Partition) -> Bool
    ) -> [PmemSite] {
        var found: [PmemSite] = []
        for disk in sites where disk.partition == nil {
            do throws(SystemError) {
                let file = try FileDescriptor.open(devices + bytes("/") + disk.name)
                for partition in try BlockProbe.partitions(of: file) where condition(partition) {
                    found += sites.filter { $0.disk == disk.name && $0.partition == partition.number }
                }
            } catch {
                continue
            }
        }
        return found
    }

    private static func describe(_ signature: Signature) -> String {
        let type = escaped(signature.type)
        if signature.kind == .partitionTable { return "a partition table (\(type))" }
        return signature.label.isEmpty ? type : "\(type) \"\(escaped(signature.label))\""
    }

    private static func refusal(_ error: SystemError) -> MemoryFailure {
        let source = escaped(error.path)
        switch error.code {
        case ErrorCode.busy:
            return MemoryFailure(
                .inUse, source: source, "\(source) is in use: it is mounted, or another program has it",
                remedy: "umount it, or end what uses it (lsblk shows it)")
        case ErrorCode.readOnly:
            return MemoryFailure(
                .notPermitted, source: source, "\(source) is read-only", remedy: "blockdev --setrw \(source)")
        case ErrorCode.accessDenied, ErrorCode.notPermitted:
            return MemoryFailure(
                .notPermitted, source: source, "\(source) may not be written: \(error.reason)",
                remedy: "run this as root; blockdev --getro tells whether it is read-only")
        case ErrorCode.noSuchFile:
            return MemoryFailure(
                .noSuchFile, source: source, "\(source) does not exist", remedy: "mount devtmpfs on /dev")
        default:
            return MemoryFailure(.inputOutput, source: source, "\(source) cannot be opened: \(error.reason)")
        }
    }
}

private func lowerCase(_ byte: UInt8) -> UInt8 {
    byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
}
