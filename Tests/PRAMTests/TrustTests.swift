import Testing

@testable import PRAM

/// What makes a link believed whose checksum fits only with some of its flags restored: every one of its pages.
@Suite struct IntervalTrustTests {
    /// One link of a file with 30 pages, the flags of ten of them set by the writer and all cleared by a kernel, with an
    /// edit of what is written.
    private func chain(_ edit: (Chain, inout [Entry]) -> Void = { _, _ in }) -> Chain {
        let chain = Chain()
        var entries = [chain.meta("a", size: 30 * 4096)]
        for index in 0..<30 { entries.append(chain.data(UInt64(index), lru: (10..<20).contains(index))) }
        edit(chain, &entries)
        chain.link(entries)
        chain.clearFlags()
        return chain
    }

    private func expectUnproved(_ chain: Chain, _ link: Int = 0, _ location: SourceLocation = #_sourceLocation) {
        let outcome = chain.judge()
        #expect(outcome.links.count > link && !outcome.links[link].proved, sourceLocation: location)
        #expect(outcome.links.count > link && outcome.links[link].reading == .none, sourceLocation: location)
        #expect(outcome.verdict != .intact, sourceLocation: location)
        #expect(outcome.files.allSatisfy { $0.link < link || $0.status != .intact }, sourceLocation: location)
    }

    @Test func itIsBelievedWhereEveryPageFits() {
        let outcome = chain().judge()
        #expect(outcome.verdict == .intact && outcome.findings.isEmpty)
        guard case .intervalRestored(let interval) = outcome.links[0].reading else {
            Issue.record("\(outcome.links[0].reading)")
            return
        }
        #expect(interval.entries == Array(11..<21))
    }

    /// Where pages are not looked at they vouch for nothing.
    @Test func linksAloneAreNoReasonToBelieveIt() {
        let outcome = chain().judge(pages: false)
        #expect(outcome.links.map(\.standing) == [.indeterminate])
        #expect(outcome.places(.linkIndeterminate) == [Place(link: 0, entry: -1, page: chain().links[0])])
        #expect(outcome.verdict == .indeterminate)
        // The same where only all of the pages together could tell.
        let scattered = Chain()
        let groups = (0..<2).map { number in
            [scattered.meta("\(number)", size: 168 * 4096)]
                + (0..<168).map { scattered.data(UInt64($0), lru: $0 % 3 != 0) }
        }
        scattered.link(groups[0], groups[1])
        scattered.clearFlags()
        #expect(scattered.judge().verdict == .indeterminate, "the last link of this one is full, so it may be cut off")
        #expect(scattered.judge(pages: false).links.allSatisfy { !$0.proved })
    }

    @Test(arguments: [0, 1, 15, 30]) func aPageThatDoesNotFitEndsIt(_ entry: Int) {
        var page = PFN(0)
        let chain = chain { _, entries in page = entries[entry].page }
        chain.memory.pages[page.number]![77] ^= 1
        expectUnproved(chain)
        // A damaged page is no proof against its link: it may be as the kernel left it.
        #expect(chain.judge().places(.linkIndeterminate) == [Place(link: 0, entry: -1, page: chain.links[0])])
        #expect(chain.judge().links[0].standing == .indeterminate)
    }

    /// A page that is not there has no checksum: not even 0, which the entry happens to name.
    @Test(arguments: [true, false]) func aPageThatIsNotThereEndsIt(_ isAbsent: Bool) {
        var page: UInt64 = 0
        let chain = chain { chain, entries in
            entries[5].checksum = 0
            page = entries[5].page.number
            chain.memory.pages[page] = PageBytes()
        }
        #expect(chain.judge().verdict == .intact)
        if isAbsent { chain.memory.pages[page] = nil } else { chain.memory.unreadable = [page] }
        expectUnproved(chain)
    }

    @Test func indexesAscend() {
        let holes = chain { chain, entries in
            entries[30].index = 31
            entries[0] = chain.meta("a", size: 40 * 4096)
        }
        #expect(holes.judge().verdict == .intact)
        expectUnproved(chain { _, entries in entries[30].index = entries[29].index })
        expectUnproved(chain { _, entries in entries[30].index = 3 })
    }

    @Test func anUnknownTypeEndsIt() { expectUnproved(chain { _, entries in entries[3].flags = 4 }) }

