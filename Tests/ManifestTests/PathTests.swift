import Testing

@testable import Manifest

struct PathTests {
    private func fault(_ text: String) -> TreePath.Fault? {
        do throws(TreePath.Fault) {
            _ = try TreePath(Array(text.utf8))
            return nil
        } catch {
            return error
        }
    }

    @Test func goodOnes() throws {
        for (text, path) in [
            (".", ""), ("./", ""), ("./a", "a"), ("a/b", "a/b"), ("././.a/b..", ".a/b.."), ("...", "..."),
        ] {
            #expect(try TreePath(Array(text.utf8)).bytes == Array(path.utf8), "\(text)")
        }
    }

    @Test func badOnes() {
        let long = String(repeating: "x", count: 256)
        for (text, wanted) in [
            ("", .emptyComponent), ("/", .absolute), ("/a", .absolute), ("..", .dotDot), ("./..", .dotDot),
            ("a/..", .dotDot), ("a/../b", .dotDot), ("a/.", .dot), ("a/./b", .dot), ("a//b", .emptyComponent),
            ("a/", .emptyComponent), (".//a", .emptyComponent), ("a\0b", .nul), (long, .longComponent),
            ("a/" + long, .longComponent), (String(repeating: "a/", count: 32_768) + "b", .long),
        ] as [(String, TreePath.Fault)] {
            #expect(fault(text) == wanted, "\(text.prefix(20))")
        }
    }

    @Test func parts() throws {
        let path = try TreePath(Array("a/bc/d".utf8))
        #expect(path.parent.bytes == Array("a/bc".utf8) && path.name.elementsEqual("d".utf8) && path.depth == 3)
        #expect(path.parent.parent.parent == .top && TreePath.top.parent == .top && TreePath.top.depth == 0)
        #expect(try path.isWithin(TreePath(Array("a/bc".utf8))) && path.isWithin(path) && path.isWithin(.top))
        #expect(try !path.isWithin(TreePath(Array("a/b".utf8))) && !path.parent.isWithin(path))
        #expect(throws: TreePath.Fault.self) { try path.appending(Array("x/y".utf8)) }
        #expect(throws: TreePath.Fault.self) { try path.appending(Array("..".utf8)) }
    }
}
