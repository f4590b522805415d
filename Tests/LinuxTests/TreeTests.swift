import CLinux
import Foundation
import Manifest
import Testing

@testable import Linux

/// Whole trees: walked, written down, read back, restored, and compared by somebody else. These tests need root, and
/// fail without.
@Suite(.serialized) struct TreeTests {
    /// Where the trees lie.
    enum FileSystem: CaseIterable { case tmpfs, ext4, xfs }

    @Test(arguments: FileSystem.allCases, 0..<3) func aTreeComesBack(_ kind: FileSystem, _ seed: Int) throws {
        let place = try Place(kind)
        var dice = TreeDice(seed)
        try dice.makeTree(at: place.path("source"), hasFlags: true, isSmall: false)
        let saved = try SavedTree(place.path("source"))
        #expect(saved.leftOut.isEmpty)
        let shortfalls = try saved.restore(to: place.path("target"), isByComponents: seed == 1)
        #expect(shortfalls == [])
        #expect(try difference(place.path("source"), place.path("target")) == "")
        // rsync does not look at flags: the walk does.
        let again = try SavedTree(place.path("target"))
        #expect(again.entries.map(\.flags) == saved.entries.map(\.flags))
        #expect(again.entries.map(\.path) == saved.entries.map(\.path))
        #expect(saved.entries.contains { $0.flags?.contains(.immutable) ?? false && $0.kind == .directory })
    }

    /// Directories in one another until the path is far longer than one that a system call takes.
    @Test(arguments: [false, true]) func deepTrees(_ isByComponents: Bool) throws {
        let place = try Place(.tmpfs)
        try chain(of: 600, named: String(repeating: "d", count: 9), in: place.path("source"))
        let descriptors = openDescriptors()
        let saved = try SavedTree(place.path("source"))
        #expect(saved.entries.count == 601 && saved.leftOut.isEmpty)
        #expect(saved.entries.last.map { $0.path.bytes.count } == 600 * 10 - 1)
        #expect(try saved.restore(to: place.path("target"), isByComponents: isByComponents) == [])
        // Other tests close theirs meanwhile.
        #expect(openDescriptors() <= descriptors + 2)
        #expect(try SavedTree(place.path("target")).entries == saved.entries)
    }

    /// Makes nested directories, from the innermost to the outermost end of what mkdir(2) takes at a time.
    private func chain(of depth: Int, named name: String, in top: String) throws {
        try run("mkdir", [top])
        try run(
            "python3",
            [
                "-c",
                "import os,sys\nos.chdir(sys.argv[1])\nfor i in range(int(sys.argv[2])): os.mkdir(sys.argv[3]); os.chdir(sys.argv[3])",
                top, String(depth), name,
            ])
    }

    private func openDescriptors() -> Int {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? -1
    }

    /// The manifest and the flat files beside it are all that bsdtar needs.
    @Test(arguments: 0..<2) func bsdtarGivesTheTreeBack(_ seed: Int) throws {
        let place = try Place(.ext4)
        var dice = TreeDice(100 + seed)
        try dice.makeTree(at: place.path("source"), hasFlags: false, isSmall: true)
        let saved = try SavedTree(place.path("source"))
        try saved.storeFlat(in: place.path("flat"))
        try run("mkdir", [place.path("target")])
        let tar =
            "cd \(place.path("flat")) && bsdtar --options hdrcharset=BINARY -cf - @.pram-manifest.mtree | bsdtar -xpf - -C ../target"
        #expect(try run("bash", ["-o", "pipefail", "-c", tar]) == "")
        // mtree has no keyword for extended attributes, and bsdtar links no symbolic links and devices.
        let options = "-rlptgoD"
        // The top directory was there, and bsdtar leaves its time.
        let left = try difference(place.path("source"), place.path("target"), options)
        #expect(left == "" || left == ".d..t...... ./\n")
        // And without a detour, to another place.
        try run("mkdir", [place.path("direct")])
        let extract = "bsdtar --options mtree:checkfs -P -s '|^\\.|\(place.path("direct"))|S' -xpf .pram-manifest.mtree"
        #expect(try run("bash", ["-c", "cd \(place.path("flat")) && \(extract)"]) == "")
        let rest = try difference(place.path("source"), place.path("direct"), options)
        #expect(rest == "" || rest == ".d..t...... ./\n")
    }

