import CLinux
import Linux
import PRAM
import Testing

@testable import Machine
@testable import MemorySources

@Suite struct RawImageTests {
    @Test func `byte 0 is the base, a last partial page is absent`() throws {
        let memory = try opened(pages(5..<8) + [1, 2, 3], base: 5 * 4096)
        #expect(memory.kind == "raw image")
        #expect(memory.survey(3, 8) == "--PPP---")
        #expect(memory.mapped(PFN(5)) != nil)
        #expect(memory.mapped(PFN(8)) == nil)
        #expect(memory.notes.count == 1)
        #expect(!memory.zerosMayBeHoles)
    }

    @Test func `an empty file holds nothing`() throws {
        let memory = try opened([])
        #expect(memory.survey(0, 2) == "--")
        #expect(memory.notes.isEmpty)
    }

    @Test func `no PFN is too odd to ask for`() throws {
        let memory = try opened(pages(0..<2))
        for number: UInt64 in [2, 1 << 51, 1 << 52 - 1, 1 << 52, 1 << 52 + 1, 1 << 63, .max - 1, .max] {
            #expect(memory.survey(number, 1) == "-")
            #expect(memory.fetch(number, 4).allSatisfy { $0.state == .absent })
            #expect(memory.mapped(PFN(number)) == nil)
        }
    }

    @Test func `a base is a page's address, and the end below 2^64`() throws {
        #expect(failure(page(0), base: 1)?.cause == .malformed)
        let last: UInt64 = 1 << 52 - 1
        let memory = try opened(page(last), base: last << 12)
        #expect(memory.survey(last - 1, 2) == "-P")
        #expect(memory.survey(0, 1) == "-")
        #expect(failure(page(last) + [0], base: last << 12)?.cause == .tooLarge)
    }

    @Test func `a huge sparse file costs nothing`() throws {
        let file = Scratch(page(0), length: 1 << 43)
        let memory = try file.open()
        #expect(memory.survey(0, 1) == "P")
        #expect(memory.fetch(1 << 31 - 1)[0].bytes == zeros(4096))
        #expect(memory.survey(1 << 31, 1) == "-")
    }

    @Test func `a file that shrinks leaves unreadable pages`() throws {
        let file = Scratch(pages(0..<4))
        let memory = try file.open()
        withExtendedLifetime(file) { _ = withCString(file.path) { truncate($0, 4096 * 2 + 7) } }
        let states = memory.fetch(0, 5).map(\.state)
        #expect(states == [.present, .present, .unreadable, .unreadable, .absent])
    }

    @Test func `raw on demand, whatever the first bytes say`() throws {
        for start: [UInt8] in [gzip([1]), Array("\u{7f}ELF".utf8), Array("EMiL".utf8), Array("KDUMP   ".utf8)] {
            let bytes = start.padded(to: 4096) + page(1)
            #expect(throws: MemoryFailure.self) { try opened(bytes) }
            #expect(try opened(bytes, as: .raw).survey(0, 2) == "xP")
        }
    }
}

@Suite struct ExtentMapTests {
    /// Every byte has the first of the layers that cover it.
    @Test func `the first layer wins, as in a plain array`() {
        var generator = SplitMix(state: 3)
        for round in 0..<2000 {
            let layers = (0..<Int.random(in: 0..<9, using: &generator)).map { piece in
                let start = UInt64.random(in: 0..<40, using: &generator)
                return Extent(start: start, last: start + .random(in: 0..<20, using: &generator), piece: piece)
            }
            // Every other round at the upper end of the space.
            let shift: UInt64 = round % 2 == 0 ? 0 : .max - 60
            let shifted = layers.map {
                Extent(start: $0.start + shift, last: $0.last + shift, piece: $0.piece)
            }
            let map = ExtentMap(shifted)
            for position: UInt64 in 0...60 {
                let expected = layers.first { $0.start <= position && position <= $0.last }?.piece
                #expect(map.extent(at: position + shift)?.piece == expected)
            }
            #expect(zip(map.extents, map.extents.dropFirst()).allSatisfy { $0.last < $1.start })
            #expect(map.extents.allSatisfy { $0.start <= $0.last })
            #expect(map.extents.count <= max(1, 2 * layers.count))
        }
    }
}
