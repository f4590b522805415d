import Compression
import Initrd
import Linux
import Testing

@testable import InitrdImages

@Suite struct ListTests {
    private static let packers = [
        "cat", "gzip -c", "xz -c --check=crc32", "xz -c --format=lzma", "zstd -q -c", "zstd -q -c -19", "lz4 -q -l -c",
    ]

    @Test(arguments: packers) func everyFormListsWhatCpioAndBsdtarList(_ packer: String) {
        let shop = Workshop()
        shop.makeTree()
        shop.sh("\(packer) <tree.cpio >image; cpio -t --quiet <tree.cpio >cpio.txt; bsdtar -tf tree.cpio >bsdtar.txt")
        let listed = shop.list("image").split(separator: "\n")
        #expect(listed.count == 13 || listed.count == shop.read("cpio.txt").split(separator: "\n").count)
        let plain = listed.filter { !$0.contains("odd") }
        #expect(plain == shop.read("cpio.txt").split(separator: "\n").filter { !$0.contains("odd") })
        #expect(plain == shop.read("bsdtar.txt").split(separator: "\n").filter { !$0.contains("odd") })
        #expect(listed.contains("odd\\x09name"))
    }

    @Test func segmentsAsTheKernelUnpacksThem() throws {
        let shop = Workshop()
        shop.makeTree()
        shop.sh(
            """
            mkdir -p early/kernel/x86/microcode; echo code >early/kernel/x86/microcode/GenuineIntel.bin
            (cd early && find kernel | cpio -o -H newc --quiet) >image
            head -c 1024 /dev/zero >>image; zstd -q -c tree.cpio >>image
            head -c 5 /dev/zero >>image; cat tree.cpio tree.cpio | xz -c >>image
            gzip -c tree.cpio >>image; lz4 -q -l -c tree.cpio >>image; head -c 8 /dev/zero >>image
            truncate -s %4 image; cat tree.cpio >>image
            """)
        let walk = ImageWalk(try shop.image("image"))
        try walk.run(Nobody())
        #expect(walk.segments.map(\.format) == [.plain, .zstd, .xz, .gzip, .lz4Legacy, .plain])
        #expect(walk.segments.map(\.isEarly) == [true, false, false, false, false, false])
        #expect(walk.segments[2].trailers == 2 && walk.segments[1].trailers == 1)
        #expect(walk.segments.last.map { $0.offset % 4 } == 0)
        let image = shop.bytes("image")
        for segment in walk.segments.dropFirst() where segment.format != .plain {
            let magic = Array(image[Int(segment.offset)..<Int(segment.offset) + 6])
            #expect(SegmentFormat(recognising: magic.span) == segment.format)
        }
    }

    @Test func theFormOfLs() {
        let shop = Workshop()
        shop.sh(
            "mkdir t; cd t; ln -s over/there l; touch -d @0 f; mknod c c 5 1; printf 123 >f; touch -d @1000000000 f; "
                + "chown 1:2 f; chmod 640 f; printf 'c\\nf\\nl\\n' | cpio -o -H newc --quiet >../image")
        let lines = shop.list("image", .long).split(separator: "\n")
        #expect(lines.count == 3)
        #expect(lines[0].hasPrefix("crw-") && lines[0].contains("      5, 1 ") && lines[0].hasSuffix(" c"))
        #expect(lines[1] == "-rw-r-----   1     1     2          3 2001-09-09 01:46 f")
        #expect(lines[2].hasSuffix(" l -> over/there"))
        func time(_ seconds: UInt32) -> String {
            var text: [UInt8] = []
            appendTime(seconds, to: &text)
            return String(decoding: text, as: UTF8.self)
        }
        #expect(time(951_782_400) == "2000-02-29 00:00")
        #expect(time(.max) == "2106-02-07 06:28")
    }

    @Test func whatIsNoImage() {
        let shop = Workshop()
        shop.sh(
            ": >empty; mkdir folder; mkfifo fifo; echo hello >text; ln -s /dev/zero device; head -c 100000 /dev/zero >zeros"
        )
        #expect(shop.list("empty").hasSuffix("the file is empty"))
        #expect(shop.list("folder").hasSuffix("it is a directory, not a file"))
        #expect(shop.list("fifo").hasSuffix("it is a FIFO, not a file"))
        #expect(shop.list("device").hasSuffix("it is a device, not a file"))
        #expect(shop.list("text").contains("neither an initrd nor a unified kernel image"))
        #expect(shop.list("zeros") == "")
        #expect(shop.list("none").hasSuffix("No such file or directory"))
    }

    @Test func whatTheKernelRefuses() {
        let shop = Workshop()
        shop.makeTree()
        shop.sh(
            """
            zstd -q -c tree.cpio >whole; head -c 20000 whole >cut
            { head -c 1000 tree.cpio | gzip -c; tail -c +1001 tree.cpio | gzip -c; } >torn
            { cat tree.cpio; printf junk; } >junk
            { gzip -c tree.cpio; printf junk; } >junk2
            gzip -c tree.cpio >base; truncate -s %4 base; printf '\\0' >>base
            cat tree.cpio >>base
            lz4 -q -c tree.cpio >frame
            """)
        #expect(shop.list("cut").contains("the zstd data are cut short, in segment 0"))
        #expect(shop.list("torn").contains("the gzip stream ends, but the record in it goes on"))
        #expect(shop.list("junk").contains("what follows is neither an archive nor packed"))
        #expect(shop.list("junk2").contains("what follows is neither an archive nor packed"))
        #expect(shop.list("base").contains("does not begin at a multiple of four bytes"))
        #expect(shop.list("frame", .segments).contains("lz4-frame"))
        #expect(shop.list("frame", .segments).contains("not-unpacked"))
    }