    /// The indexes of a file go on from one link to the next, and begin anew with the next file.
    @Test func indexesAscendFromLinkToLink() {
        func links(_ first: UInt64, startsAnew: Bool = false) -> Chain {
            let chain = Chain()
            let one = [chain.meta("a", size: 90 * 4096)] + (0..<20).map { chain.data(UInt64($0), lru: true) }
            var two = (0..<30).map { chain.data(first + UInt64($0), lru: (10..<20).contains($0)) }
            if startsAnew { two.insert(chain.meta("b", size: 90 * 4096), at: 0) }
            chain.link(one, two)
            chain.clearFlags()
            return chain
        }
        #expect(links(20).judge().verdict == .intact)
        #expect(links(0, startsAnew: true).judge().verdict == .intact)
        for first in [19, 10, 0] as [UInt64] { expectUnproved(links(first), 1) }
    }
}

/// When links of which no simple reading fits are believed all the same: only where all of the chain looks as a kernel
/// leaves it.
@Suite struct ReservedChainTests {
    /// Two full links of which every third page was copied, and a third one.
    private func chain(_ last: (Chain) -> [Entry], _ edit: (inout PageBytes) -> Void = { _ in }) -> Chain {
        let chain = Chain()
        let full = (0..<2).map { number in
            [chain.meta("file \(number)", size: 168 * 4096)]
                + (0..<168).map { chain.data(UInt64($0), lru: $0 % 3 != 0) }
        }
        chain.link(full[0], full[1], last(chain))
        let written = chain.memory.pages[chain.links[2]]!
        chain.clearFlags()
        chain.memory.pages[chain.links[2]] = written
        edit(&chain.memory.pages[chain.links[2]]!)
        return chain
    }

    private func vouched(_ chain: Chain) -> Bool {
        let outcome = chain.judge()
        let isVouched = outcome.kinds.contains(.linkVouched)
        #expect((outcome.verdict == .intact) == isVouched)
        #expect((outcome.links[0].reading == .vouchedByPages) == isVouched)
        #expect(outcome.files.prefix(2).allSatisfy { ($0.status == .intact) == isVouched })
        return isVouched
    }

    @Test func allFlagsOfTheLastLinkAreCleared() {
        #expect(vouched(chain({ $0.file("last", pages: 9, lru: true) }) { for i in 1...9 { $0[24 + 24 * i + 1] = 0 } }))
    }

    @Test func theLastLinkNeverHadAFlag() { #expect(!vouched(chain { $0.file("last", pages: 9) })) }

    @Test func theLastLinkListsNoPages() { #expect(vouched(chain { $0.file("last", pages: 0) })) }

    @Test func theFlagsOfTheLastLinkAreStillThere() {
        #expect(!vouched(chain { $0.file("last", pages: 9, lru: true) }))
    }

    @Test func oneFlagOfTheLastLinkIsStillThere() {
        #expect(
            !vouched(chain({ $0.file("last", pages: 9, lru: true) }) { for i in 1...8 { $0[24 + 24 * i + 1] = 0 } }))
    }
}

/// Which file an entry belongs to, when two files claim one page.
@Suite struct ContestedPageTests {
    /// Three links with three files each, every file in one link but the third and sixth, which go on in the next.
    private func chain(_ edit: (inout [[Entry]]) -> Void) -> Chain {
        let chain = Chain()
        var files = (0..<9).map { chain.file("\($0)", pages: 4) }
        edit(&files)
        let all = files.flatMap { $0 }
        chain.link(Array(all[..<13]), Array(all[13..<28]), Array(all[28...]))
        return chain
    }

    @Test func exactlyTheTwoFilesThatClaimItAreIndeterminate() {
        #expect(chain { _ in }.judge().verdict == .intact)
        for first in 0..<9 {
            for second in first + 1..<9 {
                for (one, other) in [(1, 4), (4, 1), (2, 3)] {
                    let outcome = chain { files in
                        files[second][other].page = files[first][one].page
                        files[second][other].checksum = files[first][one].checksum
                    }.judge()
                    let doubted = outcome.files.indices.filter { outcome.files[$0].status == .indeterminate }
                    #expect(doubted == [first, second])
                    #expect(outcome.files.filter { $0.status == .intact }.count == 7)
                }
            }
        }
    }
}
