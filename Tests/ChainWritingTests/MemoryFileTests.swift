import CLinux
import Linux
import Machine
import PRAM
import Testing
import Verification

@testable import ChainWriting

/// A file in /tmp of so many pages of 0x11, gone with the object.
private final class ImageFile {
    let path: [UInt8]
    let count: Int

    init(pages count: Int) throws {
        pv_signals_prepare()  // as the program does
        var name = Array("/tmp/pram-verify-test-XXXXXX\0".utf8CString)
        let file = FileDescriptor(adopting: mkstemp(&name), path: [])
        path = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        self.count = count
        try [UInt8](repeating: 0x11, count: count * 4096).withUnsafeBytes { try file.write($0, at: 0) }
    }

    deinit { _ = withCString(path) { unlink($0) } }

    /// The file from its second page on, as pages 100 and up: as memory is, which is written through its mapping, or as a
    /// device that is not mapped.
    func memory(isMapped: Bool, isBuffered: Bool? = nil) throws -> MemoryFile {
        MemoryFile(
            try FileDescriptor.open(path, O_RDWR),
            range: PhysicalRange(start: 100 * 4096, size: UInt64(count - 1) * 4096)!, offset: 4096,
            kind: "test", isMapped: isMapped, isBuffered: isBuffered ?? !isMapped)
    }

    func shrink(toPages count: Int) { _ = withCString(path) { truncate($0, count * 4096) } }

    /// The first byte of each page.
    var marks: [UInt8] {
        get throws {
            let bytes = try FileDescriptor.contents(of: path, limit: 1 << 24)
            return stride(from: 0, to: bytes.count, by: 4096).map { bytes[$0] }
        }
    }
}

private func page(of byte: UInt8) -> PageBytes { PageBytes([UInt8](repeating: byte, count: 4096)) }

private func systemError(_ body: () throws -> Void) -> Int32? {
    do { try body() } catch { return (error as? SystemError)?.code }
    return nil
}

private func content(_ memory: any PhysicalMemory, _ page: UInt64) -> (state: PageState, first: UInt8) {
    var state = PageState.absent
    let bytes = PageBytes(PFN(page), of: memory, state: &state)
    return (state, bytes[0])
}

@Suite struct MemoryFileTests {
    @Test(arguments: [true, false]) func `writes land where they belong, and nowhere else`(isMapped: Bool) throws {
        let file = try ImageFile(pages: 6)
        let memory = try file.memory(isMapped: isMapped)
        #expect(memory.pages == 100..<105)
        #expect((memory.mapped(PFN(100)) != nil) == isMapped)
        try memory.write(PFN(100), page(of: 0x22))
        try memory.write(PFN(104), page(of: 0x33))
        try memory.fill(PFN(102), count: 2) { (bytes) throws(SystemError) in
            #expect(bytes.count == 8192)
            memset(bytes.baseAddress!, 0x44, bytes.count)
        }
        try memory.synchronize()
        #expect(try file.marks == [0x11, 0x22, 0x11, 0x44, 0x44, 0x33])
        #expect(content(memory, 102) == (.present, 0x44))
        #expect(content(memory, 104) == (.present, 0x33))
        #expect(content(memory, 105).state == .absent && content(memory, 99).state == .absent)
    }

    @Test(arguments: [true, false]) func `pages outside are neither written nor mapped`(isMapped: Bool) throws {
        let file = try ImageFile(pages: 6)
        let memory = try file.memory(isMapped: isMapped)
        for number: UInt64 in [0, 99, 105, 1 << 40, 1 << 52, 1 << 52 + 100, .max] {
            #expect(systemError { try memory.write(PFN(number), page(of: 0x22)) } == EFAULT, "page \(number)")
            #expect(systemError { try memory.fill(PFN(number), count: 1) { _ in } } == EFAULT)
            #expect(memory.mapped(PFN(number)) == nil && !memory.contains(PFN(number)))
        }
        #expect(systemError { try memory.fill(PFN(103), count: 3) { _ in } } == EFAULT)
        #expect(try file.marks == [UInt8](repeating: 0x11, count: 6))
    }

