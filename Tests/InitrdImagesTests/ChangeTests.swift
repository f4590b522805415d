import Glibc
import Initrd
import Linux
import Testing

@testable import InitrdImages

@Suite struct HookFileTests {
    private func file(_ name: String) -> [UInt8] {
        (try? FileDescriptor.contents(of: Array("\(sourceRoot)/\(name)".utf8), limit: 1 << 20)) ?? []
    }

    @Test func embeddedFilesAreTheOnesOfTheHooks() {
        let tools = HookFiles.items(.initramfsTools, order: HookFiles.anyOrder)
        #expect(!tools[0].content.isEmpty && tools[0].content == file("initramfs-hooks/scripts/init-top/pram-verify"))
        #expect(tools[1].content == file("initramfs-hooks/ORDER"))
        #expect(tools[2].content == file("initramfs-hooks/98-pram-verify.rules"))
        let mkinitcpio = HookFiles.items(.mkinitcpio, order: [])
        #expect(!mkinitcpio[0].content.isEmpty && mkinitcpio[0].content == file("mkinitcpio/hooks/pram-verify"))
        let systemd = HookFiles.items(.systemd, order: [])
        #expect(systemd[0].content == file("dracut/50pram-verify/pram-verify.sh"))
        #expect(systemd[1].content == file("dracut/50pram-verify/pram-verify-boot.service"))
        #expect(HookFiles.items(.dracutShell, order: [])[0].content == systemd[0].content)
    }

    @Test func theMarkerSaysTheProgramsVersion() {
        // Said there alone: the program takes it from the marker.
        let source = String(decoding: file("Sources/CHookFiles/hook_files.c"), as: UTF8.self)
        let version = String(decoding: ProgramMarker.version, as: UTF8.self)
        #expect(!version.isEmpty && source.contains("#define VERSION \"\(version)\"\n"))
        #expect(ProgramMarker.parse(Array("1.2.3:x86_64\n".utf8)[...])?.architecture == Array("x86_64".utf8))
        for wrong in ["", ":", "1.2.3", "1.2.3:", "1.2.3:x86_64", "a:b\n", "1.2.3:\n", "1.2.3:x 6\n"] {
            #expect(ProgramMarker.parse(Array(wrong.utf8)[...]) == nil)
        }
    }
}

@Suite struct ChangeTests {
    private static let order = "/scripts/init-top/udev \"$@\"\n[ -e /conf/param.conf ] && . /conf/param.conf\n"

    private static let config = "EARLYHOOKS=\"udev\"\nHOOKS=\"udev\"\nLATEHOOKS=\"\"\nCLEANUPHOOKS=\"udev\"\n"

    /// An image of each kind, as little of it as tells it from others, and as the scripts call.
    private func make(_ shop: Workshop, _ flavour: Flavour, pack: String = "zstd -q -c") {
        shop.sh(
            "mkdir -p r/usr/bin r/usr/sbin r/etc r/usr/lib; ln -s usr/lib r/lib; ln -s usr/bin r/bin; "
                + "for i in sh cat modprobe; do printf '#!/bin/sh\\n' >r/usr/bin/$i; chmod 755 r/usr/bin/$i; done; "
                + "cp /bin/true r/usr/bin/true")
        switch flavour {
        case .initramfsTools:
            shop.sh("mkdir -p r/scripts/init-top; : >r/scripts/functions")
            shop.write(Array(Self.order.utf8), to: "r/scripts/init-top/ORDER")
        case .dracutShell:
            shop.sh("mkdir -p r/usr/lib/dracut/hooks/cmdline; : >r/usr/lib/dracut-lib.sh")
        case .mkinitcpio:
            shop.sh("mkdir r/hooks; : >r/init_functions; : >r/hooks/udev; chmod 755 r/hooks/udev")
            shop.write(Array(Self.config.utf8), to: "r/config")
        case .systemd:
            shop.sh("mkdir -p r/usr/lib/systemd/system; : >r/usr/lib/systemd/systemd; : >r/usr/lib/dracut-lib.sh")
        }
        shop.sh("(cd r && find . | LC_ALL=C sort | cpio -o -H newc --quiet) | \(pack) >image; chmod 640 image")
    }

