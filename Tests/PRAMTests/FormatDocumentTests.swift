import Foundation
import Testing

@testable import PRAM

/// Documentation/FORMAT.md has offset tables; what they say is what the code does.
struct FormatDocumentTests {
    struct Row: Equatable {
        let offset: Int
        let size: Int
    }

    /// The rows of the table below a heading, by field.
    static func table(_ heading: String) throws -> [String: Row] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(contentsOf: root.appendingPathComponent("Documentation/FORMAT.md"), encoding: .utf8)
        let section = try #require(text.components(separatedBy: "### \(heading)\n").dropFirst().first)
        var rows: [String: Row] = [:]
        for line in section.components(separatedBy: "\n") {
            if line.hasPrefix("#") { break }
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            guard cells.count == 4, let offset = Int(cells[0]), let size = Int(cells[1]) else { continue }
            rows[cells[3]] = Row(offset: offset, size: size)
        }
        return rows
    }

    /// Where the little-endian bytes of a number stand in a page, if only once.
    static func place(of number: UInt64, size: Int, in page: PageBytes) -> Row? {
        let wanted = (0..<size).map { UInt8(truncatingIfNeeded: number >> (8 * UInt64($0))) }
        let found = (0...pageSize - size).filter { Array(page.bytes[$0..<$0 + size]) == wanted }
        return found.count == 1 ? Row(offset: found[0], size: size) : nil
    }

    @Test(arguments: [(ChainLayout.amd64, "Link, x86-64"), (.i386, "Link, i386")])
    func links(_ layout: ChainLayout, _ heading: String) throws {
        let rows = try Self.table(heading)
        let entry = Entry(
            flags: 0x01a1_b1c1, checksum: 0xd1e1_f101, page: PFN(0x0123_4567_89ab_cdef), index: 0x1122_3344)
        let page = Link(next: PFN(0xa5b6_c7d8_e9fa_0b1c), entries: Array(repeating: entry, count: Link.capacity))
            .encoded(layout)
        #expect(rows["magic"] == Self.place(of: UInt64(Link.magic), size: 4, in: page))
        #expect(rows["csum"] == Self.place(of: UInt64(page.linkChecksum), size: 4, in: page))
        #expect(rows["len"] == Row(offset: 8, size: 4) && page.u32(at: 8) == UInt32(Link.capacity))
        #expect(rows["link_pfn"] == Self.place(of: 0xa5b6_c7d8_e9fa_0b1c, size: 8, in: page))
        #expect(rows["entries"] == Row(offset: layout.entriesOffset, size: Link.capacity * Entry.size))
        #expect(rows["slack"] == Row(offset: layout.slackOffset, size: pageSize - layout.slackOffset))
        #expect((rows["padding"] != nil) == (layout == .amd64))
        // The fields fill the page without gap and overlap.
        let sorted = rows.values.sorted { $0.offset < $1.offset }
        var end = 0
        for row in sorted {
            #expect(row.offset == end)
            end = row.offset + row.size
        }
        #expect(end == pageSize)
    }

    @Test func entries() throws {
        let rows = try Self.table("Entry")
        let entry = Entry(
            flags: 0x01a1_b1c1, checksum: 0xd1e1_f101, page: PFN(0x0123_4567_89ab_cdef), index: 0x1122_3344_5566_7788)
        let page = Link(entries: [entry]).encoded()
        let start = ChainLayout.amd64.entriesOffset
        for (field, number, size) in [
            ("flags", UInt64(entry.flags), 4), ("csum", UInt64(entry.checksum), 4), ("pfn", entry.page.number, 8),
            ("index", entry.index, 8),
        ] {
            let found = try #require(Self.place(of: number, size: size, in: page))
            #expect(rows[field] == Row(offset: found.offset - start, size: size), "\(field)")
        }
        #expect(rows.values.map(\.size).reduce(0, +) == Entry.size)
    }

    @Test func fileImages() throws {
        let rows = try Self.table("File image")
        let name = Array(repeating: UInt8(ascii: "n"), count: FileImage.nameCapacity)
        let page = FileImage(size: 0x1122_3344_5566_7788, mode: 0x81a4, name: name).encoded()
        #expect(rows["size"] == Self.place(of: 0x1122_3344_5566_7788, size: 8, in: page))
        #expect(rows["mode"] == Self.place(of: 0x81a4, size: 4, in: page))
        #expect(rows["name_len"] == Self.place(of: 255, size: 4, in: page))
        let first = page.bytes.firstIndex(of: UInt8(ascii: "n"))
        #expect(rows["name"] == Row(offset: first ?? -1, size: FileImage.nameCapacity))
    }

    @Test func stamps() throws {
        let rows = try Self.table("Link stamp")
        let page = Link(entries: [Entry(flags: 1, checksum: 0, page: PFN(1), index: 0)])
            .encoded(slack: LinkStamp(generation: 0x1122_3344_5566_7788).bytes)
        #expect(rows["mark"] == Self.place(of: UInt64(LinkStamp.mark), size: 4, in: page))
        #expect(rows["generation"] == Self.place(of: 0x1122_3344_5566_7788, size: 8, in: page))
        #expect(rows["mark"]?.offset == LinkStamp.offset)
    }
}
