import CChecksum
import Linux
import PRAM
import Parity
import Verification

/// Makes the parity of a chain while its pages are written, a part of the columns at a time: who has nothing else to do
/// adds those of the next group, as far as its pages are written. In the same pass each page is read back from where
/// it lies: what was found is bound together in a digest, to be compared with the one of what was to be written.
final class ParityAlong {
    /// Parts of the columns: with more of them more is done when the last page is written, but each costs the sums a way
    /// through memory.
    private static let parts = 4

    let code: Interleaving
    /// The first page, and the first parity page.
    let first: UInt64
    let parity: UInt64
    private let memory: any WritableMemory
    private let running: RunningParity
    private let part: Int
    private let own: Share
    // Up to where it has come: the columns from `column` on, of the groups from `group` on.
    private var column = 0
    private var group = 0
    private let monitor = Monitor()
    private var digest = ProtectedDigest()
    private var isWhole = true
    /// What the pages were found to hold, once it is finished.
    private(set) var found: ProtectedDigest?

    /// What one thread needs, and what it has found.
    private final class Share {
        let pages: UnsafeMutablePointer<UnsafeRawPointer?>
        let checksums: UnsafeMutablePointer<UInt32>
        var digest = ProtectedDigest()

        init(_ columns: Int) {
            pages = .allocate(capacity: columns)
            checksums = .allocate(capacity: columns)
        }

        deinit {
            pages.deallocate()
            checksums.deallocate()
        }
    }

    /// - Parameters:
    ///   - first: the page of rank 0; the others follow it.
    ///   - parity: the first parity page.
    /// - Returns: nil where pages cannot be read and written in place.
    init?(_ code: Interleaving, in memory: any WritableMemory, first: UInt64, parity: UInt64) {
        guard let sums = memory.place(of: PFN(parity), count: code.parityPages),
            memory.place(of: PFN(first), count: code.pages) != nil
        else { return nil }
        self.code = code
        self.first = first
        self.parity = parity
        self.memory = memory
        running = RunningParity(code, sums: sums)
        part = (code.columns - 1) / ParityAlong.parts + 1
        own = Share(code.columns)
    }

    /// The pages that are read here.
    var pages: Range<UInt64> { first..<first + UInt64(code.pages) }

    /// Adds a part of the columns of one group.
    /// - Parameter end: all pages before this one are written.
    /// - Returns: false when there is nothing to be added yet.
    func advance(_ end: UInt64) -> Bool {
        guard column < code.columns, end >= first, isWhole else { return false }
        let next = min(column + part, code.columns)
        guard end - first >= UInt64(min(next * code.groups, code.pages)) else { return false }
        isWhole = add(column..<next, of: group, own)
        group += 1
        if group == code.groups {
            group = 0
            column = next
        }
        return true
    }

    /// Adds what is left, and takes the checksums of the parity pages, when all pages are written.
    /// - Returns: these checksums.
    func finish(threads: Int) throws(SystemError) -> [UInt32] {
        let (column, group) = (column, group)
        // Nothing is to be added once more.
        self.column = code.columns
        let next = min(column + part, code.columns)
        let columns = code.columns
        Division.run(code.groups, threads: threads) { groups in
            let share = Share(columns)
            var isWhole = true
            for number in groups {
                isWhole = self.add((number < group ? next : column)..<columns, of: number, share) && isWhole
            }
            self.take(share, isWhole)
        }
        take(own, isWhole)
        let found = UnsafeMutablePointer<UInt32>.allocate(capacity: code.parityPages)
        defer { found.deallocate() }
        Division.run(code.parityPages, threads: threads) { parities in
            let share = Share(parities.count)
            for index in parities {
                share.pages[index - parities.lowerBound] = self.memory.mapped(PFN(self.parity + UInt64(index)))
            }
            var isWhole = true
            computeChecksums(
                of: UnsafePointer(share.pages), count: parities.count, into: found + parities.lowerBound
            ) { _ in isWhole = false }
            self.take(share, isWhole)
        }
        guard isWhole else { throw SystemError("read", code: ErrorCode.inputOutput) }
        self.found = digest
        return Array(UnsafeBufferPointer(start: found, count: code.parityPages))
    }

    private func take(_ share: Share, _ isWhole: Bool) {
        monitor.lock()
        digest.add(share.digest)
        self.isWhole = self.isWhole && isWhole
        monitor.unlock()
    }

    /// - Returns: false when a page cannot be read, or a sum not be written.
    private func add(_ columns: Range<Int>, of group: Int, _ share: Share) -> Bool {
        let columns = columns.clamped(to: 0..<code.columns(of: group))
        guard !columns.isEmpty else { return true }
        func page(_ place: Int) -> UInt64 {
            first + UInt64(code.page(group: group, column: columns.lowerBound + place))
        }
        for place in 0..<columns.count { share.pages[place] = memory.mapped(PFN(page(place))) }
        guard running.add(columns, of: group, UnsafePointer(share.pages), by: { guarded($0, $1) }) else { return false }
        // They are in the caches now.
        var isWhole = true
        computeChecksums(of: UnsafePointer(share.pages), count: columns.count, into: share.checksums) { _ in
            isWhole = false
        }
        for place in 0..<columns.count { share.digest.add(page: page(place), checksum: share.checksums[place]) }
        return isWhole
    }
}
