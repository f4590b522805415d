import CParity
import Glibc
import Testing

/// One way to compute, as the library lists them.
struct Path: CustomTestStringConvertible, Sendable {
    let index: Int

    static let all = (0..<pv_gf_path_count()).map(Path.init)

    /// The paths that run here. The others are named on standard output, so that nobody takes them for tested.
    static let running = all.filter { path in
        if !path.runsHere { print("NOT RUN: this processor does not have what \(path.name) needs") }
        return path.runsHere
    }

    var name: String { String(cString: pv_gf_path_name(index)) }
    var testDescription: String { name }
    var runsHere: Bool { pv_gf_path_runs_here(index) }

    /// The destinations, one after the other. `factors` is [source][destination].
    func combine(_ sources: [UnsafeRawPointer?], _ factors: [UInt8], destinations: Int) -> [UInt8] {
        Path.combine(sources, factors, destinations: destinations) { pv_gf_combine_by(index, $0) }
    }

    static func combine(
        _ sources: [UnsafeRawPointer?], _ factors: [UInt8], destinations: Int,
        by function: (UnsafeMutablePointer<pv_gf_combination>) -> Void
    ) -> [UInt8] {
        var made = [pv_gf_factor](repeating: pv_gf_factor(), count: factors.count)
        for (i, factor) in factors.enumerated() { pv_gf_make_factor(&made[i], factor) }
        // Whatever was there before must not matter, and nothing behind may change.
        var result = [UInt8](repeating: 0xAA, count: destinations * 4096 + 64)
        sources.withUnsafeBufferPointer { sources in
            made.withUnsafeBufferPointer { made in
                result.withUnsafeMutableBytes { result in
                    var combination = pv_gf_combination(
                        sources: sources.baseAddress, source_count: sources.count, destinations: result.baseAddress,
                        destination_count: destinations, destination_distance: 4096, adds: false,
                        factors: made.baseAddress)
                    function(&combination)
                }
            }
        }
        #expect(result.suffix(64) == ArraySlice(repeating: 0xAA, count: 64))
        return Array(result.dropLast(64))
    }
}

/// Does every kernel that runs here compute what the definition says, and read nothing but its data?
struct KernelTests {
    /// Sums by the definition of the field.
    static func defined(_ sources: [[UInt8]], _ factors: [UInt8], destinations: Int) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: destinations * 4096)
        for (s, source) in sources.enumerated() {
            for d in 0..<destinations {
                let products = definedProducts[Int(factors[s * destinations + d])]
                for i in 0..<4096 { result[d * 4096 + i] ^= products[Int(source[i])] }
            }
        }
        return result
    }

    /// Every factor times every byte, at every place of a line.
    @Test(arguments: Path.running)
    func everyProduct(_ path: Path) {
        let page = (0..<4096).map { UInt8(truncatingIfNeeded: $0 + $0 >> 8) }
        for factor in 0...255 {
            let product = page.withUnsafeBytes { path.combine([$0.baseAddress], [UInt8(factor)], destinations: 1) }
            #expect(product == page.map { definedProducts[factor][Int($0)] }, "factor \(factor)")
        }
    }

    /// All numbers of destinations, and numbers of sources around those that are taken in one go; odd addresses.
    @Test(arguments: Path.running)
    func sums(_ path: Path) {
        var random = Seeded(1)
        let room = random.bytes(64 * 4096 + 64)
        room.withUnsafeBytes { room in
            for (count, destinations) in (1...16).map({ (5, $0) })
                + [0, 1, 2, 15, 16, 17, 31, 32, 33, 64].map({ ($0, 8) })
            {
                let places = (0..<count).map { ($0 * 4096 + Int(random.next() % 64)) }
                let factors = random.bytes(count * destinations)
                let expected = Self.defined(
                    places.map { Array(room[$0..<$0 + 4096]) }, factors, destinations: destinations)
                let sums = path.combine(
                    places.map { room.baseAddress! + $0 }, factors, destinations: destinations)
                #expect(sums == expected, "\(count) sources, \(destinations) destinations")
            }
        }
    }

    /// Pages between two that must not be touched.
    @Test(arguments: Path.running)
    func readsNothingElse(_ path: Path) throws {
        let mapping = try #require(
            mmap(nil, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), "no memory")
        defer { munmap(mapping, 3 * 4096) }
        let middle = mapping + 4096
        var random = Seeded(2)
        let bytes = random.bytes(4096)
        middle.copyMemory(from: bytes, byteCount: 4096)
        #expect(mprotect(mapping, 4096, PROT_NONE) == 0 && mprotect(mapping + 2 * 4096, 4096, PROT_NONE) == 0)
        let factors = random.bytes(20 * 3)
        let sums = path.combine(
            Array(repeating: UnsafeRawPointer(middle), count: 20), factors, destinations: 3)
        #expect(sums == Self.defined(Array(repeating: bytes, count: 20), factors, destinations: 3))
    }

    /// What the program calls takes the first path that runs.
    @Test func theFirstPathThatRunsIsInUse() {
        #expect(pv_gf_path_in_use() == Path.running.first?.index)
        #expect(Path.all.last!.runsHere && Path.all.last!.name == "plain")
        var random = Seeded(3)
        let page = random.bytes(4096)
        let factors = random.bytes(6)
        let sums = page.withUnsafeBytes {
            Path.combine([$0.baseAddress], factors, destinations: 6) { pv_gf_combine($0) }
        }
        #expect(sums == Self.defined([page], factors, destinations: 6))
    }

    /// GF2P8AFFINEQB as Intel's manual defines it: bit i of the result is the parity of byte 7 - i of the matrix AND
    /// the source. So the matrices are right also where no processor here has the instruction.
    @Test func matrices() {
        for number in 0...255 {
            var factor = pv_gf_factor()
            pv_gf_make_factor(&factor, UInt8(number))
            for byte in 0...255 {
                var result: UInt8 = 0
                for i in 0..<8 {
                    let row = UInt8(truncatingIfNeeded: factor.matrix >> UInt64(8 * (7 - i)))
                    result |= UInt8((row & UInt8(byte)).nonzeroBitCount & 1) << UInt8(i)
                }
                if result != definedProducts[number][byte] { Issue.record("\(number) times \(byte)") }
            }
        }
    }
}