    /// Some program with a marker of an older version.
    private func program(_ shop: Workshop, _ name: String, from source: String = "/bin/cat") -> [UInt8] {
        shop.sh("cp \(source) \(name); printf 'pram-verify-marker:0.0.9:x86_64\\n' >>\(name)")
        return shop.place(name)
    }

    @Test(arguments: Flavour.allCases, ["zstd -q -c", "lz4 -q -l -c", "cat"])
    func appendedImagesPassTheCheck(_ flavour: Flavour, _ pack: String) throws {
        let shop = Workshop()
        make(shop, flavour, pack: pack)
        shop.sh("cp -p image base")
        let base = shop.bytes("base")
        var question = ImageCheck.Question()
        question.program = program(shop, "program")
        var before = try ImageCheck.run(try shop.image("image"), question)
        #expect(before.exitStatus == 4 && before.flavour == flavour)
        #expect(before.lines.contains { $0.verdict == .bad && $0.subject == .helper && $0.remedy != nil })

        var append = ImageAppend()
        append.program = question.program
        guard case .appended(flavour, let place) = try append.run(shop.place("image")) else {
            Issue.record("not appended")
            return
        }
        let once = shop.bytes("image")
        #expect(place % 4 == 0 && Array(once[..<base.count]) == base)
        if pack.hasPrefix("lz4") { #expect(Int(place) >= base.count + 4) }
        #expect(try append.run(shop.place("image")) == .unchanged(flavour))
        #expect(shop.bytes("image") == once)
        shop.sh("test $(stat -c %a image) = 640; test $(ls | grep -c pram-verify-) = 0")

        before = try ImageCheck.run(try shop.image("image"), question)
        let bad = before.lines.filter { $0.verdict == .bad || $0.verdict == .unknown }
        // The version is another one than this test's own marker says.
        #expect(bad.map(\.subject) == [.version])
        #expect(before.helpers.map { String(decoding: $0.version, as: UTF8.self) } == ["0.0.9"])

        // A newer program takes the place of the older one, and leaves the same bytes as if it had been the first.
        append.program = program(shop, "newer", from: "/bin/ls")
        #expect(try append.run(shop.place("image")) == .replaced(flavour, at: place))
        append.output = shop.place("fresh")
        #expect(try append.run(shop.place("base")) == .appended(flavour, at: place))
        #expect(shop.bytes("fresh") == shop.bytes("image") && shop.bytes("base") == base)
    }

    @Test func linksInPlaceOfDirectoriesStayLinks() throws {
        let shop = Workshop()
        make(shop, .dracutShell)
        shop.sh(
            "rmdir r/usr/sbin; ln -s bin r/usr/sbin; mkdir -p r/var/lib; mv r/usr/lib/dracut r/var/lib/dracut; "
                + "mkdir r/usr/lib/dracut; ln -s ../../../var/lib/dracut/hooks r/usr/lib/dracut/hooks; "
                + "(cd r && find . | LC_ALL=C sort | cpio -o -H newc --quiet) >image")
        var append = ImageAppend()
        append.program = program(shop, "program")
        _ = try append.run(shop.place("image"))
        let text = shop.list("image", .long)
        #expect(text.contains("usr/bin/pram-verify\n"))
        #expect(text.contains("var/lib/dracut/hooks/cmdline/00-pram-verify.sh\n"))
        #expect(!text.contains(" usr/sbin\n") && !text.contains(" usr/lib/dracut/hooks\n"))
        #expect(try append.run(shop.place("image")) == .unchanged(.dracutShell))
    }

    @Test func orderIsExtendedAndOnlyWhereItIsUnderstood() throws {
        let shop = Workshop()
        make(shop, .initramfsTools)
        var append = ImageAppend()
        append.program = program(shop, "program")
        _ = try append.run(shop.place("image"))
        let text = Text()
        try ImageExtract.file(Array("scripts/init-top/ORDER".utf8), of: try shop.image("image")) { text.bytes += $0 }
        let wanted =
            "/scripts/init-top/pram-verify \"$@\"\n[ -e /conf/param.conf ] && . /conf/param.conf\n" + Self.order
        #expect(text.bytes == Array(wanted.utf8))

        shop.sh("echo 'exec /bin/evil' >>r/scripts/init-top/ORDER; (cd r && find . | cpio -o -H newc --quiet) >odd")
        let before = shop.bytes("odd")
        #expect(throws: ImageFailure.self) { _ = try append.run(shop.place("odd")) }
        #expect(shop.bytes("odd") == before)
    }

    @Test func hooksOfMkinitcpioAreExtendedAndOnlyWhereTheyAreUnderstood() throws {
        let shop = Workshop()
        make(shop, .mkinitcpio)
        var append = ImageAppend()
        append.program = program(shop, "program")
        _ = try append.run(shop.place("image"))
        let text = Text()
        try ImageExtract.file(Array("config".utf8), of: try shop.image("image")) { text.bytes += $0 }
        #expect(text.bytes == Array("EARLYHOOKS=\"pram-verify udev\"\(Self.config.dropFirst(17))".utf8))

        for odd in ["echo reboot >>r/config", ": >r/config"] {
            shop.sh("\(odd); (cd r && find . | cpio -o -H newc --quiet) >odd")
            let before = shop.bytes("odd")
            #expect(throws: ImageFailure.self) { _ = try append.run(shop.place("odd")) }
            #expect(shop.bytes("odd") == before)
        }
        // Passed over by init where it is not executable, or not named.
        var question = ImageCheck.Question()
        question.program = append.program
        for (damage, subject) in [("chmod 644 r/hooks/pram-verify", CheckLine.Subject.hook), (": >r/config", .order)] {
            shop.sh("rm -rf r")
            make(shop, .mkinitcpio)
            shop.sh("mkdir -p r/usr/sbin; cp program r/usr/sbin/pram-verify; cp -f r/hooks/udev r/hooks/pram-verify")
            shop.write(Array("EARLYHOOKS=\"pram-verify udev\"\n".utf8), to: "r/config")
            shop.sh("\(damage); (cd r && find . | cpio -o -H newc --quiet) >damaged")
            let check = try ImageCheck.run(try shop.image("damaged"), question)
            #expect(check.flavour == .mkinitcpio)
            #expect(check.lines.contains { $0.verdict == .bad && $0.subject == subject }, "\(damage)")
        }
    }

    @Test func whatIsNotUnderstoodIsRefused() throws {
        let shop = Workshop()
        make(shop, .systemd)
        shop.sh(
            "gzip -dc image >plain 2>/dev/null || zstd -qdc image >plain; bzip2 -c plain >bzip2 2>/dev/null || printf BZh9 >bzip2; "
                + "mkdir e; (cd e; : >a; echo a | cpio -o -H newc --quiet) >unknown; "
                + "head -c 3000 image >cut; lz4 -q -c plain >frame")
        shop.write(unifiedImage(initrd: shop.bytes("plain"), commandLine: ""), to: "uki")
        shop.write(unifiedImage(initrd: shop.bytes("plain"), commandLine: "", signed: true), to: "signed")
        var append = ImageAppend()
        append.program = program(shop, "program")
        for (name, reason) in [
            ("bzip2", "cannot be looked into"), ("unknown", "it is not known how this image starts"),
            ("cut", "cut short"),
            ("frame", "cannot be looked into"), ("uki", "sections cannot grow"), ("signed", "break the signature"),
        ] {
            let before = shop.bytes(name)
            do throws(ImageFailure) {
                _ = try append.run(shop.place(name))
                Issue.record("\(name) was not refused")
            } catch {
                #expect(error.message.contains(reason), "\(error.message)")
                #expect(error.remedy != nil)
            }
            #expect(shop.bytes(name) == before)
        }
    }

    @Test func withoutTheImagesOwnListOfHooksThereIsNoArchive() {
        let shop = Workshop()
        var archive = HelperArchive(.mkinitcpio)
        archive.program = program(shop, "program")
        let made = archive
        #expect(throws: ImageFailure.self) { try makeImage(shop.place("a.cpio"), made, gzip: false) }
        shop.sh("test ! -e a.cpio")
    }

    @Test(arguments: Flavour.allCases.filter { $0 != .mkinitcpio }) func archivesThatStandAlone(_ flavour: Flavour)
        throws
    {
        let shop = Workshop()
        make(shop, flavour)
        var archive = HelperArchive(flavour)
        archive.program = program(shop, "program")
        archive.modified = 1_000_000_000
        try makeImage(shop.place("a.cpio"), archive, gzip: false)
        try makeImage(shop.place("b.cpio"), archive, gzip: false)
        try makeImage(shop.place("a.gz"), archive, gzip: true)
        #expect(shop.bytes("a.cpio") == shop.bytes("b.cpio"))
        shop.sh(
            "gzip -dc a.gz | cmp - a.cpio; cpio -t --quiet <a.cpio >names; bsdtar -tf a.cpio >/dev/null; truncate -s %4 image; "
                + "cat image a.cpio >both; test $(stat -c %a a.cpio) = 644")
        #expect(shop.list("a.gz") == shop.read("names"))
        var question = ImageCheck.Question()
        question.program = archive.program
        let check = try ImageCheck.run(try shop.image("both"), question)
        #expect(check.lines.filter { $0.verdict == .bad }.map(\.subject) == [.version])
        #expect(sourceDate(Array("1000000000".utf8)) == 1_000_000_000 && sourceDate(Array("4294967296".utf8)) == nil)
        #expect(sourceDate([]) == nil && sourceDate(Array("-1".utf8)) == nil)
    }

    @Test func driversForWhatTheCommandLineReserves() throws {
        let shop = Workshop()
        make(shop, .systemd)
        var question = ImageCheck.Question()
        question.program = program(shop, "program")
        question.reservesPmem = true
        func drivers() throws -> CheckLine? {
            try ImageCheck.run(try shop.image("image"), question).lines.first { $0.subject == .drivers }
        }
        #expect(try drivers()?.verdict == .bad)
        shop.sh(
            "mkdir -p r/usr/lib/modules/6/kernel; : >r/usr/lib/modules/6/kernel/nd_pmem.ko.xz; "
                + ": >r/usr/lib/modules/6/kernel/libnvdimm.ko; (cd r && find . | cpio -o -H newc --quiet) >image")
        #expect(try drivers()?.text.contains("nd_e820") == true)
        shop.sh(
            "echo kernel/drivers/nvdimm/nd_e820.ko >r/usr/lib/modules/6/modules.builtin; (cd r && find . | cpio -o -H newc --quiet) >image"
        )
        #expect(try drivers()?.verdict == .good)
        question.reservesPmem = false
        #expect(try drivers() == nil)
    }

    @Test func theKernelsDecompressors() throws {
        let shop = Workshop()
        make(shop, .initramfsTools)
        var question = ImageCheck.Question()
        question.program = program(shop, "program")
        func verdict(_ config: String) throws -> CheckLine.Verdict? {
            question.config = Array(config.utf8)
            return try ImageCheck.run(try shop.image("image"), question).lines.last { $0.subject == .decompressor }?
                .verdict
        }
        #expect(try verdict("CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_ZSTD=y\n") == .good)
        #expect(try verdict("CONFIG_BLK_DEV_INITRD=y\n# CONFIG_RD_ZSTD is not set\n") == .bad)
        #expect(try verdict("hello") == .unknown)
    }
}

@Suite struct ExtractTests {
    @Test func linkedFilesHaveTheirDataAndLaterOnesWin() throws {
        let shop = Workshop()
        shop.makeTree()
        func content(_ path: String, _ image: String = "tree.cpio") throws -> [UInt8] {
            let text = Text()
            try ImageExtract.file(Array(path.utf8), of: try shop.image(image)) { text.bytes += $0 }
            return text.bytes
        }
        for name in ["one", "two", "three"] { #expect(try content("/usr/bin/\(name)") == Array("hello".utf8)) }
        #expect(try content("usr/lib/modules/noise") == shop.bytes("tree/usr/lib/modules/noise"))
        shop.sh(
            "mkdir -p n/usr/bin; printf newer >n/usr/bin/two; (cd n; echo usr/bin/two | cpio -o -H newc --quiet) | cat tree.cpio - >both"
        )
        #expect(try content("usr/bin/two", "both") == Array("newer".utf8))
        #expect(throws: ImageFailure.self) { _ = try content("usr") }
        #expect(throws: ImageFailure.self) { _ = try content("bin") }
        #expect(throws: ImageFailure.self) { _ = try content("none") }
    }

    @Test(arguments: [false, true]) func everythingIsAsCpioUnpacksIt(_ withoutOpenat2: Bool) throws {
        let shop = Workshop()
        shop.makeTree()
        let outcome = try ImageUnpack.run(
            try shop.image("tree.cpio"), into: shop.place("out"), withoutOpenat2: withoutOpenat2
        ) { Issue.record("\($0.text)") }
        #expect(outcome.problems == 0 && outcome.files > 8)
        shop.sh(
            "mkdir want; (cd want; cpio -idm --quiet <../tree.cpio); diff -r --no-dereference out want; "
                + "for d in out want; do (cd $d; find . ! -type d -printf '%p %M %n %s %l\\n' | sort) >$d.txt; done; cmp out.txt want.txt"
        )
        #expect(throws: ImageFailure.self) {
            _ = try ImageUnpack.run(try shop.image("tree.cpio"), into: shop.place("out")) { _ in }
        }
    }

