import KernelCommandLine
import Machine
import PRAM
import Text

extension PhysicalRange {
    /// --region START+SIZE: numbers as the kernel writes them in `memmap=`: decimal, 0x, octal, K M G T P E.
    init(region text: [UInt8]) throws(UsageError) {
        let start = KernelNumber.memparse(text[...])
        let size = KernelNumber.memparse(start.rest.dropFirst())
        guard let sign = start.rest.first, sign == UInt8(ascii: "+"), start.rest.count < text.count,
            size.rest.isEmpty, start.rest.count > 1, PhysicalRange.isDigit(text.first),
            PhysicalRange.isDigit(start.rest.dropFirst().first)
        else {
            let hint = PhysicalRange.memmapHint(text)
            throw UsageError("--region takes START+SIZE, such as 0x10000000+16M, not \(escaped(text))\(hint)")
        }
        guard !start.wrapped, !size.wrapped, let range = PhysicalRange(start: start.value, size: size.value) else {
            throw UsageError("--region \(escaped(text)) is empty or does not fit 64 bits")
        }
        self = range
    }

    /// For a range as `memmap=` has it, the size first.
    private static func memmapHint(_ text: [UInt8]) -> String {
        let size = KernelNumber.memparse(text[...])
        let start = KernelNumber.memparse(size.rest.dropFirst())
        guard let sign = size.rest.first, "$!@#".utf8.contains(sign), start.rest.isEmpty, size.rest.count > 1,
            let range = PhysicalRange(start: start.value, size: size.value)
        else { return "" }
        return "; that is \(range.text) here"
    }

    private static func isDigit(_ byte: UInt8?) -> Bool {
        byte.map { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") } ?? false
    }
}