    /// mtree(8) compares a tree with a manifest that has no `contents`, which only libarchive knows.
    @Test func mtreeFindsNoDifference() throws {
        let place = try Place(.ext4)
        var dice = TreeDice(200)
        try dice.makeTree(at: place.path("source"), hasFlags: false, isSmall: true)
        let saved = try SavedTree(place.path("source"))
        let text = String(decoding: saved.text, as: UTF8.self)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.split(separator: " ").filter { !$0.hasPrefix("contents=") && !$0.hasPrefix("flags=") }.joined(
                separator: " ")
        }
        try Data(lines.joined(separator: "\n").utf8).write(to: URL(fileURLWithPath: place.path("spec")))
        #expect(try run("mtree", ["-p", place.path("source"), "-f", place.path("spec")]) == "")
        #expect(saved.entries.count > 20)
        try run("bash", ["-c", "echo >> \(place.path("source/changed"))"])
        #expect(try run("mtree", ["-p", place.path("source"), "-f", place.path("spec")], isAllowedToFail: true) != "")
    }

    @Test func whatIsLeftOutIsNamed() throws {
        let place = try Place(.tmpfs)
        let top = place.path("source")
        try run(
            "bash",
            [
                "-c",
                """
                mkdir -p \(top)/a/b \(top)/mounted \(top)/c && cd \(top) && touch a/x.tmp a/y a/b/z c/x.tmp
                mount -t tmpfs none mounted && touch mounted/inside
                python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.bind("a/socket")'
                """,
            ])
        defer { _ = try? run("umount", [top + "/mounted"]) }
        var options = TreeWalk.Options()
        options.isWithinOneFileSystem = true
        options.excluded = ["*.tmp", "/a/b", "a/nothing*"].map { Array($0.utf8) }
        let saved = try SavedTree(top, options: options)
        #expect(saved.paths == ["", "a", "a/y", "c", "mounted"])
        #expect(
            Set(saved.leftOut.map { String(decoding: $0.path, as: UTF8.self) + " \($0.reason)" }) == [
                "a/socket socket", "a/b excluded", "a/x.tmp excluded", "c/x.tmp excluded", "mounted otherFileSystem",
            ])
        #expect(try SavedTree(top).paths.contains("mounted/inside"))
    }

    @Test func specialBitsAndDevicesOnlyOnRequest() throws {
        let place = try Place(.tmpfs)
        let top = place.path("source")
        try run(
            "bash",
            ["-c", "mkdir \(top) && cd \(top) && touch s && chmod 6755 s && mkdir t && chmod 1777 t && mknod n c 1 3"])
        let saved = try SavedTree(top)
        var options = TreeWriter.Options()
        #expect(throws: SystemError.self) { try saved.restore(to: place.path("one"), options) }
        options.makesDevices = true
        _ = try saved.restore(to: place.path("two"), options)
        #expect(try run("stat", ["-c", "%a", place.path("two/s"), place.path("two/t")]) == "755\n777\n")
        options.keepsSpecialBits = true
        _ = try saved.restore(to: place.path("three"), options)
        #expect(try difference(top, place.path("three")) == "")
    }

    @Test func whatExistsGivesWayOnlyOnRequest() throws {
        let place = try Place(.tmpfs)
        let top = place.path("source")
        try run(
            "bash",
            ["-c", "mkdir \(top) && cd \(top) && echo new > f && ln f g && ln -s new l && mkdir d && echo x > d/x"])
        let saved = try SavedTree(top)
        let old =
            "mkdir -p \(place.path("target"))/d && cd \(place.path("target")) && echo old > f && ln -s /etc/passwd g && ln -s old l"
        try run("bash", ["-c", old])
        #expect(throws: SystemError.self) { try saved.restore(to: place.path("target")) }
        #expect(try run("cat", [place.path("target/f")]) == "old\n")
        var options = TreeWriter.Options()
        options.replaces = true
        #expect(try saved.restore(to: place.path("target"), options) == [])
        #expect(try difference(top, place.path("target")) == "")
        // Once more over itself, hard links over hard links too.
        #expect(try saved.restore(to: place.path("target"), options) == [])
        #expect(try difference(top, place.path("target")) == "")
        #expect(try run("find", [place.path("target"), "-name", "*.tmp"]) == "")
    }

    /// Files that were put somewhere on the same file system first.
    @Test func adoptedFiles() throws {
        let place = try Place(.tmpfs)
        var dice = TreeDice(300)
        try dice.makeTree(at: place.path("source"), hasFlags: false, isSmall: true)
        let saved = try SavedTree(place.path("source"))
        try run("mkdir", [place.path("target")])
        try saved.storeFlat(in: place.path("target/.staging"))
        #expect(try saved.restore(to: place.path("target"), adoptingFrom: place.path("target/.staging")) == [])
        try run("rm", ["-r", place.path("target/.staging")])
        // The top directory has changed since.
        #expect(try difference(place.path("source"), place.path("target"), "-aHAX", "--omit-dir-times") == "")
    }
}
