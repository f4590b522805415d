import Testing

@testable import PRAM

/// What is said of whole chains: sound ones, broken ones, and links that lie.
@Suite struct LinkVerdictTests {
    /// Three links; "a" lies in the first, "b" in the first and second, "c" in the second and third, "d" in the third.
    private func fourFiles(_ layout: ChainLayout = .amd64, stamp: LinkStamp? = nil) -> Chain {
        let chain = Chain(layout)
        let (a, b) = (chain.file("a", pages: 2), chain.file("b", pages: 4))
        let (c, d) = (chain.file("c", pages: 4), chain.file("d", pages: 1))
        chain.link(a + b.prefix(3), Array(b.dropFirst(3)) + c.prefix(2), Array(c.dropFirst(2)) + d, stamp: stamp)
        return chain
    }

    @Test(arguments: [ChainLayout.amd64, .i386])
    func aSoundChain(_ layout: ChainLayout) {
        let outcome = fourFiles(layout).judge()
        #expect(outcome.verdict == .intact)
        #expect(outcome.findings == [])
        #expect(outcome.files.map(\.name) == ["a", "b", "c", "d"].map { Array($0.utf8) })
        #expect(
            outcome.files.allSatisfy { $0.status == .intact && $0.mode == 0o100644 && $0.badPages == 0 && $0.metaFits })
        #expect(outcome.files.map(\.pages) == [2, 4, 4, 1])
        #expect(outcome.files.map(\.size) == [8192, 16384, 16384, 4096])
        #expect(outcome.links.map(\.entries) == [6, 4, 5])
        #expect(outcome.links.allSatisfy { $0.proved && $0.reading == .asIs })
        #expect(outcome.entryCount == 15)
        #expect(outcome.pagesChecked == 15)
    }

    @Test func stampsChangeNothing() {
        let outcome = fourFiles(stamp: LinkStamp(generation: 99)).judge()
        #expect(outcome.verdict == .intact)
        #expect(outcome.findings == [])
    }

    /// Where each kind of accident to the second link is reported, and what is left of the files.
    @Test func aLinkThatDoesNotFit() {
        let chain = fourFiles()
        chain.spoil(1) { $0[40] ^= 4 }  // the index of its first entry
        let outcome = chain.judge()
        #expect(outcome.verdict != .intact)
        let page = chain.links[1]
        let found = outcome.places(.linkChecksum) + outcome.places(.linkIndeterminate)
        #expect(found == [Place(link: 1, entry: -1, page: page)])
        #expect(outcome.status("a") == .intact)
        for name in ["b", "c", "d"] { #expect(outcome.status(name) != .intact) }
        #expect(outcome.links.map(\.proved) == [true, false, true])
    }

    @Test func damageWhereFlagsAreLeftIsNoKernelsDoing() {
        let chain = Chain()
        chain.link(chain.file("a", pages: 5, lru: true))
        chain.spoil(0) { $0[5] ^= 1 }
        #expect(chain.judge().verdict == .damaged)
        // Where a kernel may have cleared them all, it cannot be told.
        chain.clearFlags()
        let outcome = chain.judge()
        #expect(outcome.verdict == .indeterminate)
        #expect(outcome.status("a") == .indeterminate)
        #expect(outcome.places(.linkIndeterminate) == [Place(link: 0, entry: -1, page: chain.links[0])])
    }

    @Test func bytesThatNoKernelTouchesAreDamageAlsoWithoutFlags() {
        let chain = Chain()
        chain.link(chain.file("a", pages: 5, lru: true))
        chain.clearFlags()
        chain.spoil(0) { $0[4085] = 1 }
        let outcome = chain.judge()
        #expect(outcome.verdict == .damaged)
        #expect(outcome.places(.linkChecksum) == [Place(link: 0, entry: -1, page: chain.links[0])])
    }

    @Test func aFileCompletedBeforeTheBreakStaysIntact() {
        // "b" ends exactly where the first link ends; that no page of it follows is told by its size alone.
        let chain = Chain()
        chain.link(chain.file("a", pages: 1) + chain.file("b", pages: 3), chain.file("c", pages: 1))
        chain.spoil(1) { $0[4085] = 1 }
        let outcome = chain.judge()
        #expect(outcome.status("a") == .intact)
        #expect(outcome.status("b") == .intact)
        #expect(outcome.status("c") != .intact)
    }

    @Test func aSparseFileBeforeTheBreakIsNotKnownToBeComplete() {
        let chain = Chain()
        chain.link([chain.meta("holes", size: 100 * 4096), chain.data(0), chain.data(50)], chain.file("c", pages: 1))
        chain.memory.pages[chain.links[1]] = PageBytes()
        let outcome = chain.judge()
        #expect(outcome.status("holes") == .incomplete)
        #expect(outcome.places(.fileCut).map(\.link) == [0])
        #expect(outcome.status("c") == nil)
    }

    @Test func aLinkErasedInTheMiddle() {
        let chain = fourFiles()
        chain.memory.pages[chain.links[1]] = PageBytes()
        let outcome = chain.judge()
        #expect(outcome.verdict == .damaged)
        #expect(outcome.places(.linkMagic) == [Place(link: 1, entry: -1, page: chain.links[1])])
        #expect(outcome.places(.chainCut).map(\.link) == [1])
        #expect(outcome.status("a") == .intact)
        #expect(outcome.status("b") == .incomplete)
        #expect(outcome.files.count == 2)
    }

    /// How many links are behind the first that nothing is proved from.
    @Test func whatIsBehindTheCutIsCounted() {
        for number in 0..<3 {
            let chain = fourFiles()
            chain.spoil(number) { $0[4085] = 1 }
            let cut = chain.judge().findings.filter { $0.kind == .chainCut }
            #expect(cut.map(\.link) == [number] && cut.map(\.detail) == [UInt64(2 - number)])
        }
        for number in 1..<3 {
            let chain = fourFiles()
            chain.memory.pages[chain.links[number]] = PageBytes()
            let cut = chain.judge().findings.filter { $0.kind == .chainCut }
            #expect(cut.map(\.link) == [number] && cut.map(\.detail) == [0])
        }
    }

    @Test func aLinkThatIsNotInTheSource() {
        let chain = fourFiles()
        chain.memory.pages[chain.links[1]] = nil
        let outcome = chain.judge()
        #expect(outcome.verdict == .indeterminate)
        #expect(outcome.places(.pageNotInSource) == [Place(link: 1, entry: -1, page: chain.links[1])])
        #expect(outcome.status("a") == .intact)
        #expect(outcome.status("b") == .incomplete)

        let unreadable = fourFiles()
        unreadable.memory.unreadable = [unreadable.links[1]]
        #expect(unreadable.judge().places(.pageUnreadable) == [Place(link: 1, entry: -1, page: unreadable.links[1])])
        #expect(unreadable.judge().verdict == .indeterminate)
    }

    @Test func magic() {
        let chain = fourFiles()
        chain.spoil(0) { $0[3] ^= 1 }
        let outcome = chain.judge()
        #expect(outcome.verdict == .damaged)
        #expect(outcome.places(.linkMagic) == [Place(link: 0, entry: -1, page: chain.links[0])])
        #expect(outcome.files.allSatisfy { $0.status != .intact })
    }

    @Test(arguments: [0, 170, 171, UInt32.max])
    func lengths(_ length: UInt32) {
        let chain = fourFiles()
        chain.forge(1) { page in for i in 0..<4 { page[8 + i] = UInt8(truncatingIfNeeded: length >> (8 * UInt32(i))) } }
        let outcome = chain.judge()
        #expect(outcome.verdict == .damaged)
        #expect(outcome.places(.linkLength) == [Place(link: 1, entry: -1, page: chain.links[1])])
        #expect(outcome.findings.first { $0.kind == .linkLength }?.detail == UInt64(length))
        #expect(outcome.status("a") == .intact)
        #expect(outcome.files.dropFirst().allSatisfy { $0.status != .intact })
    }

    @Test(arguments: [0, 1, 2])
    func loops(_ target: Int) {
        let chain = fourFiles()
        chain.forge(2) { page in
            for i in 0..<8 { page[16 + i] = UInt8(truncatingIfNeeded: chain.links[target] >> (8 * UInt64(i))) }
        }
        let outcome = chain.judge()
        #expect(outcome.verdict == .damaged)
        #expect(outcome.places(.linkLoop) == [Place(link: 3, entry: -1, page: chain.links[target])])
        // All of them were complete before the chain came back.
        #expect(outcome.files.map(\.status) == [.intact, .intact, .intact, .intact])
    }

    @Test(arguments: [1 << 52, .max] as [UInt64])
    func theNextLinkHasNoAddress(_ number: UInt64) {
        let chain = fourFiles()
        chain.forge(0) { page in for i in 0..<8 { page[16 + i] = UInt8(truncatingIfNeeded: number >> (8 * UInt64(i))) }
        }
        let outcome = chain.judge()
        #expect(outcome.verdict == .damaged)
        #expect(outcome.places(.pfnInvalid) == [Place(link: 1, entry: -1, page: number)])
        #expect(outcome.status("a") == .intact)
        #expect(outcome.status("b") == .incomplete)
    }

    // MARK: No chain

    @Test func anErasedHeadStaysErased() {
        let chain = fourFiles()
        chain.memory.pages[chain.links[0]] = PageBytes()
        let outcome = chain.judge()
        #expect(outcome.verdict == .damaged)
        #expect(outcome.places(.noChain) == [Place(link: 0, entry: -1, page: chain.links[0])])
        #expect(outcome.findings.map(\.detail) == [1])
        #expect(outcome.links.isEmpty)
        #expect(outcome.files.isEmpty)
        #expect(outcome.entryCount == 0)
    }

    @Test func aHeadOfGarbageSalvagesNothing() {
        let chain = fourFiles()
        // All the entries and the way to the next link are still there, but magic and checksum are not.
        chain.spoil(0) { page in for i in 0..<8 { page[i] ^= 0xa5 } }
        let outcome = chain.judge()
        #expect(outcome.verdict == .damaged)
        #expect(outcome.kinds == [.noChain])
        #expect(outcome.findings.map(\.detail) == [0])
        #expect(outcome.files.isEmpty)
    }

    @Test func aHeadThatIsADataPage() {
        let chain = fourFiles()
        let outcome = chain.judge(from: PFN(0x101))
        #expect(outcome.kinds == [.noChain])
        #expect(outcome.verdict == .damaged)
    }

    @Test func aHeadOutsideOfMemory() {
        let chain = fourFiles()
        #expect(chain.judge(from: PFN(0x9999)).kinds == [.pageNotInSource])
        #expect(chain.judge(from: PFN(0x9999)).verdict == .indeterminate)
        #expect(chain.judge(from: PFN(.max)).kinds == [.pfnInvalid])
    }

    // MARK: Links only

    @Test func linksAloneProveNoFile() {
        let outcome = fourFiles().judge(pages: false)
        #expect(Set(outcome.kinds) == [], "nothing is wrong with the links")
        #expect(outcome.files.isEmpty)
        #expect(outcome.links.count == 3)
        #expect(outcome.entryCount == 15)
        #expect(outcome.pagesChecked == 0)
    }
}