    @Test(arguments: [true, false]) func `what a fill does not finish is an error of the fill`(isMapped: Bool) throws {
        let file = try ImageFile(pages: 6)
        let memory = try file.memory(isMapped: isMapped)
        let code = systemError {
            try memory.fill(PFN(101), count: 2) { (_) throws(SystemError) in throw SystemError("read", code: ESTALE) }
        }
        #expect(code == ESTALE)
        #expect(try file.marks[5] == 0x11)
    }

    /// Saves a file of 21 pages into a mapped one that has been made shorter meanwhile.
    private func save(intoPages left: Int, isBuffered: Bool) throws
        -> (file: ImageFile, memory: MemoryFile, failure: WritingFailure?)
    {
        let source = SourceFiles()
        var dice = Dice(1)
        try source.add([65], size: 4096 * 20 + 10, pages: Array(0...20), &dice)
        let directory = try source.directory
        let file = try ImageFile(pages: 64)
        let memory = try file.memory(isMapped: true, isBuffered: isBuffered)
        file.shrink(toPages: left)
        #expect(content(memory, 100 + UInt64(left)).state == .unreadable)
        var save = try ChainSave(SavePlan(directory), from: directory, into: memory, generation: 1)
        return (file, memory, writingFailure { _ = try save.run(threads: 2, seed: 1) })
    }

    @Test func `a file that shrinks under its mapping is an error, not a crash`() throws {
        for left in [1, 2, 8, 20] {
            let (_, memory, failure) = try save(intoPages: left, isBuffered: false)
            #expect(failure != nil, "\(left) pages left")
            #expect(content(memory, 100).state == .present && content(memory, 100).first == 0, "\(left) pages left")
        }
    }

    /// An image is written by write(2), which makes it as long again.
    @Test func `an image that somebody cuts short is refused or is whole again`() throws {
        for left in [1, 2, 8, 20] {
            let (file, memory, failure) = try save(intoPages: left, isBuffered: true)
            if failure != nil {
                #expect(content(memory, 100).first == 0, "\(left) pages left")
            } else {
                let fresh = try file.memory(isMapped: false)
                let check = ChainCheck(head: PFN(100), memory: fresh, options: ChainCheck.Options(), seed: 2).run()
                #expect(check.verdict == .intact, "\(left) pages left")
            }
        }
    }

    @Test func `a survey of memory that vanishes finds pages it cannot read`() throws {
        var dice = Dice(1)
        let made = MadeChain(MadeChain.Shape(), &dice)
        let file = try ImageFile(pages: made.image.pages.count)
        let image = try FileDescriptor.open(file.path, O_RDWR)
        try made.image.bytes.withUnsafeBytes { try image.write($0, at: 0) }
        let start = made.image.pages.lowerBound * 4096
        let memory = MemoryFile(
            image, range: PhysicalRange(start: start, size: UInt64(made.image.bytes.count))!, offset: 0,
            kind: "test", isMapped: true, isBuffered: false)
        #expect(survey(memory, made).evaluation.files.count == made.files.count)
        file.shrink(toPages: 0)
        let gone = survey(memory, made).evaluation
        #expect(gone.findings.first?.kind == .pageUnreadable && gone.files.isEmpty)
    }

    @Test func `no space is an error`() throws {
        let memory = MemoryFile(
            try FileDescriptor.open(Array("/dev/full".utf8), O_RDWR), range: PhysicalRange(start: 4096, size: 1 << 20)!,
            offset: 0, kind: "test", isMapped: false, isBuffered: false)
        #expect(systemError { try memory.write(PFN(1), page(of: 1)) } == ENOSPC)
        #expect(systemError { try memory.fill(PFN(1), count: 1) { memset($0.baseAddress!, 1, 4096) } } == ENOSPC)
        var dice = Dice(1)
        let source = SourceFiles()
        try source.add([65], size: 10, pages: [0], &dice)
        let directory = try source.directory
        var save = try ChainSave(SavePlan(directory), from: directory, into: memory, generation: 1)
        #expect(writingFailure { _ = try save.run(threads: 1, seed: 1) }?.cause == .systemCall)
    }

