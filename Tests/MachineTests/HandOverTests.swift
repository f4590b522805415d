import KernelCommandLine
import PRAM
import Testing

@testable import Machine

private func line(_ text: String) -> ParameterLine { ParameterLine(Array(text.utf8)) }
private func range(_ start: UInt64, _ size: UInt64) -> PhysicalRange { PhysicalRange(start: start, size: size)! }

private let reserved = "ro memmap=16M$0x10000000"

/// A chain on a stock kernel, in a range that its line reserves.
private func stock(_ text: String = reserved, _ pages: [PhysicalRange] = [range(0x1000_0000, 0x5000)]) -> HandOver {
    var chain = HandOver(head: PFN(0x10000), verdict: .intact, thisLine: line(text))
    chain.pages = pages
    return chain
}

/// A chain that a kernel with pram holds, in System RAM.
private func pram(_ text: String = "ro pram_banned=64M-128M") -> HandOver {
    var chain = HandOver(head: PFN(0x9b79), verdict: .intact, thisLine: line(text))
    chain.pages = [range(0x9b7_9000, 0x1000), range(0x2000_0000, 0x10_0000)]
    chain.kernelsHead = 0x9b79
    return chain
}

struct HandOverTests {
    @Test func stockKernelNeedsTheRangeOnBothLines() {
        #expect(stock().obstacle(on: line(reserved)) == nil)
        #expect(stock().obstacle(on: line("memmap=1G@0,32M!0x0f000000")) == nil)
        let pages = range(0x1000_0000, 0x5000)
        #expect(stock().obstacle(on: line("ro")) == .notReservedNext(pages))
        #expect(stock().obstacle(on: line("ro -- memmap=16M$0x10000000")) == .notReservedNext(pages))
        #expect(stock().obstacle(on: line("memmap=16M$0x10000000 memmap=exactmap")) == .notReservedNext(pages))
        #expect(stock().obstacle(on: line("memmap=16Mx10000000")) == .notReservedNext(pages))
        #expect(stock("ro").obstacle(on: line(reserved)) == .notReservedHere(pages))
    }

    /// What the boot stub's KASLR does not see it may put the kernel on, though the kernel itself reserves it.
    @Test func aRangeThatKASLRDoesNotSeeIsNotHandedOn() {
        let four = (1...4).map { "memmap=4K$0x9\($0)000000" }.joined(separator: " ")
        let list = (1...4).map { "4K$0x9\($0)000000" }.joined(separator: ",")
        func isUnseen(_ text: String) -> Bool {
            if case .kaslr? = stock().obstacle(on: line(text)) { true } else { false }
        }
        #expect(isUnseen("\(four) \(reserved)"))
        #expect(isUnseen("memmap=\(list) \(reserved)"))
        #expect(isUnseen("memmap=exactmap,16M$0x10000000 \(four) \(reserved)"))
        for seen in ["\(reserved) \(four)", "\(four) \(reserved) nokaslr", "memmap=\(list),16M$0x10000000"] {
            #expect(stock().obstacle(on: line(seen)) == nil, "\(seen)")
        }
        // A kernel with pram is warned of by other means.
        #expect(pram().obstacle(on: line(four)) == nil)
    }

    @Test func everyPageCounts() {
        // The page behind the range, and one that hangs over its end.
        for last in [range(0x1100_0000, 0x1000), range(0x10ff_f800, 0x1000)] {
            let chain = stock(reserved, [range(0x1000_0000, 0x1000), last])
            #expect(chain.obstacle(on: line(reserved)) == .notReservedHere(last))
            #expect(chain.obstacle(on: line("memmap=1G$0")) == .notReservedHere(last))
        }
        let whole = stock(reserved, [range(0x1000_0000, 16 << 20)])
        #expect(whole.obstacle(on: line(reserved)) == nil)
        let shorter = "memmap=16M-4K$0x10000000"
        #expect(whole.obstacle(on: line(shorter)) != nil)
        #expect(whole.obstacle(on: line("memmap=8M$0x10000000,8M$0x10800000")) == nil)
        #expect(whole.obstacle(on: line("memmap=8M$0x10000000,8M$0x10800001")) != nil)
    }

    @Test func onlyAnIntactChain() {
        for verdict in [Verdict.damaged, .absent, .indeterminate] {
            for var chain in [stock(), pram()] {
                chain.verdict = verdict
                #expect(chain.obstacle(on: line(reserved)) == (verdict == .indeterminate ? .indeterminate : .damaged))
            }
        }
    }

    @Test func onlyAChainWhosePagesAreKnown() {
        #expect(stock(reserved, []).obstacle(on: line(reserved)) == .indeterminate)
        #expect(stock(reserved, [range(0x1000_1000, 0x1000)]).obstacle(on: line(reserved)) == .indeterminate)
    }

