/// The protected pages in the order of their numbers, kept as runs: which rank has a page, and which page a rank.
///
/// A chain that was saved in one piece is one run. Memory is bounded by how many runs are allowed, 24 bytes each.
public struct ProtectedPages: Sendable {
    /// 1.5 MiB, twice that while pages are added.
    public static let mostRuns = 1 << 16

    private struct Run {
        var first: UInt64
        var count: UInt64
        /// The rank of the first.
        var rank: UInt64 = 0
    }
    private var runs: [Run] = []
    private var isOrdered = true
    /// A page came twice, or there were too many runs: no parity can be used.
    public private(set) var isBroken = false

    public init() {}

    /// Adds a page, in any order; ascending is fast. All are added before the first question.
    public mutating func add(_ page: UInt64) {
        guard !isBroken else { return }
        isOrdered = false
        if let last = runs.last, page >= last.first, page - last.first == last.count {
            runs[runs.count - 1].count += 1
            return
        }
        // Runs that touch each other may have come in another order. If too many are left, it is too late.
        if runs.count == 2 * ProtectedPages.mostRuns, !order() { return }
        runs.append(Run(first: page, count: 1))
        isOrdered = false
    }

    /// Puts the pages in order. To be called once all are added.
    /// - Returns: false when a page came twice or they lie too scattered: then no parity can be used.
    @discardableResult
    public mutating func order() -> Bool {
        guard !isBroken else { return false }
        guard !isOrdered else { return true }
        runs.sort { $0.first < $1.first }
        var merged: [Run] = []
        var rank: UInt64 = 0
        for run in runs {
            if let last = merged.last {
                let distance = run.first - last.first
                if distance < last.count {
                    isBroken = true
                    return false
                }
                if distance == last.count {
                    merged[merged.count - 1].count += run.count
                    rank += run.count
                    continue
                }
            }
            merged.append(Run(first: run.first, count: run.count, rank: rank))
            rank += run.count
        }
        runs = merged
        isOrdered = true
        if runs.count > ProtectedPages.mostRuns { isBroken = true }
        return !isBroken
    }

    /// How many there are.
    public var count: Int { runs.reduce(0) { $0 + Int($1.count) } }

    /// The rank of a page; nil when it is not protected.
    public func rank(of page: UInt64) -> Int? {
        guard let run = last(where: { $0.first <= page }), page - run.first < run.count else { return nil }
        return Int(run.rank + (page - run.first))
    }

    /// The page of a rank; nil when there are not so many.
    public func page(ofRank rank: Int) -> UInt64? {
        guard rank >= 0, let run = last(where: { $0.rank <= UInt64(rank) }), UInt64(rank) - run.rank < run.count else {
            return nil
        }
        return run.first + (UInt64(rank) - run.rank)
    }

    /// The last run for which this is true, as it is for all before it.
    private func last(where isTrue: (Run) -> Bool) -> Run? {
        var low = 0
        var high = runs.count
        while low < high {
            let middle = (low + high) / 2
            if isTrue(runs[middle]) { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : runs[low - 1]
    }
}
