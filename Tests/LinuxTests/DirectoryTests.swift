import CLinux
import Testing

@testable import Linux

@Suite final class DirectoryTests {
    private let path: [UInt8]

    init() throws {
        var template = Array("/tmp/pram-verify-test-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        path = template.dropLast().map { UInt8(bitPattern: $0) }
    }

    deinit {
        // One level is all that these tests make.
        for name in names() { _ = withCString(inside(name)) { remove($0) } }
        _ = withCString(path) { rmdir($0) }
    }

    private func inside(_ name: String) -> [UInt8] { path + Array("/\(name)".utf8) }

    private func names() -> [String] {
        guard let list = withCString(path, { opendir($0) }) else { return [] }
        defer { closedir(list) }
        var names: [String] = []
        while let entry = readdir(list) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    private func make(_ name: String, _ content: String) throws {
        let file = try FileDescriptor.open(inside(name), O_WRONLY | O_CREAT | O_EXCL, mode: 0o644)
        try Array(content.utf8).withUnsafeBytes { try file.write($0, at: 0) }
    }

    private func content(_ name: String) throws -> String {
        String(decoding: try FileDescriptor.contents(of: inside(name), limit: 1000), as: UTF8.self)
    }

    private func code(_ body: () throws -> Void) -> Int32? {
        do {
            try body()
            return nil
        } catch {
            return (error as? SystemError)?.code ?? -1
        }
    }

    @Test func itIsMadeWhenItIsNotThere() throws {
        let made = try Directory(inside("new"))
        #expect(names() == ["new"])
        _ = try Directory(inside("new"))
        #expect(made.path == inside("new"))
    }

    @Test func whatIsNoDirectory() throws {
        try make("file", "")
        #expect(code { _ = try Directory(inside("file")) } == ENOTDIR)
        #expect(code { _ = try Directory(inside("no/such")) } == ENOENT)
        #expect(code { _ = try Directory([]) } == ENOENT)
        #expect(code { _ = try Directory(inside("a") + [0] + Array("b".utf8)) } != nil)
        #expect(names() == ["file"])
    }

    @Test func temporaryFilesArePrivateAndDifferent() throws {
        let directory = try Directory(path)
        let one = try directory.createTemporary()
        let two = try directory.createTemporary()
        let paths = [one.path, two.path]
        let mode = try one.status().mode
        #expect(paths[0] != paths[1])
        #expect(names().count == 2)
        #expect(mode == UInt32(S_IFREG) | 0o600)
        directory.remove(one.path)
        directory.remove(two.path)
        #expect(names() == [])
    }

    @Test func aNameThatIsTakenIsNotUsed() throws {
        // Somebody has put a symbolic link where the next temporary file would be: it is neither followed nor replaced.
        let pid = getpid()
        try make("victim", "precious")
        let trap = inside(".pram-verify-\(pid)-1.tmp")
        try #require(withCString(inside("victim")) { target in withCString(trap) { symlink(target, $0) } } == 0)
        let directory = try Directory(path)
        let file = try directory.createTemporary()
        try Array("text".utf8).withUnsafeBytes { try file.write($0, at: 0) }
        #expect(try content("victim") == "precious")
        let name = file.path
        #expect(name != Array(".pram-verify-\(pid)-1.tmp".utf8))
    }

    @Test func renamingReplacesNothingUnasked() throws {
        let directory = try Directory(path)
        try make("old", "old")
        try make("new", "new")
        #expect(code { try directory.rename(Array("new".utf8), to: Array("old".utf8), replace: false) } == EEXIST)
        #expect(try content("old") == "old")
        #expect(try content("new") == "new")
        try directory.rename(Array("new".utf8), to: Array("old".utf8), replace: true)
        #expect(try content("old") == "new")
        #expect(names() == ["old"])
    }

    @Test func renamingReplacesASymbolicLinkItself() throws {
        let directory = try Directory(path)
        try make("victim", "precious")
        try make("new", "new")
        let (victim, link) = (inside("victim"), inside("link"))
        try #require(withCString(victim) { target in withCString(link) { symlink(target, $0) } } == 0)
        #expect(code { try directory.rename(Array("new".utf8), to: Array("link".utf8), replace: false) } == EEXIST)
        try directory.rename(Array("new".utf8), to: Array("link".utf8), replace: true)
        #expect(try content("victim") == "precious")
        #expect(try content("link") == "new")
    }

    @Test func aDirectoryIsNeverReplaced() throws {
        let directory = try Directory(path)
        try make("new", "new")
        try #require(withCString(inside("sub")) { mkdir($0, 0o755) } == 0)
        for replace in [false, true] {
            #expect(code { try directory.rename(Array("new".utf8), to: Array("sub".utf8), replace: replace) } != nil)
        }
        #expect(names() == ["new", "sub"])
    }

    @Test func pathsWithNULAreRefused() {
        #expect(code { _ = try FileDescriptor.open(inside("a") + [0, 0x62]) } == EINVAL)
        #expect(code { _ = try FileDescriptor.status(of: [0]) } == EINVAL)
    }

    @Test func contentsHaveALimit() throws {
        try make("file", "0123456789")
        #expect(try FileDescriptor.contents(of: inside("file"), limit: 10).count == 10)
        #expect(code { _ = try FileDescriptor.contents(of: inside("file"), limit: 9) } == EFBIG)
        #expect(code { _ = try FileDescriptor.contents(of: path, limit: 10) } == EISDIR)
    }

    @Test func readingStopsAtTheEnd() throws {
        try make("file", "0123456789")
        let file = try FileDescriptor.open(inside("file"))
        var buffer = [UInt8](repeating: 0, count: 8)
        let count = try buffer.withUnsafeMutableBytes { try file.read(at: 4, into: $0) }
        #expect(count == 6)
        #expect(Array(buffer[..<6]) == Array("456789".utf8))
        for offset in [10, 1 << 63 - 4, 1 << 63, .max] as [UInt64] {
            let count = try? buffer.withUnsafeMutableBytes { try file.read(at: offset, into: $0) }
            #expect(count ?? 0 == 0, "offset \(offset)")
        }
    }
}

@Suite struct ThreadTests {
    @Test func aMonitorWakesWhoWaits() throws {
        let monitor = Monitor()
        nonisolated(unsafe) var turn = 0
        let thread = try Thread {
            monitor.lock()
            for mine in stride(from: 1, to: 100, by: 2) {
                while turn != mine { monitor.wait() }
                turn += 1
                monitor.announce()
            }
            monitor.unlock()
        }
        monitor.lock()
        for mine in stride(from: 0, to: 100, by: 2) {
            while turn != mine { monitor.wait() }
            turn += 1
            monitor.announce()
        }
        monitor.unlock()
        thread.join()
        #expect(turn == 100)
        #expect(processorCount() >= 1)
    }
}