    @Test func neverWhatTheKernelRefused() {
        for var chain in [stock(), pram()] {
            chain.isRefused = true
            #expect(chain.obstacle(on: line(reserved)) == .refused)
        }
        var crash = stock()
        crash.isCrashKernel = true
        #expect(crash.obstacle(on: line(reserved)) == .crashKernel)
    }

    @Test func systemRAMIsNotReservedWhateverTheLineSays() {
        var chain = stock()
        chain.systemRAM = [range(0, 0x1000_0000), range(0x1100_0000, 0x1000_0000)]
        #expect(chain.obstacle(on: line(reserved)) == nil)
        chain.systemRAM = [range(0, 0x1000_1000)]
        #expect(chain.obstacle(on: line(reserved)) == .systemRAM(range(0x1000_0000, 0x5000)))
    }

    @Test func pramKernelWantsLinksAsTheyLie() {
        #expect(pram().obstacle(on: line("ro")) == nil)
        var chain = pram()
        chain.linksToRefit = 3
        #expect(chain.obstacle(on: line("ro")) == .refitFirst(3))
        chain = pram()
        chain.layout = .i386
        #expect(chain.obstacle(on: line("ro")) == .otherLayout)
        chain = pram()
        chain.kernelsHead = 0
        #expect(chain.obstacle(on: line("ro")) == .notHeld(0))
        chain.kernelsHead = 0x77
        #expect(chain.obstacle(on: line("ro")) == .notHeld(0x77))
        // A range does not make up for it: no kernel holds these pages.
        var inRange = stock()
        inRange.kernelsHead = 0
        #expect(inRange.obstacle(on: line(reserved)) == .notHeld(0))
    }

    @Test func pramKernelWantsTheMemoryToBeThere() {
        #expect(pram().obstacle(on: line("mem=1G")) == nil)
        #expect(pram().obstacle(on: line("mem=512M")) == .pastLimit(512 << 20))
        #expect(pram().obstacle(on: line("mem=nopentium")) == nil)
        // To the byte: the last page ends where the memory does, or one byte behind that.
        let end: UInt64 = 0x2010_0000
        #expect(pram().obstacle(on: line("mem=\(end)")) == nil)
        #expect(pram().obstacle(on: line("mem=\(end - 1)")) == .pastLimit(end - 1))
        #expect(pram().obstacle(on: line("memmap=256M")) == .pastLimit(256 << 20))
    }

    @Test func stockKernelDoesNotMindClearedFlags() {
        var chain = stock()
        chain.linksToRefit = 3
        chain.layout = .i386
        #expect(chain.obstacle(on: line(reserved)) == nil)
    }

