import KernelCommandLine
import Linux
import PRAM
import Text

extension Head {
    /// Where --pfn names no chain: what its text may have been meant as, when a chain does start there.
    /// - Returns: a sentence; nil where nothing of the kind is seen.
    static func hint(_ text: [UInt8], in memory: any PhysicalMemory) -> String? {
        func starts(_ page: UInt64?) -> Bool {
            guard let page, page > 0 else { return false }
            return (try? startsChain(PFN(page), in: memory)) ?? false
        }
        if let decimal = decimalNumber(text[...]), starts(decimal) {
            return "--pfn is hexadecimal; a chain starts at page \(decimal): --pfn=\(String(decimal, radix: 16))"
        }
        guard let number = try? KernelNumber.kstrtoul(text[...], .hexadecimal) else { return nil }
        let size = UInt64(pageSize)
        if number % size == 0, starts(number / size) {
            return "--pfn is a page's number, not its address; a chain starts at address \(hexadecimal(number)): "
                + "--pfn=\(String(number / size, radix: 16))"
        }
        return nil
    }
}