    @Test(arguments: [false, true]) func nothingLandsOutside(_ withoutOpenat2: Bool) throws {
        let shop = Workshop()
        shop.sh("mkdir outside; echo safe >outside/file")
        let outside = Array("\(shop.path)/outside".utf8)
        var bytes: [UInt8] = []
        var writer = NewcWriter(modified: 0) { bytes += $0 }
        writer.file(Array("../outside/file".utf8), permissions: 0o644, [1])
        writer.file(Array("a/../../outside/file".utf8), permissions: 0o644, [1])
        writer.file(outside + Array("/file".utf8), permissions: 0o644, [1])
        writer.symbolicLink(Array("absolute".utf8), to: outside)
        writer.file(Array("absolute/file".utf8), permissions: 0o644, [1])
        writer.symbolicLink(Array("climbing".utf8), to: Array("../outside".utf8))
        writer.file(Array("climbing/file".utf8), permissions: 0o644, [1])
        writer.directory(Array("climbing/new".utf8))
        writer.symbolicLink(Array("same".utf8), to: outside + Array("/file".utf8))
        writer.file(Array("same".utf8), permissions: 0o644, [2])
        writer.symbolicLink(Array("dir".utf8), to: outside)
        writer.directory(Array("dir".utf8))
        writer.file(Array("dir/file".utf8), permissions: 0o644, [3])
        writer.finish()
        shop.write(bytes, to: "image")
        let outcome = try ImageUnpack.run(
            try shop.image("image"), into: shop.place("out"), withoutOpenat2: withoutOpenat2
        ) { _ in }
        // A name that begins with a slash is one below the directory.
        #expect(outcome.problems >= 4)
        #expect(shop.read("outside/file") == "safe\n")
        shop.sh(
            "test $(ls outside | wc -l) = 1; test -f out/same; test ! -L out/same; test ! -L out/dir; test -f out/dir/file; test -f out$PWD/outside/file"
        )
    }

    @Test func devicesOnlyOnRequest() throws {
        let shop = Workshop()
        shop.sh("mkdir t; mkfifo t/f; mknod t/c c 1 3 || :; (cd t; find . | cpio -o -H newc --quiet) >image")
        let without = try ImageUnpack.run(try shop.image("image"), into: shop.place("a")) { _ in }
        #expect(without.skippedDevices >= 1 && without.problems == 0)
        if effectiveUser() == 0 {
            let with = try ImageUnpack.run(try shop.image("image"), into: shop.place("b"), devices: true) { _ in }
            #expect(with.skippedDevices == 0)
            shop.sh("test -p b/f; test $(stat -c %t:%T b/c) = 1:3")
        }
    }
}
