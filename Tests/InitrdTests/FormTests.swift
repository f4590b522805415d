import Initrd
import Testing

@Suite struct FormTests {
    @Test func magics() {
        func form(_ bytes: [UInt8]) -> SegmentFormat? { SegmentFormat(recognising: bytes.span) }
        #expect(form(Array("070701".utf8)) == .plain && form(Array("070707".utf8)) == .plain)
        #expect(form([0x1f, 0x8b, 8]) == .gzip && form([0x1f, 0x9e]) == .gzip)
        #expect(form(Array("BZh9".utf8)) == .bzip2 && form([0x5d, 0, 0, 0x80]) == .lzma)
        #expect(form([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]) == .xz && form([0x89, 0x4c, 0x5a, 0x4f]) == .lzo)
        #expect(form([0x02, 0x21, 0x4c, 0x18]) == .lz4Legacy && form([0x04, 0x22, 0x4d, 0x18]) == .lz4Frame)
        #expect(form([0x28, 0xb5, 0x2f, 0xfd]) == .zstd)
        #expect(form([]) == nil && form([0x1f]) == nil && form(Array("MZ".utf8)) == nil && form([0, 0, 0, 0]) == nil)
    }

    @Test func kernelOptions() {
        let config = Array("# CONFIG_RD_XZ is not set\nCONFIG_RD_GZIP=y\nCONFIG_RD_ZSTD=m\n".utf8)
        #expect(KernelConfig.isConfig(config) && !KernelConfig.isConfig(Array("hello\n".utf8)))
        #expect(KernelConfig.isBuiltIn("CONFIG_RD_GZIP", in: config))
        #expect(
            !KernelConfig.isBuiltIn("CONFIG_RD_XZ", in: config) && !KernelConfig.isBuiltIn("CONFIG_RD_ZSTD", in: config)
        )
        #expect(!KernelConfig.isBuiltIn("CONFIG_RD", in: config))
    }

    @Test func paths() {
        func normal(_ text: String) -> String {
            String(decoding: ArchivePath.normalized(Array(text.utf8)), as: UTF8.self)
        }
        #expect(
            normal("./usr//bin/./sh") == "usr/bin/sh" && normal("/a") == "a" && normal(".") == "" && normal("/") == "")
        #expect(normal("a/") == "a" && normal("a/..b") == "a/..b" && normal("..") == ".." && normal("") == "")
        #expect(ArchivePath.climbs(Array("a/../b".utf8)) && !ArchivePath.climbs(Array("a..b/...".utf8)))
        #expect(ArchivePath.withoutUsr(Array("./usr/bin/sh".utf8)) == Array("bin/sh".utf8))
        #expect(ArchivePath.ancestors(Array("a/b/c".utf8)) == [Array("a".utf8), Array("a/b".utf8)])
    }

    @Test(
        arguments: [
            ("lib", "usr/lib", "/foo", "usr/lib/foo"), ("a/b", "/lib", "/foo", "lib/foo"),
            ("a/b", "../c", "/foo", "c/foo"), ("a", "../../c", "/foo", "c/foo"), ("a/b", ".", "/x/y", "a/x/y"),
            ("a", "/", "/x", "x"), ("a", "", "/x", "x"), ("a", "..", "", ""),
        ])
    func pathsBehindLinks(_ link: String, _ target: String, _ rest: String, _ path: String) {
        let found = ArchivePath.behind(Array(link.utf8), leadingTo: Array(target.utf8), Array(rest.utf8)[...])
        #expect(String(decoding: found, as: UTF8.self) == path)
    }

    @Test func modes() {
        func text(_ mode: UInt32) -> String { String(decoding: modeText(mode), as: UTF8.self) }
        #expect(text(0o100644) == "-rw-r--r--" && text(0o040755) == "drwxr-xr-x" && text(0o104755) == "-rwsr-xr-x")
        #expect(text(0o041777) == "drwxrwxrwt" && text(0o102644) == "-rw-r-Sr--" && text(0o020600) == "crw-------")
        #expect(text(0o120777) == "lrwxrwxrwx" && text(0o010000) == "p---------" && text(0) == "?---------")
    }

    @Test func orders() {
        let script = Array("/scripts/init-top/pram-verify".utf8)
        let order = Array("/scripts/init-top/udev \"$@\"\n[ -e /conf/param.conf ] && . /conf/param.conf\n".utf8)
        #expect(!ScriptOrder.names(script, in: order))
        let added = ScriptOrder.adding(script, to: order)
        #expect(added.map { ScriptOrder.names(script, in: $0) } == true)
        #expect(added?.starts(with: script) == true && added?.suffix(order.count).elementsEqual(order) == true)
        #expect(ScriptOrder.adding(script, to: added ?? []) == added)
        #expect(ScriptOrder.adding(script, to: Array("rm -rf /\n".utf8)) == nil)
        #expect(!ScriptOrder.names(script, in: Array("/scripts/init-top/pram-verify2 \"$@\"\n".utf8)))
    }

    @Test func hookLists() {
        let hook = Array("pram-verify".utf8)
        func adding(_ config: String) -> String? {
            HookList.adding(hook, to: Array(config.utf8)).map { String(decoding: $0, as: UTF8.self) }
        }
        let config = "MODULES=\"ext4\"\nEARLYHOOKS=\"udev keymap\"\nHOOKS=\"udev\"\nLATEHOOKS=\"\"\n"
        let wanted = "MODULES=\"ext4\"\nEARLYHOOKS=\"pram-verify udev keymap\"\nHOOKS=\"udev\"\nLATEHOOKS=\"\"\n"
        #expect(!HookList.names(hook, in: Array(config.utf8)))
        #expect(adding(config) == wanted)
        #expect(HookList.names(hook, in: Array(wanted.utf8)) && adding(wanted) == wanted)
        #expect(adding("EARLYHOOKS=\"\"\n") == "EARLYHOOKS=\"pram-verify\"\n")
        // The last assignment counts, a longer name is another one, and so is another list.
        #expect(!HookList.names(hook, in: Array("EARLYHOOKS=\"pram-verify\"\nEARLYHOOKS=\"udev\"\n".utf8)))
        #expect(!HookList.names(hook, in: Array("EARLYHOOKS=\"pram-verify2\"\nHOOKS=\"pram-verify\"\n".utf8)))
        for odd in [
            "", "HOOKS=\"udev\"\n", "EARLYHOOKS=\"a\"\nEARLYHOOKS=\"b\"\n", "EARLYHOOKS=\"$(reboot)\"\n",
            "EARLYHOOKS=udev\n", "EARLYHOOKS=\"udev\n", "EARLYHOOKS=\"\nreboot\n", "EARLYHOOKS=\"a\" reboot \"b\"\n",
            "EARLYHOOKS=\"udev\"\nreboot\n",
        ] {
            #expect(adding(odd) == nil, "\(odd)")
        }
    }

    @Test func theWritersArchiveReadsBack() {
        var bytes: [UInt8] = []
        var writer = NewcWriter(modified: 7) { bytes += $0 }
        writer.directory(Array("d".utf8))
        writer.file(Array("d/f".utf8), permissions: 0o755, [1, 2, 3])
        writer.symbolicLink(Array("l".utf8), to: Array("d/f".utf8))
        writer.finish()
        let reading = Reading(bytes)
        #expect(
            reading.fault == nil && reading.trailers == 1 && bytes.count % 4 == 0
                && writer.length == UInt64(bytes.count))
        #expect(reading.records.map(\.mode) == [0o040755, 0o100755, 0o120777])
        #expect(reading.data[1] == [1, 2, 3] && reading.records[2].target == Array("d/f".utf8))
        #expect(reading.records.allSatisfy { $0.modified == 7 && $0.user == 0 })
    }
}

