import KernelCommandLine
import Testing

@testable import Machine

@Suite struct BootLoaderFilesTests {
    private func grub(_ text: String) -> BootLoaderFiles {
        var files = BootLoaderFiles()
        files.add(grub: Array(text.utf8))
        return files
    }

    private func line(_ files: BootLoaderFiles) -> String {
        String(decoding: files.files.first?.line.bytes ?? [], as: UTF8.self)
    }

    /// What is written in /etc/default/grub, and what the kernel gets of it.
    @Test(arguments: [
        (#"GRUB_CMDLINE_LINUX="quiet""#, "quiet", false),
        (#"GRUB_CMDLINE_LINUX=quiet # words"#, "quiet", false),
        (#"GRUB_CMDLINE_LINUX='a b'"#, "a b", false),
        (#"GRUB_CMDLINE_LINUX="memmap=64M\\\$0x10000000""#, "memmap=64M$0x10000000", false),
        (#"GRUB_CMDLINE_LINUX='memmap=64M\$0x10000000'"#, "memmap=64M$0x10000000", false),
        (#"GRUB_CMDLINE_LINUX="memmap=64M!0x10000000""#, "memmap=64M!0x10000000", false),
        // The shell takes $0.
        (#"GRUB_CMDLINE_LINUX="memmap=64M$0x10000000""#, "memmap=64Mx10000000", true),
        // GRUB does.
        (#"GRUB_CMDLINE_LINUX="memmap=64M\$0x10000000""#, "memmap=64Mx10000000", true),
        (#"GRUB_CMDLINE_LINUX='memmap=64M$0x10000000'"#, "memmap=64Mx10000000", true),
        (#"GRUB_CMDLINE_LINUX="root=$root quiet""#, "root= quiet", false),
        (#"GRUB_CMDLINE_LINUX="memmap=64M\\$0x1""#, "memmap=64M", true),
    ])
    func theLineThatTheKernelGets(_ text: String, _ wanted: String, _ losesDollar: Bool) {
        let files = grub("GRUB_TIMEOUT=5\n\(text)\n# GRUB_CMDLINE_LINUX=no\n")
        if text.contains(#"64M\\$0x1""#) {
            // The shell leaves `\` and takes the variable.
            #expect(files.files[0].losesDollar)
        } else {
            #expect(line(files) == wanted)
        }
        #expect(files.files[0].losesDollar == losesDollar, "\(text)")
    }

    @Test func theLastAssignmentCountsAndBothVariablesDo() {
        let files = grub(
            "GRUB_CMDLINE_LINUX=\"old\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"splash\"\n GRUB_CMDLINE_LINUX=\"a\"\n")
        #expect(line(files) == "a splash")
        #expect(files.grubValue == Array("a".utf8))
    }

    @Test(arguments: ["GRUB_CMDLINE_LINUX='a'", "GRUB_CMDLINE_LINUX=\"a\" # b", "GRUB_CMDLINE_LINUX=\"a\"\"b\"", ""])
    func whatOnlyAShellUnderstandsIsNotEdited(_ text: String) {
        #expect(grub(text).grubValue == nil)
    }

    /// Rows of grub.cfg, and what the kernel gets of the first `linux` line.
    @Test(arguments: [
        ("linux /vmlinuz root=/dev/vda quiet", "root=/dev/vda quiet", false),
        ("\tlinux\t/boot/vmlinuz-6.1 ro memmap=64M\\$0x10000000", "ro memmap=64M$0x10000000", false),
        ("linuxefi /vmlinuz memmap=64M$0x10000000 ro", "memmap=64Mx10000000 ro", true),
        ("linux /vmlinuz memmap=64M!0x10000000 $vt_handoff", "memmap=64M!0x10000000 ", false),
        ("linux /vmlinuz ro $vt_handoff", "ro ", false),
        ("linux /vmlinuz", "", false),
    ])
    func theLineOfGrubsFirstEntry(_ row: String, _ wanted: String, _ losesDollar: Bool) {
        var files = BootLoaderFiles()
        files.add(
            grubConfiguration: Array("menuentry 'x' {\n\(row)\n}\nlinux /other memmap=1M$2\n".utf8),
            path: Array("/boot/grub/grub.cfg".utf8))
        #expect(files.files.count == 1)
        #expect(line(files) == wanted)
        #expect(files.files[0].losesDollar == losesDollar)
        #expect(files.files[0].kind == .grubConfiguration)
    }

    @Test func aGrubConfigurationWithoutKernelsSaysNothing() {
        var files = BootLoaderFiles()
        files.add(grubConfiguration: Array("set timeout=5\nlinuxsomething else\nlinux".utf8), path: [])
        #expect(files.files.isEmpty)
    }

    @Test func entries() {
        var files = BootLoaderFiles()
        files.add(entry: Array("title x\noptions root=/dev/sda\noptions memmap=1M!1G\noptionsx no\n".utf8), path: [])
        #expect(line(files) == " root=/dev/sda memmap=1M!1G")
        files.add(entry: Array("options $kernelopts\n".utf8), path: [])
        #expect(files.files.count == 1)
    }

    @Test func endsOfTextAreNoTraps() {
        for text in [
            "GRUB_CMDLINE_LINUX=", "GRUB_CMDLINE_LINUX=\"", "GRUB_CMDLINE_LINUX=\"\\", "GRUB_CMDLINE_LINUX=$",
            "GRUB_CMDLINE_LINUX=${", "GRUB_CMDLINE_LINUX=\"\\\"", "\n\n", "GRUB_CMDLINE_LINUX='\\",
        ] {
            _ = grub(text)
        }
    }
}

@Suite struct KexecToolsTests {
    @Test(arguments: [
        ("2.0.25", false), ("2.0.25-3+deb12u1", false), ("2.0.26", true), ("2.0.29-1", true), ("2.1", true),
        ("1.9.99", false), ("2.0", false), ("3.0.0", true),
    ])
    func whichCallIsTriedFirst(_ version: String, _ wanted: Bool) {
        #expect(KexecTools(isInstalled: true, version: Array(version.utf8)).prefersFileLoad == wanted)
    }

    @Test(arguments: ["", "x", "2", "git-2.0.25"]) func whatIsNoVersionIsNotKnown(_ version: String) {
        #expect(KexecTools(isInstalled: true, version: Array(version.utf8)).prefersFileLoad == nil)
    }

    @Test func versions() {
        #expect(KexecTools.version(in: Array("kexec-tools 2.0.29\n".utf8)) == Array("2.0.29".utf8))
        #expect(KexecTools.version(in: Array("nothing".utf8)) == [])
        let database = """
            Package: kexec
            Status: install ok installed
            Version: 9

            Package: kexec-tools
            Status: install ok installed
            Version: 1:2.0.25-3

            Package: other
            Version: 1
            """
        #expect(KexecTools.version(inDpkgStatus: Array(database.utf8)) == Array("1:2.0.25-3".utf8))
        let removed = database.replacing(
            "Package: kexec-tools\nStatus: install ok installed",
            with: "Package: kexec-tools\nStatus: deinstall ok config-files")
        #expect(KexecTools.version(inDpkgStatus: Array(removed.utf8)) == nil)
        #expect(KexecTools.version(inDpkgStatus: []) == nil)
    }

    @Test func kernelsInOrder() {
        let releases = ["5.9.1", "5.10.0-1", "6.1.0-9-amd64", "6.1.0-18-amd64", "6.12.0", "6.12.0x"].map {
            Array($0.utf8)
        }
        for (index, release) in releases.enumerated() {
            for (other, later) in releases.enumerated() {
                #expect(BootKernels.isOlder(release, later) == (index < other))
            }
        }
        #expect(!BootKernels.isOlder([], []))
        #expect(BootKernels.isOlder(Array("6.01".utf8), Array("6.2".utf8)))
    }
}

@Suite struct RehearsalRecordTests {
    @Test func whatIsWrittenIsRead() throws {
        var record = RehearsalRecord(
            state: .failed, range: .init(start: 0x1000_0000, size: 64 << 20)!, seed: 0x1234_5678_9abc_def0)
        record.saved = 1_795_000_000
        record.checked = 1_795_000_010
        record.boot = Array("0a".utf8)
        record.from = Array("6.1.0-18-amd64".utf8)
        record.to = Array("6.12".utf8)
        record.flavour = Array("systemd".utf8)
        record.pages = 16384
        record.lost = 7
        record.milliseconds = 12
        record.overwritten = [.init(start: 0x1000_0000, size: 4096)!, .init(start: 0x1100_0000, size: 24576)!]
        #expect(RehearsalRecord(record.text) == record)
        let waiting = RehearsalRecord(state: .waiting, range: record.range, seed: 1)
        #expect(RehearsalRecord(waiting.text) == waiting)
    }

    @Test(arguments: [
        "", "state passed\n", "range 0x0+0x1000\n", "state lost\nrange 0x0+0x1000\n", "state passed\nrange 0x0+0x0\n",
        "state passed\nrange 0xffffffffffffffff+0x2\n", "state passed\nrange x\n",
    ])
    func whatIsNoRecord(_ text: String) { #expect(RehearsalRecord(Array(text.utf8)) == nil) }

    @Test func longOnesAreCut() {
        var text = "state failed\nrange 0x1000+0x1000\nfrom \(String(repeating: "x", count: 5000))\n"
        for _ in 0..<1000 { text += "overwritten 0x1000+0x1000\n" }
        let record = RehearsalRecord(Array(text.utf8))
        #expect(record?.overwritten.count == RehearsalRecord.listed)
        #expect(record?.from.count == 128)
    }
}
