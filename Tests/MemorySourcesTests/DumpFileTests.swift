import CLinux
import Linux
import PRAM
import Testing

@testable import Machine
@testable import MemorySources

@Suite struct DumpFileTests {
    private static func forms() -> [(kind: String, bytes: [UInt8])] {
        let kdump = KdumpRecipe([0: .zlib, 1: .none, 2: .zstd, 3: .zlib]).bytes
        return [
            ("raw image", pages(0..<8)),
            ("ELF core", ElfRecipe(segments: [.init(address: 0, bytes: pages(0..<8))]).bytes),
            ("32-bit ELF core", ElfRecipe(is64: false, segments: [.init(address: 0, bytes: pages(0..<8))]).bytes),
            ("LiME image", lime(0, 8 * 4096 - 1, pages(0..<8))),
            ("kdump-compressed dump", kdump),
            ("kdump-compressed dump", flattened(kdump, recordSize: 900)),
        ]
    }

    private func failure(opening path: String) -> MemoryFailure? {
        do {
            _ = try DumpFile.open(Array(path.utf8))
            return nil
        } catch {
            return error
        }
    }

    @Test func `every form, packed too`() throws {
        for (kind, bytes) in Self.forms() {
            for packed in [bytes, gzip(bytes), Codec.zstd.pack(bytes)] {
                let memory = try opened(packed)
                #expect(memory.kind == kind)
                #expect(memory.survey(0, 4) == "PPPP")
            }
        }
    }

    @Test func `what is no file is refused at once, by name`() {
        #expect(failure(opening: "/tmp")?.message == "it is a directory")
        #expect(failure(opening: "/dev/null")?.message == "it is a character device")
        #expect(failure(opening: "/dev/null")?.cause == .notAFile)
        #expect(failure(opening: "/proc/version")?.cause == .notAFile)
        #expect(failure(opening: "/no/such/file")?.cause == .noSuchFile)
        #expect(failure(opening: "/dev/null/file")?.cause == .noSuchFile)
        #expect(failure(opening: "")?.cause == .noSuchFile)
        #expect(failure(opening: "/tmp/a\0b")?.cause != nil)
        let fifo = Scratch()
        _ = withCString(fifo.path) { unlink($0) }
        #expect(withCString(fifo.path) { mkfifo($0, 0o600) } == 0)
        withExtendedLifetime(fifo) {
            #expect(failure(opening: String(decoding: fifo.path, as: UTF8.self))?.message.contains("FIFO") == true)
        }
    }

    @Test func `packed twice, cut short, too long`() throws {
        let bytes = pages(0..<20)
        #expect(MemorySourcesTests.failure(gzip(gzip(bytes)))?.cause == .unsupported)
        #expect(MemorySourcesTests.failure(gzip(bytes).dropLast(1))?.cause == .malformed)
        do throws(MemoryFailure) {
            _ = try Scratch(gzip(bytes)).open(limit: 4096)
            Issue.record("it opened")
        } catch {
            #expect(error.cause == .tooLarge)
        }
    }

    @Test func `forms that are not read are not taken for raw images`() {
        let magics: [[UInt8]] = [
            [4, 0x22, 0x4d, 0x18], Array("BZh9".utf8), [0x51, 0x46, 0x49, 0xfb], [0x89, 0x4c, 0x5a, 0x4f],
        ]
        for magic in magics {
            #expect(MemorySourcesTests.failure(magic.padded(to: 4096))?.cause == .unsupported)
        }
    }

    @Test func `a base that the dump has no use for is noted`() throws {
        let elf = ElfRecipe(segments: [.init(address: 0, bytes: page(0))]).bytes
        #expect(try opened(elf, base: 4096).notes.count == 1)
    }

    /// Only errors and pages, never a trap, never a hang: with each byte of the headers as the last one of the file.
    @Test func `cut at every byte of the headers`() {
        for (form, bytes) in Self.forms() {
            var surveyed = 0
            for length in Array(0..<600) + Array(4090..<4300) + Array(8190..<8200) where length < bytes.count {
                if let memory = try? opened(Array(bytes[..<length])) {
                    #expect(!memory.survey(0, 9).contains("!"))
                    surveyed += 1
                }
            }
            #expect(surveyed > 4, "\(form): \(surveyed) lengths could be opened")
        }
    }

    /// The same with random damage, most of it to the headers, by the numbers that break things.
    @Test func `random damage never traps`() {
        var generator = SplitMix(state: 2)
        let extremes: [UInt64] = [
            0, 1, 0x7f, 0xff, 4096, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 52, 1 << 63, .max - 4095, .max,
        ]
        for (form, bytes) in Self.forms() {
            var surveyed = 0
            for _ in 0..<400 {
                var damaged = bytes
                for _ in 0..<Int.random(in: 1..<4, using: &generator) {
                    let reach = [200, 600, 4300, 8400, bytes.count].randomElement(using: &generator)!
                    let at = Int.random(in: 0..<min(reach, bytes.count) - 8, using: &generator)
                    let extreme = extremes.randomElement(using: &generator)!
                    switch Int.random(in: 0..<4, using: &generator) {
                    case 0: damaged[at] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                    case 1: damaged.put(extreme, at: at & ~3)
                    case 2: damaged.put(UInt32(truncatingIfNeeded: extreme), at: at & ~3)
                    default: damaged.put(UInt16.random(in: 0 ... .max, using: &generator), at: at)
                    }
                }
                guard let memory = try? opened(damaged) else { continue }
                surveyed += 1
                #expect(!memory.survey(0, 9).contains("!"))
                for number: UInt64 in [63, 64, 1 << 34, 1 << 52 - 1, .max] { _ = memory.fetch(number, 3) }
                _ = memory.notes
            }
            #expect(surveyed > 100, "\(form): only \(surveyed) could be opened")
        }
    }
}