/// Entries and the pages they name.
@Suite struct EntryVerdictTests {
    /// "a" and "c" are sound; the entries of "b", a file of 4 pages, are what `edit` makes of them.
    private func chain(_ edit: (Chain, inout [Entry]) -> Void) -> Chain {
        let chain = Chain()
        let a = chain.file("a", pages: 2)
        var b = chain.file("b", pages: 4)
        edit(chain, &b)
        chain.link(a + b + chain.file("c", pages: 1))
        return chain
    }

    /// Only "b" suffers, and the finding stands at its entry.
    private func expectOnlyB(
        _ outcome: ChainEvaluation, _ kind: Finding.Kind, entry: Int, status: StoredFile.Status = .damaged,
        _ location: SourceLocation = #_sourceLocation
    ) {
        #expect(outcome.verdict == (kind.severity == .damage ? .damaged : .indeterminate), sourceLocation: location)
        #expect(
            outcome.places(kind).contains { $0.link == 0 && $0.entry == entry }, "\(outcome.findings)",
            sourceLocation: location)
        #expect(outcome.status("a") == .intact, sourceLocation: location)
        #expect(outcome.files.count > 1 && outcome.files[1].status == status, sourceLocation: location)
        #expect(outcome.status("c") == .intact, sourceLocation: location)
    }

    @Test func pagesThatDoNotFit() {
        let data = chain { chain, b in chain.memory.pages[b[2].page.number]![4000] ^= 1 }
        let outcome = data.judge()
        expectOnlyB(outcome, .dataChecksum, entry: 5)
        #expect(outcome.files[1].badPages == 1)

        let meta = chain { chain, b in chain.memory.pages[b[0].page.number]![4000] ^= 1 }
        expectOnlyB(meta.judge(), .metaChecksum, entry: 3)
        #expect(!meta.judge().files[1].metaFits)
    }

    @Test func pagesThatAreNotThere() {
        let absent = chain { chain, b in chain.memory.pages[b[2].page.number] = nil }
        expectOnlyB(absent.judge(), .pageNotInSource, entry: 5, status: .incomplete)
        let unreadable = chain { chain, b in chain.memory.unreadable = [b[2].page.number] }
        expectOnlyB(unreadable.judge(), .pageUnreadable, entry: 5, status: .incomplete)
        let meta = chain { chain, b in chain.memory.pages[b[0].page.number] = nil }
        expectOnlyB(meta.judge(), .pageNotInSource, entry: 3, status: .incomplete)
    }

    @Test(arguments: [0, 1 << 52, 1 << 52 + 0x100, 1 << 63, .max] as [UInt64])
    func numbersThatAreNoPages(_ number: UInt64) {
        expectOnlyB(chain { _, b in b[2].page = PFN(number) }.judge(), .pfnInvalid, entry: 5)
        let meta = chain { _, b in b[0].page = PFN(number) }.judge()
        #expect(meta.verdict == .damaged)
        #expect(meta.places(.pfnInvalid) == [Place(link: 0, entry: 3, page: number)])
        #expect(meta.files[1].status == .damaged)
        #expect(meta.files[1].size == 0 && meta.files[1].mode == 0 && meta.files[1].name.isEmpty)
        #expect(meta.files[1].badPages == 1)
    }

    @Test(arguments: [0, 3, 4, 0xff] as [UInt32])
    func unknownTypes(_ type: UInt32) {
        let outcome = chain { _, b in b[2].flags = type }.judge()
        expectOnlyB(outcome, .entryType, entry: 5)
        #expect(outcome.findings.first { $0.kind == .entryType }?.detail == UInt64(type))
    }

    @Test func unknownFlagsAreNoted() {
        for (number, flags) in [(2, 0x1_0002), (2, 0x8000_0102), (2, 0x202), (0, 0x101), (0, 0x8000_0001)]
            as [(Int, UInt32)]
        {
            let outcome = chain { _, b in b[number].flags = flags }.judge()
            #expect(outcome.verdict == .intact)
            #expect(outcome.kinds == [.unknownFlags])
            #expect(outcome.places(.unknownFlags).map(\.entry) == [3 + number])
            #expect(outcome.files.allSatisfy { $0.status == .intact })
        }
    }

    /// The mark of a file that is kept although it is damaged is no unknown flag; what is set besides is.
    @Test func theMarkOfAQuarantinedFileIsKnown() {
        let marked = chain { _, b in b[0].flags = 1 | Entry.quarantined }.judge()
        #expect(marked.verdict == .intact && marked.findings.isEmpty)
        #expect(marked.files.map(\.status) == [.intact, .quarantined, .intact])
        for bit in 8..<16 as Range<UInt32> {
            let outcome = chain { _, b in b[0].flags = 1 | Entry.quarantined | 1 << bit }.judge()
            #expect(outcome.places(.unknownFlags).map(\.entry) == [3], "bit \(bit)")
        }
    }

    @Test(arguments: [4, 5, 1 << 51, 1 << 52, .max] as [UInt64])
    func indexesPastTheEnd(_ index: UInt64) {
        expectOnlyB(chain { _, b in b[4].index = index }.judge(), .indexPastEnd, entry: 7)
    }

    @Test func theSameIndexTwice() {
        expectOnlyB(chain { _, b in b[4].index = 0 }.judge(), .duplicateIndex, entry: 7)
        expectOnlyB(chain { _, b in b[2].index = 0 }.judge(), .duplicateIndex, entry: 5)
    }

    @Test func anyOrderOfIndexesIsGood() {
        let outcome = chain { _, b in
            for (i, index) in [3, 1, 0, 2].enumerated() { b[1 + i].index = UInt64(index) }
        }.judge()
        #expect(outcome.verdict == .intact)
        #expect(outcome.findings.isEmpty)
    }

    @Test func dataBeforeAnyMeta() {
        let chain = Chain()
        chain.link([chain.data(0), chain.data(1)] + chain.file("a", pages: 1))
        let outcome = chain.judge()
        #expect(outcome.verdict == .damaged)
        #expect(outcome.places(.dataBeforeMeta).map(\.entry) == [0, 1])
        #expect(outcome.status("a") == .intact)
        #expect(outcome.files.count == 1)
    }

    @Test func pagesOfZerosAreNoted() {
        let chain = chain { chain, b in
            for entry in [1, 2] {
                chain.memory.pages[b[entry].page.number] = PageBytes()
                b[entry].checksum = 0
            }
        }
        let outcome = chain.judge()
        #expect(outcome.verdict == .intact)
        #expect(outcome.kinds == [.zeroChecksum])
        #expect(outcome.findings[0].detail == 2)
        #expect(outcome.findings[0].entry == 4)
        #expect(outcome.status("b") == .intact)
    }

    @Test func aPageThatWasZeroedIsDamageWhereItsChecksumIsNotZero() {
        expectOnlyB(
            chain { chain, b in chain.memory.pages[b[1].page.number] = PageBytes() }.judge(), .dataChecksum, entry: 4)
    }

    // MARK: Pages in use twice

    /// A page that fits only the first of two entries that name it.
    @Test func sharedAndTheFirstFits() {
        let chain = Chain()
        let a = chain.file("a", pages: 2)
        var b = chain.file("b", pages: 2)
        b[1].page = a[1].page
        chain.link(a + b)
        let outcome = chain.judge()
        #expect(outcome.verdict == .damaged)
        #expect(outcome.places(.pageShared) == [Place(link: 0, entry: 4, page: a[1].page.number)])
        #expect(outcome.places(.dataChecksum).map(\.entry) == [4])
        #expect(outcome.status("a") == .intact)
        #expect(outcome.status("b") == .damaged)
        #expect(outcome.contested.isEmpty)
    }

    @Test func sharedAndTheSecondFits() {
        let chain = Chain()
        var a = chain.file("a", pages: 2)
        let b = chain.file("b", pages: 2)
        a[1].page = b[1].page
        chain.link(a + b)
        let outcome = chain.judge()
        #expect(outcome.verdict == .damaged)
        #expect(outcome.places(.pageShared) == [Place(link: 0, entry: 4, page: b[1].page.number)])
        #expect(outcome.places(.dataChecksum).map(\.entry) == [1])
        #expect(outcome.status("a") == .damaged)
        #expect(outcome.status("b") == .intact)
    }

    @Test func sharedAndBothFit() {
        let chain = Chain()
        let a = chain.file("a", pages: 2)
        var b = chain.file("b", pages: 2)
        (b[1].page, b[1].checksum) = (a[1].page, a[1].checksum)
        chain.link(a + b + chain.file("c", pages: 1))
        let outcome = chain.judge()
        #expect(outcome.verdict == .damaged)
        #expect(outcome.places(.pageShared).count == 1)
        // Whose page it is cannot be told.
        #expect(outcome.status("a") == .indeterminate)
        #expect(outcome.status("b") == .indeterminate)
        #expect(outcome.status("c") == .intact)
    }

    @Test func sharedByThreeOfWhichTwoFit() {
        let chain = Chain()
        var a = chain.file("a", pages: 1)
        let b = chain.file("b", pages: 1)
        var c = chain.file("c", pages: 1)
        a[1].page = b[1].page
        (c[1].page, c[1].checksum) = (b[1].page, b[1].checksum)
        chain.link(a + b + c)
        let outcome = chain.judge()
        #expect(outcome.files.map(\.status) == [.damaged, .indeterminate, .indeterminate])
    }

    @Test func sharedWithinOneFile() {
        let outcome = chain { _, b in (b[2].page, b[2].checksum) = (b[1].page, b[1].checksum) }.judge()
        #expect(outcome.verdict == .damaged)
        #expect(outcome.status("a") == .intact)
        #expect(outcome.status("b") == .indeterminate)
        #expect(outcome.status("c") == .intact)
    }

    @Test func anEntryThatNamesALink() {
        let chain = Chain()
        let a = chain.file("a", pages: 1)
        var b = chain.file("b", pages: 2)
        chain.link(a, [])
        // The page of the first link, and the checksum that it has there: as if it were data.
        b[2].page = PFN(chain.links[0])
        b[2].checksum = chain.memory.pages[chain.links[0]]!.pageChecksum
        chain.memory.pages[chain.links[1]] = Link(entries: b).encoded()
        let outcome = chain.judge()
        #expect(outcome.verdict == .damaged)
        #expect(outcome.places(.pageShared) == [Place(link: 1, entry: 2, page: chain.links[0])])
        #expect(outcome.status("a") == .intact)
        #expect(outcome.status("b") != .intact)
    }

    @Test func anEntryThatNamesALaterLink() {
        let chain = Chain()
        let a = chain.file("a", pages: 2)
        let b = chain.file("b", pages: 2)
        chain.link(a, b)
        let second = chain.links[1]
        var lying = a
        lying[2].page = PFN(second)
        lying[2].checksum = chain.memory.pages[second]!.pageChecksum
        chain.memory.pages[chain.links[0]] = Link(next: PFN(second), entries: lying).encoded()
        let outcome = chain.judge()
        #expect(outcome.verdict == .damaged)
        #expect(outcome.places(.pageShared) == [Place(link: 1, entry: -1, page: second)])
        #expect(outcome.status("a") != .intact)
    }
}

