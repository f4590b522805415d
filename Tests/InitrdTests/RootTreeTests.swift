import Testing

@testable import Initrd

@Suite struct RootTreeTests {
    private func record(_ name: String, _ mode: UInt32 = 0o100644, to target: String? = nil) -> NewcRecord {
        var record = NewcRecord()
        record.name = Array(name.utf8)
        record.mode = mode
        if let target {
            record.mode = 0o120777
            record.target = Array(target.utf8)
        }
        return record
    }

    private func directory(_ name: String) -> NewcRecord { record(name, 0o40755) }

    /// Where records end up, "-" for those that the kernel makes nothing of.
    private func places(_ records: [NewcRecord]) throws -> [String] {
        var tree = RootTree()
        return try records.map { record in
            guard let spot = try tree.place(record) else { return "-" }
            return String(decoding: tree.path(spot), as: UTF8.self)
        }
    }

    @Test func earlierLinksLeadLaterRecords() throws {
        let found = try places([
            record("lib/early"), directory("usr/lib"), record("lib", to: "usr/lib"), record("lib64", to: "/usr/lib"),
            record("lib64/x"), record("a", to: "./usr/../lib64/"), record("a/sub/y"), record("usr/lib/../z"),
            record("./usr//lib/w"), record("lib64", to: "none"), record("lib64/x"),
        ])
        // lib has something in it, so the link cannot take its place.
        #expect(
            found == [
                "lib/early", "usr/lib", "-", "lib64", "usr/lib/x", "a", "usr/lib/sub/y", "usr/z", "usr/lib/w", "lib64",
                "-",
            ])
    }

    @Test func directoriesTakeThePlaceOfLinksButOnlyEmptyOnesGiveWay() throws {
        let found = try places([
            directory("usr"), record("lib", to: "usr"), record("lib/x"), directory("lib"), record("lib/x"),
            record("lib", to: "usr"), record("lib"), directory("empty"), record("empty", to: "usr"), record("empty/x"),
            record("empty"), record("empty/x"),
        ])
        #expect(
            found == [
                "usr", "lib", "usr/x", "lib", "lib/x", "-", "-", "empty", "empty", "usr/x", "empty", "empty/x",
            ])
    }

    @Test func linksAreFollowedAsDeepAsTheKernelDoes() throws {
        for (count, place) in [(RootTree.linkLimit, "end/x"), (RootTree.linkLimit + 1, "-")] {
            var records = [directory("end")]
            for number in 0..<count { records.append(record("l\(number)", to: number == 0 ? "end" : "l\(number - 1)")) }
            records.append(record("l\(count - 1)/x"))
            #expect(try places(records).last == place)
        }
        #expect(try places([record("round", to: "round"), record("round/x")]) == ["round", "-"])
    }

    @Test func directoriesThatAreMissingAreMadeOrNot() throws {
        var tree = RootTree()
        let dangling = record("lib", to: "usr/lib")
        _ = try tree.place(dangling)
        let path = Array("lib/x".utf8)
        #expect(try tree.spot(path) == nil && tree.spot(path, missing: .madeBeforeLinks) == nil)
        let spot = try tree.spot(path, missing: .made)
        #expect(spot.map { tree.path($0) } == Array("usr/lib/x".utf8))
    }

    @Test func notedFilesGoWithWhatTakesTheirPlace() throws {
        var tree = RootTree()
        let spot = try #require(try tree.place(record("file")))
        try tree.note(file: 7, at: spot)
        #expect(try tree.place(record("./file")) == spot && tree.file(at: spot) == 7)
        #expect(try tree.place(record("file/below")) == nil)
        #expect(try tree.place(record("file", to: "other")) == spot && tree.file(at: spot) == nil && tree.isLink(spot))
    }

    /// Memory and time have an end, whatever is in the archive.
    @Test func tooMuchIsRefused() {
        #expect(throws: RootTree.Excess()) {
            var tree = RootTree()
            for number in 0...RootTree.nodeLimit { _ = try tree.place(directory("d\(number)")) }
        }
        let long = String(repeating: "t", count: 4000)
        #expect(throws: RootTree.Excess()) {
            var tree = RootTree()
            for number in 0...RootTree.byteLimit / 4000 { _ = try tree.place(record("l\(number)", to: long)) }
        }
        let deep = String(repeating: "./", count: 1000)
        #expect(throws: RootTree.Excess()) {
            var tree = RootTree(stepLimit: 100_000)
            for number in 0..<RootTree.linkLimit {
                _ = try tree.place(record("l\(number)", to: number == 0 ? "." : "\(deep)l\(number - 1)"))
            }
            for number in 0..<1000 { _ = try tree.place(record("l39/\(number)/x")) }
        }
        #expect(throws: RootTree.Excess()) {
            var tree = RootTree()
            for _ in 0..<10 {
                _ = try tree.place(record("\(String(repeating: "d/", count: 1000))link", to: "."))
                _ = try tree.place(record("in", to: String(repeating: "d/", count: 1000)))
                _ = try tree.place(record("in/\(String(repeating: "e/", count: 2000))x"))
            }
        }
    }
}
