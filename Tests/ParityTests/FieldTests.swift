import Testing

@testable import Parity

/// Is the arithmetic that of the field, and is the matrix what its documentation says?
struct FieldTests {
    let field = GaloisField()
    let matrix = CauchyMatrix()

    @Test func productsAndInverses() {
        for a in 0...255 {
            for b in 0...255 where field.product(UInt8(a), UInt8(b)) != definedProducts[a][b] {
                Issue.record("\(a) times \(b)")
            }
            if let inverse = field.inverse(UInt8(a)) {
                #expect(definedProducts[a][Int(inverse)] == 1)
            } else {
                #expect(a == 0)
            }
        }
    }

    @Test func factorsAreInversesOfSums() {
        for row in 0..<Interleaving.mostRows {
            for column in 0..<256 - row where column != 255 - row {
                #expect(definedProducts[Int(matrix.factor(row: row, column: column))][(255 - row) ^ column] == 1)
            }
        }
    }

    /// Whether a square matrix can be inverted, by elimination over the definition's products.
    static func isRegular(_ square: [[UInt8]]) -> Bool {
        var square = square
        for pivot in square.indices {
            guard let row = square.indices.first(where: { $0 >= pivot && square[$0][pivot] != 0 }) else { return false }
            square.swapAt(row, pivot)
            let inverse = definedProducts[Int(square[pivot][pivot])].firstIndex(of: 1)!
            for other in square.indices where other > pivot && square[other][pivot] != 0 {
                let factor = definedProducts[Int(square[other][pivot])][inverse]
                for j in square.indices { square[other][j] ^= definedProducts[Int(factor)][Int(square[pivot][j])] }
            }
        }
        return true
    }

    /// All of one and of two rows (products over crosses), of the default's size.
    @Test func everySmallSquareIsRegular() {
        for a in 0..<8 {
            for b in a + 1..<8 {
                for c in 0..<160 {
                    for d in c + 1..<160 {
                        let ad = field.product(matrix.factor(row: a, column: c), matrix.factor(row: b, column: d))
                        let bc = field.product(matrix.factor(row: a, column: d), matrix.factor(row: b, column: c))
                        if ad == bc { Issue.record("rows \(a), \(b), columns \(c), \(d)") }
                    }
                }
            }
        }
    }

    /// Larger ones by sampling, with all rows and columns that can ever be used; and the inverse is one.
    @Test func larger() throws {
        var random = Seeded(11)
        for round in 0..<4000 {
            let rowCount = Interleaving.mostRows
            let size = 1 + round % rowCount
            let rows = Array((0..<rowCount).shuffled(using: &random)[..<size])
            let columns = Array((0..<256 - rowCount).shuffled(using: &random)[..<size])
            let square = rows.map { row in columns.map { matrix.factor(row: row, column: $0) } }
            #expect(Self.isRegular(square), "round \(round)")
            let inverse = try #require(matrix.inverse(rows: rows, columns: columns))
            for i in 0..<size {
                for j in 0..<size {
                    var sum: UInt8 = 0
                    for n in 0..<size { sum ^= definedProducts[Int(inverse[i][n])][Int(square[n][j])] }
                    if sum != (i == j ? 1 : 0) { Issue.record("round \(round): \(i), \(j)") }
                }
            }
        }
    }

    @Test func whatStandsThereTwiceHasNoInverse() {
        #expect(matrix.inverse(rows: [1, 1], columns: [0, 1]) == nil)
        #expect(matrix.inverse(rows: [0, 1], columns: [7, 7]) == nil)
        #expect(matrix.inverse(rows: [0], columns: [1, 2]) == nil)
        #expect(matrix.inverse(rows: [], columns: [])?.isEmpty == true)
    }
}