/// What META pages claim.
@Suite struct FileVerdictTests {
    /// A file with this image and one page, between two sound ones.
    private func outcome(_ image: FileImage, pages: [UInt64] = [0]) -> ChainEvaluation {
        let chain = Chain()
        let before = chain.file("before", pages: 1)
        let odd = [chain.meta(image)] + pages.map { chain.data($0) }
        chain.link(before + odd + chain.file("after", pages: 1))
        return chain.judge()
    }

    private func expectOnlyThatOne(
        _ outcome: ChainEvaluation, _ kind: Finding.Kind, _ location: SourceLocation = #_sourceLocation
    ) {
        #expect(outcome.verdict == .damaged, sourceLocation: location)
        #expect(outcome.places(kind).map(\.entry) == [2], sourceLocation: location)
        #expect(outcome.files.map(\.status) == [.intact, .damaged, .intact], sourceLocation: location)
    }

    @Test(arguments: [1 << 63, 1 << 63 + 1, .max - 4095, .max - 4094, .max] as [UInt64])
    func sizesThatNoFileHas(_ size: UInt64) {
        expectOnlyThatOne(outcome(FileImage(size: size, mode: 0o100644, name: [0x66])), .metaSize)
    }

    @Test(arguments: [4 << 40, 1 << 62, 1 << 63 - 1] as [UInt64])
    func sparseFilesOfAnySize(_ size: UInt64) {
        let last = (size - 1) / 4096
        let outcome = outcome(FileImage(size: size, mode: 0o100644, name: [0x66]), pages: [0, 7, last])
        #expect(outcome.verdict == .intact)
        #expect(outcome.findings.isEmpty)
        #expect(outcome.files[1].size == size)
    }

