/// Where the copies of links and, behind them, the links' parity lie: one run of adjacent pages where a chain lies in a
/// range, up to 500 where it lies in page frames of any numbers.
///
/// Several runs are listed in the geometry page from byte 96 on, 8 bytes each: the number of the first page times 4096,
/// and how many pages it has less 1, so up to 4096. They ascend, and no run could be longer.
public struct MirrorPlaces: Equatable, Sendable {
    public static let mostRuns = 500
    static let longestRun: UInt64 = 4096

    public let runs: [Range<UInt64>]
    /// The number of each run's first page among all.
    private let starts: [Int]
    public let count: Int

    /// - Returns: nil unless there are 1 to 500 runs that ascend and do not touch, below page 2^52.
    init?(runs: [Range<UInt64>]) {
        guard (1...MirrorPlaces.mostRuns).contains(runs.count) else { return nil }
        var starts: [Int] = []
        var count = 0
        var end: UInt64 = 0
        for run in runs {
            guard run.lowerBound > end || end == 0, !run.isEmpty, run.upperBound <= ParityLayout.pageLimit else {
                return nil
            }
            end = run.upperBound
            starts.append(count)
            count += Int(run.upperBound - run.lowerBound)
        }
        self.runs = runs
        self.starts = starts
        self.count = count
    }

    /// Adjacent pages.
    public init?(first: UInt64, count: Int) {
        guard first < ParityLayout.pageLimit, (1...1 << 42).contains(count) else { return nil }
        self.init(runs: [first..<first + UInt64(count)])
    }

    /// Pages of any numbers, in their order.
    /// - Returns: nil where they do not ascend, or a geometry page has no room for their runs.
    public init?(pages: some Sequence<UInt64>) {
        var runs: [Range<UInt64>] = []
        for page in pages {
            guard page < ParityLayout.pageLimit else { return nil }
            if let last = runs.last, last.upperBound == page {
                runs[runs.count - 1] = last.lowerBound..<page + 1
            } else {
                guard runs.count < MirrorPlaces.mostRuns else { return nil }
                runs.append(page..<page + 1)
            }
        }
        guard runs.count == 1 || MirrorPlaces.words(runs).count <= MirrorPlaces.mostRuns else { return nil }
        self.init(runs: runs)
    }

    /// The page with this number, 0..<count.
    public subscript(_ number: Int) -> UInt64 {
        var low = 0
        var high = starts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= number { low = middle } else { high = middle }
        }
        return runs[low].lowerBound &+ UInt64(number - starts[low])
    }

    public func contains(_ page: UInt64) -> Bool { runs.contains { $0.contains(page) } }

    // MARK: - In the geometry page

    private static func words(_ runs: [Range<UInt64>]) -> [UInt64] {
        var words: [UInt64] = []
        for run in runs {
            var first = run.lowerBound
            while first < run.upperBound {
                let length = min(run.upperBound - first, longestRun)
                words.append(first << 12 | (length - 1))
                first += length
                // More than a page has room for; a single run is not listed at all.
                if words.count > mostRuns { return words }
            }
        }
        return words
    }

    /// What is listed: nothing for a single run.
    var words: [UInt64] { runs.count > 1 ? MirrorPlaces.words(runs) : [] }

    /// - Parameters:
    ///   - first: the first page.
    ///   - count: how many there are.
    ///   - words: what is listed, without the zeros behind it.
    /// - Returns: nil for what `words` would not give.
    init?(first: UInt64, count: Int, words: [UInt64]) {
        guard !words.isEmpty else {
            self.init(first: first, count: count)
            return
        }
        var runs: [Range<UInt64>] = []
        for word in words {
            let start = word >> 12
            let end = start + (word & (MirrorPlaces.longestRun - 1)) + 1
            if let last = runs.last, last.upperBound == start {
                runs[runs.count - 1] = last.lowerBound..<end
            } else {
                runs.append(start..<end)
            }
        }
        self.init(runs: runs)
        guard runs[0].lowerBound == first, self.count == count, self.words == words else { return nil }
    }
}
