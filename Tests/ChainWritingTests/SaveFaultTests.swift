import CLinux
import PRAM
import Testing
import Verification

@testable import ChainWriting
@testable import Linux
@testable import MemorySources

/// Saves into an image file while calls of the system fail, one at a time: afterwards the file holds the chain before,
/// none, or the new one, and the failure names the call.
@Suite struct SaveFaultTests {
    private let old = SourceFiles()
    private let new = SourceFiles()
    private let count = 120

    init() throws {
        var dice = Dice(5)
        try old.add([1], size: 4096 * 3, pages: [0, 1, 2], &dice)
        try new.add([2], size: 4096 * 40 - 9, pages: Array(0..<40), &dice)
        try new.add([3], size: 10, pages: [0], &dice)
    }

    /// An image with the old chain in it, as pages 100 and up.
    private final class ImageFile {
        let path: [UInt8]
        let pages: Range<UInt64>

        init(pages count: Int) throws {
            var name = Array("/tmp/pram-verify-test-XXXXXX\0".utf8CString)
            let file = FileDescriptor(adopting: mkstemp(&name), path: [])
            path = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            pages = 100..<100 + UInt64(count)
            try file.truncate(to: UInt64(count) * 4096)
        }

        deinit { try? FileDescriptor.remove(path) }

        func memory(isMapped: Bool) throws -> MemoryFile {
            MemoryFile(
                try FileDescriptor.open(path, O_RDWR),
                range: PhysicalRange(start: pages.lowerBound * 4096, size: UInt64(pages.count) * 4096)!, offset: 0,
                kind: "test", isMapped: isMapped, isBuffered: true)
        }

        var image: Image {
            get throws {
                let bytes = try FileDescriptor.contents(of: path, limit: 1 << 24)
                return bytes.withUnsafeBytes { Image(pages, copying: $0.baseAddress!) }
            }
        }
    }

    private func save(_ files: SourceFiles, into memory: MemoryFile) throws {
        let directory = try files.directory
        var save = try ChainSave(SavePlan(directory), from: directory, into: memory, generation: 7)
        _ = try save.run(threads: 1, seed: 1)
    }

    private func holds(_ image: Image, _ files: SourceFiles) -> Bool {
        guard let found = try? Kernel.files(image, head: 100), found.count == files.expected.count else { return false }
        return zip(found, files.expected).allSatisfy { $0.name == $1.name && $0.reads(like: $1) }
    }

    /// How many calls of the kind a whole save makes, faults armed before it opens anything of its own.
    private func calls(_ kind: SystemCalls.Kind, isMapped: Bool) throws -> Int {
        let file = try ImageFile(pages: count)
        try save(old, into: file.memory(isMapped: isMapped))
        let memory = try file.memory(isMapped: isMapped)
        return try FaultInjection.with { faults in
            try save(new, into: memory)
            return faults.count(kind)
        }
    }

    @Test(arguments: [SystemCalls.Kind.pwrite, .fsync, .msync, .pread], [EIO, ENOSPC])
    func `a call that fails leaves the old chain or none, and is named`(kind: SystemCalls.Kind, code: Int32) throws {
        for isMapped in [true, false] {
            let total = try calls(kind, isMapped: isMapped)
            #expect(total > 0 || kind == .msync && !isMapped)
            for number in 0..<total {
                let file = try ImageFile(pages: count)
                try save(old, into: file.memory(isMapped: isMapped))
                let memory = try file.memory(isMapped: isMapped)
                let failure = FaultInjection.with([.fail(kind, number, code)]) { faults in
                    defer { #expect(faults.injected == 1) }
                    return writingFailure { try save(new, into: memory) }
                }
                let image = try file.image
                let isOld = holds(image, old)
                let isNew = holds(image, new)
                if let failure {
                    #expect(failure.cause == .systemCall || failure.cause == .notVerified, "\(kind) \(number)")
                    #expect(isOld || image[100] == Page(), "\(kind) \(number) left something else")
                } else {
                    // Read page by page, after the many at once had failed.
                    #expect(isNew, "\(kind) \(number): success that is none")
                }
            }
        }
    }

    @Test func `the first write that fails leaves the old chain as it was`() throws {
        let file = try ImageFile(pages: count)
        try save(old, into: file.memory(isMapped: false))
        let before = try file.image
        let memory = try file.memory(isMapped: false)
        let failure = FaultInjection.with([.fail(.pwrite, 0, EIO)]) { _ in
            writingFailure { try save(new, into: memory) }
        }
        #expect(failure?.cause == .systemCall && failure?.message.contains("write: ") == true)
        #expect(try file.image == before && holds(before, old))
    }

    @Test func `interrupted and short writes and reads make no difference`() throws {
        for isMapped in [true, false] {
            let file = try ImageFile(pages: count)
            let memory = try file.memory(isMapped: isMapped)
            try FaultInjection.with(
                [.fail(.pwrite, 2, EINTR), .fail(.pread, 3, EINTR)], short: [.pwrite: 1000, .pread: 777]
            ) { _ in try save(new, into: memory) }
            #expect(holds(try file.image, new))
        }
    }

    @Test func `where mmap fails, memory is read and written`() throws {
        let file = try ImageFile(pages: count)
        let memory = try FaultInjection.with([.failFrom(.mmap, 0, ENOMEM)]) { faults in
            defer { #expect(faults.injected > 0) }
            return try file.memory(isMapped: true)
        }
        #expect(memory.mapped(PFN(100)) == nil)
        try save(new, into: memory)
        #expect(holds(try file.image, new))
    }

    @Test func `a plan that cannot look refuses before anything is written`() throws {
        for kind in [SystemCalls.Kind.openat, .fstat, .fstatat, .readdir] {
            let directory = try new.directory
            let failure = FaultInjection.with([.fail(kind, 0, EIO)]) { _ in
                writingFailure { _ = try SavePlan(directory) }
            }
            #expect(failure?.cause == .systemCall, "\(kind)")
        }
    }
}