    @Test(arguments: [true, false]) func `save and drop on a file, from end to end`(isMapped: Bool) throws {
        var dice = Dice(9)
        let source = SourceFiles()
        for number in UInt8(65)...70 { try source.add([number], size: 4096 * 60 - 7, pages: Array(0..<60), &dice) }
        let directory = try source.directory
        let file = try ImageFile(pages: 400)
        let memory = try file.memory(isMapped: isMapped)
        var save = try ChainSave(SavePlan(directory), from: directory, into: memory, generation: 1)
        let head = try save.run(threads: 2, seed: 1).head
        #expect(try Kernel.files(image(memory), head: head.number).map(\.name) == source.expected.map(\.name))

        let surveyed = SurveyedChain(head: head, memory: memory, threads: 1, seed: 1)
        let victim = surveyed.entries.first { $0.entry.kind == .data && $0.link == 1 }!
        try memory.write(victim.entry.page, page(of: 7))
        let damaged = SurveyedChain(head: head, memory: memory, threads: 2, seed: 1)
        let drop = plan(damaged)
        let outcome = try ChainDrop(damaged, drop, in: memory)
            .run(taking: .all, generation: 2, threads: 2, seed: 1)
        #expect(outcome.isAtomic && outcome.head == head)
        let left = try Kernel.files(image(memory), head: head.number)
        #expect(left.count == 5)
        for file in left { #expect(source.expected.contains { $0.name == file.name && $0.reads(like: file) }) }
    }

    @Test func `the image itself is not saved into itself, and stays as it was`() throws {
        var dice = Dice(1)
        let source = SourceFiles()
        try source.add([65], size: 4096 * 40, pages: Array(0..<40), &dice)
        let memory = MemoryFile(
            try FileDescriptor.open(source.place([65]), O_RDWR), range: PhysicalRange(start: 4096, size: 39 * 4096)!,
            offset: 4096, kind: "test", isMapped: true, isBuffered: true)
        let before = image(memory)
        let directory = try source.directory
        let plan = try SavePlan(directory)
        let failed = writingFailure { _ = try ChainSave(plan, from: directory, into: memory, generation: 1) }
        #expect(failed?.cause == .notSavable && failed?.message.contains("the very file") == true)
        #expect(image(memory) == before)
    }

    private func image(_ memory: MemoryFile) -> Image {
        var image = Image(memory.pages)
        for number in memory.pages {
            var state = PageState.absent
            image[number] = Page(PageBytes(PFN(number), of: memory, state: &state).bytes)
        }
        return image
    }
}

@Suite struct WritableImageTests {
    private func cause(_ path: [UInt8], isMade: Bool = false) -> MemoryFailure.Cause? {
        do throws(MemoryFailure) {
            _ = try WritableImage.open(path, isMade: isMade).takeFile()
            return nil
        } catch {
            return error.cause
        }
    }

    @Test func `only regular files, and nothing else is even opened`() throws {
        let file = try ImageFile(pages: 1)
        #expect(cause(file.path) == nil)
        #expect(cause(file.path, isMade: true) == nil)
        let there = try WritableImage.open(file.path, isMade: true)
        let isNew = there.isNew
        #expect(!isNew)
        for path in ["/tmp", "/dev/null", "/dev/zero"] { #expect(cause(Array(path.utf8)) == .notAFile) }
        // A FIFO that nobody reads is not waited for, and a reader who waits is not woken.
        let fifo = file.path + Array(".fifo".utf8)
        #expect(withCString(fifo) { mkfifo($0, 0o600) } == 0)
        defer { _ = withCString(fifo) { unlink($0) } }
        #expect(cause(fifo, isMade: true) == .notAFile)
    }

    @Test func `a file that is not there is made when it shall be`() throws {
        let file = try ImageFile(pages: 1)
        let path = file.path + Array(".new".utf8)
        defer { _ = withCString(path) { unlink($0) } }
        #expect(cause(path) == .noSuchFile)
        let made = try WritableImage.open(path, isMade: true)
        let isNew = made.isNew
        #expect(isNew)
        let status = try made.takeFile().status()
        #expect(status.permissions == 0o600 && status.size == 0)
        #expect(cause(Array("/no/such/folder/file".utf8), isMade: true) == .noSuchFile)
    }

    @Test(arguments: [true, false]) func `a file that reaches all of its pages is not refused`(isMapped: Bool) throws {
        let file = try ImageFile(pages: 4)
        #expect(try file.memory(isMapped: isMapped).refusal == nil)
    }
}