    @Test func bombsMeetALimitThatIsNamed() {
        let shop = Workshop()
        shop.sh(
            "head -c 40000000 /dev/zero >z; mkdir t; mv z t; cd t; echo z | cpio -o -H newc --quiet >../c; cd ..; "
                + "for p in 'gzip -c' 'xz -c' 'zstd -q -c' 'lz4 -q -l -c'; do $p <c >bomb.${p%% *}; done; "
                + "head -c 70000000 /dev/urandom >c; zstd -q --long=27 -1 -c c >window; xz -0 --lzma2=dict=64MiB -c t/z >dictionary"
        )
        var limits = ImageLimits()
        limits.unpacked = 10_000_000
        for packer in ["gzip", "xz", "zstd", "lz4"] {
            #expect(
                shop.list("bomb.\(packer)", limits: limits).contains(
                    "it unpacks to more than the limit of 10000000 bytes"))
            #expect(shop.list("bomb.\(packer)") == "z\n")
        }
        #expect(shop.list("window").contains("need more memory than the limit allows"))
        #expect(shop.list("dictionary").contains("need more memory than the limit allows"))
    }

    @Test func manyTinyRecords() {
        let shop = Workshop()
        var bytes: [UInt8] = []
        var writer = NewcWriter(modified: 0) { bytes += $0 }
        for number in 0..<100_000 { writer.file(Array(String(number).utf8), permissions: 0o644, []) }
        writer.finish()
        shop.write(bytes, to: "image")
        #expect(shop.list("image").utf8.count { $0 == 10 } == 100_000)
    }

    /// Packed images with bytes changed: each reading ends, and soon.
    @Test(arguments: packers) func mutationsEnd(_ packer: String) {
        let shop = Workshop()
        shop.sh(
            "mkdir t; for i in 1 2 3 4 5 6 7 8; do head -c 3000 /dev/urandom >t/$i; done; "
                + "(cd t; find . | cpio -o -H newc --quiet) | \(packer) >image")
        let image = shop.bytes("image")
        var dice: UInt64 = 0x9e37_79b9_7f4a_7c15
        func roll(_ sides: Int) -> Int {
            dice ^= dice << 13
            dice ^= dice >> 7
            dice ^= dice << 17
            return Int(dice % UInt64(sides))
        }
        var damaged = 0
        for _ in 0..<60 {
            var bytes = image
            for _ in 0...roll(4) { bytes[roll(roll(2) == 0 ? 200 : bytes.count)] = UInt8(roll(256)) }
            if roll(4) == 0 { bytes.removeLast(roll(bytes.count - 1)) }
            shop.write(bytes, to: "changed")
            let before = monotonicNanoseconds()
            if shop.list("changed").contains("! ") { damaged += 1 }
            #expect(monotonicNanoseconds() - before < 2_000_000_000)
        }
        #expect(damaged > 10)
    }

    @Test func unifiedKernelImages() throws {
        let shop = Workshop()
        shop.makeTree()
        let archive = shop.bytes("tree.cpio")
        shop.write(unifiedImage(initrd: archive, commandLine: "memmap=16M!4G quiet\n"), to: "uki.efi")
        let image = try shop.image("uki.efi")
        #expect(try image.commandLine() == Array("memmap=16M!4G quiet".utf8))
        #expect(shop.list("uki.efi") == shop.list("tree.cpio"))
        #expect(shop.list("uki.efi", .segments).contains(" section  .cmdline"))
        var signed = unifiedImage(initrd: archive, commandLine: "", signed: true)
        shop.write(signed, to: "signed.efi")
        #expect(shop.list("signed.efi", .segments).contains("signed\n"))
        signed.removeLast(signed.count / 2)
        shop.write(signed, to: "cut.efi")
        #expect(shop.list("cut.efi").contains("a PE section does not lie within the file"))
    }
}

final class Nobody: ImageVisitor {
    func record(_ record: NewcRecord, in segment: Segment) -> Bool { false }
}

/// A PE32+ file with a command line and an initrd in it.
func unifiedImage(initrd: [UInt8], commandLine: String, signed: Bool = false) -> [UInt8] {
    let contents: [(String, [UInt8])] = [
        (".linux", Array("kernel".utf8)), (".cmdline", Array(commandLine.utf8)), (".initrd", initrd),
    ]
    var bytes = [UInt8](repeating: 0, count: 1024)
    func put(_ number: Int, _ place: Int, _ count: Int) {
        for index in 0..<count { bytes[place + index] = UInt8(truncatingIfNeeded: number >> (8 * index)) }
    }
    put(0x5a4d, 0, 2)
    put(0x80, 0x3c, 4)
    put(0x4550, 0x80, 4)
    put(0x8664, 0x84, 2)
    put(contents.count, 0x86, 2)
    put(240, 0x94, 2)
    put(0x20b, 0x98, 2)
    put(16, 0x98 + 108, 4)
    for (index, (name, content)) in contents.enumerated() {
        let place = 0x98 + 240 + index * 40
        bytes.replaceSubrange(place..<place + name.utf8.count, with: name.utf8)
        put(content.count, place + 8, 4)
        let padded = (content.count + 511) & ~511
        put(padded, place + 16, 4)
        put(bytes.count, place + 20, 4)
        bytes += content + [UInt8](repeating: 0, count: padded - content.count)
    }
    if signed {
        put(bytes.count, 0x98 + 112 + 32, 4)
        put(64, 0x98 + 112 + 36, 4)
        bytes += [UInt8](repeating: 1, count: 64)
    }
    return bytes
}
