/// How what a group has lost follows from what it still has: each lost member is a sum of multiples of as many others
/// as the group has pages.
///
/// Let D be the lost pages and U as many parity pages that are left. The parity pages say, for each u in U,
///
///     parity[u] + sum over the pages s that are left of factor[u][s] page[s] = sum over D of factor[u][d] page[d]
///
/// and since the square matrix on the right can be inverted (`CauchyMatrix`), the pages d follow. A lost parity page is
/// the sum that it always was, with those put in. To encode is the same: all parity is lost, no page is.
struct GroupDecoding: Equatable {
    /// What of the group is lost; how the sums look depends on nothing else.
    struct Losses: Equatable {
        var columns: Int
        var lostColumns: [Int] = []
        var lostRows: [Int] = []

        init(of group: Int, _ losses: ParityLosses) {
            let code = losses.code
            columns = code.columns(of: group)
            for column in 0..<columns where losses.isLost(.page(code.page(group: group, column: column))) {
                lostColumns.append(column)
            }
            for row in 0..<code.rows where losses.isLost(.parity(code.parity(group: group, row: row))) {
                lostRows.append(row)
            }
        }
    }

    let losses: Losses
    /// The sources: the columns that are left, then these rows.
    let columns: [Int]
    let rows: [Int]
    /// [source][destination]; destinations are the lost columns, then the lost rows.
    let factors: [UInt8]

    /// nil when more is lost than there is parity.
    init?(_ losses: Losses, rows count: Int, _ matrix: CauchyMatrix) {
        self.losses = losses
        let lost = losses.lostColumns
        let used = Array((0..<count).filter { !losses.lostRows.contains($0) }.prefix(lost.count))
        guard used.count == lost.count, let inverse = matrix.inverse(rows: used, columns: lost) else { return nil }
        rows = used
        columns = (0..<losses.columns).filter { !lost.contains($0) }
        let field = matrix.field
        var factors: [UInt8] = []
        factors.reserveCapacity(losses.columns * (lost.count + losses.lostRows.count))
        /// Enters a source: its part in each lost column, and with that in each lost row.
        func enter(_ parts: [UInt8], column: Int?) {
            factors += parts
            for row in losses.lostRows {
                var sum = column.map { matrix.factor(row: row, column: $0) } ?? 0
                for (i, part) in parts.enumerated() {
                    sum ^= field.product(matrix.factor(row: row, column: lost[i]), part)
                }
                factors.append(sum)
            }
        }
        for column in columns {
            let inUsed = used.map { matrix.factor(row: $0, column: column) }
            enter(
                inverse.map { line in
                    var sum: UInt8 = 0
                    for (i, factor) in line.enumerated() { sum ^= field.product(factor, inUsed[i]) }
                    return sum
                }, column: column)
        }
        for i in used.indices { enter(inverse.map { $0[i] }, column: nil) }
        self.factors = factors
    }
}
