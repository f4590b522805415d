import CChecksum
import Linux
import PRAM

/// Computes the checksums of a slice's pages: in ascending order of PFN, straight out of mapped memory where there is a
/// mapping, else in large reads of adjacent pages. One per thread.
///
/// Mapped memory is not always the faster way: where the kernel keeps a file in small pages, it takes a page fault for
/// every 16 of them, and that costs more than to have them copied into the cache, many at a time. So the faults are
/// counted.
final class PageVerifier {
    /// How many pages are handed to the checksum loop in one go (1 MiB).
    private static let batchCapacity = 256
    /// How many pages are read in one go: as much as stays in the nearer caches (256 KiB).
    private static let readCapacity = 64
    /// A fault for so many pages or fewer makes reading the better way (a huge page has 512, a usual fault brings in
    /// 16) ...
    private static let pagesPerFault = 64
    /// ... as long as so many adjacent pages can be had with each call.
    private static let pagesPerRead = 8
    /// Faults that the verifier's own memory may cost in a slice.
    private static let ownFaults = 32

    private let memory: any PhysicalMemory
    private let pages = UnsafeMutablePointer<UnsafeRawPointer?>.allocate(capacity: batchCapacity)
    private let checksums = UnsafeMutablePointer<UInt32>.allocate(capacity: batchCapacity)
    private let states = UnsafeMutablePointer<PageState>.allocate(capacity: batchCapacity)
    private let buffer = UnsafeMutableRawPointer.allocate(byteCount: readCapacity * pageSize, alignment: pageSize)
    /// Whether it was found to take many page faults to go through the mapping.
    private var faultsOften = false
    /// Whether the pages of this slice are read although they are mapped.
    private var readsMapped = false
    /// The entries whose pages are in the batch.
    private var batch: [Int] = []
    /// PFN << 12 | number of the entry in the slice: sorts by PFN and fits, as a PFN with an address has 52 bits.
    private var order: [UInt64] = []

    /// See `ChainCheck.Options`.
    private let knows: ((UInt64, UInt32) -> Bool)?
    private let staysMapped: Bool

    init(_ memory: any PhysicalMemory, knows: ((UInt64, UInt32) -> Bool)? = nil, staysMapped: Bool = false) {
        self.memory = memory
        self.knows = knows
        self.staysMapped = staysMapped
    }

    deinit {
        pages.deallocate()
        checksums.deallocate()
        states.deallocate()
        buffer.deallocate()
    }

    func verify(_ slice: Slice) {
        slice.prepareImages()
        let inRuns = putInOrder(slice)
        readsMapped = faultsOften && inRuns && !staysMapped
        let faultsBefore = pageFaultCount()
        var place = 0
        while place < order.count {
            let entry = Int(order[place] & 0xfff)
            let page = PFN(order[place] >> 12)
            if let mapped = mapped(page) {
                place += 1
                if slice.entries[entry].kind == .meta {
                    // What the image tells must be what the checksum was taken of, so both are taken from one copy.
                    verifyMeta(slice, entry, mapped)
                } else {
                    pages[batch.count] = mapped
                    batch.append(entry)
                    if batch.count == PageVerifier.batchCapacity { verifyBatch(slice) }
                }
            } else {
                place = readRun(slice, from: place)
            }
        }
        verifyBatch(slice)
        let faults = pageFaultCount() - faultsBefore
        if inRuns && faults > order.count / PageVerifier.pagesPerFault + PageVerifier.ownFaults { faultsOften = true }
    }

    private func mapped(_ page: PFN) -> UnsafeRawPointer? { readsMapped ? nil : memory.mapped(page) }

