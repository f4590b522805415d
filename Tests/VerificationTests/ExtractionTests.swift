import CLinux
import Linux
import PRAM
import Testing
import Verification

/// Keeps what is written to a file, and fails where it is told to.
private final class RecordingSink: FileSink {
    private(set) var pages: [UInt64: [UInt8]] = [:]
    var failsAt: UInt64?

    func write(_ pages: UnsafeBufferPointer<UnsafeRawPointer?>, at index: UInt64) throws(SystemError) {
        for (i, page) in pages.enumerated() {
            if index + UInt64(i) == failsAt { throw SystemError("write", code: ENOSPC) }
            self.pages[index + UInt64(i)] = Array(UnsafeRawBufferPointer(start: page!, count: pageSize))
        }
    }
}

@Suite struct ExtractionTests {
    private struct Extracted {
        var sinks: [Int: RecordingSink] = [:]
        var outcomes: [Int: ChainExtraction.Outcome] = [:]
        var order: [Int] = []
    }

    private func extract(
        _ chain: RandomChain, _ files: [StoredFile], only: (Int) -> Bool = { _ in true }, failsAt: [Int: UInt64] = [:]
    ) -> Extracted {
        var extracted = Extracted()
        ChainExtraction(memory: chain.memory, files: files).run(head: chain.head) { number in
            extracted.order.append(number)
            guard only(number) else { return nil }
            let sink = RecordingSink()
            sink.failsAt = failsAt[number]
            extracted.sinks[number] = sink
            return sink
        } end: { number, outcome in
            #expect(extracted.outcomes[number] == nil)
            extracted.outcomes[number] = outcome
        }
        return extracted
    }

    private func chain(_ seed: UInt64, pages: Int = 8) -> RandomChain {
        var random = SeededNumbers(seed)
        return RandomChain(
            &random, layout: random.chance(50) ? .i386 : .amd64, flags: .all, fileCount: 8, pages: pages)
    }

    private func expectContent(_ chain: RandomChain, _ extracted: Extracted, _ number: Int) {
        let file = chain.files[number]
        let expected = Dictionary(uniqueKeysWithValues: zip(file.indexes, file.data.map { chain.memory[$0]!.bytes }))
        #expect(extracted.sinks[number]?.pages == expected, "file \(number)")
        #expect(extracted.outcomes[number]?.holeCount == 0)
        #expect(extracted.outcomes[number]?.failure == nil)
    }

    /// Sparse files, files without pages, indexes in ascending, descending and random order: each page at its place.
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func everyPageComesOut(_ seed: UInt64) {
        let chain = chain(seed)
        for access in [TestMemory.Access.read, .mapped, .mixed] {
            chain.memory.access = access
            let extracted = extract(chain, chain.check().files)
            #expect(extracted.order == Array(chain.files.indices))
            for number in chain.files.indices { expectContent(chain, extracted, number) }
        }
    }

    /// More pages than one batch holds.
    @Test func aLongFile() {
        var random = SeededNumbers(1)
        let chain = RandomChain(&random, layout: .amd64, flags: .all, fileCount: 1, pages: 1200, linkSize: 169)
        for access in [TestMemory.Access.read, .mapped, .mixed] {
            chain.memory.access = access
            expectContent(chain, extract(chain, chain.check().files), 0)
        }
    }

    @Test func onlyTheFilesThatAreWanted() throws {
        let chains = (1...20 as ClosedRange<UInt64>).map { self.chain($0) }.filter { $0.files.count > 3 }
        let chain = try #require(chains.first)
        let extracted = extract(chain, chain.check().files) { $0 == 1 || $0 == 3 }
        #expect(Set(extracted.sinks.keys) == [1, 3])
        #expect(Set(extracted.outcomes.keys) == [1, 3])
        expectContent(chain, extracted, 1)
        expectContent(chain, extracted, 3)
    }

