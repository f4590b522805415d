import CLinux
import Linux
import Manifest
import PRAM
import Testing
import Verification

@testable import ChainWriting

/// Streams, whose length shows at their end alone, on their own and beside other files.
@Suite struct StreamTests {
    private let capacity = 169
    private let batch = 256

    /// Bytes of which no two pages are alike.
    private func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 12 &* 31) | 1 }
    }

    private func stream(_ content: [UInt8]) throws -> FileDescriptor {
        let file = try FileDescriptor.unlinked(in: Array("/tmp".utf8))
        try file.write(content, at: 0)
        return file
    }

    private func planned(_ before: [[UInt8]], _ file: borrowing FileDescriptor) -> SavePlan {
        SavePlan(
            files: before.map { SavePlan.File(name: $0, size: 0, mode: 0o100600, source: .canary(empty), pages: 0) }
                + [SavePlan.File(name: [0x73], size: 0, mode: 0o100640, source: .stream(file.number), pages: 0)],
            warnings: [], tree: nil)
    }

    private var empty: Canary { Canary(seed: 0, head: PFN(1), pages: 0) }

    private func image(_ pages: Int) -> Image {
        var dice = Dice(3)
        var image = Image(100..<100 + UInt64(pages))
        for page in image.pages { image[page] = dice.page() }
        return image
    }

    /// Links, the META pages of `files`, and DATA.
    private func needed(_ size: Int, files: Int = 1) -> Int {
        let entries = files + (size + 4095) / 4096
        return entries + (entries + capacity - 1) / capacity
    }

    @Test(arguments: [
        0, 1, 4095, 4096, 4097, 167 * 4096, 168 * 4096, 168 * 4096 + 1, 169 * 4096, 255 * 4096 + 5, 256 * 4096,
        256 * 4096 + 1, 700 * 4096 - 3,
    ])
    func whatComesIsStored(_ size: Int) throws {
        for (isMapped, before) in [(true, []), (false, [[1], [2], [3]])] as [(Bool, [[UInt8]])] {
            let content = bytes(size)
            let file = try stream(content)
            let memory = RecordedMemory(image(needed(size, files: before.count + 1)), isMapped: isMapped)
            let plan = planned(before, file)
            #expect(plan.hasStream && SaveEstimate(plan, parity: 0) == nil)
            var save = try ChainSave(plan, from: nil, into: memory, generation: 9, parity: 5)
            let (head, chain) = try save.run(threads: 1, seed: 1)
            #expect(chain.verdict == .intact && save.protection == nil && save.isOfStream)
            let found = try Kernel.files(memory.image, head: head.number)
            #expect(found.map(\.name) == before + [[0x73]])
            let last = try #require(found.last)
            #expect(last.size == UInt64(size) && last.mode == 0o100640)
            #expect(last.pages.count == (size + 4095) / 4096)
            for (index, page) in last.pages {
                let start = Int(index) * 4096
                #expect(page.bytes.prefix(size - start).elementsEqual(content[start..<min(start + 4096, size)]))
                #expect(page.bytes.dropFirst(size - start).allSatisfy { $0 == 0 })
            }
        }
    }

    /// Not one page is left over, and not one is taken that the range does not have.
    @Test(arguments: [0, 4096, 168 * 4096, 169 * 4096, 400 * 4096])
    func oneByteTooManyLeavesNoChain(_ size: Int) throws {
        let file = try stream(bytes(size + 1))
        let memory = RecordedMemory(image(needed(size)), isMapped: false)
        do {
            var save = try ChainSave(planned([], file), from: nil, into: memory, generation: 9)
            _ = try save.run(threads: 1, seed: 1)
            Issue.record("saved")
        } catch {
            #expect(error.cause == .tooSmall)
            #expect(error.message.contains("1 more byte"), "\(error.message)")
        }
        #expect(memory.image[100].bytes.allSatisfy { $0 == 0 })
    }

    /// Beside a tree, room for the manifest that comes behind the stream is kept, with links for all of it, and no more.
    @Test(arguments: Array(stride(from: 60, to: 460, by: 13))) func roomIsKeptForTheManifest(_ pages: Int) throws {
        for isTooLong in [false, true] {
            let text = ManifestText(Provenance())
            func plan(_ number: Int32) -> SavePlan {
                SavePlan(
                    files: [
                        SavePlan.File(name: [0x73], size: 0, mode: 0o100640, source: .stream(number), pages: 0),
                        SavePlan.File(
                            name: ManifestFile.name, size: 0, mode: 0o100600, source: .text(text), pages: 0),
                    ], warnings: [], tree: nil)
            }
            let kept = Int(plan(0).pagesBehindStream)
            // The head and the stream's META page; a link for each 169 entries.
            let most = try #require((1..<pages).last { $0 + kept + (1 + $0 + kept + 168) / 169 - 1 <= pages - 2 })
            let content = bytes(most * 4096 + (isTooLong ? 1 : 0))
            let file = try stream(content)
            let memory = RecordedMemory(image(pages), isMapped: false)
            var save = try ChainSave(plan(file.number), from: nil, into: memory, generation: 9)
            let failure = writingFailure { _ = try save.run(threads: 1, seed: 1) }
            #expect(failure?.cause == (isTooLong ? .tooSmall : nil), "\(pages) pages")
            guard !isTooLong else { continue }
            let found = try Kernel.files(memory.image, head: 100)
            #expect(found.map(\.size).first == UInt64(content.count) && found.count == 2)
        }
    }

    @Test func aDirectoryHasNone() throws {
        var dice = Dice(1)
        let files = SourceFiles()
        try files.add([1], size: 5000, pages: [0, 1], &dice)
        let plan = try SavePlan(files.directory)
        #expect(!plan.hasStream && plan.warnings.isEmpty)
        #expect(SaveEstimate(plan, parity: 0)?.pages == 4)
    }

    /// What the format has no place for is said of each file that has it, and of no other.
    @Test func hardLinksAreNamed() throws {
        var dice = Dice(1)
        let files = SourceFiles()
        try files.add([0x61], size: 1, pages: [0], &dice)
        try files.add([0x62], size: 1, pages: [0], &dice)
        try Directory(files.path).link([0x62], to: [0x63])
        let warnings = try SavePlan(files.directory).warnings
        #expect(
            warnings == [
                "b has 2 links; it is saved as a file of its own", "c has 2 links; it is saved as a file of its own",
            ])
    }
}

