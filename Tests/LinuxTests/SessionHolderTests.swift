import Linux
import Testing

/// A process that holds what it is given, until it is ended.
struct SessionHolderTests {
    @Test func `a file that it holds is to be had again, whatever its name`() throws {
        let holder = try SessionHolder.start()
        let process = holder.process
        let started = try #require(ProcessFacts.startTime(process))
        let device = try FileDescriptor.open(Array("/dev/null".utf8))
        let memory = try MemoryFileDescriptor(size: 8192).takeFile()
        _ = try holder.take([device.number, memory.number])
        let copy = try ProcessFacts.memoryFile(of: process)
        #expect(try copy.status().isSameFile(as: memory.status()))
        ProcessFacts.end(process, started: started)
        ProcessFacts.waitForEnd(process, started: started)
        #expect(ProcessFacts.startTime(process) != started)
    }

    @Test func `without one nothing is found`() throws {
        let holder = try SessionHolder.start()
        let process = holder.process
        let started = try #require(ProcessFacts.startTime(process))
        let device = try FileDescriptor.open(Array("/dev/null".utf8))
        _ = try holder.take([device.number])
        var code: Int32 = 0
        do throws(SystemError) { _ = try ProcessFacts.memoryFile(of: process) } catch { code = error.code }
        #expect(code == ErrorCode.noSuchFile)
        ProcessFacts.end(process, started: started)
        ProcessFacts.waitForEnd(process, started: started)
    }
}
