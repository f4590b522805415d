import Linux
import PRAM
import Testing

@testable import Machine
@testable import MemorySources

/// 64 pages: RAM, a range reserved by memmap=, RAM; a PCI window; RAM above a `mem=` limit.
private let machineMap = """
    00000000-00000fff : Reserved
    00001000-001fffff : System RAM
    00200000-0020ffff : Reserved
    00210000-0023ffff : System RAM
    00240000-0024ffff : PCI Bus 0000:00
    """
private let filled: [UInt64] = [1, 0x100, 0x1ff, 0x200, 0x20f, 0x210, 0x23f, 0x240, 0x250, 0x25f]

private func machine(kcore: Bool = true, devMem: Bool = true) -> FakeMachine {
    let machine = FakeMachine()
    machine.write("iomem", machineMap)
    machine.firmware(0, 0, 0x23ffff, "System RAM")
    machine.firmware(1, 0x25_0000, 0x25_ffff, "System RAM")
    if devMem { machine.memory("mem", size: 0x26_0000, pages: filled) }
    if kcore {
        machine.write(
            "kcore",
            fakeKcore([
                FakeSegment(
                    virtual: 0xffff_8880_0010_0000, physical: 0x10_0000, bytes: (0x100..<0x200).flatMap(samplePage)),
                FakeSegment(
                    virtual: 0xffff_8880_0021_0000, physical: 0x21_0000, bytes: (0x210..<0x240).flatMap(samplePage)),
            ]))
    }
    return machine
}

private func openLive(
    _ machine: FakeMachine, only: LiveWays = .both, policy: KernelPolicy = freePolicy
) throws(MemoryFailure) -> LiveMemory {
    try LiveMemory.open(only: only, paths: machine.paths, policy: policy)
}

/// A /dev/mem as CONFIG_STRICT_DEVMEM makes it.
private func strictDevMem(_ machine: FakeMachine) throws -> DevMem {
    let path = machine.path("mem")
    let map = AddressMap(try Iomem.read(machine.path("iomem")), firmware: FirmwareMap.read(machine.path("memmap")))
    return DevMem(
        try FileDescriptor.open(path), map: map,
        ram: .refused(SystemError("read", code: ErrorCode.notPermitted, path: path)))
}

/// What is said of three pages. Asked twice, over different words, so that a page that is not answered is noticed.
private func answers(_ memory: any PhysicalMemory, _ first: UInt64) -> [PageState?] {
    var answers: [PageState?] = []
    let bytes = UnsafeMutableRawPointer.allocate(byteCount: 3 * pageSize, alignment: pageSize)
    defer { bytes.deallocate() }
    for before in [PageState.present, .absent] {
        var states = [PageState](repeating: before, count: 3)
        states.withUnsafeMutableBufferPointer {
            memory.read(PFN(first), count: 3, into: bytes, states: $0.baseAddress!)
        }
        answers = answers.isEmpty ? states : zip(answers, states).map { $0 == $1 ? $1 : nil }
    }
    return answers
}

@Suite struct DevMemTests {
    @Test func readsToTheLastPageOfARangeAndNoFurther() throws {
        let memory = try strictDevMem(machine())
        let (states, pages) = read(memory, 0x1ff, 0x12)
        #expect(states == [.absent] + [PageState](repeating: .present, count: 0x10) + [.absent])
        #expect(pages[1] == samplePage(0x200))
        #expect(pages[16] == samplePage(0x20f))
        #expect(memory.contains(PFN(0x20f)) && !memory.contains(PFN(0x210)))
    }

    @Test func mapsOnceAndKeepsIt() throws {
        let memory = try strictDevMem(machine())
        let first = try #require(memory.mapped(PFN(0x200)))
        let last = try #require(memory.mapped(PFN(0x20f)))
        #expect(last - first == 0xf * pageSize)
        #expect(memory.mapped(PFN(0x200)) == first)
        #expect(memory.mapped(PFN(0x210)) == nil)
        #expect(memory.mapped(PFN(0x1ff)) == nil)
        var page = [UInt8](repeating: 0, count: pageSize)
        let copied = page.withUnsafeMutableBytes { guardedCopy(last, to: $0.baseAddress!, count: pageSize) }
        #expect(copied && page == samplePage(0x20f))
    }

