import PRAM
import Text

extension PhysicalRange {
    /// START+SIZE in hexadecimal bytes, as --region takes it.
    public var text: String { hexadecimal(start) + "+" + hexadecimal(size) }

    /// Whether the ranges hold all of this one, together: the firmware's map may cut RAM into pieces that touch.
    public func isCovered(by ranges: [PhysicalRange]) -> Bool {
        var next = start
        // Each round gets past the end of one range at least, so there are no more rounds than ranges.
        for _ in ranges {
            guard let piece = ranges.first(where: { $0.contains(next) }) else { return false }
            if piece.last >= last { return true }
            next = piece.last + 1
        }
        return false
    }
}
