import Testing

@testable import Parity

/// Does parity that is made in parts come out as it does in one go?
struct RunningParityTests {
    @Test(arguments: seeds(20)) func partsMakeTheWhole(_ seed: Int) throws {
        var random = Seeded(seed)
        let pages = Int.random(in: 1...120, using: &random)
        let rows = Int.random(in: 1...Interleaving.mostRows, using: &random)
        let groups = Int.random(in: 1...min(9, pages), using: &random)
        let code = try #require(Interleaving(pages: pages, groups: groups, rows: rows))
        let data = random.bytes(pages * parityPageSize)
        // What lay there before must not matter.
        var sums = random.bytes(code.parityPages * parityPageSize)
        data.withUnsafeBytes { data in
            sums.withUnsafeMutableBytes { sums in
                let running = RunningParity(code, sums: sums.baseAddress!)
                for group in 0..<groups {
                    var column = 0
                    while column < code.columns(of: group) {
                        let next = Int.random(in: column + 1...code.columns(of: group), using: &random)
                        let sources = (column..<next).map {
                            UnsafeRawPointer?(data.baseAddress! + code.page(group: group, column: $0) * parityPageSize)
                        }
                        let isDone = sources.withUnsafeBufferPointer {
                            running.add(column..<next, of: group, $0.baseAddress!) { work, context in
                                work(context)
                                return true
                            }
                        }
                        #expect(isDone)
                        column = next
                    }
                }
            }
        }
        let matrix = CauchyMatrix()
        for group in 0..<groups {
            for row in 0..<rows {
                var wanted = [UInt8](repeating: 0, count: parityPageSize)
                for column in 0..<code.columns(of: group) {
                    let products = definedProducts[Int(matrix.factor(row: row, column: column))]
                    let start = code.page(group: group, column: column) * parityPageSize
                    for place in 0..<parityPageSize { wanted[place] ^= products[Int(data[start + place])] }
                }
                let start = code.parity(group: group, row: row) * parityPageSize
                #expect(sums[start..<start + parityPageSize].elementsEqual(wanted), "group \(group), row \(row)")
            }
        }
    }

    @Test func columnsThatAGroupLacksAreRefused() throws {
        let code = try #require(Interleaving(pages: 5, groups: 2, rows: 1))
        var sums = [UInt8](repeating: 0, count: 2 * parityPageSize)
        let sources = [UnsafeRawPointer?](repeating: nil, count: 3)
        sums.withUnsafeMutableBytes { sums in
            let running = RunningParity(code, sums: sums.baseAddress!)
            sources.withUnsafeBufferPointer { sources in
                for (group, columns) in [(1, 0..<3), (2, 0..<1), (-1, 0..<1)] {
                    #expect(!running.add(columns, of: group, sources.baseAddress!) { _, _ in true })
                }
            }
        }
    }
}