    @Test func aFileWithoutAnyPage() {
        #expect(outcome(FileImage(size: 1 << 40, mode: 0o100644, name: [0x66]), pages: []).verdict == .intact)
        #expect(outcome(FileImage(size: 0, mode: 0o100644, name: [0x66]), pages: []).verdict == .intact)
    }

    @Test func aPageOfAnEmptyFileLiesPastItsEnd() {
        let outcome = outcome(FileImage(size: 0, mode: 0o100644, name: [0x66]), pages: [0])
        #expect(outcome.kinds == [.indexPastEnd])
        #expect(outcome.files[1].status == .damaged)
    }

    @Test(arguments: [0, 0o644, 0o040755, 0o120777, 0o020644, 0o1100644, .max] as [UInt32])
    func modes(_ mode: UInt32) {
        expectOnlyThatOne(outcome(FileImage(size: 4096, mode: mode, name: [0x66])), .metaMode)
    }

    @Test(arguments: [0, 256, 0x1000, .max] as [UInt32])
    func nameLengths(_ length: UInt32) {
        var image = FileImage(size: 4096, mode: 0o100644, name: Array(repeating: 0x66, count: 255))
        image.nameLength = length
        expectOnlyThatOne(outcome(image), .metaNameLength)
    }

    @Test(arguments: [".", "..", "/", "a/b", "../x", "a(NUL)b", "(NUL)"])
    func names(_ name: String) {
        // A NUL in the name of a case would make the log of the tests a binary file.
        let bytes = name.replacing("(NUL)", with: "\0").utf8
        let outcome = outcome(FileImage(size: 4096, mode: 0o100644, name: Array(bytes)))
        expectOnlyThatOne(outcome, .metaName)
        #expect(outcome.findings.map(\.detail) == [0])
    }

