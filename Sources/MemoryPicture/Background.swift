/// What lies where before a chain is drawn on it: of all that is said of a page, what counts most. Memory: 24 bytes for
/// each border between two ranges, two borders a range.
public struct Background: Sendable {
    /// Ascending, neither overlapping nor of the same content as a neighbour that they touch. `nothing` is not among
    /// them.
    public let pieces: [Stretch]
    /// From the first page of memory to the last: devices and firmware have addresses far beyond it, and would press
    /// what matters into a corner. nil where there is no memory.
    public let extent: Range<UInt64>?
    private let counts: [UInt64]

    /// - Parameter stretches: in any order, overlapping or not, with background alone: pages of chains are left out.
    public init(_ stretches: [Stretch]) {
        var borders: [(page: UInt64, kind: Int, change: Int)] = []
        borders.reserveCapacity(stretches.count * 2)
        var extent: Range<UInt64>?
        for stretch in stretches where !stretch.content.isPage && stretch.content != .nothing {
            borders.append((stretch.first, Int(stretch.content.rawValue), 1))
            borders.append((stretch.end, Int(stretch.content.rawValue), -1))
            switch stretch.content {
            case .device, .firmware, .banned: break
            default:
                let known = extent ?? stretch.first..<stretch.end
                extent = min(known.lowerBound, stretch.first)..<max(known.upperBound, stretch.end)
            }
        }
        borders.sort { $0.page < $1.page }
        // How many stretches of each kind hold the page that is looked at.
        var open = [Int](repeating: 0, count: Content.firstOfPages)
        var pieces: [Stretch] = []
        var counts = [UInt64](repeating: 0, count: Content.firstOfPages)
        var place = 0
        while place < borders.count {
            let page = borders[place].page
            while place < borders.count, borders[place].page == page {
                open[borders[place].kind] += borders[place].change
                place += 1
            }
            guard place < borders.count, let top = open.lastIndex(where: { $0 > 0 }),
                let content = Content(rawValue: UInt8(top)),
                let piece = Stretch(first: page, end: borders[place].page, content)
            else { continue }
            counts[top] += piece.pages
            if let before = pieces.last, before.end == page, before.content == content,
                let joined = Stretch(first: before.first, end: piece.end, content)
            {
                pieces[pieces.count - 1] = joined
            } else {
                pieces.append(piece)
            }
        }
        self.pieces = pieces
        self.extent = extent
        self.counts = counts
    }

    /// How many pages are of this content.
    public func pages(_ content: Content) -> UInt64 { content.isPage ? 0 : counts[Int(content.rawValue)] }

    /// How many pages there is something to be said of.
    public var pages: UInt64 { counts.reduce(0, +) }

    /// What of it lies in a range of pages.
    public func clipped(to range: Range<UInt64>) -> Background {
        Background(
            pieces(in: range).compactMap {
                Stretch(first: max($0.first, range.lowerBound), end: min($0.end, range.upperBound), $0.content)
            })
    }

    /// What a page is.
    public func content(of page: UInt64) -> Content {
        guard page < Stretch.pageLimit else { return .nothing }
        return pieces(in: page..<page + 1).first?.content ?? .nothing
    }

    /// The pieces that hold a page of the range, in order.
    func pieces(in range: Range<UInt64>) -> ArraySlice<Stretch> {
        var (low, high) = (0, pieces.count)
        while low < high {
            let middle = low + (high - low) / 2
            if pieces[middle].end <= range.lowerBound { low = middle + 1 } else { high = middle }
        }
        let start = low
        while low < pieces.count, pieces[low].first < range.upperBound { low += 1 }
        return pieces[start..<low]
    }
}
