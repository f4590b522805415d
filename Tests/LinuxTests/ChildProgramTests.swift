import Testing

@testable import Linux

private func words(_ texts: String...) -> [[UInt8]] { texts.map { Array($0.utf8) } }

@Suite struct ChildProgramTests {
    @Test func `the exit status comes back`() throws {
        #expect(try ChildProgram.run(words("sh", "-c", "exit 0")) == .exited(0))
        #expect(try ChildProgram.run(words("sh", "-c", "exit 3")) == .exited(3))
        #expect(try ChildProgram.run(words("sh", "-c", "kill -9 $$")) == .killed(signal: 9))
    }

    @Test func `arguments arrive as they are`() throws {
        let (ending, output) = try ChildProgram.output(
            of: words("printf", "[%s]", "", " a  b ", "$0 \\", "\u{e4}"), limit: 100)
        #expect(ending == .exited(0))
        #expect(String(decoding: output, as: UTF8.self) == "[][ a  b ][$0 \\][\u{e4}]")
    }

    @Test func `what is beyond the limit is read and left out`() throws {
        let (ending, output) = try ChildProgram.output(
            of: words("sh", "-c", "head -c 300000 /dev/zero; exit 5"), limit: 5000)
        #expect(ending == .exited(5))
        #expect(output == [UInt8](repeating: 0, count: 5000))
    }

    @Test func `a program that is not there`() throws {
        let error = #expect(throws: SystemError.self) { try ChildProgram.run(words("no-such-program-anywhere")) }
        #expect(error?.code == ErrorCode.noSuchFile)
        #expect(error.map { String(decoding: $0.path, as: UTF8.self) } == "no-such-program-anywhere")
        #expect(throws: SystemError.self) { try ChildProgram.run([]) }
        let cut = #expect(throws: SystemError.self) { try ChildProgram.run([[UInt8]("tr".utf8) + [0, 1]]) }
        #expect(cut?.code == ErrorCode.invalid)
    }

    @Test func `each call fails once`() throws {
        for kind in [SystemCalls.Kind.pipe, .exec] {
            let error = FaultInjection.with([.fail(kind, 0, ErrorCode.tryAgain)]) { _ in
                #expect(throws: SystemError.self) { try ChildProgram.output(of: words("true"), limit: 10) }
            }
            #expect(error?.code == ErrorCode.tryAgain, "\(kind)")
        }
        let ending = try FaultInjection.with([.fail(.waitpid, 0, ErrorCode.noSuchFile)]) { _ in
            try ChildProgram.run(words("true"))
        }
        #expect(ending == .unknown)
    }

    @Test func `signals that are ignored here have their usual effect there`() throws {
        prepareSignals()
        // 13 is SIGPIPE: its bit of SigIgn, counted from 0.
        let (_, output) = try ChildProgram.output(of: words("grep", "SigIgn", "/proc/self/status"), limit: 100)
        let digits = String(decoding: output, as: UTF8.self).split(separator: "\t").last?.dropLast() ?? "x"
        let ignored = try #require(UInt64(digits, radix: 16))
        #expect(ignored & 1 << 12 == 0)
    }
}
