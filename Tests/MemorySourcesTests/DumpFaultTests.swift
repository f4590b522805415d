import PRAM
import Testing

import Machine
@testable import Linux
@testable import MemorySources

@Suite struct DumpFaultTests {
    /// A raw image of eight pages that is read, not mapped.
    private func readMemory(_ file: Scratch) throws -> any PhysicalMemory {
        try FaultInjection.with([.failFrom(.mmap, 0, ErrorCode.outOfMemory)]) { _ in try file.open() }
    }

    @Test func `a page that cannot be read costs no other`() throws {
        let file = Scratch(pages(0..<8))
        let memory = try readMemory(file)
        #expect(memory.mapped(PFN(0)) == nil)
        for bad in 0..<8 {
            // The read of all at once fails, and then that of the one page.
            let faults = [
                FaultInjection.Fault.fail(.pread, 0, ErrorCode.inputOutput),
                .fail(.pread, 1 + bad, ErrorCode.inputOutput),
            ]
            let read = FaultInjection.with(faults) { injection in
                defer { #expect(injection.injected == 2 && injection.count(.pread) == 9) }
                return memory.fetch(0, 8)
            }
            for (number, page) in read.enumerated() {
                #expect(page.state == (number == bad ? .unreadable : .present), "page \(number), bad \(bad)")
                if number != bad { #expect(page.bytes == MemorySourcesTests.page(UInt64(number))) }
            }
        }
    }

    @Test func `short reads are continued`() throws {
        let file = Scratch(pages(0..<8))
        let memory = try readMemory(file)
        let read = FaultInjection.with(short: [.pread: 1000]) { _ in memory.fetch(0, 8) }
        for (number, page) in read.enumerated() {
            #expect(page.state == .present && page.bytes == MemorySourcesTests.page(UInt64(number)))
        }
    }

    @Test func `a dump that cannot be opened or looked at says why`() throws {
        let file = Scratch(pages(0..<2))
        let faults: [(SystemCalls.Kind, Int32, MemoryFailure.Cause)] = [
            (.openat, ErrorCode.tooManyOpenFiles, .outOfResources), (.openat, ErrorCode.accessDenied, .notPermitted),
            (.fstat, ErrorCode.inputOutput, .inputOutput), (.fstatat, ErrorCode.noSuchFile, .noSuchFile),
            (.pread, ErrorCode.inputOutput, .inputOutput),
        ]
        for (kind, code, cause) in faults {
            do {
                _ = try FaultInjection.with([.fail(kind, 0, code)]) { _ in try file.open() }
                Issue.record("\(kind) did not matter")
            } catch {
                #expect((error as? MemoryFailure)?.cause == cause, "\(kind)")
            }
        }
    }

    @Test func `a packed dump whose temporary file cannot be written says so`() throws {
        let file = Scratch(gzip(pages(0..<64)))
        for (kind, code) in [(SystemCalls.Kind.pwrite, ErrorCode.noSpace), (.ftruncate, ErrorCode.noSpace)] {
            do {
                _ = try FaultInjection.with([.fail(kind, 0, code)]) { _ in try file.open() }
                Issue.record("\(kind) did not matter")
            } catch {
                #expect((error as? MemoryFailure)?.cause == .outOfResources, "\(kind)")
            }
        }
    }
}
