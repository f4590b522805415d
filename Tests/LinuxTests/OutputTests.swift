import CLinux
import Testing

@testable import Linux

/// SIGPIPE is ignored as the program ignores it, for the whole of the test process.
private let prepared: Void = pv_signals_prepare()

@Suite struct OutputTests {
    init() { prepared }

    /// What arrives at the other end of a pipe.
    private func piped(_ body: (Output) throws -> Void) throws -> [UInt8] {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        try body(Output(ends[1], name: "pipe"))
        close(ends[1])
        defer { close(ends[0]) }
        var all: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(ends[0], &chunk, chunk.count)
            guard count > 0 else { return all }
            all += chunk[..<count]
        }
    }

    private func errorOfFinish(_ output: Output) -> SystemError? {
        do throws(SystemError) {
            try output.finish()
            return nil
        } catch {
            return error
        }
    }

    @Test func allOfItArrivesInOrder() throws {
        let bytes = try piped {
            $0.write("one ")
            $0.write([0x74, 0x77, 0x6f])
            $0.flush()
            $0.write("\n")
            try $0.finish()
        }
        #expect(bytes == Array("one two\n".utf8))
    }

    @Test func aFullDeviceIsReported() throws {
        let full = try FileDescriptor.open(Array("/dev/full".utf8), O_WRONLY)
        let output = Output(full.number, name: "/dev/full")
        output.write("text")
        let error = errorOfFinish(output)
        #expect(error?.code == ENOSPC)
        #expect(error?.message == "/dev/full: write: No space left on device")
    }

    @Test func theFirstErrorSticks() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        close(ends[0])
        let output = Output(ends[1], name: "pipe")
        output.write("lost")
        output.flush()
        close(ends[1])  // what comes later would fail with EBADF
        output.write("later")
        #expect(errorOfFinish(output)?.code == EPIPE)
        #expect(errorOfFinish(output)?.code == EPIPE)
    }

    @Test func aClosedPipeKillsNobody() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        close(ends[0])
        defer { close(ends[1]) }
        let output = Output(ends[1], name: "pipe")
        // More than the buffer holds: the error must also survive writes that flush on their own.
        for _ in 0..<100 { output.write([UInt8](repeating: 0x61, count: 4096)) }
        #expect(errorOfFinish(output)?.code == EPIPE)
    }

    @Test func nothingWrittenIsNoError() throws {
        let full = try FileDescriptor.open(Array("/dev/full".utf8), O_WRONLY)
        #expect(errorOfFinish(Output(full.number, name: "/dev/full")) == nil)
    }

    @Test func aShortWriteIsContinued() throws {
        // A pipe that nobody empties takes some of the text and then no more: the rest must not be forgotten.
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        defer {
            close(ends[0])
            close(ends[1])
        }
        // Opened anew, the writing end alone is non-blocking.
        let writer = try FileDescriptor.open(Array("/proc/self/fd/\(ends[1])".utf8), O_WRONLY | O_NONBLOCK)
        let output = Output(writer.number, name: "pipe")
        output.write([UInt8](repeating: 0x61, count: 1 << 20))
        #expect(errorOfFinish(output)?.code == EAGAIN)
    }
}

@Suite struct SystemErrorTests {
    @Test func messagesAreEscaped() {
        let error = SystemError("open", code: ENOENT, path: [0x2f, 0x1b, 0x0a])
        #expect(error.message == "/\\x1b\\x0a: open: No such file or directory")
        #expect(
            SystemError("pthread_create", code: EAGAIN).message == "pthread_create: Resource temporarily unavailable")
    }
}
