/// The factors of the code: parity page `row` of a group is the sum of all its pages, that in `column` times
/// 1 / ((255 - row) + column).
///
/// The numbers 255 - row and column never meet (rows + columns <= 256), so there is never a division by 0. Every square
/// matrix cut out of it, by any rows and as many columns, can be inverted, for its determinant is known in closed form
/// (Cauchy 1841): with x_i and y_j the numbers of the rows and columns that were kept,
///
///     det = product over i < j of (x_i + x_j)(y_i + y_j)  /  product over all i, j of (x_i + y_j)
///
/// and no factor above or below is 0, since the x differ from each other, the y do, and no x is a y. That is all that
/// erasure decoding asks for: `n` lost pages and any `n` parity pages give `n` equations with one solution. Matrices of
/// powers (Vandermonde), put beneath an identity, do not have this property.
///
/// A factor does not depend on how many pages a group has: a group with fewer simply lacks the last columns.
public struct CauchyMatrix: Sendable {
    public let field = GaloisField()
    /// inverses[a] is 1 / a; inverses[0] is not used.
    private var inverses: [UInt8]

    public init() {
        inverses = [UInt8](repeating: 0, count: 256)
        for number in 1...255 { inverses[number] = field.inverse(UInt8(number)) ?? 0 }
    }

    /// - Parameters: `row` and `column` are 0...255 and their sum is below 255 (see `Interleaving`).
    public func factor(row: Int, column: Int) -> UInt8 { inverses[(255 - (row & 255)) ^ (column & 255)] }

    /// The inverse of the square matrix of these rows and columns, [column][row]; nil when it has none, which only
    /// happens when a row or a column stands there twice.
    func inverse(rows: [Int], columns: [Int]) -> [[UInt8]]? {
        let size = rows.count
        guard columns.count == size else { return nil }
        // Gauss and Jordan: what turns the left half into the identity turns the identity on the right into the
        // inverse.
        var matrix: [[UInt8]] = []
        for (i, row) in rows.enumerated() {
            var line = [UInt8](repeating: 0, count: 2 * size)
            for (j, column) in columns.enumerated() { line[j] = factor(row: row, column: column) }
            line[size + i] = 1
            matrix.append(line)
        }
        for pivot in 0..<size {
            var row = pivot
            while row < size && matrix[row][pivot] == 0 { row += 1 }
            guard row < size, let inverse = field.inverse(matrix[row][pivot]) else { return nil }
            matrix.swapAt(row, pivot)
            for j in 0..<2 * size { matrix[pivot][j] = field.product(matrix[pivot][j], inverse) }
            for other in 0..<size where other != pivot {
                let factor = matrix[other][pivot]
                for j in 0..<2 * size { matrix[other][j] ^= field.product(factor, matrix[pivot][j]) }
            }
        }
        return matrix.map { Array($0[size...]) }
    }
}
