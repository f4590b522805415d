import CParity
import Glibc
import Testing

@testable import Parity

/// Debian's ISA-L (libisal2), found when the tests run: the package does not need it. Where it is missing the tests
/// fail.
struct ReferenceLibrary {
    struct Missing: Error, CustomStringConvertible {
        var description: String { "libisal.so.2 is missing: apt-get install libisal2" }
    }
    typealias Multiply = @convention(c) (UInt8, UInt8) -> UInt8
    typealias Invert = @convention(c) (UInt8) -> UInt8
    typealias MakeMatrix = @convention(c) (UnsafeMutablePointer<UInt8>, Int32, Int32) -> Void
    typealias InvertMatrix = @convention(c) (UnsafeMutablePointer<UInt8>, UnsafeMutablePointer<UInt8>, Int32) -> Int32
    typealias MakeTables =
        @convention(c) (Int32, Int32, UnsafeMutablePointer<UInt8>, UnsafeMutablePointer<UInt8>) -> Void
    typealias Encode =
        @convention(c) (
            Int32, Int32, Int32, UnsafeMutablePointer<UInt8>, UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>,
            UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>
        ) -> Void

    let multiply: Multiply
    let invert: Invert
    let cauchyMatrix: MakeMatrix
    let invertMatrix: InvertMatrix
    let makeTables: MakeTables
    let encodeData: Encode

    init() throws {
        guard let library = dlopen("libisal.so.2", RTLD_NOW) else { throw Missing() }
        func symbol<T>(_ name: String, _ type: T.Type) throws -> T {
            guard let address = dlsym(library, name) else { throw Missing() }
            return unsafeBitCast(address, to: type)
        }
        multiply = try symbol("gf_mul", Multiply.self)
        invert = try symbol("gf_inv", Invert.self)
        cauchyMatrix = try symbol("gf_gen_cauchy1_matrix", MakeMatrix.self)
        invertMatrix = try symbol("gf_invert_matrix", InvertMatrix.self)
        makeTables = try symbol("ec_init_tables", MakeTables.self)
        encodeData = try symbol("ec_encode_data", Encode.self)
    }

    /// The destinations, one after the other. `matrix` is [destination][source], as the library has it.
    func encode(_ sources: [UInt8], _ matrix: [UInt8], destinations: Int) -> [UInt8] {
        let count = sources.count / 4096
        var sources = sources, matrix = matrix
        var result = [UInt8](repeating: 0, count: destinations * 4096)
        var tables = [UInt8](repeating: 0, count: 32 * count * destinations)
        makeTables(Int32(count), Int32(destinations), &matrix, &tables)
        sources.withUnsafeMutableBufferPointer { sources in
            result.withUnsafeMutableBufferPointer { result in
                var from = (0..<count).map { Optional(sources.baseAddress! + $0 * 4096) }
                var to = (0..<destinations).map { Optional(result.baseAddress! + $0 * 4096) }
                encodeData(4096, Int32(count), Int32(destinations), &tables, &from, &to)
            }
        }
        return result
    }
}

/// Does a library that many rely on compute the same?
struct ReferenceTests {
    @Test func field() throws {
        let library = try ReferenceLibrary()
        let field = GaloisField()
        for a in 0...255 {
            for b in 0...255 where library.multiply(UInt8(a), UInt8(b)) != field.product(UInt8(a), UInt8(b)) {
                Issue.record("\(a) times \(b)")
            }
            #expect(library.invert(UInt8(a)) == field.inverse(UInt8(a)) ?? 0)
        }
    }

    /// The library's own Cauchy matrix, and ours, in sizes that are used.
    @Test(arguments: Path.running)
    func sums(_ path: Path) throws {
        let library = try ReferenceLibrary()
        let ours = CauchyMatrix()
        var random = Seeded(21)
        for (columns, rows) in [(160, 8), (16, 8), (240, 12), (252, 4), (1, 4), (37, 5), (100, 1), (240, 16)] {
            let sources = random.bytes(columns * 4096)
            var theirs = [UInt8](repeating: 0, count: (columns + rows) * columns)
            library.cauchyMatrix(&theirs, Int32(columns + rows), Int32(columns))
            let matrices = [
                Array(theirs[(columns * columns)...]),
                (0..<rows).flatMap { row in (0..<columns).map { ours.factor(row: row, column: $0) } },
            ]
            for (which, matrix) in matrices.enumerated() {
                let turned = (0..<columns).flatMap { column in (0..<rows).map { matrix[$0 * columns + column] } }
                let sums = sources.withUnsafeBytes { bytes in
                    path.combine((0..<columns).map { bytes.baseAddress! + $0 * 4096 }, turned, destinations: rows)
                }
                #expect(
                    sums == library.encode(sources, matrix, destinations: rows),
                    "\(columns) columns, \(rows) rows, matrix \(which)")
            }
        }
    }

    @Test func inverses() throws {
        let library = try ReferenceLibrary()
        let matrix = CauchyMatrix()
        var random = Seeded(22)
        for round in 0..<500 {
            let size = 1 + round % 16
            let rows = Array((0..<16).shuffled(using: &random)[..<size])
            let columns = Array((0..<240).shuffled(using: &random)[..<size])
            var square = rows.flatMap { row in columns.map { matrix.factor(row: row, column: $0) } }
            var inverse = [UInt8](repeating: 0, count: size * size)
            #expect(library.invertMatrix(&square, &inverse, Int32(size)) == 0)
            #expect(matrix.inverse(rows: rows, columns: columns).map { $0.flatMap { $0 } } == inverse, "round \(round)")
        }
    }
}