    @Test func strangeButLegalNames() {
        for name in [[0x0a], [0x1b, 0x5b], [0xff, 0xfe], Array("...".utf8), Array(repeating: 0xe9, count: 255)]
            as [[UInt8]]
        {
            #expect(outcome(FileImage(size: 4096, mode: 0o100644, name: name)).findings.isEmpty)
        }
    }

    @Test func theSameNameTwice() {
        let outcome = outcome(FileImage(size: 4096, mode: 0o100600, name: Array("before".utf8)))
        expectOnlyThatOne(outcome, .duplicateName)
        #expect(outcome.files.map(\.isDuplicate) == [false, true, false])
    }

    @Test func normalFormsAreTwoNames() {
        // "é" as one code point and as two: twins to the eye, two files to the kernel.
        let chain = Chain()
        chain.link(
            [
                chain.meta(FileImage(size: 0, mode: 0o100644, name: [0xc3, 0xa9])),
                chain.meta(FileImage(size: 0, mode: 0o100644, name: [0x65, 0xcc, 0x81])),
            ])
        #expect(chain.judge().verdict == .intact)
    }

    @Test func manyFilesOfOneName() {
        let chain = Chain()
        for _ in 0..<3 { chain.link((0..<100).map { _ in chain.meta("same", size: 0) }) }
        chain.link((0..<100).map { chain.meta("other \($0)", size: 0) })
        // Each group was linked as a chain of its own: judge them as one.
        for (i, next) in chain.links.dropFirst().enumerated() {
            chain.forge(i) { page in
                for b in 0..<8 { page[16 + b] = UInt8(truncatingIfNeeded: next >> (8 * UInt64(b))) }
            }
        }
        let outcome = chain.judge()
        #expect(outcome.findingCounts[Finding.Kind.duplicateName.rawValue] == 299)
        #expect(outcome.files.count { $0.status == .intact } == 101)
    }
}