    @Test func devicesAreNeverTouched() throws {
        let memory = try strictDevMem(machine())
        #expect(read(memory, 0x240, 1).states == [.absent])
        #expect(memory.mapped(PFN(0x240)) == nil)
        #expect(memory.failure(of: PFN(0x240))?.cause == .unsupported)
        #expect(memory.failure(of: PFN(0x1000))?.cause == .noSuchMemory)
    }

    @Test func memoryAboveALimitIsRead() throws {
        let memory = try strictDevMem(machine())
        #expect(read(memory, 0x250, 1).pages == [samplePage(0x250)])
        #expect(memory.contains(PFN(0x25f)) && !memory.contains(PFN(0x260)))
    }

    @Test func strictDevmemGivesNoRAM() throws {
        let memory = try strictDevMem(machine())
        #expect(!memory.readsSystemRAM)
        // Below 1 MiB the kernel would answer with zeros.
        #expect(read(memory, 1, 1).states == [.absent])
        #expect(memory.failure(of: PFN(0x100))?.cause == .strictDevmem)
        #expect(memory.systemRAMRefusal?.cause == .strictDevmem)
    }

    @Test func withoutStrictDevmemRAMIsRead() throws {
        let memory = try openLive(machine(kcore: false), only: .devMem)
        #expect(memory.refusals.isEmpty)
        #expect(!memory.zerosMayBeHoles)
        let (states, pages) = read(memory, 0x1ff, 2)
        #expect(states == [.present, .present])
        #expect(pages == [samplePage(0x1ff), samplePage(0x200)])
    }

    @Test func whatTheFileLacksIsUnreadable() throws {
        let fake = machine(devMem: false)
        fake.memory("mem", size: 0x20_8000, pages: [0x200])
        signalsPrepared
        let memory = try strictDevMem(fake)
        let states = read(memory, 0x200, 16).states
        #expect(states == [PageState](repeating: .present, count: 8) + [PageState](repeating: .unreadable, count: 8))
        #expect(memory.failure(of: PFN(0x208))?.cause == .inputOutput)
    }

    @Test func anyPFNIsAnswered() throws {
        let memory = try strictDevMem(machine())
        // Memory below 1 MiB is there, but this kernel does not let it be read.
        for number in [1 << 40, (1 << 52) - 1, 1 << 52, UInt64.max - 1, .max] {
            #expect(!memory.contains(PFN(number)), "\(number)")
            #expect(memory.mapped(PFN(number)) == nil, "\(number)")
            #expect(answers(memory, number) == [.absent, .absent, .absent], "\(number)")
        }
    }

    @Test func theWholeAddressSpaceIsNoTrap() throws {
        let fake = machine()
        fake.write("iomem", "00000000-ffffffffffffffff : Reserved\n")
        let map = AddressMap(try Iomem.read(fake.path("iomem")), firmware: nil)
        signalsPrepared
        let memory = try DevMem.open(fake.path("mem"), map: map, policy: freePolicy)
        for number in [0, 0x200, 1 << 40, (1 << 51) - 1, 1 << 51, (1 << 52) - 1] as [UInt64] {
            _ = memory.mapped(PFN(number))
            #expect(read(memory, number, 2).states[0] == (number <= 0x200 ? .present : .unreadable))
        }
    }
}

@Suite struct LiveMemoryTests {
    @Test func eachPageComesTheWayThatReachesIt() throws {
        let memory = try openLive(machine())
        #expect(memory.refusals.isEmpty)
        #expect(memory.zerosMayBeHoles)
        // Only kcore has the contents of page 0x105.
        let (states, pages) = read(memory, 0x105, 0x10b + 2)
        #expect(states.allSatisfy { $0 == .present })
        #expect(pages[0] == samplePage(0x105))
        #expect(pages[0x200 - 0x105] == samplePage(0x200))
        #expect(pages[0x210 - 0x105] == samplePage(0x210))
        #expect(memory.mapped(PFN(0x200)) != nil)
        #expect(memory.explain(PFN(0x200)).isEmpty)
        #expect(memory.explain(PFN(0x105)).isEmpty)
    }