    /// What the next kernel's own line gives to others is overwritten, whoever reserves it.
    @Test func whatTheNextLineGivesToOthersIsNotHandedOn() {
        for (words, claimant) in [
            ("ramoops.mem_address=0x10002000 ramoops.mem_size=0x1000", HandOver.Claimant.ramoops),
            ("ramoops.mem_address=0x0fff0000 ramoops.mem_size=0x20000", .ramoops),
            ("crashkernel=64M@0x10000000", .crashKernel), ("initrdmem=0x10001000,1M", .initrd),
        ] {
            guard case .claimed(_, let found)? = stock().obstacle(on: line("\(reserved) \(words)")) else {
                Issue.record("\(words)")
                continue
            }
            #expect(found == claimant)
        }
        for words in [
            "ramoops.mem_address=0x0f000000 ramoops.mem_size=0x1000", "crashkernel=64M@0x20000000", "crashkernel=256M",
            "initrdmem=0x30000000,1M", "initrd=/boot/initrd",
        ] { #expect(stock().obstacle(on: line("\(reserved) \(words)")) == nil, "\(words)") }
        guard case .claimed(_, .ramoops)? = pram().obstacle(on: line("ro ramoops.mem_address=0x20000000")) else {
            Issue.record("a kernel with pram")
            return
        }
    }

    @Test func everyObstacleHasASentence() {
        let page = range(0x1000, 0x1000)
        for obstacle in [
            HandOver.Obstacle.refused, .crashKernel, .damaged, .indeterminate, .notHeld(0), .notHeld(1), .refitFirst(1),
            .otherLayout, .pastLimit(1), .notReservedHere(page), .systemRAM(page), .notReservedNext(page), .fileLoad,
            .claimed(page, .ramoops), .claimed(page, .crashKernel), .claimed(page, .initrd),
        ] { #expect(!obstacle.sentence.isEmpty && !obstacle.sentence.hasSuffix(".")) }
    }
}

struct ReservedMemoryTests {
    @Test(
        arguments: [
            ("memmap=4K$0x1000,4K!0x2000", [(0x1000, 0x2000)]),
            ("memmap=4K$0x3000 memmap=4K$0x1000", [(0x1000, 0x1000), (0x3000, 0x1000)]),
            ("memmap=4K$0x1000 memmap=4K$0x1000", [(0x1000, 0x1000)]),
            ("memmap=4K@0x1000,4K#0x2000,1G", []),
            ("memmap=4K$ memmap=0$0x1000 memmap=4K$0x10000000000000000", []),
            ("memmap=8K$0xfffffffffffff000", []),
            ("memmap=4K$0x1000 memmap=1M%0-2+1", []),
            ("memmap=4K$0x100000 memmap=1M%0-2+1", [(0x100000, 0x1000)]),
            ("memmap=4K$0x1000 memmap=exactmap memmap=4K$0x2000", [(0x2000, 0x1000)]),
        ] as [(String, [(UInt64, UInt64)])])
    func ranges(_ text: String, _ expected: [(UInt64, UInt64)]) {
        #expect(ReservedMemory(line(text)).ranges == expected.map { range($0.0, $0.1) })
    }

    @Test func toTheVeryEnd() {
        let all = ReservedMemory(line("memmap=4K$0xfffffffffffff000,4K$0xffffffffffffe000,4K$0xfffffffffffff000"))
        #expect(all.ranges == [PhysicalRange(start: 0xffff_ffff_ffff_e000, last: .max)!])
        #expect(all.elements.count == 3)
    }

    @Test func runs() {
        var runs = PageRuns()
        for page in [5, 6, 7, 9, 8, 1, 2] as [UInt64] { runs.insert(PFN(page)) }
        let expected = [
            range(0x5000, 0x3000), range(0x9000, 0x1000), range(0x8000, 0x1000), range(0x1000, 0x2000),
        ]
        #expect(runs.ranges == expected)
        runs.insert(PFN(1 << 52))
        runs.insert(PFN(.max))
        #expect(runs.ranges.count == 4)
        runs.insert(PFN(1 << 52 - 1))
        runs.insert(PFN(0))
        #expect(runs.ranges.count == 6)
    }
}

struct KexecOptionsTests {
    private func find(
        _ chain: HandOver, _ request: KexecOptions.Request = .any, isLocked: Bool = false, isSwitchedOff: Bool = false
    ) throws(KexecOptions.Obstacle) -> String {
        try KexecOptions.find(for: chain, request, isLocked: isLocked, isSwitchedOff: isSwitchedOff).text
    }

    @Test func reservedRange() throws {
        #expect(try find(stock()) == "-s")
        #expect(try find(stock(), .file) == "-s")
        #expect(try find(stock(), isLocked: true) == "-s")
        #expect(try find(stock(), .load) == "-c --mem-max=0xfffffff")
        #expect(throws: KexecOptions.Obstacle.lockdown) { try find(stock(), .load, isLocked: true) }
        #expect(throws: KexecOptions.Obstacle.switchedOff) { try find(stock(), isSwitchedOff: true) }
    }

    @Test func roomBelowTheRange() throws {
        // Of several ranges, below the lowest with pages of the chain in it.
        let two = stock(
            "memmap=16M$0x8000000 memmap=16M$0x10000000 memmap=16M$0x20000000",
            [range(0x2000_0000, 0x1000), range(0x1000_0000, 0x1000)])
        #expect(try find(two, .load) == "-c --mem-max=0xfffffff")
        for start in ["0", "0x100000", "16M"] as [String] {
            let low = stock("memmap=32M$\(start)", [range(0x100_0000, 0x1000)])
            #expect(try find(low) == "-s")
            #expect(throws: KexecOptions.Obstacle.self) { try find(low, .load) }
        }
        #expect(throws: KexecOptions.Obstacle.notReserved) { try find(stock("ro"), .load) }
    }

    @Test func pramKernel() throws {
        #expect(try find(pram()) == "-c --mem-min=0x4000000 --mem-max=0x7ffffff")
        #expect(try find(pram(), .load) == "-c --mem-min=0x4000000 --mem-max=0x7ffffff")
        #expect(throws: KexecOptions.Obstacle.fileLoad) { try find(pram(), .file) }
        #expect(throws: KexecOptions.Obstacle.lockdown) { try find(pram(), isLocked: true) }
        #expect(throws: KexecOptions.Obstacle.nothingBanned) { try find(pram("ro")) }
        #expect(throws: KexecOptions.Obstacle.nothingBanned) { try find(pram("pram_banned=64M pram_banned=2M-1M")) }
        #expect(throws: KexecOptions.Obstacle.nothingBanned) { try find(pram("pram_banned=1-0xfff")) }
        #expect(throws: KexecOptions.Obstacle.bannedInUse) { try find(pram("pram_banned=128M-256M")) }
        // The largest of those without pages of the chain; of a list only the first counts.
        #expect(
            try find(pram("pram_banned=16M-32M,64M-128M pram_banned=256M-320M pram_banned=128M-256M"))
                == "-c --mem-min=0x10000000 --mem-max=0x13ffffff")
        #expect(try find(pram("pram_banned=0-128M")) == "-c --mem-min=0x0 --mem-max=0x7ffffff")
        // Whole pages only.
        #expect(try find(pram("pram_banned=0x4000001-0x8000fff")) == "-c --mem-min=0x4001000 --mem-max=0x7ffffff")
    }
}
