import Foundation
import Testing

@testable import Linux

/// A folder that is removed with everything in it when the test ends.
final class Folder {
    let path: String

    init() {
        var template = Array("/tmp/linux-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    subscript(_ name: String) -> String { path + "/" + name }
    func bytes(_ name: String) -> [UInt8] { Array(self[name].utf8) }
}

private enum Outcome: Equatable { case taken, without, held(Int32?), notAFile, failed(Int32) }

private func outcome(_ work: () throws(LockFailure) -> Bool) -> Outcome {
    do throws(LockFailure) {
        return try work() ? .taken : .without
    } catch {
        switch error {
        case .held(_, let holder): return .held(holder)
        case .notAFile: return .notAFile
        case .system(let error): return .failed(error.code)
        }
    }
}

private func write(_ directory: [UInt8]) -> Outcome {
    outcome { () throws(LockFailure) in
        _ = try FileLock.exclusive(in: directory)
        return true
    }
}

private func read(_ directory: [UInt8]) -> Outcome {
    outcome { () throws(LockFailure) in
        let lock = try FileLock.shared(in: directory)
        switch consume lock {
        case .some: return true
        case .none: return false
        }
    }
}

@Suite struct FileLockTests {
    @Test func oneWriterOrManyReaders() throws {
        let folder = Folder()
        let place = folder.bytes("run")
        #expect(write(place) == .taken)
        #expect(write(place) == .taken, "the first one is gone by now")
        do {
            let writer = try FileLock.exclusive(in: place)
            #expect(write(place) == .held(getpid()))
            #expect(read(place) == .held(getpid()))
            _ = consume writer
        }
        do {
            let reader = try FileLock.shared(in: place)
            #expect(read(place) == .taken)
            #expect(write(place) == .held(getpid()))
            _ = consume reader
        }
        #expect(write(place) == .taken)
    }

    @Test func theFileIsForItsOwnerAlone() throws {
        let folder = Folder()
        #expect(write(folder.bytes("run")) == .taken)
        #expect(try FileDescriptor.status(of: folder.bytes("run")).permissions == 0o755)
        #expect(try FileDescriptor.status(of: folder.bytes("run/lock")).permissions == 0o600)
    }

    @Test func readersGoWithoutWhereWritersFail() throws {
        let folder = Folder()
        let nowhere = folder.bytes("no/run")
        #expect(read(nowhere) == .without)
        #expect(write(nowhere) == .failed(ENOENT))
        try Data().write(to: URL(fileURLWithPath: folder["file"]))
        #expect(read(folder.bytes("file")) == .without)
        #expect(write(folder.bytes("file")) == .failed(ENOTDIR))
        #expect(read(Array("/proc/pram-verify".utf8)) == .without)
        #expect(read([]) == .without)
        #expect(read([0]) == .without)
    }

    @Test func theLockIsNothingButAFile() throws {
        let folder = Folder()
        func place(_ name: String) -> [UInt8] {
            mkdir(folder[name], 0o755)
            return folder.bytes(name)
        }
        let link = place("link")
        try Data().write(to: URL(fileURLWithPath: folder["victim"]))
        symlink(folder["victim"], folder["link/lock"])
        #expect(write(link) == .notAFile)
        #expect(read(link) == .without)

        let pipe = place("pipe")
        mkfifo(folder["pipe/lock"], 0o600)
        #expect(write(pipe) == .notAFile)
        #expect(read(pipe) == .without)

        let directory = place("directory")
        mkdir(folder["directory/lock"], 0o755)
        #expect(write(directory) != .taken)

        symlink(folder["link"], folder["linked"])
        #expect(write(folder.bytes("linked")) == .failed(ENOTDIR))
    }

    @Test func imagesAreLockedThemselves() throws {
        let folder = Folder()
        try Data(count: 4096).write(to: URL(fileURLWithPath: folder["image"]))
        let writer = try FileDescriptor.open(folder.bytes("image"))
        let reader = try FileDescriptor.open(folder.bytes("image"))
        try writer.lock(.exclusive)
        do throws(LockFailure) {
            try reader.lock(.shared)
            Issue.record("locked twice")
        } catch {
            #expect(error.message.hasSuffix("is locked by process \(getpid()), which is not done yet"))
        }
        try writer.lock(.shared)
        try reader.lock(.shared)
    }

    @Test func lockTablesAreRead() {
        let table = """
            1: POSIX  ADVISORY  WRITE 77 00:1a:10 0 EOF
            2: FLOCK  ADVISORY  WRITE 812 fd:01:1234 0 EOF
            2: -> FLOCK  ADVISORY  WRITE 813 fd:01:1235 0 EOF
            3: FLOCK  ADVISORY  READ  0 fd:01:20 0 EOF
            4: FLOCK  ADVISORY  READ  -1 fd:01:21 0 EOF
            5: FLOCK ADVISORY READ 99999999999 fd:01:22 0 EOF
            6: FLOCK ADVISORY READ 5 fd:01: 0 EOF
            7: FLOCK
            """
        func holder(_ inode: UInt64) -> Int32? { LockTable.holder(of: inode, in: Array(table.utf8)) }
        #expect(holder(1234) == 812)
        for inode in [10, 20, 21, 22, 0, 1235] as [UInt64] { #expect(holder(inode) == nil) }
    }
}