    @Test func aWayThatFailsIsMadeUpForByTheOther() throws {
        let fake = machine()
        let kcore = fakeKcore([
            FakeSegment(virtual: 0xffff_8880_0010_0000, physical: 0x10_0000, bytes: (0x100..<0x200).flatMap(samplePage))
        ])
        fake.write("kcore", Array(kcore.dropLast(pageSize)))
        let memory = try openLive(fake)
        let (states, pages) = read(memory, 0x1fe, 2)
        #expect(states == [.present, .present])
        #expect(pages == [samplePage(0x1fe), samplePage(0x1ff)])
    }

    @Test func pmemDevicesMakeUpForAClosedDevMem() throws {
        let fake = machine(devMem: false)
        fake.write("iomem", "00300000-00303fff : Persistent Memory (legacy)\n  00300000-00303fff : namespace0.0\n")
        fake.pmem(0, start: 0x30_0000, contents: (0x300..<0x304).flatMap(samplePage))
        fake.pmem(1, start: 0x40_0000, contents: samplePage(0x400), namespaceSize: 8192)
        fake.pmem(2, start: .max - 100, contents: samplePage(0))
        let memory = try openLive(fake)
        let (states, pages) = read(memory, 0x2ff, 6)
        #expect(states == [.absent, .present, .present, .present, .present, .absent])
        #expect(pages[4] == samplePage(0x303))
        #expect(memory.explain(PFN(0x303)).isEmpty)
        // Not raw: the first page of the device is not the first page of the range.
        #expect(!memory.contains(PFN(0x400)))
        #expect(!memory.zerosMayBeHole(PFN(0x300)) && memory.zerosMayBeHole(PFN(0x100)))
        #expect(try !openLive(fake, only: .kcore).contains(PFN(0x300)))
    }

    @Test func missingFilesAreNotConfigured() throws {
        let fake = FakeMachine()
        fake.write("iomem", machineMap)
        let refusal = try #require(failure { () throws(MemoryFailure) in try openLive(fake) })
        #expect(refusal.cause == .notConfigured)
        #expect(refusal.reasons.map { $0.cause } == [.notConfigured, .notConfigured])
        #expect(refusal.reasons[0].message.contains("CONFIG_DEVMEM"))
        #expect(refusal.reasons[1].message.contains("CONFIG_PROC_KCORE"))
        #expect(refusal.reasons.allSatisfy { !$0.remedy.isEmpty })
    }

    @Test func withoutAddressesDevMemStaysShut() throws {
        let fake = machine()
        fake.write("iomem", "00000000-00000000 : System RAM\n")
        let memory = try openLive(fake)
        #expect(memory.refusals.map { $0.cause } == [.notPermitted])
        #expect(memory.mapped(PFN(0x200)) == nil)
        #expect(read(memory, 0x1ff, 2).states == [.present, .absent])
        #expect(memory.explain(PFN(0x200)).map { $0.cause } == [.notPermitted])
        #expect(failure { () throws(MemoryFailure) in try openLive(fake, only: .devMem) }?.cause == .notPermitted)
    }

    @Test func missingIomemDoesNotStopKcore() throws {
        let fake = machine()
        fake.write("iomem", "")
        #expect(try openLive(fake).refusals.map { $0.cause } == [.malformed])
        #expect(try openLive(fake, only: .kcore).refusals.isEmpty)
    }

    @Test func pagesAreExplained() throws {
        let fake = machine(kcore: false)
        let memory = try openLive(fake)
        #expect(memory.refusals.map { $0.cause } == [.notConfigured])
        #expect(memory.explain(PFN(0x200)).isEmpty)
        #expect(memory.explain(PFN(0x1000)).map { $0.cause } == [.noSuchMemory])
        #expect(memory.explain(PFN(0x240)).map { $0.cause } == [.noSuchMemory])
        #expect(memory.explain(PFN(1 << 52)).map { $0.cause } == [.noSuchMemory])
        #expect(memory.explain(PFN(.max)).map { $0.cause } == [.noSuchMemory])

        let kcoreOnly = try openLive(machine(), only: .kcore)
        #expect(kcoreOnly.explain(PFN(0x200)).map { $0.cause } == [.unsupported])
        #expect(kcoreOnly.explain(PFN(0x101)).isEmpty)
        #expect(kcoreOnly.explain(PFN(1)).map { $0.cause } == [.rangeNotReserved])
    }

