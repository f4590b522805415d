import Linux
import Testing

/// A process that holds what it is given, until it is ended.
struct SessionHolderTests {
    @Test func `files that it holds are to be had again, in their order, whatever their names`() throws {
        let holder = try SessionHolder.start()
        let process = holder.process
        let started = try #require(ProcessFacts.startTime(process))
        let device = try FileDescriptor.open(Array("/dev/null".utf8))
        let files = try [8192, 4096].map { size in try MemoryFileDescriptor(size: size) }
        _ = try holder.take([device.number] + files.map { $0.descriptor.number })
        let copies = try ProcessFacts.memoryFiles(of: process)
        #expect(copies.count == 2)
        for (copy, file) in zip(copies, files) {
            #expect(try copy.descriptor.status().isSameFile(as: file.descriptor.status()))
        }
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
        do throws(SystemError) { _ = try ProcessFacts.memoryFiles(of: process) } catch { code = error.code }
        #expect(code == ErrorCode.noSuchFile)
        ProcessFacts.end(process, started: started)
        ProcessFacts.waitForEnd(process, started: started)
    }
}
