import CLinux
import Linux
import Manifest
import PRAM
import Testing
import Verification

@testable import ChainWriting

/// What `drop` leaves of the manifest of a tree.
@Suite struct ManifestReplacementTests {
    /// A chain of a directory with one file, and symbolic links that make the manifest some pages long.
    private func saved(pages: Int) throws -> RecordedMemory {
        var template = Array("/tmp/pram-verify-tree-XXXXXX".utf8CString)
        let top = try #require(mkdtemp(&template).map { String(cString: $0) })
        defer {
            unlink(top + "/file")
            for number in 0..<4 { unlink(top + "/link\(number)") }
            rmdir(top)
        }
        let file = try FileDescriptor.openForUpdate(Array("\(top)/file".utf8), isMade: true)
        try file.write([UInt8](repeating: 7, count: 5000), at: 0)
        let target = String(repeating: "x", count: 3000)
        for number in 0..<4 { #expect(symlink(target, top + "/link\(number)") == 0) }
        let plan = try SavePlan(tree: Array(top.utf8), options: SavePlan.TreeOptions())
        let memory = RecordedMemory(Image(0x200..<0x200 + UInt64(pages)), isMapped: false)
        var save = try ChainSave(plan, from: nil, into: memory, generation: 5)
        _ = try save.run(threads: 1, seed: 1)
        return memory
    }

    private func survey(_ memory: RecordedMemory) -> SurveyedChain {
        SurveyedChain(head: PFN(0x200), memory: memory, threads: 1, seed: 1)
    }

    /// Where no file is left, and a page of the manifest is lost as well, links are left: what can be read of the manifest
    /// stays, alone.
    @Test(arguments: [FreePages.all, .none]) func theManifestStaysAlone(_ free: FreePages) throws {
        let memory = try saved(pages: 16)
        let chain = survey(memory)
        #expect(chain.evaluation.verdict == .intact)
        let data = chain.entries.filter { $0.entry.kind == .data }.map { $0.entry.page.number }
        #expect(data.count == 6 && chain.evaluation.files.map(\.name) == [ManifestFile.name, Array("file".utf8)])
        var image = memory.image
        image.flip(data[1], bit: 9)
        image.flip(data[5], bit: 9)
        let torn = RecordedMemory(image, isMapped: false)
        let damaged = survey(torn)
        let outcome = try ChainDrop(damaged, plan(damaged), in: torn)
            .run(taking: free, generation: 6, threads: 1, seed: 1)
        #expect(outcome.isAtomic)
        guard free != .none else {
            // It cannot be written anew there, and as it is it tells of what is gone.
            #expect(outcome.head == nil && torn.image[0x200] == Page())
            return
        }
        let left = try #require(outcome.chain)
        #expect(left.verdict == .intact && left.files.map(\.name) == [ManifestFile.name])
        #expect(outcome.manifestFits)
    }
}