/// A chain whose flags a kernel has cleared, where no simple reading of the links fits: only all of its pages together
/// can tell.
@Suite struct VouchedLinkTests {
    /// A file a link, and as writers do it, every link full but the last, which has 30 pages. Every third page was copied, so
    /// neither all flags nor an interval can be restored.
    private func scattered(links: Int, cleared: Bool = true, sparse: Bool = false) -> Chain {
        let chain = Chain()
        var groups: [[Entry]] = []
        for number in 0..<links {
            let pages: UInt64 = number + 1 < links ? UInt64(Link.capacity) - 1 : 30
            var entries = [chain.meta("file \(number)", size: sparse ? 400 * 4096 : pages * 4096)]
            for index in 0..<pages { entries.append(chain.data(sparse ? 2 * index : index, lru: index % 3 != 0)) }
            groups.append(entries)
        }
        switch links {
        case 1: chain.link(groups[0])
        case 2: chain.link(groups[0], groups[1])
        default: chain.link(groups[0], groups[1], groups[2])
        }
        if cleared { chain.clearFlags() }
        return chain
    }

    private func expectNotIntact(_ chain: Chain, _ location: SourceLocation = #_sourceLocation) {
        let outcome = chain.judge()
        #expect(outcome.verdict != .intact, sourceLocation: location)
        #expect(outcome.files.allSatisfy { $0.status != .intact }, sourceLocation: location)
        #expect(!outcome.kinds.contains(.linkVouched), sourceLocation: location)
    }