@Suite struct PortableExecutableTests {
    /// A PE32+ file: headers, sections of 512 bytes each, and certificates behind them.
    static func image(_ sections: [(String, UInt32)], signed: Bool = false) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 1024 + 512 * sections.count + (signed ? 64 : 0))
        func put(_ number: UInt64, _ place: Int, _ count: Int) {
            for index in 0..<count { bytes[place + index] = UInt8(truncatingIfNeeded: number >> UInt64(8 * index)) }
        }
        put(0x5a4d, 0, 2)
        put(0x80, 0x3c, 4)
        put(0x4550, 0x80, 4)
        put(0x8664, 0x84, 2)
        put(UInt64(sections.count), 0x86, 2)
        put(240, 0x94, 2)
        put(0x20b, 0x98, 2)
        put(16, 0x98 + 108, 4)
        if signed {
            put(UInt64(1024 + 512 * sections.count), 0x98 + 112 + 32, 4)
            put(64, 0x98 + 112 + 36, 4)
        }
        for (index, section) in sections.enumerated() {
            let place = 0x98 + 240 + index * 40
            bytes.replaceSubrange(place..<place + section.0.utf8.count, with: section.0.utf8)
            put(UInt64(section.1), place + 8, 4)
            put(512, place + 16, 4)
            put(UInt64(1024 + 512 * index), place + 20, 4)
        }
        return bytes
    }

    @Test func sectionsAndSignature() throws {
        let file = Self.image([(".linux", 500), (".initrd", 100), (".cmdline", 0)])
        let found = try PortableExecutable(file.span, fileSize: UInt64(file.count))
        #expect(found.machine == 0x8664 && !found.isSigned)
        #expect(found.section(".initrd")?.offset == 1536 && found.section(".initrd")?.size == 100)
        #expect(found.section(".cmdline")?.size == 512 && found.section(".none") == nil)
        let signed = Self.image([(".linux", 500)], signed: true)
        #expect(try PortableExecutable(signed.span, fileSize: UInt64(signed.count)).isSigned)
    }

    @Test func whatLiesOutsideTheFileIsRefused() {
        let file = Self.image([(".linux", 500), (".initrd", 100)])
        #expect(throws: PortableExecutable.Fault.sectionOutsideFile(name: Array(".initrd".utf8))) {
            _ = try PortableExecutable(file.span, fileSize: UInt64(file.count - 1))
        }
        #expect(throws: PortableExecutable.Fault.notPortableExecutable) {
            let one = [UInt8(ascii: "M")]
            _ = try PortableExecutable(one.span, fileSize: 1)
        }
        var far = file
        far.replaceSubrange(0x3c..<0x40, with: [0xff, 0xff, 0xff, 0xff])
        #expect(throws: PortableExecutable.Fault.headersOutsideFile) {
            _ = try PortableExecutable(far.span, fileSize: 9999)
        }
        var many = file
        many.replaceSubrange(0x86..<0x88, with: [0xff, 0xff])
        #expect(throws: PortableExecutable.Fault.tooManySections) {
            _ = try PortableExecutable(many.span, fileSize: 9999)
        }
    }

    @Test func mutationsEnd() {
        var dice: UInt64 = 88_172_645_463_325_252
        func roll(_ sides: Int) -> Int {
            dice ^= dice << 13
            dice ^= dice >> 7
            dice ^= dice << 17
            return Int(dice % UInt64(sides))
        }
        let file = Self.image([(".linux", 500), (".initrd", 100)], signed: true)
        var refused = 0
        for _ in 0..<3000 {
            var bytes = file
            for _ in 0...roll(8) { bytes[roll(0x200)] = UInt8(roll(256)) }
            do { _ = try PortableExecutable(bytes.span, fileSize: UInt64(bytes.count)) } catch { refused += 1 }
        }
        #expect(refused > 100)
    }
}
