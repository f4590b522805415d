import CChecksum
import Glibc
import Testing

/// Does every kernel that runs here compute what the definition says, and read nothing but its data?
@Suite struct PathTests {
    static let lengths = Array(0...1100) + Array(4080...4100)

    @Test(arguments: Path.running)
    func agreesWithTheDefinition(_ path: Path) {
        let length = Self.lengths.last!
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: length + 64, alignment: 64)
        defer { buffer.deallocate() }
        for (function, definition) in path.checksums {
            for seed in seeds {
                let expected = definition.ofPrefixes(Array(sample[..<length]), seed: seed)
                for alignment in 0..<64 {
                    let data = buffer + alignment
                    data.copyMemory(from: sample, byteCount: length)
                    let wrong = Self.lengths.filter { function(path.index, seed, data, $0) != expected[$0] }
                    #expect(wrong == [], "lengths at alignment \(alignment), seed \(seed)")
                }
            }
        }
    }

    @Test(arguments: Path.running)
    func goesOnFromASeed(_ path: Path) {
        sample.withUnsafeBytes { bytes in
            let start = bytes.baseAddress!
            for (function, definition) in path.checksums {
                let length = 4096
                let whole = definition.ofPrefixes(Array(sample[..<length]), seed: 0).last!
                let wrong = (0...length).filter { cut in
                    let seed = function(path.index, 0, start, cut)
                    return function(path.index, seed, start + cut, length - cut) != whole
                }
                #expect(wrong == [], "cuts")
            }
        }
    }

    @Test(arguments: Path.running)
    func takesMoreThanAPage(_ path: Path) {
        for (function, definition) in path.checksums {
            let expected = definition.ofPrefixes(sample, seed: 0)
            let wrong = stride(from: 4096, through: sample.count, by: 61).filter {
                function(path.index, 0, sample, $0) != expected[$0]
            }
            #expect(wrong == [], "lengths")
        }
    }

    @Test(arguments: Path.running)
    func zerosHaveChecksumZero(_ path: Path) {
        let zeros = [UInt8](repeating: 0, count: 4096)
        for (function, _) in path.checksums { #expect(function(path.index, 0, zeros, zeros.count) == 0) }
    }

    /// Data between two pages that must not be touched, first against the one, then against the other.
    @Test(arguments: Path.running)
    func readsNothingElse(_ path: Path) throws {
        let room = try GuardedMemory(pages: 2)
        for (function, definition) in path.checksums {
            let expected = definition.ofPrefixes(Array(sample[..<Self.lengths.last!]), seed: 0)
            let wrong = Self.lengths.filter { length in
                [room.start, room.end - length].contains { data in
                    data.copyMemory(from: sample, byteCount: length)
                    return function(path.index, 0, data, length) != expected[length]
                }
            }
            #expect(wrong == [], "lengths")
        }
    }

    /// The last path is there for every processor, and each checksum has a path that runs.
    @Test func somethingRunsEverywhere() {
        for path in Path.all where !path.runsHere { #expect(!pv_crc_force_path(path.index)) }
        #expect(Path.running.contains { pv_crc_path_has_crc32c($0.index) && pv_crc_path_has_crc32($0.index) })
        #expect(Path.all.last!.runsHere)
    }
}

/// Readable pages between two that are not.
final class GuardedMemory {
    struct NoMemory: Error {}

    private let mapping: UnsafeMutableRawPointer
    private let size: Int

    init(pages: Int) throws {
        size = (pages + 2) * 4096
        guard let memory = mmap(nil, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), memory != MAP_FAILED,
            mprotect(memory + 4096, pages * 4096, PROT_READ | PROT_WRITE) == 0
        else { throw NoMemory() }
        mapping = memory
    }

    deinit { munmap(mapping, size) }

    var start: UnsafeMutableRawPointer { mapping + 4096 }
    var end: UnsafeMutableRawPointer { mapping + size - 4096 }
}
