/// A stretch of memory, cut into cells of the same size: a power of two of pages, so that cells begin at round
/// addresses. Memory: 29 bytes for each cell, whatever there is to be drawn.
public struct Strip: Sendable {
    /// More are never made.
    public static let cellLimit = 1 << 14

    /// The first page of the first cell.
    public let first: UInt64
    /// The page after the last.
    public let end: UInt64
    /// How many pages a cell has.
    public var pagesPerCell: UInt64 { 1 << shift }
    public var cellCount: Int { background.count }

    private let shift: UInt64
    private var background: [Content]
    /// For each cell the numbers of its pages by kind.
    private var counts: [UInt32]
    /// The file with the first page in the cell that is not as it should be; -1 where there is none.
    private var files: [Int32]

    /// The smallest cells of which no more than `cells` cover the range.
    /// - Parameter range: of pages; what lies behind the last address is left out.
    /// - Returns: nil for an empty range.
    public init?(_ range: Range<UInt64>, cells: Int, on background: Background) {
        let limit = UInt64(max(1, min(cells, Strip.cellLimit)))
        let last = min(range.upperBound, Stretch.pageLimit)
        guard range.lowerBound < last else { return nil }
        var shift: UInt64 = 0
        while ((last - 1) >> shift) - (range.lowerBound >> shift) >= limit { shift += 1 }
        first = (range.lowerBound >> shift) << shift
        self.shift = shift
        let count = Int(((last - 1) >> shift) - (range.lowerBound >> shift)) + 1
        end = first + UInt64(count) << shift
        var kinds = [Content](repeating: .nothing, count: count)
        for piece in background.pieces(in: first..<end) {
            let start = Int((max(piece.first, first) - first) >> shift)
            let stop = Int((min(piece.end, end) - 1 - first) >> shift)
            for cell in start...stop where kinds[cell] < piece.content { kinds[cell] = piece.content }
        }
        self.background = kinds
        counts = [UInt32](repeating: 0, count: count * Content.pageKinds)
        files = [Int32](repeating: -1, count: count)
    }

    public var pages: Range<UInt64> { first..<end }

    /// The pages of a cell.
    public func pages(of cell: Int) -> Range<UInt64> {
        let start = first + UInt64(cell) << shift
        return start..<start + pagesPerCell
    }

    /// The cell that holds a page; nil outside.
    public func cell(of page: UInt64) -> Int? { page >= first && page < end ? Int((page - first) >> shift) : nil }

    /// What is drawn.
    public func content(of cell: Int) -> Content {
        for kind in Content.allCases.reversed() {
            guard kind.isPage else { break }
            if count(kind, in: cell) > 0 { return kind }
        }
        return background[cell]
    }

    /// What it lies on.
    public func background(of cell: Int) -> Content { background[cell] }

    /// How many pages of this kind a cell has; a page that several entries list counts for each of them.
    public func count(_ kind: Content, in cell: Int) -> Int {
        guard let place = kind.place, cell >= 0, cell < cellCount else { return 0 }
        return Int(counts[cell * Content.pageKinds + place])
    }

    public func file(in cell: Int) -> Int? { files[cell] < 0 ? nil : Int(files[cell]) }

    /// Whether two cells look the same and say the same.
    public func areAlike(_ a: Int, _ b: Int) -> Bool {
        guard background[a] == background[b], files[a] == files[b] else { return false }
        let (one, other) = (a * Content.pageKinds, b * Content.pageKinds)
        for place in 0..<Content.pageKinds where counts[one + place] != counts[other + place] { return false }
        return true
    }

    mutating func add(_ page: UInt64, _ kind: Content, file: Int) {
        guard let cell = cell(of: page), let place = kind.place else { return }
        if kind >= .unknown, files[cell] < 0 { files[cell] = Int32(clamping: file) }
        let counter = cell * Content.pageKinds + place
        if counts[counter] < .max { counts[counter] += 1 }
    }

    mutating func move(_ page: UInt64, from old: Content, to new: Content) -> Bool {
        guard let cell = cell(of: page), let place = old.place, let target = new.place else { return false }
        let counter = cell * Content.pageKinds + place
        guard counts[counter] > 0 else { return false }
        counts[counter] -= 1
        let other = cell * Content.pageKinds + target
        if counts[other] < .max { counts[other] += 1 }
        return true
    }

    /// Makes all pages of one kind another.
    mutating func turn(_ old: Content, into new: Content) {
        guard let place = old.place, let target = new.place, place != target else { return }
        for cell in 0..<cellCount {
            let (from, to) = (cell * Content.pageKinds + place, cell * Content.pageKinds + target)
            let (sum, overflow) = counts[to].addingReportingOverflow(counts[from])
            counts[to] = overflow ? .max : sum
            counts[from] = 0
        }
    }
}
