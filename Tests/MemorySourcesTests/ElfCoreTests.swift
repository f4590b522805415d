import PRAM
import Testing

@testable import Machine
@testable import MemorySources

@Suite struct ElfCoreTests {
    typealias Segment = ElfRecipe.Segment

    @Test(arguments: [true, false]) func `segments in any order, with holes between them`(_ is64: Bool) throws {
        let recipe = ElfRecipe(
            is64: is64,
            segments: [
                Segment(type: 4, address: 0, bytes: Array("notes".utf8)),
                Segment(address: 8 * 4096, bytes: pages(8..<10)),
                Segment(address: is64 ? .max : 0xffff_ffff, bytes: page(0)),
                Segment(address: 2 * 4096, bytes: pages(2..<5)),
            ])
        let memory = try opened(recipe.bytes)
        #expect(memory.kind == (is64 ? "ELF core" : "32-bit ELF core"))
        #expect(memory.survey(0, 12) == "--PPP---PP--")
        #expect(memory.notes.isEmpty)
    }

    @Test(arguments: [0, 8, 3, 3776, 4096]) func `mapped where the file lets it, read elsewhere`(_ gap: Int) throws {
        let recipe = ElfRecipe(segments: [Segment(address: 4096, bytes: pages(1..<4))], gap: gap)
        let memory = try opened(recipe.bytes)
        #expect(memory.survey(0, 5) == "-PPP-")
        #expect((memory.mapped(PFN(1)) != nil) == (gap != 3))
    }

    @Test func `of overlapping segments the first has the page`() throws {
        let memory = try opened(
            ElfRecipe(segments: [
                Segment(address: 2 * 4096, bytes: pages(2..<4)),
                Segment(address: 0, bytes: pages([0, 1, 92, 93, 4])),
                Segment(address: 4 * 4096, bytes: pages([94, 5])),
            ]).bytes)
        #expect(memory.survey(0, 7) == "PPPPPP-")
    }

    @Test func `a page in two segments is put together, half a page is absent`() throws {
        let whole = page(1)
        let memory = try opened(
            ElfRecipe(segments: [
                Segment(address: 0, bytes: page(0) + whole[..<100]),
                Segment(address: 4096 + 100, bytes: Array(whole[100...]) + page(2) + page(3)[..<4095]),
            ]).bytes)
        #expect(memory.survey(0, 5) == "PPP--")
    }

    @Test func `what the file leaves out is absent`() throws {
        let memory = try opened(
            ElfRecipe(segments: [Segment(address: 0, bytes: pages(0..<2), memorySize: 5 * 4096)]).bytes)
        #expect(memory.survey(0, 6) == "PP----")
    }

    @Test func `offsets past the end are absent, and noted`() throws {
        let good = Segment(address: 0, bytes: page(0))
        let places: [(offset: UInt64, size: UInt64)] = [
            (1 << 40, 4096), (.max, 4096), (.max, .max), (0, .max), (.max - 4095, 4096), (1 << 63, 1 << 63),
        ]
        for (offset, size) in places {
            for address: UInt64 in [1 << 20, .max - 4095, 1 << 63] {
                let bad = Segment(address: address, bytes: [], fileSize: size, offset: offset)
                let memory = try opened(ElfRecipe(segments: [good, bad]).bytes)
                #expect(memory.survey(0, 1) == "P")
                #expect(memory.survey(1 << 52 - 2, 4).allSatisfy { $0 != "P" && $0 != "!" })
                #expect(memory.notes.count == 1)
            }
        }
        let cut = ElfRecipe(segments: [Segment(address: 0, bytes: pages(0..<3))]).bytes.dropLast(1)
        #expect(try opened(Array(cut)).survey(0, 4) == "PP--")
    }

    @Test(arguments: [true, false])
    func `more than 65534 segments are counted in section header 0`(_ is64: Bool) throws {
        var recipe = ElfRecipe(is64: is64, segments: [Segment(address: 4096, bytes: page(1))])
        (recipe.count, recipe.sectionInfo) = (0xffff, 1)
        #expect(try opened(recipe.bytes).survey(0, 3) == "-P-")
        recipe.sectionInfo = .max
        #expect(failure(recipe.bytes)?.cause == .tooLarge)
        recipe.sectionInfo = 1 << 20
        #expect(failure(recipe.bytes)?.cause == .malformed)
        recipe.sectionInfo = 0
        #expect(failure(recipe.bytes)?.message == "an ELF core without a segment of memory")
        recipe.sectionInfo = nil
        #expect(failure(recipe.bytes)?.cause == .malformed)
        var far = recipe.bytes
        if is64 { far.put(UInt64.max, at: 40) } else { far.put(UInt32.max, at: 32) }
        #expect(failure(far)?.message.contains("section header 0") == true)
    }

    @Test func `other ELF files are named, and what to do`() {
        let executable = failure(ElfRecipe(type: 2).bytes)
        #expect(executable?.cause == .unsupported)
        #expect(executable?.remedy.isEmpty == false)
        let process = ElfRecipe(segments: [Segment(address: 0, bytes: page(0)), Segment(address: 0, bytes: page(1))])
        #expect(failure(process.bytes)?.message.contains("process") == true)
        var bigEndian = ElfRecipe().bytes
        bigEndian[5] = 2
        #expect(failure(bigEndian)?.cause == .unsupported)
        var odd = ElfRecipe(segments: [Segment(address: 0, bytes: page(0))]).bytes
        odd.put(UInt16(57), at: 54)
        #expect(failure(odd)?.message == "program headers of 57 bytes, where ELF has 56")
    }
}
