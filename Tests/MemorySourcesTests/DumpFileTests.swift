import CLinux
import CZlib
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
        #expect(failure(opening: "/no/such/file")?.remedy.isEmpty == false)
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
        do throws(MemoryFailure) {
            _ = try Scratch(gzip(bytes)).open(limit: 4096)
            Issue.record("it opened")
        } catch {
            #expect(error.cause == .tooLarge)
        }
    }

    /// What was unpacked up to a cut is there, and nothing behind it.
    @Test func `a packed dump that is cut short, or damaged`() throws {
        let kept = 100
        var generator = SplitMix(state: 4)
        // Noise, so that a part of the packed bytes is a part of the pages.
        let bytes = (0..<kept * 4096).map { _ in UInt8.random(in: 0...255, using: &generator) }
        for (name, pack) in [("gzip", gzip), ("zstd", { Codec.zstd.pack($0) })] as [(String, ([UInt8]) -> [UInt8])] {
            let packed = pack(bytes)
            for length in [packed.count - 1, packed.count - 8, packed.count / 2] {
                let memory = try opened(Array(packed[..<length]))
                let held = memory.fetch(0, kept).prefix { $0.state == .present }
                #expect(held.count > (length > packed.count / 2 ? kept - 2 : 0) && memory.notes.count > 0)
                #expect(held.flatMap(\.bytes) == Array(bytes[..<(held.count * 4096)]))
                #expect(memory.fetch(UInt64(held.count), kept).allSatisfy { $0.state == .absent })
                #expect(memory.notes[0].hasPrefix("the \(name) data is cut short at offset \(length)"))
                #expect(!memory.notes[0].contains("--raw"))
            }
            // Where no page unpacks, the way out is not only --raw.
            let nothing = MemorySourcesTests.failure(Array(packed[..<12]))
            #expect(nothing?.message.contains("is cut short at offset 12") == true)
            #expect(nothing?.remedy.contains("anew") == true)
        }
        var wrong = gzip(bytes)
        wrong[wrong.count - 8] ^= 1
        let memory = try opened(wrong)
        #expect(memory.fetch(0, kept).flatMap(\.bytes) == bytes)
        #expect(memory.notes.map { $0.contains("is corrupt at offset") && $0.contains("--raw") } == [true])
    }

    /// The first page of a raw image may hold a whole gzip file; only the user can tell.
    @Test(arguments: [1, 2]) func `--raw is named where the rest of the file is ignored`(_ count: UInt64) throws {
        let image = gzip(pages(0..<count)).padded(to: 4096) + pages(1..<4)
        let memory = try opened(image)
        #expect(memory.notes.map { $0.contains("is ignored") && $0.contains("use --raw") } == [true])
        #expect(try opened(image, as: .raw).survey(0, 4) == "xPPP")
        // What is no raw image says by itself what it is.
        let elf = ElfRecipe(segments: [.init(address: 0, bytes: page(0))]).bytes
        #expect(try opened(gzip(elf) + page(1)).notes.map { $0.contains("--raw") } == [false])
    }

    @Test func `what follows zstd data can be left out`() {
        let packed = Codec.zstd.pack(pages(0..<8))
        let refused = MemorySourcesTests.failure(packed + Array("junkjunk".utf8))
        #expect(refused?.remedy.contains("head -c \(packed.count);") == true)
    }

    /// Each is named, with what makes memory of it; `--raw` takes it as it is.
    @Test(
        arguments: [
            ("lz4", [4, 0x22, 0x4d, 0x18], 0), ("lz4", [2, 0x21, 0x4c, 0x18], 0), ("bzip2", Array("BZh9".utf8), 0),
            ("QCOW", [0x51, 0x46, 0x49, 0xfb], 0), ("lzop", [0x89, 0x4c, 0x5a, 0x4f], 0),
            ("libvirt", Array("LibvirtQemudSave".utf8), 0),
            ("libvirt", Array("LibvirtQemudPart".utf8), 0), ("migration stream of QEMU", Array("QEVM".utf8), 0),
            ("VMware", [0xd0, 0xbe, 0xd2, 0xbe], 0), ("VMware", [0xd1, 0xba, 0xd1, 0xba], 0),
            ("VMware", [0xd2, 0xbe, 0xd2, 0xbe], 0),
            ("VMware", [0xd3, 0xbe, 0xd3, 0xbe], 0),
            ("VirtualBox", [0x7f] + Array("VirtualBox SavedState V2.0".utf8), 0),
            ("Xen", Array("Xen saved domain, xl format".utf8), 0),
            ("Xen", [UInt8](repeating: 0xff, count: 8) + Array("XENF".utf8), 0),
            ("Xen", Array("LinuxGuestRecord".utf8), 0),
            ("ZIP", Array("PK\u{3}\u{4}".utf8), 0), ("ZIP", Array("PK\u{5}\u{6}".utf8), 0),
            ("E01", Array("EVF\t\r\n".utf8) + [0xff, 0], 0), ("Ex01", Array("EVF2\r\n".utf8) + [0x81, 0], 0),
            ("L01", Array("LVF\t\r\n".utf8) + [0xff, 0], 0), ("VMDK", Array("KDMV".utf8), 0),
            ("VMDK", Array("COWD".utf8), 0),
            ("VMDK", Array("# Disk DescriptorFile\n".utf8), 0), ("VHDX", Array("vhdxfile".utf8), 0),
            ("VHD", Array("conectix".utf8), 0),
            ("VDI", [0x7f, 0x10, 0xda, 0xbe], 64),
            ("sadump", Array("sadump\0\0".utf8), 0),
            ("LKCD", [0xed, 0x23, 0x8f, 0x61, 0x73, 0x01, 0x19, 0xa8], 0),
            ("Windows crash dump", Array("PAGEDUMP".utf8), 0),
            ("Windows crash dump", Array("PAGEDU64".utf8), 0), ("hibernation", Array("hibr".utf8), 0),
            ("hibernation", Array("HIBR".utf8), 0), ("hibernation", Array("RSTR".utf8), 0),
            ("framed snappy", [0xff, 6, 0, 0] + Array("sNaPpY".utf8), 0),
            ("AVML", Array("AVML".utf8) + [2, 0, 0, 0], 0),
            ("tar", Array("ustar".utf8), 257),
            ("7z", [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c], 0),
            ("lzma", [0x5d, 0, 0, 0x80, 0] + [UInt8](repeating: 0xff, count: 8), 0),
            ("diskdump", Array("DISKDUMP".utf8), 0),
            ("swap space", Array("SWAPSPACE2".utf8), 4086),
            ("hibernated system", Array("S1SUSPEND".utf8), 4086),
            ("Proxmox", Array("VMA\0".utf8), 0), ("Mach-O", [0xcf, 0xfa, 0xed, 0xfe], 0),
            ("compress", [0x1f, 0x9d], 0),
        ] as [(String, [UInt8], Int)])
    func `forms that are not read are not taken for raw images`(
        _ name: String, _ magic: [UInt8], _ offset: Int
    ) throws {
        let before = [UInt8](repeating: 0x61, count: offset)
        let bytes = (before + magic).padded(to: 8192)
        let refused = MemorySourcesTests.failure(bytes)
        let failure = try #require(refused)
        #expect(failure.cause == .unsupported)
        #expect(failure.message.contains(name), "\(failure.message)")
        #expect(failure.remedy.contains("--raw") && failure.remedy.utf8.count > 60)
        let file = Scratch(bytes)
        let memory = try DumpFile.open(file.path, as: .raw)
        #expect(memory.kind == "raw image" && memory.contains(PFN(1)))
        // Another first byte of the signature is none.
        let other = (before + [magic[0] ^ 0x80] + magic.dropFirst()).padded(to: 8192)
        #expect(try opened(other).kind == "raw image")
        // What is written to is asked in the same words.
        #expect(DumpFile.form(ofStart: Array(bytes[..<4096])) != nil)
    }

    @Test func `a compressed LiME image is zlib data`() throws {
        let plain = lime(0, 8 * 4096 - 1, pages(0..<8))
        var packed = [UInt8](repeating: 0, count: 60_000)
        var length = uLongf(packed.count)
        compress(&packed, &length, plain, uLong(plain.count))
        let refused = MemorySourcesTests.failure(Array(packed[..<Int(length)]))
        let failure = try #require(refused)
        #expect(failure.cause == .unsupported && failure.message.contains("zlib"))
        #expect(try opened([0x78, 0x9c].padded(to: 4096)).kind == "raw image")
    }

    @Test func `one table tells every form that is read`() {
        for (kind, bytes) in Self.forms() {
            let form = DumpFile.form(ofStart: Array(bytes.prefix(4096)))
            #expect((form == nil) == (kind == "raw image"), "\(kind)")
            #expect(DumpFile.form(ofStart: Array(gzip(bytes).prefix(4096)))?.description == "gzip")
        }
        #expect(DumpFile.form(ofStart: []) == nil)
    }

    @Test func `zeros behind a packed dump, and what is ignored`() throws {
        let bytes = pages(0..<8)
        let zeros = [UInt8](repeating: 0, count: 10_240)
        #expect(try opened(gzip(bytes) + zeros).survey(0, 4) == "PPPP")
        #expect(try opened(Codec.zstd.pack(bytes) + zeros).notes.map { $0.contains("zeros follow") } == [true])
        let memory = try opened(gzip(bytes) + zeros + [7])
        #expect(memory.survey(0, 4) == "PPPP")
        #expect(memory.notes.map { $0.contains("is ignored") } == [true])
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
