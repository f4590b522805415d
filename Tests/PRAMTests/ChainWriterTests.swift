import Testing

@testable import PRAM

@Suite struct ChainWriterTests {
    private func entries(_ count: Int) -> [Entry] {
        (0..<count).map {
            Entry(
                flags: $0 == 0 ? 1 : 0x102, checksum: UInt32($0) &* 77, page: PFN(0x5000 + UInt64($0)),
                index: UInt64($0))
        }
    }

    /// Writes the entries into links on pages 0x10, 0x11 ...
    private func write(_ count: Int, _ layout: ChainLayout, stamp: LinkStamp? = nil) -> TestMemory {
        let memory = TestMemory()
        var writer = ChainWriter(head: PFN(0x10), layout: layout, stamp: stamp)
        var page: UInt64 = 0x11
        for entry in entries(count) {
            let needed = writer.needsPage
            if let (finished, link) = writer.append(entry, nextLink: PFN(page)) {
                #expect(needed)
                memory.pages[finished.number] = link
                page += 1
            } else {
                #expect(!needed)
            }
        }
        if let (finished, link) = writer.finish() { memory.pages[finished.number] = link }
        return memory
    }

    @Test(arguments: [0, 1, 2, 168, 169, 170, 338, 339, 1000], [ChainLayout.amd64, .i386])
    func whatIsWrittenIsWalked(_ count: Int, _ layout: ChainLayout) {
        let memory = write(count, layout)
        #expect(memory.pages.count == (count + 168) / 169)
        var walk = ChainWalk(head: PFN(0x10), memory: memory)
        var read: [Entry] = []
        var links = 0
        while let walked = walk.next() {
            guard case .link(let link, let reading, _) = walked.content else {
                #expect(count == 0)
                break
            }
            #expect(link.magic == 0x7072_616d)
            #expect(reading == .asIs)
            #expect(walked.page.number == 0x10 + UInt64(links))
            read += link.entries
            links += 1
        }
        #expect(read == entries(count))
        #expect(links == memory.pages.count)
        if count > 0 { #expect(walk.layout == layout) }
    }

    @Test func aFullLinkIsFollowedByNoneOfItsOwn() throws {
        // 169 entries fit into one link: a second, empty one would be a lie (length 0).
        let memory = write(169, .amd64)
        let link = Link(decoding: try #require(memory.pages[0x10]), .amd64)
        #expect(link.next == PFN(0))
        #expect(link.count == 169)
    }

    @Test func aStampLiesInTheSlackAndIsChecksummed() throws {
        let stamp = LinkStamp(generation: 0x0102_0304_0506_0708)
        let memory = write(339, .amd64, stamp: stamp)
        for page in memory.pages.values {
            #expect(Array(page.bytes[4080...]) == [0x50, 0x76, 0x56, 0x31, 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1])
            #expect(LinkStamp(in: page) == stamp)
            #expect(LinkReading(of: page, Link(decoding: page, .amd64), .amd64) == .asIs)
            var other = page
            other[4088] ^= 1
            #expect(LinkReading(of: other, Link(decoding: other, .amd64), .amd64) == .none)
        }
    }

    @Test func whatIsNoStamp() {
        #expect(LinkStamp(in: PageBytes()) == nil)
        var page = Link(entries: entries(1)).encoded(.amd64, slack: LinkStamp(generation: 5).bytes)
        #expect(LinkStamp(in: page)?.generation == 5)
        page[4084] = 1
        #expect(LinkStamp(in: page) == nil)
        page[4084] = 0
        page[4080] ^= 1
        #expect(LinkStamp(in: page) == nil)
    }

    @Test func slackNeverReachesTheEntries() {
        let slack = [UInt8](repeating: 0xee, count: 40)
        for layout in [ChainLayout.amd64, .i386] {
            let page = Link(entries: entries(169)).encoded(layout, slack: slack)
            #expect(Link(decoding: page, layout).entries == entries(169))
        }
    }
}
