import CLinux
import Foundation
import Machine
import PRAM
import Parity
import Testing
import Verification

@testable import ChainWriting
@testable import Linux

/// Images as files: on a tmpfs, where parity is made while pages are written, and on whatever /tmp lies on.
@Suite struct ImageSaveTests {
    private final class ImageFile {
        let path: [UInt8]
        let size: Int

        /// - Parameter isFilled: of 0x11; otherwise without any room yet.
        init(in folder: String, size: Int, isFilled: Bool) throws {
            pv_signals_prepare()
            var name = Array("\(folder)/pram-verify-test-XXXXXX\0".utf8CString)
            let file = FileDescriptor(adopting: mkstemp(&name), path: [])
            path = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            self.size = size
            if isFilled {
                try [UInt8](repeating: 0x11, count: size).withUnsafeBytes { try file.write($0, at: 0) }
            } else {
                try file.truncate(to: UInt64(size))
            }
        }

        deinit { _ = withCString(path) { unlink($0) } }

        func memory(isSparse: Bool) throws -> MemoryFile {
            MemoryFile(
                try FileDescriptor.open(path, O_RDWR), range: PhysicalRange(start: 4096, size: UInt64(size) - 4096)!,
                offset: 4096, kind: "test", isMapped: true, isBuffered: true, isSparse: isSparse)
        }

        var bytes: [UInt8] { get throws { try FileDescriptor.contents(of: path, limit: 1 << 26) } }
        var status: FileStatus { get throws { try FileDescriptor.status(of: path) } }
    }

    private static let folders = ["/dev/shm", "/tmp"]

    private func save(_ files: SourceFiles, into memory: MemoryFile, parity: Int) throws {
        let directory = try files.directory
        var save = try ChainSave(SavePlan(directory), from: directory, into: memory, generation: 9, parity: parity)
        _ = try save.run(threads: 2, seed: 1)
    }

    @Test func `the tests know a tmpfs from a disk`() throws {
        let image = try ImageFile(in: "/dev/shm", size: 8192, isFilled: true)
        #expect(try image.memory(isSparse: false).place(of: PFN(1), count: 1) != nil)
    }

    /// Byte by byte: links, pages, parity, copies.
    @Test(arguments: seeds(24)) func `an image is the same wherever it lies`(seed: Int) throws {
        var dice = Dice(seed)
        let files = try SourceFiles(&dice, count: dice.roll(1...40), pages: dice.roll(1...120))
        let parity = dice.pick([0, 1, 5, 5, 20, 50])
        let size = 4096 * dice.roll(7000...7200)
        var images: [[UInt8]] = []
        for folder in Self.folders {
            let image = try ImageFile(in: folder, size: size, isFilled: false)
            try save(files, into: image.memory(isSparse: folder == "/dev/shm"), parity: parity)
            images.append(try image.bytes)
        }
        #expect(images[0] == images[1], "\(parity) %")
    }

    @Test func `a new image has room for all of it in the end`() throws {
        var dice = Dice(3)
        let files = try SourceFiles(&dice, count: 3, pages: 10)
        for parity in [0, 5] {
            let image = try ImageFile(in: "/dev/shm", size: 4096 * 512, isFilled: false)
            #expect(try image.status.blocks == 0)
            try save(files, into: image.memory(isSparse: true), parity: parity)
            // All but the page in front of the range.
            #expect(try image.status.blocks >= 511 * 8)
        }
        // What somebody has made sparse stays so, besides what is written.
        let image = try ImageFile(in: "/dev/shm", size: 4096 * 4096, isFilled: false)
        try save(files, into: image.memory(isSparse: false), parity: 5)
        #expect(try image.status.blocks < 1024 * 8)
    }

    /// A page that is another one when it is read back than when it was written.
    @Test func `a page that changes before parity is made of it is noticed`() throws {
        var dice = Dice(5)
        let files = SourceFiles()
        try files.add([65], size: 4096 * 900, pages: Array(0..<900), &dice)
        let image = try ImageFile(in: "/dev/shm", size: 4096 * 1200, isFilled: true)
        let memory = SpoiledMemory(try image.memory(isSparse: false), page: 500)
        let directory = try files.directory
        var save = try ChainSave(SavePlan(directory), from: directory, into: memory, generation: 9, parity: 5)
        let failure = writingFailure { _ = try save.run(threads: 2, seed: 1) }
        #expect(failure?.cause == .notVerified && failure?.message.contains("no chain was left") == true)
        #expect(memory.isSpoiled)
        let head = try image.bytes[4096..<8192]
        #expect(head.allSatisfy { $0 == 0 })
    }

    @Test func `no room on the way is an error, and no head is left`() throws {
        var dice = Dice(7)
        let files = SourceFiles()
        try files.add([65], size: 4096 * 300, pages: Array(0..<300), &dice)
        for kind in [SystemCalls.Kind.fallocate, .pwrite] {
            for number in 0..<4 {
                let image = try ImageFile(in: "/dev/shm", size: 4096 * 512, isFilled: false)
                let memory = try image.memory(isSparse: true)
                let failure = FaultInjection.with([.fail(kind, number, ENOSPC)]) { faults in
                    let failure = writingFailure { try save(files, into: memory, parity: 5) }
                    #expect((failure == nil) == (faults.injected == 0), "\(kind) \(number)")
                    return failure
                }
                if failure != nil { #expect(try image.bytes[4096..<8192].allSatisfy { $0 == 0 }) }
            }
        }
    }
}

/// Changes one byte of a page, through its mapping, as soon as it is written.
private final class SpoiledMemory: WritableMemory {
    private let below: MemoryFile
    private let page: UInt64
    private(set) var isSpoiled = false

    init(_ below: MemoryFile, page: UInt64) {
        self.below = below
        self.page = page
    }

    var pages: Range<UInt64> { below.pages }
    var isWrittenByCalls: Bool { true }
    var zerosMayBeHoles: Bool { false }
    var kind: String { "test" }
    func contains(_ page: PFN) -> Bool { below.contains(page) }
    func mapped(_ page: PFN) -> UnsafeRawPointer? { below.mapped(page) }
    func synchronize() throws(SystemError) { try below.synchronize() }
    func place(of first: PFN, count: Int) -> UnsafeMutableRawPointer? { below.place(of: first, count: count) }
    func write(_ page: PFN, _ bytes: PageBytes) throws(SystemError) { try below.write(page, bytes) }

    func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) { below.read(first, count: count, into: destination, states: states) }

    func fill(
        _ first: PFN, count: Int, _ body: (UnsafeMutableRawBufferPointer) throws(SystemError) -> Void
    ) throws(SystemError) { try below.fill(first, count: count, body) }

    func write(_ first: PFN, pages: UnsafeRawBufferPointer) throws(SystemError) {
        try below.write(first, pages: pages)
        guard first.number <= page, page - first.number < UInt64(pages.count / 4096) else { return }
        below.place(of: PFN(page), count: 1)!.storeBytes(of: 0xEE, toByteOffset: 77, as: UInt8.self)
        isSpoiled = true
    }
}