/// The pages of a rehearsal, as `ChainSave` writes them.
@Suite struct CanarySaveTests {
    @Test(arguments: [3, 4, 169, 170, 171, 260, 261, 600, 1000])
    func everyPageIsItsOwn(_ room: Int) throws {
        let name = CanaryName(saved: 5, boot: [0x31], release: [0x36])
        let head = PFN(100)
        let (plan, canary) = try #require(SavePlan.canary(seed: 77, head: head, room: UInt64(room), name: name))
        #expect(canary.pages <= UInt64(room) && canary.pages + 2 > UInt64(room))
        for isMapped in [true, false] {
            let memory = RecordedMemory(Image(100..<100 + UInt64(room)), isMapped: isMapped)
            var save = try ChainSave(plan, from: nil, into: memory, generation: 9)
            let (_, chain) = try save.run(threads: 1, seed: 1)
            #expect(chain.verdict == .intact)
            let damage = canary.damage(in: memory, keeping: 8)
            #expect(damage.lost == 0 && damage.ranges.isEmpty && !damage.isCutShort)
            var found: Set<UInt64> = []
            for file in try Kernel.files(memory.image, head: 100) {
                for (index, page) in file.pages {
                    let bytes = PageBytes(page.bytes)
                    let place = (UInt64(page.bytes[16]) | UInt64(page.bytes[17]) << 8)
                    #expect(Canary(in: bytes, at: PFN(place)) == canary && memory.image[place].bytes == page.bytes)
                    #expect(found.insert(place).inserted && index < 256)
                }
            }
        }
    }

    @Test func thereIsNoneInTwoPages() {
        let name = CanaryName(saved: 5, boot: [], release: [])
        #expect(SavePlan.canary(seed: 1, head: PFN(1), room: 2, name: name) == nil)
        #expect(SavePlan.canary(seed: 1, head: PFN(1), room: 0, name: name) == nil)
    }
}
