import Manifest
import PRAM
import Testing
import Verification

@testable import ChainWriting

/// The manifest's text is stored to the byte, also where it ends with a page, or with a run of pages that is written in one
/// go.
@Suite struct ManifestTextTests {
    /// A text of entries, the last of which makes it as long as it is to be.
    private func text(_ entries: Int, longer: Int) throws -> ManifestText {
        let text = ManifestText(Provenance())
        for number in 0...entries {
            var entry = TreeEntry(path: try TreePath(Array("d/\(number)".utf8)), kind: .symbolicLink)
            entry.target = [UInt8](repeating: 0x61, count: number == entries ? 1 + longer : 1000)
            text.write(entry)
        }
        return text
    }

    @Test(arguments: [(0, 1), (3, 1), (3, 2), (1000, 256)], [-1, 0, 1])
    func everyLengthIsStored(_ size: (entries: Int, multiple: Int), _ behind: Int) throws {
        let shortest = Int(try text(size.entries, longer: 0).finish())
        let unit = size.multiple * pageSize
        let longer = (2 * unit - shortest % unit + behind) % unit
        let length = shortest + longer
        #expect((length - behind) % unit == 0)
        let text = try text(size.entries, longer: longer)
        #expect(text.finish() == UInt64(length))
        let plan = SavePlan(
            files: [
                SavePlan.File(
                    name: ManifestFile.name, size: UInt64(length), mode: 0o100600, source: .text(text),
                    pages: UInt64((length + pageSize - 1) / pageSize))
            ], warnings: [], tree: nil)
        let memory = RecordedMemory(Image(100..<100 + UInt64(length / pageSize + 40)), isMapped: false)
        var save = try ChainSave(plan, from: nil, into: memory, generation: 3)
        let (head, chain) = try save.run(threads: 1, seed: 1)
        #expect(chain.verdict == .intact && chain.files.map(\.size) == [UInt64(length)])
        // As a kernel writes it: places in the file belong to its DATA.
        var walk = ChainWalk(head: head, memory: memory)
        let meta = walk.next()?.link?.entries.first
        #expect(meta?.kind == .meta && meta?.index == 0 && meta?.flags == 1)
        let stored = try #require(try Kernel.files(memory.image, head: head.number).first)
        #expect(stored.pages.count == (length + pageSize - 1) / pageSize)
        var bytes: [UInt8] = []
        for (_, page) in stored.pages.sorted(by: { $0.0 < $1.0 }) { bytes += page.bytes }
        #expect(bytes.dropFirst(length).allSatisfy { $0 == 0 })
        let wanted = try self.text(size.entries, longer: longer)
        _ = wanted.finish()
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: pageSize)
        defer { copy.deallocate() }
        #expect(wanted.copy(from: 0, to: copy) && copy.elementsEqual(bytes))
    }
}