    @Test func refusalsNameTheirCause() {
        func causes(_ code: Int32, _ policy: KernelPolicy) -> [MemoryFailure.Cause] {
            let error = SystemError("open", code: code, path: Array("/x".utf8))
            return [
                MemoryInterface.devMem.refusal(error, policy).cause, MemoryInterface.kcore.refusal(error, policy).cause,
            ]
        }
        func policy(_ lockdown: KernelPolicy.Lockdown, root: Bool = true, raw: Bool? = true) -> KernelPolicy {
            KernelPolicy(lockdown: lockdown, isRoot: root, mayRawIO: raw)
        }
        let eperm = ErrorCode.notPermitted
        #expect(causes(eperm, policy(.integrity)) == [.lockdown, .notPermitted])
        #expect(causes(eperm, policy(.confidentiality)) == [.lockdown, .lockdown])
        #expect(causes(eperm, policy(.unknown)) == [.lockdown, .lockdown])
        #expect(causes(eperm, policy(.none)) == [.notPermitted, .notPermitted])
        #expect(causes(eperm, policy(.integrity, root: false, raw: false)) == [.notPermitted, .notPermitted])
        #expect(causes(eperm, policy(.unknown, root: false, raw: nil)) == [.notPermitted, .notPermitted])
        #expect(causes(ErrorCode.accessDenied, policy(.none, root: false)) == [.notPermitted, .notPermitted])
        #expect(causes(ErrorCode.noSuchDevice, policy(.none)) == [.notConfigured, .notConfigured])
        #expect(causes(ErrorCode.tooManyOpenFiles, policy(.none)) == [.inputOutput, .inputOutput])
    }

    @Test func policyIsReadFromTheKernelsFiles() {
        func lockdown(_ text: String) -> KernelPolicy.Lockdown { KernelPolicy.lockdown(in: Array(text.utf8)) }
        #expect(lockdown("none [integrity] confidentiality\n") == .integrity)
        #expect(lockdown("[none] integrity confidentiality\n") == .none)
        #expect(lockdown("none integrity [confidentiality]\n") == .confidentiality)
        #expect(lockdown("none integrity [") == .unknown)
        #expect(lockdown("]x[") == .unknown)
        func rawIO(_ text: String) -> Bool? { KernelPolicy.hasCapability(17, in: Array(text.utf8)) }
        #expect(rawIO("Name:\tx\nCapEff:\t000001ffffffffff\nSeccomp:\t0\n") == true)
        #expect(rawIO("CapEff:\t00000000a80425fb\n") == false)
        #expect(rawIO("CapEff:\tx\n") == nil)
        #expect(rawIO("") == nil)
    }

    @Test func randomMachinesNeverTrap() {
        var random = SplitMix(state: 7)
        signalsPrepared
        let fake = machine()
        var opened = 0
        for _ in 0..<100 {
            var text = Array(machineMap.utf8)
            for _ in 0..<12 {
                text[Int.random(in: 0..<text.count, using: &random)] =
                    Array("0f-: \nSx1".utf8).randomElement(using: &random)!
            }
            fake.write("iomem", text)
            guard let memory = try? openLive(fake) else { continue }
            opened += 1
            for number in [0, 1, 0x1ff, 0x200, 0x20f, 0x23f, 0x240, 0x250, (1 << 52) - 1, .max] as [UInt64] {
                _ = memory.explain(PFN(number))
                _ = memory.mapped(PFN(number))
                _ = read(memory, number, 20)
            }
        }
        #expect(opened > 50, "most of them could not be opened at all")
    }
}

@Suite struct LiveMemoryThreadTests {
    /// Every thread sees the same window, and the right bytes in it, whoever was first to map it.
    @Test func severalThreadsShareWindows() throws {
        let memory = try openLive(machine())
        let wrong = WrongPages()
        func work() {
            for _ in 0..<50 {
                for number in [0x200, 0x20f, 0x210, 0x1ff] as [UInt64] {
                    if read(memory, number, 1).pages != [samplePage(number)] { wrong.count() }
                }
                if memory.mapped(PFN(0x200)) == nil { wrong.count() }
            }
        }
        let first = try Linux.Thread(work)
        let second = try Linux.Thread(work)
        let third = try Linux.Thread(work)
        first.join()
        second.join()
        third.join()
        #expect(wrong.number == 0)
    }
}

private final class WrongPages {
    private let lock = Monitor()
    private(set) var number = 0

    func count() {
        lock.lock()
        number += 1
        lock.unlock()
    }
}
