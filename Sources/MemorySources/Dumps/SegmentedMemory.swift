import Linux
import PRAM

/// A stretch of physical memory that lies in a file as it is.
struct Segment {
    /// The physical address of its first byte.
    let address: UInt64
    /// In bytes.
    let count: UInt64
    /// Where in the file the first byte lies.
    let offset: UInt64
}

/// Memory whose bytes lie in a file uncompressed, in any number of segments: what raw images, ELF cores and LiME images
/// come down to.
final class SegmentedMemory: PhysicalMemory {
    let kind: String
    let notes: [String]
    var zerosMayBeHoles: Bool { false }

    private let source: any ByteSource
    private let segments: [Segment]
    /// Physical addresses, with indices into `segments`.
    private let map: ExtentMap

    /// - Parameter segments: in any order. Where several hold a byte, the first has it. What lies past the end of the
    ///   file or past address 2^64 - 1 is left out.
    init(_ source: any ByteSource, kind: String, segments: [Segment], notes: [String]) {
        var extents: [Extent] = []
        var cutShort = false
        for (index, segment) in segments.enumerated() where segment.count > 0 {
            let held = segment.offset < source.size ? min(segment.count, source.size - segment.offset) : 0
            cutShort = cutShort || held < segment.count
            guard held > 0 else { continue }
            let (last, overflow) = segment.address.addingReportingOverflow(held - 1)
            extents.append(Extent(start: segment.address, last: overflow ? .max : last, piece: index))
        }
        self.source = source
        self.segments = segments
        self.kind = kind
        self.notes = notes + (cutShort ? ["the file is cut short: some of its segments end past its end"] : [])
        map = ExtentMap(extents)
    }

    func ranges(limit: Int) -> [PhysicalRange] {
        map.extents.prefix(limit).compactMap { PhysicalRange(start: $0.start, last: $0.last) }
    }

    func contains(_ page: PFN) -> Bool {
        guard let address = page.address else { return false }
        var next = address
        while let extent = map.extent(at: next) {
            if extent.last >= address | 0xfff { return true }
            next = extent.last + 1
        }
        return false
    }

    /// Mapped are the pages of files that are mapped, where a whole page lies in one segment and at a multiple of eight
    /// bytes.
    func mapped(_ page: PFN) -> UnsafeRawPointer? {
        guard let address = page.address, let extent = map.extent(at: address), extent.last >= address | 0xfff else {
            return nil
        }
        let offset = offset(of: address, in: extent)
        return offset & 7 == 0 ? source.mapped(at: offset, count: pageSize) : nil
    }

    func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) {
        var done = 0
        while done < count {
            guard let address = first.advanced(by: UInt64(done))?.address else {
                // No address, and none behind it either.
                for index in done..<count { states[index] = .absent }
                return
            }
            let target = destination + done * pageSize
            if let extent = map.extent(at: address), extent.last >= address | 0xfff {
                let whole = (extent.last - (address | 0xfff)) / UInt64(pageSize) + 1
                let run = Int(clamping: min(UInt64(count - done), whole))
                let offset = offset(of: address, in: extent)
                readPages(count: run, into: target, states: states + done) {
                    try? source.read(at: offset + $0, into: $1)
                }
                done += run
            } else {
                states[done] = assemble(address, into: target)
                done += 1
            }
        }
    }

    /// A page that no single segment holds: present when several do together.
    private func assemble(_ address: UInt64, into destination: UnsafeMutableRawPointer) -> PageState {
        var state = PageState.present
        var done = 0
        while done < pageSize {
            guard let extent = map.extent(at: address + UInt64(done)) else { return .absent }
            let count = Int(min(extent.last, address | 0xfff) - (address + UInt64(done))) + 1
            let part = UnsafeMutableRawBufferPointer(start: destination + done, count: count)
            let got = try? source.read(at: offset(of: address + UInt64(done), in: extent), into: part)
            if got != count { state = .unreadable }
            done += count
        }
        return state
    }

    private func offset(of address: UInt64, in extent: Extent) -> UInt64 {
        let segment = segments[extent.piece]
        return segment.offset + (address - segment.address)
    }
}
