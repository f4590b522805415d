import Testing

@testable import PRAM

/// Offsets are written as literal numbers here, never taken from the code under test.
@Suite struct LayoutTests {
    private func little(_ number: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: number >> (8 * UInt64($0))) }
    }

    private func page(_ fields: (offset: Int, bytes: [UInt8])...) -> PageBytes {
        var page = PageBytes()
        for field in fields { for (i, byte) in field.bytes.enumerated() { page[field.offset + i] = byte } }
        return page
    }

    @Test func linkHeaderOfX86_64() {
        let link = Link(
            decoding: page(
                (0, [0x6d, 0x61, 0x72, 0x70]), (4, little(0x1122_3344, 4)), (8, little(3, 4)),
                (12, little(0xffff_ffff, 4)),
                (16, little(0x0102_0304_0506_0708, 8))), .amd64)
        #expect(link.magic == 0x7072_616d)
        #expect(link.checksum == 0x1122_3344)
        #expect(link.count == 3)
        #expect(link.next == PFN(0x0102_0304_0506_0708))
        #expect(link.entries.count == 3)
    }

    @Test func linkHeaderOfI386() {
        let link = Link(
            decoding: page(
                (0, [0x6d, 0x61, 0x72, 0x70]), (4, little(0x1122_3344, 4)), (8, little(169, 4)),
                (12, little(0x0102_0304_0506_0708, 8))), .i386)
        #expect(link.magic == 0x7072_616d)
        #expect(link.checksum == 0x1122_3344)
        #expect(link.count == 169)
        #expect(link.next == PFN(0x0102_0304_0506_0708))
    }

    @Test(arguments: [(ChainLayout.amd64, 24), (.i386, 20)])
    func entries(_ layout: ChainLayout, _ first: Int) {
        for number in [0, 1, 84, 168] {
            let at = first + 24 * number
            let bytes = page(
                (8, little(169, 4)), (at, little(0xa1a2_a3a4, 4)), (at + 4, little(0xb1b2_b3b4, 4)),
                (at + 8, little(0xc1c2_c3c4_c5c6_c7c8, 8)), (at + 16, little(0xd1d2_d3d4_d5d6_d7d8, 8)))
            let entry = Link(decoding: bytes, layout).entries[number]
            #expect(entry.flags == 0xa1a2_a3a4)
            #expect(entry.checksum == 0xb1b2_b3b4)
            #expect(entry.page.number == 0xc1c2_c3c4_c5c6_c7c8)
            #expect(entry.index == 0xd1d2_d3d4_d5d6_d7d8)
        }
    }

    @Test(arguments: [(ChainLayout.amd64, 16, 24, 4080), (.i386, 12, 20, 4076)])
    func encodedLink(_ layout: ChainLayout, _ next: Int, _ first: Int, _ slack: Int) {
        let entries = (0..<169).map {
            Entry(
                flags: 0x102, checksum: 0x0f0f_0000 + UInt32($0), page: PFN(0x55_0000_0000 + UInt64($0)),
                index: UInt64($0) << 40)
        }
        let bytes = Link(next: PFN(0xabcd_ef01_2345), entries: entries).encoded(layout).bytes
        #expect(Array(bytes[0..<4]) == [0x6d, 0x61, 0x72, 0x70])
        #expect(Array(bytes[8..<12]) == [169, 0, 0, 0])
        if layout == .amd64 { #expect(Array(bytes[12..<16]) == [0, 0, 0, 0]) }
        #expect(Array(bytes[next..<next + 8]) == [0x45, 0x23, 0x01, 0xef, 0xcd, 0xab, 0, 0])
        for number in [0, 1, 100, 168] {
            let at = first + 24 * number
            #expect(Array(bytes[at..<at + 4]) == [2, 1, 0, 0])
            #expect(Array(bytes[at + 4..<at + 8]) == little(0x0f0f_0000 + UInt64(number), 4))
            #expect(Array(bytes[at + 8..<at + 16]) == little(0x55_0000_0000 + UInt64(number), 8))
            #expect(Array(bytes[at + 16..<at + 24]) == little(UInt64(number) << 40, 8))
        }
        #expect(bytes[slack...].allSatisfy { $0 == 0 })
        let checksum = UInt64(bytes[4]) | UInt64(bytes[5]) << 8 | UInt64(bytes[6]) << 16 | UInt64(bytes[7]) << 24
        #expect(checksum == UInt64(crcByDefinition(bytes[8...], 0xedb8_8320)))
    }

    @Test(arguments: [0, 170, 171, 0x1_0000, UInt32.max])
    func aLengthOutOfRangeGivesNoEntries(_ count: UInt32) {
        for layout in [ChainLayout.amd64, .i386] {
            let link = Link(decoding: page((8, little(UInt64(count), 4))), layout)
            #expect(link.count == count)
            #expect(!link.hasSoundCount)
            #expect(link.entries.isEmpty)
        }
    }

    @Test func fileImage() {
        let image = FileImage(
            decoding: page(
                (0, little(0x0102_0304_0506_0708, 8)), (8, little(0o100640, 4)), (12, little(4, 4)),
                (16, [0x61, 0xff, 0x0a, 0x62]),
                (20, [0x63])
            ).bytes)
        #expect(image.size == 0x0102_0304_0506_0708)
        #expect(image.mode == 0o100640)
        #expect(image.nameLength == 4)
        #expect(image.name == [0x61, 0xff, 0x0a, 0x62])
    }

    @Test func encodedFileImage() {
        let bytes = FileImage(size: 0x1_0000_0002, mode: 0o100755, name: Array("name".utf8)).encoded().bytes
        #expect(Array(bytes[0..<8]) == [2, 0, 0, 0, 1, 0, 0, 0])
        #expect(Array(bytes[8..<12]) == [0xed, 0x81, 0, 0])
        #expect(Array(bytes[12..<16]) == [4, 0, 0, 0])
        #expect(Array(bytes[16..<20]) == Array("name".utf8))
        // Nothing of this program's own memory may go along.
        #expect(bytes[20...].allSatisfy { $0 == 0 })
    }

    @Test func aNameOf255BytesEndsWithTheImage() {
        var bytes = PageBytes()
        for i in 0..<255 { bytes[16 + i] = 0x78 }
        bytes[271] = 0x79  // one behind the name
        bytes[12] = 255
        #expect(FileImage(decoding: bytes.bytes).name == [UInt8](repeating: 0x78, count: 255))
    }

    @Test(arguments: [UInt32(256), 4096, .max])
    func aNameIsNeverReadPast255Bytes(_ length: UInt32) {
        let image = FileImage(decoding: page((12, little(UInt64(length), 4))).bytes)
        #expect(image.nameLength == length)
        #expect(image.name.count == 255)
        #expect(!image.hasSoundNameLength)
    }

    @Test func entryKinds() {
        func entry(_ flags: UInt32) -> Entry { Entry(flags: flags, checksum: 0, page: PFN(1), index: 0) }
        #expect(entry(1).kind == .meta)
        #expect(entry(2).kind == .data)
        #expect(entry(0x102).kind == .data)
        #expect(entry(0xffff_ff01).kind == .meta)
        for type in [UInt32(0), 3, 4, 0x80, 0xff] { #expect(entry(type).kind == .unknown) }
        #expect(entry(0x102).hasLRU)
        #expect(!entry(0xfeff).hasLRU)
        #expect(!entry(2).hasUnknownFlags)
        #expect(!entry(0x102).hasUnknownFlags)
        #expect(!entry(1).hasUnknownFlags)
        // No writer sets LRU on META, though the kernel takes it.
        #expect(entry(0x101).hasUnknownFlags)
        for bit in 9..<UInt32(32) {
            #expect(entry(2 | 1 << bit).hasUnknownFlags)
            #expect(entry(1 | 1 << bit).hasUnknownFlags)
        }
    }

    @Test(arguments: 1...169)
    func layoutIsRecognised(_ count: Int) {
        for layout in [ChainLayout.amd64, .i386] {
            for (lru, next) in [(true, UInt64(0)), (false, 0), (true, 0x1234), (false, 0x0012_3456_789a)] {
                let data: UInt32 = lru ? 0x102 : 2
                var entries: [Entry] = []
                for number in 0..<UInt64(count) {
                    let checksum: UInt32 = 0x9e37_79b9 &* UInt32(number + 1)
                    let page = PFN(0x1_0000 + 3 * number)
                    entries.append(Entry(flags: number == 0 ? 1 : data, checksum: checksum, page: page, index: number))
                }
                let page = Link(next: PFN(next), entries: entries).encoded(layout)
                #expect(ChainLayout(ofLinkIn: page) == layout)
            }
        }
    }

    /// The flags of all entries are strange, so that they tell nothing: the pages that exist do.
    @Test(arguments: [UInt32(3), 0x201, 0, 0xffff_ffff], [1, 2, 7])
    func strangeFlagsLeaveThePagesToTellTheLayout(_ flags: UInt32, _ count: Int) {
        for next in [UInt64(0), 0x50] {
            let entries = (0..<UInt64(count)).map {
                Entry(flags: flags, checksum: 0x9e37_79b9 &* UInt32($0 + 1), page: PFN(0x10 + $0), index: $0)
            }
            for layout in [ChainLayout.amd64, .i386] {
                let page = Link(next: PFN(next), entries: entries).encoded(layout)
                #expect(ChainLayout(ofLinkIn: page) { $0.number < 0x100 } == layout)
                // Where nothing exists, nothing tells.
                if next != 0 { #expect(ChainLayout(ofLinkIn: page) == .amd64) }
            }
        }
    }

    @Test(arguments: [UInt32(0), 170, UInt32.max])
    func aLengthThatCannotBeHidesNoLayout(_ length: UInt32) {
        let entries = [Entry(flags: 1, checksum: 0x1234_5678, page: PFN(0x10), index: 0)]
        for layout in [ChainLayout.amd64, .i386] {
            var page = Link(next: PFN(0x50), entries: entries).encoded(layout)
            page.store(length, at: 8)
            #expect(ChainLayout(ofLinkIn: page) == layout)
        }
    }

    /// Indexes of 2^32 and a next link at 16 TiB make flags that make sense in the wrong layout, and memory may hold
    /// what the wrong layout names: a link that is right as x86-64 stays that.
    @Test func aLinkThatIsRightAsX86_64IsNeverI386() {
        let entries = (0..<3).map {
            Entry(flags: 2, checksum: 0, page: PFN(0x1_0000_0000), index: (2 << 32) + UInt64($0))
        }
        let page = Link(next: PFN(0x1_0000_0000), entries: entries).encoded(.amd64)
        #expect(Link(decoding: page, .i386).entries.allSatisfy { $0.flags == 1 || $0.flags == 2 })
        #expect(ChainLayout(ofLinkIn: page) { $0.number < 1 << 32 } == .amd64)
    }

    @Test func aLinkThatTellsNoLayoutIsX86_64() {
        #expect(ChainLayout(ofLinkIn: PageBytes()) == .amd64)
        #expect(ChainLayout(ofLinkIn: PageBytes([UInt8](repeating: 0xff, count: 4096))) == .amd64)
    }
}