    /// A file with all of its pages, none of them at the very start.
    private func dense(_ chain: RandomChain) throws -> Int {
        let dense = chain.files.indices.filter { chain.files[$0].data.count >= 3 }
        return try #require(dense.first)
    }

    @Test func aSinkThatFailsCostsItsOwnFileOnly() throws {
        let chain = chain(4)
        let victim = try dense(chain)
        let extracted = extract(chain, chain.check().files, failsAt: [victim: chain.files[victim].indexes[1]])
        #expect(extracted.outcomes[victim]?.failure?.code == ENOSPC)
        for number in chain.files.indices where number != victim { expectContent(chain, extracted, number) }
    }

    @Test(arguments: [TestMemory.Access.read, .mapped, .mixed])
    func pagesThatDoNotFitAreHoles(_ access: TestMemory.Access) throws {
        let chain = chain(4)
        let victim = try dense(chain)
        let file = chain.files[victim]
        chain.memory.access = access
        chain.memory.flip(file.data[1], bit: 77)
        chain.memory[file.data[2]] = nil
        let extracted = extract(chain, chain.check().files)
        #expect(extracted.outcomes[victim]?.holeCount == 2)
        #expect(Set(extracted.outcomes[victim]?.holes ?? []) == [file.indexes[1], file.indexes[2]])
        #expect(extracted.sinks[victim]?.pages.count == file.data.count - 2)
        #expect(extracted.sinks[victim]?.pages[file.indexes[0]] == chain.memory[file.data[0]]?.bytes)
        for number in chain.files.indices where number != victim { expectContent(chain, extracted, number) }
    }

    // MARK: Memory that changes after it was checked

    @Test func aPageThatChangedIsNotHandedOver() throws {
        let chain = chain(5)
        let files = chain.check().files
        let victim = try dense(chain)
        chain.memory.flip(chain.files[victim].data[1], bit: 4095 * 8)
        let extracted = extract(chain, files)
        #expect(extracted.outcomes[victim]?.holeCount == 1)
        #expect(extracted.sinks[victim]?.pages[chain.files[victim].indexes[1]] == nil)
    }

    /// The chain is cut in the middle of a file after the check: what is missing must not pass for holes of the file.
    @Test func aChainThatBecameShorterIsNotTakenForComplete() throws {
        let chain = chain(6)
        let files = chain.check().files
        let split = chain.files.indices.filter { chain.files[$0].firstLink < chain.files[$0].lastLink }
        let victim = try #require(split.first)
        #expect(files[victim].status == .intact)
        chain.memory[chain.links[chain.files[victim].firstLink + 1]] = PageBytes()
        let extracted = extract(chain, files)
        let outcome = try #require(extracted.outcomes[victim])
        #expect((extracted.sinks[victim]?.pages.count ?? 0) < chain.files[victim].data.count)
        #expect(outcome.failure?.code == ESTALE, "pages are missing, and nothing says so")
        // And nothing behind it is handed over as something that it is not.
        #expect(extracted.order.last == victim && extracted.order.count < chain.files.count)
    }

    @Test func aChainThatBecameAnotherOneEndsTheExtraction() throws {
        let chain = chain(6)
        let files = chain.check().files
        // The first META entry becomes an unknown one: what follows is not what was judged.
        chain.forge(0) { $0[chain.layout.entriesOffset] = 3 }
        let extracted = extract(chain, files)
        #expect(extracted.order.isEmpty && extracted.sinks.isEmpty && extracted.outcomes.isEmpty)
        // A later one: what came before it is whole, and it and what follows are not handed over.
        let other = self.chain(6)
        let judged = other.check().files
        let changed = try #require(other.files.indices.first { other.files[$0].firstLink > 0 })
        other.forge(judged[changed].link) { $0[other.layout.entriesOffset + 24 * judged[changed].entry] = 3 }
        let some = extract(other, judged)
        #expect(changed > 0 && some.order == Array(0..<changed))
        for number in 0..<changed { expectContent(other, some, number) }
    }
}
