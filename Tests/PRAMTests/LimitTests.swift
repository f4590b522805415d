import Testing

@testable import PRAM

/// Every record that is kept for something the chain says has a limit, and what is beyond it is never called intact.
@Suite struct LimitTests {
    /// Four links, each with one file of two pages.
    private func fourFiles() -> Chain {
        let chain = Chain()
        let files = ["a", "b", "c", "d"].map { chain.file($0, pages: 2) }
        chain.link(files[0], files[1], files[2], files[3])
        return chain
    }

    private func limit(_ change: (inout ChainEvaluation.Limits) -> Void) -> ChainEvaluation.Limits {
        var limits = ChainEvaluation.Limits()
        change(&limits)
        return limits
    }

    /// What is kept of one chain takes some hundred MiB, however long it is.
    @Test func theLimitsAreWhatIsSaidOfThem() {
        let limits = ChainEvaluation.Limits()
        #expect(limits.findings == 131_072 && limits.links == 4_194_304 && limits.files == 1_048_576)
        #expect(limits.filesWithoutPage == 65_536 && limits.nameBytes == 67_108_864)
        #expect(ChainEvaluation.findingsKept == limits.findings && ChainEvaluation.linksKept == limits.links)
    }

    @Test func whatIsJustWithinTheLimitsIsIntact() {
        let outcome = fourFiles().judge(
            limit {
                $0.files = 4
                $0.links = 4
                $0.nameBytes = 4
                $0.filesWithoutPage = 0
                $0.chunks = 1
                $0.findings = 0
            })
        #expect(outcome.verdict == .intact && outcome.files.count == 4)
        #expect(outcome.filesOmitted == 0 && outcome.linksOmitted == 0 && outcome.findingsOmitted == 0)
    }

    @Test func moreFilesThanAreKept() {
        let outcome = fourFiles().judge(limit { $0.files = 2 })
        #expect(outcome.verdict == .indeterminate)
        #expect(outcome.files.map(\.status) == [.intact, .intact])
        #expect(outcome.filesOmitted == 2)
        #expect(outcome.places(.chainCut) == [Place(link: 2, entry: -1, page: nil)])
        // Their pages are looked at all the same.
        #expect(outcome.pagesChecked == 12)
    }

    @Test func damageBehindTheLastFileKeptIsDamage() {
        let chain = fourFiles()
        let page = chain.links[0] - 1
        chain.memory.pages[page]![9] ^= 1
        let outcome = chain.judge(limit { $0.files = 2 })
        #expect(outcome.verdict == .damaged)
        #expect(outcome.places(.dataChecksum) == [Place(link: 3, entry: 2, page: page)])
        #expect(outcome.findings.allSatisfy { $0.file < 2 })
        #expect(outcome.files.map(\.status) == [.intact, .intact])
    }

    @Test func moreNamesThanAreKept() {
        let outcome = fourFiles().judge(limit { $0.nameBytes = 3 })
        #expect(outcome.files.count == 3 && outcome.filesOmitted == 1)
        #expect(outcome.verdict == .indeterminate)
    }

    @Test func moreLinksThanAreKept() {
        let outcome = fourFiles().judge(limit { $0.links = 3 })
        #expect(outcome.links.count == 3 && outcome.linksOmitted == 1)
        // Each of them was complete before.
        #expect(outcome.files.map(\.status) == [.intact, .intact, .intact])
        #expect(outcome.verdict == .indeterminate)
    }

    @Test func morePagesThanAreKept() {
        let chain = Chain()
        let near = chain.file("near", pages: 2)
        var far = chain.file("far", pages: 2)
        // The second page of the file lies in a chunk of its own.
        chain.memory.pages[1 << 30] = chain.memory.pages[far[2].page.number]
        far[2].page = PFN(1 << 30)
        chain.link(near, far, chain.file("behind", pages: 1))
        #expect(chain.judge(limit { $0.chunks = 2 }).verdict == .intact)
        let outcome = chain.judge(limit { $0.chunks = 1 })
        #expect(outcome.verdict == .indeterminate)
        #expect(outcome.status("near") == .intact)
        #expect(outcome.status("far") == .indeterminate && outcome.status("behind") == .indeterminate)
    }

    @Test func moreIndexesThanAreKept() {
        let chain = Chain()
        let size: UInt64 = 1 << 40
        chain.link([chain.meta("sparse", size: size), chain.data(0), chain.data(1 << 20), chain.data(1 << 21)])
        #expect(chain.judge(limit { $0.chunks = 2 }).verdict == .intact)
        let outcome = chain.judge(limit { $0.chunks = 1 })
        #expect(outcome.verdict == .indeterminate)
        #expect(outcome.status("sparse") == .incomplete)
    }

    /// Twenty-four bytes each in a link, hundreds each in memory: entries that all name one META page.
    @Test func entriesThatNameOnePageDoNotFillMemory() {
        let chain = Chain()
        let meta = chain.meta(String(repeating: "n", count: 255), size: 0)
        let lists = (0..<4).map { _ in [Entry](repeating: meta, count: 169) }
        chain.link(lists[0], lists[1], lists[2], lists[3])
        let outcome = chain.judge(limit { $0.filesWithoutPage = 100 })
        #expect(outcome.files.count == 101)
        #expect(outcome.filesOmitted == 4 * 169 - 101)
        #expect(outcome.verdict == .damaged)
        #expect(outcome.files.allSatisfy { $0.status != .intact })
    }

    /// The same with pages that are not there at all.
    @Test func entriesWithoutPagesDoNotFillMemory() {
        let chain = Chain()
        let entries = (0..<169).map { Entry(flags: 1, checksum: 0, page: PFN(0x5_0000 + UInt64($0)), index: 0) }
        chain.link(entries)
        let outcome = chain.judge(limit { $0.filesWithoutPage = 10 })
        #expect(outcome.files.count == 10 && outcome.filesOmitted == 159)
        #expect(outcome.verdict != .intact)
    }

    @Test func findingsBeyondTheLimitAreCounted() {
        let chain = Chain()
        let meta = chain.meta("a", size: 0)
        chain.link([Entry](repeating: meta, count: 50))
        let outcome = chain.judge(limit { $0.findings = 10 })
        #expect(outcome.findings.count == 10)
        #expect(outcome.findingsOmitted == outcome.findingCounts.reduce(0, +) - 10)
        #expect(outcome.findingsOmitted > 30 && outcome.verdict == .damaged)
    }

    @Test func timeThatRunsOutInTheSecondLookLeavesDoubt() {
        let outcome = fourFiles().judge()
        outcome.doubtFiles(from: 2)
        #expect(outcome.files.map(\.status) == [.intact, .intact, .indeterminate, .indeterminate])
        #expect(outcome.verdict == .indeterminate)
        #expect(outcome.places(.timeout) == [Place(link: 2, entry: -1, page: nil)])
    }
}