    /// - Returns: whether most pages lie next to others.
    private func putInOrder(_ slice: Slice) -> Bool {
        order.removeAll(keepingCapacity: true)
        var sorted = true
        for (number, entry) in slice.entries.enumerated() where entry.page.number != 0 && entry.page.address != nil {
            if let knows, entry.kind == .data, knows(entry.page.number, entry.checksum) {
                slice.results[number] = EntryResult(state: .present, checksum: entry.checksum)
                continue
            }
            let key = entry.page.number << 12 | UInt64(number)
            if let last = order.last, last > key { sorted = false }
            order.append(key)
        }
        if !sorted { sortOrder() }
        var runs = 1
        for place in order.indices.dropFirst() where (order[place] >> 12) - (order[place - 1] >> 12) > 1 { runs += 1 }
        return order.count >= runs * PageVerifier.pagesPerRead
    }

    /// Sorts by PFN, digit by digit (11 bits), the lowest first and only those in which the pages differ; entries of
    /// the same page stay as they are. Scattered pages are common, and comparing them takes a fifth of the time of a
    /// check.
    private func sortOrder() {
        var differing: UInt64 = 0
        for key in order { differing |= key ^ order[0] }
        var sorted = order
        for shift in stride(from: UInt64(12), to: 64, by: 11) where differing >> shift & 0x7ff != 0 {
            var starts = [Int](repeating: 0, count: 0x801)
            for key in order { starts[Int(key >> shift & 0x7ff) + 1] += 1 }
            for digit in 1..<starts.count { starts[digit] += starts[digit - 1] }
            for key in order {
                let digit = Int(key >> shift & 0x7ff)
                sorted[starts[digit]] = key
                starts[digit] += 1
            }
            swap(&order, &sorted)
        }
    }

    private func verifyMeta(_ slice: Slice, _ entry: Int, _ mapped: UnsafeRawPointer) {
        guard guardedCopy(mapped, to: buffer, count: pageSize) else {
            slice.results[entry] = EntryResult(state: .unreadable, checksum: 0)
            return
        }
        slice.results[entry] = EntryResult(state: .present, checksum: pv_crc32c(0, buffer, pageSize))
        slice.keepImage(of: entry, from: buffer)
    }

    private func verifyBatch(_ slice: Slice) {
        for entry in batch { slice.results[entry].state = .present }
        computeChecksums(of: UnsafePointer(pages), count: batch.count, into: checksums) {
            slice.results[batch[$0]].state = .unreadable
        }
        for (place, entry) in batch.enumerated() {
            let isPresent = slice.results[entry].state == .present
            slice.results[entry].checksum = isPresent ? checksums[place] : 0
        }
        batch.removeAll(keepingCapacity: true)
    }

    /// Reads the run of adjacent pages that begins at `place` of the order.
    /// - Returns: the place behind the run.
    private func readRun(_ slice: Slice, from place: Int) -> Int {
        let first = order[place] >> 12
        var end = place + 1
        while end < order.count {
            let page = order[end] >> 12
            guard page <= (order[end - 1] >> 12) + 1, page - first < PageVerifier.readCapacity,
                mapped(PFN(page)) == nil
            else { break }
            end += 1
        }
        let count = Int((order[end - 1] >> 12) - first) + 1
        memory.read(PFN(first), count: count, into: buffer, states: states)
        for i in place..<end {
            let entry = Int(order[i] & 0xfff)
            let offset = Int((order[i] >> 12) - first)
            let content = UnsafeRawPointer(buffer + offset * pageSize)
            guard states[offset] == .present else {
                slice.results[entry] = EntryResult(state: states[offset], checksum: 0)
                continue
            }
            let checksum = pv_crc32c(0, content, pageSize)
            // Zeros where something else should be, from a source that shows zeros where it cannot reach: not seen, not
            // wrong.
            if checksum == 0 && slice.entries[entry].checksum != 0 && memory.zerosMayBeHole(PFN(order[i] >> 12)) {
                slice.results[entry] = EntryResult(state: .absent, checksum: 0)
                continue
            }
            slice.results[entry] = EntryResult(state: .present, checksum: checksum)
            slice.keepImage(of: entry, from: content)
        }
        return end
    }
}
