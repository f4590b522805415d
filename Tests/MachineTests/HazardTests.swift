import KernelCommandLine
import PRAM
import Testing

@testable import Machine

@Suite struct HazardTests {
    private func hazards(_ line: String, kernelsHead: UInt64? = nil) -> Hazards {
        let iomem = """
            00001000-0fffffff : System RAM
              02000000-02ffffff : Crash kernel
            10000000-10ffffff : Reserved
            11000000-1fffffff : System RAM

            """
        let machine = MachineEvidence(
            line: ParameterLine(Array(line.utf8)), firmware: nil, iomem: Iomem(parsing: Array(iomem.utf8)),
            initrd: PhysicalRange(start: 0x1f00_0000, size: 0x10_0000))
        return Hazards(machine, kernelsHead: kernelsHead)
    }

    @Test func aReservedRangeIsFine() {
        let found = hazards("memmap=16M$0x10000000")
        found.look(at: PFN(0x10000))
        #expect(found.sentences.isEmpty)
    }

    @Test func pagesThatOthersWereGivenAreCounted() {
        let found = hazards("")
        for page in [0x10000, 0x2000, 0x2001, 0x1f000] as [UInt64] { found.look(at: PFN(page)) }
        #expect(found.sentences.count == 3)
        #expect(found.sentences[0].hasPrefix("3 pages of the chain in memory that this kernel"))
        #expect(found.sentences[1].hasPrefix("2 pages of the chain in what crashkernel="))
        #expect(found.sentences[2].hasPrefix("1 page of the chain where the boot loader"))
    }

    @Test func aKernelThatHoldsTheChainHasReservedIt() {
        let found = hazards("nokaslr", kernelsHead: 0x11000)
        found.look(at: PFN(0x11000))
        #expect(found.sentences.isEmpty)
    }

    @Test func pagesThatKASLRMayHaveHitAreNamed() {
        let four = (1...4).map { "memmap=4K$0x9\($0)000000" }.joined(separator: " ")
        let found = hazards("\(four) memmap=16M$0x10000000")
        found.look(at: PFN(0x10000))
        #expect(found.sentences.count == 1)
        #expect(found.sentences.first?.hasPrefix("1 page of the chain where KASLR may have put this kernel") == true)
        let seen = hazards("memmap=16M$0x10000000 \(four)")
        seen.look(at: PFN(0x10000))
        #expect(seen.sentences.isEmpty)
    }

    @Test func memoryInThePersistentThatTheKernelHasTakenIsItsOwn() {
        let iomem = """
            00001000-0fffffff : System RAM
            10000000-1fffffff : Persistent Memory
              10000000-1fffffff : namespace0.0
                10000000-1fffffff : dax0.0
                  10200000-1fffffff : System RAM (kmem)

            """
        let machine = MachineEvidence(
            line: ParameterLine([]), firmware: nil, iomem: Iomem(parsing: Array(iomem.utf8)))
        let found = Hazards(machine, kernelsHead: nil)
        found.look(at: PFN(0x10300))
        #expect(found.sentences.count == 1)
    }

    @Test func kaslrUnderAKernelWithPram() {
        #expect(hazards("", kernelsHead: 0x11000).sentences.count == 1)
        #expect(hazards("", kernelsHead: nil).sentences.isEmpty)
    }
}
