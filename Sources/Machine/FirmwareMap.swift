import Linux
import PRAM
import Text

/// The memory map as the firmware, or the kernel before this one, handed it over: /sys/firmware/memmap.
///
/// What it adds to /proc/iomem: it does not know `memmap=` and `mem=` of this kernel's command line. A range that
/// /proc/iomem calls Reserved and the firmware calls System RAM is RAM for certain and no device.
public struct FirmwareMap: Sendable {
    public struct Entry: Sendable {
        /// In bytes, both ends belong to it.
        public let range: PhysicalRange
        /// The words of e820_type_to_string (arch/x86/kernel/e820.c): "System RAM", "Reserved", "ACPI Tables" ...
        public let type: [UInt8]

        public init(range: PhysicalRange, type: [UInt8]) {
            self.range = range
            self.type = type
        }
    }

    public let entries: [Entry]

    public init(entries: [Entry]) { self.entries = entries }

    /// One entry from the lines of its three files: `0x` numbers, the end INCLUSIVE (drivers/firmware/memmap.c). nil
    /// when they are no range.
    public static func entry(
        start: ArraySlice<UInt8>, end: ArraySlice<UInt8>, type: ArraySlice<UInt8>
    ) -> Entry? {
        guard let start = hexadecimalNumber(start), let last = hexadecimalNumber(end),
            let range = PhysicalRange(start: start, last: last)
        else { return nil }
        return Entry(range: range, type: Array(type))
    }

    /// Reads the folders 0, 1, 2 ... of `directory`. Memory that was unplugged leaves gaps in the numbers, so a few
    /// missing ones do not end the list. Entries that cannot be read or understood are left out.
    /// - Returns: nil when there is no entry: no CONFIG_FIRMWARE_MEMMAP, or /sys is not mounted.
    public static func read(_ directory: [UInt8]) -> FirmwareMap? {
        var entries: [Entry] = []
        var missing = 0
        var number = 0
        while missing < 16 && number < 65_536 {
            let folder = directory + [UInt8(ascii: "/")] + Array(String(number).utf8)
            number += 1
            guard let start = FileDescriptor.firstLine(of: folder + bytes("/start")) else {
                missing += 1
                continue
            }
            missing = 0
            if let end = FileDescriptor.firstLine(of: folder + bytes("/end")),
                let type = FileDescriptor.firstLine(of: folder + bytes("/type")),
                let entry = entry(start: start, end: end, type: type)
            {
                entries.append(entry)
            }
        }
        return entries.isEmpty ? nil : FirmwareMap(entries: entries)
    }
}
