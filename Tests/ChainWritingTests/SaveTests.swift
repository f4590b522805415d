import CLinux
import PRAM
import Testing
import Verification

@testable import ChainWriting
@testable import Linux

/// Saves what `files` holds; the memory keeps what became of it.
@discardableResult
private func save(
    _ files: SourceFiles, into memory: RecordedMemory, generation: UInt64 = 7, threads: Int = 1
) throws -> ChainEvaluation {
    let directory = try files.directory
    let plan = try SavePlan(directory)
    var save = try ChainSave(plan, from: directory, into: memory, generation: generation)
    let (head, chain) = try save.run(threads: threads, seed: 1)
    #expect(head.number == memory.pages.lowerBound)
    return chain
}

private func garbage(_ pages: Range<UInt64>, _ dice: inout Dice) -> Image {
    var image = Image(pages)
    for page in pages { image[page] = dice.page() }
    return image
}

/// Whether the kernel finds exactly these files.
private func holds(_ image: Image, head: UInt64, _ expected: [Kernel.File]) -> Bool {
    guard let files = try? Kernel.files(image, head: head), files.count == expected.count else { return false }
    return zip(files, expected).allSatisfy { $0.name == $1.name && $0.reads(like: $1) }
}

@Suite struct SaveTests {
    @Test func `what was saved loads, bit by bit`() throws {
        for seed in 0..<60 {
            var dice = Dice(seed)
            let files = try SourceFiles(&dice, count: dice.roll(1...12), pages: 12)
            let memory = RecordedMemory(garbage(100..<300, &dice), isMapped: dice.once(in: 2))
            let chain = try save(files, into: memory, threads: dice.roll(1...2))
            #expect(chain.verdict == .intact)
            let loaded = try Kernel.files(memory.image, head: 100)
            #expect(loaded.map(\.name) == files.expected.map(\.name), "seed \(seed)")
            for (file, wanted) in zip(loaded, files.expected) {
                #expect(file.reads(like: wanted), "seed \(seed), \(wanted.name)")
                #expect(file.pages.count <= wanted.pages.count, "holes were stored, seed \(seed)")
            }
            let check = ChainCheck(head: PFN(100), memory: memory, options: ChainCheck.Options(), seed: 2).run()
            #expect(check.verdict == .intact && check.files.allSatisfy { $0.status == .intact }, "seed \(seed)")
            #expect(check.links.allSatisfy { $0.generation == 7 })
        }
    }

    @Test func `many pages, many links, one large hole`() throws {
        var dice = Dice(1)
        let files = SourceFiles()
        try files.add([1], size: 4096 * 700 - 5, pages: Array(0..<700), &dice)
        try files.add([2], size: 1 << 40, pages: [0, 1 << 20, 1 << 28 - 1], &dice)
        for number in 128..<255 { try files.add([UInt8(number)], size: 0, pages: [], &dice) }
        for isMapped in [true, false] {
            let memory = RecordedMemory(Image(5..<1200), isMapped: isMapped)
            try save(files, into: memory, threads: 2)
            #expect(holds(memory.image, head: 5, files.expected))
        }
    }

    @Test func `a range of exactly the pages that are needed`() throws {
        for count in [1, 167, 168, 169, 170, 337, 338, 339] {
            var dice = Dice(count)
            let files = SourceFiles()
            // Entries: one META, and so many pages.
            try files.add([1], size: count * 4096, pages: Array(0..<count), &dice)
            let needed = UInt64(count + 1 + (count + 1 + 168) / 169)
            let memory = RecordedMemory(Image(9..<9 + needed), isMapped: true)
            try save(files, into: memory)
            #expect(holds(memory.image, head: 9, files.expected), "\(count) pages")

            let small = RecordedMemory(Image(9..<9 + needed - 1), isMapped: true)
            #expect(writingFailure { try save(files, into: small) }?.cause == .tooSmall)
            #expect(small.attempts == 0 && small.image == small.before)
        }
    }

    @Test func `nothing to save is refused before anything is written`() throws {
        let memory = RecordedMemory(Image(1..<100), isMapped: true)
        #expect(writingFailure { try save(SourceFiles(), into: memory) }?.cause == .notSavable)
        #expect(memory.attempts == 0)
    }

    @Test func `what the format cannot hold is left out, with a warning`() throws {
        var dice = Dice(1)
        let files = SourceFiles()
        try files.add([65], size: 5000, pages: [0, 1], &dice)
        let others = [files.place([66]), files.place([67])]
        _ = withCString(others[0]) { mkfifo($0, 0o600) }
        _ = withCString(others[1]) { link in withCString([65]) { symlink($0, link) } }
        let memory = RecordedMemory(Image(1..<100), isMapped: true)
        #expect(try SavePlan(files.directory).warnings.filter { $0.contains("is left out") }.count == 2)
        try save(files, into: memory)
        #expect(holds(memory.image, head: 1, files.expected))
    }