    @Test func beforeAKernelClearsThemAllFitAsTheyLie() {
        #expect(scattered(links: 3, cleared: false).judge().findings.isEmpty)
    }

    @Test(arguments: [2, 3])
    func theWholeChainBearsItOut(_ links: Int) {
        let outcome = scattered(links: links).judge()
        #expect(outcome.verdict == .intact)
        #expect(outcome.kinds == [.linkVouched])
        #expect(outcome.links.allSatisfy { $0.reading == .vouchedByPages })
        #expect(outcome.files.allSatisfy { $0.status == .intact })
    }

    @Test func oneLinkMayBeAnAccident() { expectNotIntact(scattered(links: 1)) }

    @Test func aBadPageEndsTheTrust() {
        let chain = scattered(links: 3)
        chain.memory.pages[0x105]![9] ^= 1
        expectNotIntact(chain)
    }

    @Test func aMissingPageEndsTheTrust() {
        let chain = scattered(links: 3)
        chain.memory.pages[0x105] = nil
        expectNotIntact(chain)
    }

    @Test func aFlagThatIsLeftShowsThatNoKernelHasCleared() {
        let chain = scattered(links: 3)
        chain.spoil(2) { $0[24 + 24 * 5 + 1] = 1 }
        let outcome = chain.judge()
        #expect(outcome.verdict != .intact)
        #expect(!outcome.kinds.contains(.linkVouched))
    }

