import CLinux
import Foundation
import Manifest
import Testing

@testable import Linux

/// Manifests and targets that somebody prepared: nothing outside the target is made, changed or followed.
@Suite(.serialized) struct HostileTreeTests {
    private static let words: [String] = [
        "..", "../", "/", "./", "\\056\\056", "\\057", "\n", "link=/", "link=..", "link=../sentinel", "type=link",
        "type=dir", "type=file", "contents=..", "nlink=2", "nlink=9", "flags=schg", "mode=7777", "uid=0", "\0", " ",
        "./a type=link link=../sentinel\n", "./a/file type=file mode=0666 nlink=2 contents=c\n",
        "./a type=dir mode=0777\n", "./trap/new type=file mode=0666 contents=c\n", "./trap type=dir mode=0000 uid=7\n",
        "./trap/file type=file contents=c mode=0777 uid=5\n", ". type=dir mode=0700\n", ". type=link link=/tmp\n",
    ]

    private func mutated(_ text: [UInt8], _ dice: inout TreeDice) -> [UInt8] {
        var text = text
        for _ in 0..<dice.roll(1...15) {
            let at = dice.roll(0...text.count)
            switch dice.roll(0...4) {
            case 0: if at < text.count { text[at] = UInt8(truncatingIfNeeded: dice.next()) }
            case 1: text.removeSubrange(at..<min(text.count, at + dice.roll(0...40)))
            case 2, 3: text.insert(contentsOf: Array(dice.pick(Self.words).utf8), at: at)
            default:
                let line = text[at...].firstIndex(of: 10).map { $0 + 1 } ?? text.count
                text.insert(contentsOf: Array(dice.pick(Self.words).utf8), at: line)
            }
        }
        return text
    }

    /// Everything about a tree that a restore could change: names, inodes, modes, owners, times of all kinds, contents.
    private func picture(_ path: String) throws -> String {
        try run("find", [path, "-printf", "%P %i %m %U %G %T@ %C@ %n %s %l\n"])
            + run("bash", ["-c", "find \(path) -type f -exec sha256sum {} +"])
    }

    @Test(arguments: 0..<24) func nothingOutsideTheTargetChanges(_ seed: Int) throws {
        let place = try Place(.tmpfs)
        var dice = TreeDice(500 + seed)
        try run(
            "bash",
            [
                "-c",
                """
                cd \(place.path("")) && mkdir -p source/a/b source/d sentinel/sub && echo 1 > source/a/file
                ln source/a/file source/d/link && ln -s ../a source/d/s && echo 2 > source/x && mkfifo source/a/p
                echo precious > sentinel/file && echo 3 > sentinel/sub/file
                """,
            ])
        let saved = try SavedTree(place.path("source"))
        let before = try picture(place.path("sentinel"))
        for round in 0..<20 {
            // Traps that lie in the target already: to a directory outside, and under names that the manifest uses.
            let target = place.path("target\(round)")
            let plant = "mkdir \(target) && cd \(target) && ln -s ../sentinel trap && ln -s ../sentinel/file x"
            try run(
                "bash", ["-c", plant + (dice.once(in: 2) ? " && ln -s ../sentinel a && ln -s ../sentinel/sub d" : "")])
            var options = TreeWriter.Options()
            options.isByComponents = dice.once(in: 2)
            options.replaces = dice.once(in: 2)
            options.keepsSpecialBits = dice.once(in: 2)
            let restored = try Restored(mutated(saved.text, &dice), saved.contents, to: target, options)
            #expect(restored.findings.count + restored.failures.count + 1 > 0)
            #expect(try picture(place.path("sentinel")) == before)
            #expect(try picture(place.path("source")).isEmpty == false)
            #expect(try run("find", [target, "-name", ".pram-verify-*"]) == "")
        }
        let entries = Set(try FileManager.default.contentsOfDirectory(atPath: place.path("")))
        #expect(entries == Set(["source", "sentinel"] + (0..<20).map { "target\($0)" }))
    }

    @Test(arguments: [false, true]) func symbolicLinksOnTheWayAreRefused(_ isByComponents: Bool) throws {
        let place = try Place(.tmpfs)
        try run("bash", ["-c", "cd \(place.path("")) && mkdir target out && ln -s ../out target/a && echo x > out/f"])
        let before = try picture(place.path("out"))
        var options = TreeWriter.Options()
        options.isByComponents = isByComponents
        options.replaces = true
        let manifest = """
            #mtree
            # pram-verify: format=1
            ./a type=dir mode=0700
            ./a/new type=file contents=c
            ./a/b/c type=dir
            ./l type=link link=../out
            ./l/new type=file contents=c
            ./l/f type=link link=y
            ./good type=file contents=c nlink=2
            ./l/hard type=file contents=c nlink=2

            """
        let restored = try Restored(Array(manifest.utf8), [[99]: [1, 2]], to: place.path("target"), options)
        #expect(restored.failures.count == 6)
        #expect(restored.failures.allSatisfy { $0.code == ELOOP || $0.code == ENOTDIR || $0.code == EEXIST })
        #expect(try picture(place.path("out")) == before)
        #expect(
            try run("find", [place.path("target"), "-printf", "%P %y\n"]).split(separator: "\n").sorted() == [
                " d", "a l", "good f", "l l",
            ])
    }
}
