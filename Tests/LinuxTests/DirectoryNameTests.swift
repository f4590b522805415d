import Foundation
import Testing

@testable import Linux

/// Names in a directory: on file systems that cannot do everything, and what ended runs leave.
@Suite struct DirectoryNameTests {
    private let root: String

    init() {
        var template = Array("/tmp/directory-names-XXXXXX".utf8CString)
        root = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }

    private func file(_ name: String) -> String { root + "/" + name }
    private var directory: Directory { get throws { try Directory(Array(root.utf8)) } }

    /// exFAT, and much of FUSE, has neither RENAME_NOREPLACE nor hard links.
    @Test func whereNothingElseWorksANameIsTakenByAnEmptyFileFirst() throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        let directory = try directory
        for (rename, link) in [(EINVAL, EPERM), (ENOSYS, EOPNOTSUPP), (EINVAL, ENOSYS), (EINVAL, EMLINK)] {
            let temporary = try directory.createTemporary()
            try FaultInjection.with([.fail(.rename, 1, rename), .fail(.link, 1, link)]) { _ in
                try directory.rename(temporary.path, to: Array("new".utf8), replace: false)
            }
            #expect(FileManager.default.fileExists(atPath: file("new")))
            let other = try directory.createTemporary()
            #expect(throws: SystemError.self) {
                try FaultInjection.with([.fail(.rename, 1, rename), .fail(.link, 1, link)]) { _ in
                    try directory.rename(other.path, to: Array("new".utf8), replace: false)
                }
            }
            directory.remove(other.path)
            directory.remove(Array("new".utf8))
        }
        #expect(try Directory.names(in: Array(root.utf8)).isEmpty)
    }

    @Test func onlyWhatEndedRunsHaveLeftIsRemoved() throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        let directory = try directory
        let kept = [
            ".pram-verify-1-1.tmp", ".pram-verify-x-1.tmp", ".pram-verify-4194304.tmp", "pram-verify-4194303-1.tmp",
        ]
        for name in kept + [".pram-verify-4194303-1.tmp"] {
            _ = FileManager.default.createFile(atPath: file(name), contents: nil)
        }
        for name in [".pram-verify-4194303-2.staging", ".pram-verify-1-2.staging"] {
            let inside = file(name) + "/half"
            try FileManager.default.createDirectory(atPath: file(name), withIntermediateDirectories: true)
            _ = FileManager.default.createFile(atPath: inside, contents: nil)
        }
        let own = try directory.createTemporary()
        directory.removeLeftovers()
        let names = try Directory.names(in: Array(root.utf8)).map { String(decoding: $0, as: UTF8.self) }
        #expect(Set(names) == Set(kept + [".pram-verify-1-2.staging", String(decoding: own.path, as: UTF8.self)]))
    }
}
