import Linux
import PRAM
import Text

/// The memory that EFI's run-time services keep while the kernel runs: /sys/firmware/efi/runtime-map.
///
/// A folder for each range, 0, 1, 2 ..., with `phys_addr` in hexadecimal bytes and `num_pages` of 4096 bytes, in
/// hexadecimal too (drivers/firmware/efi/runtime-map.c).
public enum RuntimeServices {
    /// What can be read and understood; nothing where there is no EFI.
    public static func ranges(_ paths: MachinePaths) -> [PhysicalRange] {
        var found: [PhysicalRange] = []
        for number in 0..<4096 {
            let folder = paths.runtimeMap + [UInt8(ascii: "/")] + Array(String(number).utf8)
            guard let start = FileDescriptor.firstLine(of: folder + bytes("/phys_addr")).flatMap(hexadecimalNumber)
            else { break }
            guard let pages = FileDescriptor.firstLine(of: folder + bytes("/num_pages")).flatMap(hexadecimalNumber),
                pages < 1 << 52, let range = PhysicalRange(start: start, size: pages << 12)
            else { continue }
            found.append(range)
        }
        return found
    }
}