    @Test func bytesWhereNothingIsStoredEndTheTrust() {
        for (link, offset) in [(1, 12), (2, 24 + 24 * 31), (1, 4095)] {
            let chain = scattered(links: 3)
            chain.spoil(link) { $0[offset] ^= 1 }
            let outcome = chain.judge()
            #expect(outcome.verdict != .intact, "offset \(offset)")
            #expect(outcome.status("file \(link)") != .intact)
            #expect(outcome.status("file 2") != .intact)
        }
    }

    /// A writer fills a link before it begins the next. So a full link that calls itself the last may have lost the others, and
    /// one that is not full has no successor.
    @Test func aChainThatIsCutOffEndsTheTrust() {
        let cut = scattered(links: 3)
        cut.spoil(1) { page in for i in 16..<24 { page[i] = 0 } }
        expectNotIntact(cut)
        let short = scattered(links: 3)
        short.spoil(1) {
            $0[8] -= 1; for i in 4056..<4080 { $0[i] = 0 }
        }
        #expect(short.judge().verdict != .intact)
    }

    @Test func indexesThatDoNotAscendEndTheTrust() {
        let chain = scattered(links: 3)
        chain.spoil(0) { $0[24 + 24 * 9 + 16] ^= 1 }
        let outcome = chain.judge()
        #expect(outcome.verdict != .intact)
        #expect(outcome.files.allSatisfy { $0.status != .intact })
    }

    @Test func aLinkThatFitsAsItLiesShowsThatNoKernelHasCleared() {
        // The third link lists pages and was never touched, so no kernel has cleared the first two: they are damaged.
        let chain = Chain()
        let groups = ["x", "y"].map { name in
            [chain.meta(name, size: 12288)] + (0..<3).map { chain.data(UInt64($0), lru: $0 == 1) }
        }
        let last = chain.file("z", pages: 3, lru: true)
        chain.link(groups[0], groups[1], last)
        for link in 0..<2 {
            chain.spoil(link) {
                $0[24 + 24 * 2 + 1] = 0
                $0[5] ^= 0x10
            }
        }
        let outcome = chain.judge()
        #expect(outcome.verdict != .intact)
        #expect(outcome.files.allSatisfy { $0.status != .intact })
    }

    /// A link that only its pages vouch for has no checksum left that could prove which index a page of a sparse file
    /// has: the limit of this reading, which the report owns up to with a finding of its own. In a file without holes
    /// it shows.
    @Test func aChangedIndexInASparseFileIsTheKnownLimit() {
        let chain = scattered(links: 3, sparse: true)
        // The last page's index, 58, becomes 59: within the size, and still ascending.
        chain.spoil(1) { $0[24 + 24 * 30 + 16] += 1 }
        let outcome = chain.judge()
        #expect(outcome.kinds.contains(.linkVouched))
        let dense = scattered(links: 3)
        dense.spoil(1) { $0[24 + 24 * 30 + 16] += 1 }
        #expect(dense.judge().verdict != .intact)
        #expect(dense.judge().status("file 1") != .intact)
    }
}