    @Test func `the head page is cleared first and written last, and everything lies synchronized between`() throws {
        var dice = Dice(3)
        let files = try SourceFiles(&dice, count: 6, pages: 80)
        let memory = RecordedMemory(garbage(10..<700, &dice), isMapped: false)
        try save(files, into: memory)
        #expect(memory.writes[0].page == 10 && Page(memory.writes[0].bytes) == Page())
        let last = memory.writes.count - 1
        #expect(memory.writes.indices.filter { memory.writes[$0].page == 10 } == [0, last])
        #expect(memory.synchronized.contains(1) && memory.synchronized.contains(last))
        #expect(memory.synchronized.last == last + 1)
        // Whatever else is written is written once.
        var written: Set<UInt64> = []
        for write in memory.writes[1..<last] {
            for place in 0..<write.bytes.count / 4096 {
                #expect(written.insert(write.page + UInt64(place)).inserted)
            }
        }
    }

    @Test func `at every moment there is the old chain, none, or the new`() throws {
        for seed in 0..<12 {
            var dice = Dice(seed)
            let old = try SourceFiles(&dice, count: 5, pages: 10)
            let new = try SourceFiles(&dice, count: 5, pages: 10)
            let first = RecordedMemory(garbage(50..<250, &dice), isMapped: true)
            try save(old, into: first, generation: 1)
            let memory = RecordedMemory(first.image, isMapped: dice.once(in: 2))
            try save(new, into: memory, generation: 2)
            let last = memory.writes.count
            memory.states { number, image in
                switch number {
                case 0: #expect(holds(image, head: 50, old.expected))
                case last: #expect(holds(image, head: 50, new.expected))
                default: #expect(image[50] == Page(), "seed \(seed), \(number) writes")
                }
            }
            memory.tornStates(&dice) { _, image in #expect(image[50] == Page()) }
        }
    }

    @Test(arguments: [EIO, ENOSPC]) func `a write that fails leaves no chain, or the one before`(code: Int32) throws {
        var dice = Dice(Int(code))
        let old = try SourceFiles(&dice, count: 3, pages: 5)
        let new = SourceFiles()
        try new.add([1], size: 4096 * 400, pages: Array(0..<300), &dice)
        try new.add([2], size: 100, pages: [0], &dice)
        let first = RecordedMemory(Image(50..<500), isMapped: true)
        try save(old, into: first, generation: 1)
        let whole = RecordedMemory(first.image, isMapped: true)
        try save(new, into: whole)
        #expect(whole.attempts > 6)
        for number in 0..<whole.attempts {
            for what in [RecordedMemory.Fault.error(code, pagesDone: 0), .error(code, pagesDone: 1), .kill] {
                for isMapped in [true, false] {
                    let memory = RecordedMemory(first.image, isMapped: isMapped)
                    memory.fault = (number, what)
                    #expect(writingFailure { try save(new, into: memory) }?.cause == .systemCall)
                    if number == 0 {
                        #expect(holds(memory.image, head: 50, old.expected))
                    } else {
                        #expect(memory.image[50] == Page(), "write \(number)")
                    }
                }
            }
        }
    }

    @Test func `a file that changes while it is saved is an error, and no chain is left`() throws {
        let changes: [(size: Int?, byte: Int?)] = [
            (4096 * 600 + 1, nil), (4096 * 300, nil), (0, nil), (nil, 4096 * 599),
        ]
        for (number, change) in changes.enumerated() {
            for moment in 1...3 {
                var dice = Dice(number)
                let files = SourceFiles()
                try files.add([1], size: 4096 * 600, pages: Array(0..<600), &dice)
                usleep(20_000)  // time stamps have the kernel's tick for their grain
                let memory = RecordedMemory(garbage(50..<700, &dice), isMapped: moment % 2 == 0)
                memory.whenWriting = { if $0 == moment { files.change([1], size: change.size, byteAt: change.byte) } }
                let failed = writingFailure { try save(files, into: memory) }
                #expect(failed?.cause == .changed, "change \(number) at write \(moment)")
                #expect(memory.image[50] == Page())
            }
        }
    }

    @Test func `a file that was replaced or removed since it was looked at is an error`() throws {
        var dice = Dice(1)
        for replaces in [true, false] {
            let files = SourceFiles()
            try files.add([1], size: 9000, pages: [0, 1, 2], &dice)
            try files.add([2], size: 9000, pages: [0, 1, 2], &dice)
            let memory = RecordedMemory(garbage(50..<100, &dice), isMapped: true)
            memory.whenWriting = { number in
                guard number == 1 else { return }
                _ = withCString(files.place([2])) { unlink($0) }
                if replaces { try? files.add([2], size: 9000, pages: [0, 1, 2], &dice) }
            }
            #expect(writingFailure { try save(files, into: memory) } != nil)
            #expect(memory.image[50] == Page())
        }
    }

    @Test func `memory that loses a link, a META page or the head is found out`() throws {
        var dice = Dice(1)
        let files = SourceFiles()
        try files.add([1], size: 4096 * 200, pages: Array(0..<200), &dice)
        let whole = RecordedMemory(Image(50..<300), isMapped: true)
        try save(files, into: whole)
        for page in whole.writes.filter({ !$0.isFill }).map(\.page) {
            let memory = RecordedMemory(Image(50..<300), isMapped: true)
            memory.fault = (0, .lost(page: page))
            #expect(writingFailure { try save(files, into: memory) }?.cause == .notVerified, "page \(page)")
            #expect((try? Kernel.files(memory.image, head: 50)) == nil)
        }
    }

    @Test func `a page that changes before the head is written is found out`() throws {
        var dice = Dice(1)
        let files = SourceFiles()
        try files.add([1], size: 4096 * 400, pages: Array(0..<400), &dice)
        // The second fill tramples on what the first has written.
        let memory = RecordedMemory(Image(50..<500), isMapped: true)
        memory.whenWriting = { number in
            guard number == 3, let page = memory.mapped(PFN(60)) else { return }
            UnsafeMutableRawPointer(mutating: page).storeBytes(of: 0x1234_5678, as: UInt32.self)
        }
        #expect(writingFailure { try save(files, into: memory) }?.cause == .notVerified)
        #expect(memory.image[50] == Page())
    }

    @Test func `a range that begins at page 0 is refused before anything is written`() throws {
        var dice = Dice(1)
        let files = SourceFiles()
        try files.add([1], size: 10, pages: [0], &dice)
        let memory = RecordedMemory(garbage(0..<10, &dice), isMapped: true)
        #expect(writingFailure { try save(files, into: memory) } != nil)
        #expect(memory.attempts == 0)
    }

    @Test func `files that do not end where their size says are refused before anything is written`() throws {
        // Made up as they are read: a size of 0, and content.
        let directory = try SourceDirectory(Array("/proc/sys/kernel/random".utf8))
        let failed = writingFailure { _ = try SavePlan(directory) }
        #expect(failed?.cause == .notSavable && failed?.message.contains("does not end where its size") == true)
        // sysfs: a size of 4096, and less content.
        let other = try SourceDirectory(Array("/sys/kernel/mm/transparent_hugepage".utf8))
        #expect(writingFailure { _ = try SavePlan(other) } != nil)
    }

    @Test func `names that the format does not hold are refused`() {
        #expect(SavePlan.refusal(ofName: [UInt8](repeating: 65, count: 255)) == nil)
        #expect(SavePlan.refusal(ofName: [UInt8](repeating: 65, count: 256))?.cause == .notSavable)
    }

    @Test func `holes that the file system only claims are read`() throws {
        var dice = Dice(4)
        let files = SourceFiles()
        // The data in the middle is behind a real hole; read as one that the file system may have made up.
        try files.add([1], size: 4096 * 900 - 3, pages: [0, 300, 301, 899], &dice)
        let file = try FileDescriptor.open(files.place([1]))
        var runs: [Range<UInt64>] = []
        var offset: UInt64 = 0
        // As if the file system called all of it a hole.
        while let page = try file.firstPageWithData(from: offset, to: 4096 * 900 - 3) {
            runs.append(page..<page + 1)
            offset = (page + 1) * 4096
        }
        #expect(runs == [0..<1, 300..<301, 301..<302, 899..<900])
        for isExact in [true, false] {
            var pages: [UInt64] = []
            var offset: UInt64 = 0
            while let run = try file.nextPages(from: offset, size: 4096 * 900 - 3, holesAreExact: isExact) {
                pages += Array(run)
                offset = run.upperBound * 4096
            }
            #expect(pages == [0, 300, 301, 899])
        }
        // A file system that calls all of it a hole: page by page it is found all the same.
        try FaultInjection.with([.failFrom(.lseek, 0, ENXIO)]) { faults in
            var (pages, offset): ([UInt64], UInt64) = ([], 0)
            while pages.count < 10,
                let run = try file.nextPages(from: offset, size: 4096 * 900 - 3, holesAreExact: false)
            {
                pages += run.isEmpty ? [.max] : Array(run)
                offset = run.upperBound * 4096
            }
            #expect(pages == [0, 300, 301, 899] && faults.injected > 0)
        }
    }
}
