import CChecksum
import Linux
import PRAM
import Parity
import Verification

/// Makes the parity of pages that lie in memory, and writes it there.
struct ParityWriting {
    let memory: any WritableMemory
    let threads: Int

    private final class Progress {
        let monitor = Monitor()
        var checksums: [UInt32]
        var failure: SystemError?
        init(_ count: Int) { checksums = [UInt32](repeating: 0, count: count) }
    }

    /// Writes parity page p to page `parity` + p.
    /// - Parameters:
    ///   - page: the page of each rank.
    ///   - parity: the first parity page.
    /// - Returns: the checksums of the parity pages.
    func encode(
        _ code: Interleaving, page: @escaping (Int) -> UInt64, parity: UInt64
    ) throws(SystemError) -> [UInt32] {
        let progress = Progress(code.parityPages)
        let memory = memory
        Division.run(code.groups, threads: threads) { groups in
            let rebuilder = ParityRebuilder(code)
            var members = GroupMembers(in: memory) { member in
                if case .page(let rank) = member { page(rank) } else { nil }
            } taken: { member, bytes in
                guard case .parity(let index) = member else { return false }
                return ParityWriting.store(bytes, index, at: parity + UInt64(index), memory, progress)
            }
            for group in groups {
                guard rebuilder.encode(group, &members) == .rebuilt else {
                    progress.monitor.lock()
                    if progress.failure == nil { progress.failure = SystemError("read", code: ErrorCode.inputOutput) }
                    progress.monitor.unlock()
                    return
                }
            }
        }
        if let failure = progress.failure { throw failure }
        return progress.checksums
    }

    private static func store(
        _ bytes: UnsafeRawPointer, _ index: Int, at page: UInt64, _ memory: any WritableMemory, _ progress: Progress
    ) -> Bool {
        let checksum = pv_crc32c(0, bytes, pageSize)
        progress.monitor.lock()
        defer { progress.monitor.unlock() }
        guard progress.failure == nil else { return false }
        do throws(SystemError) {
            try memory.fill(PFN(page), count: 1) { (target) throws(SystemError) in
                guard guardedCopy(bytes, to: target.baseAddress!, count: pageSize) else {
                    throw SystemError("write", code: ErrorCode.badAddress)
                }
            }
        } catch {
            progress.failure = error
            return false
        }
        progress.checksums[index] = checksum
        return true
    }

    /// Writes the copies of links, and their parity.
    /// - Parameters:
    ///   - read: where links are read, the head among them.
    ///   - places: the page of each link.
    func mirror(
        _ places: [UInt64], of read: any PhysicalMemory, code: Interleaving, at mirror: UInt64, generation: UInt64
    ) throws(SystemError) {
        for (number, place) in places.enumerated() {
            var state = PageState.absent
            let link = PageBytes(PFN(place), of: read, state: &state)
            guard state == .present else { throw SystemError("read", code: ErrorCode.inputOutput) }
            try memory.write(PFN(mirror + UInt64(number)), link)
        }
        for (index, page) in try LinkParity.pages(places, of: read, code, generation).enumerated() {
            try memory.write(PFN(mirror + UInt64(places.count + index)), page)
        }
    }
}

/// The parity of links, as pages to be written.
enum LinkParity {
    static func pages(
        _ places: [UInt64], of memory: any PhysicalMemory, _ code: Interleaving, _ generation: UInt64
    ) throws(SystemError) -> [PageBytes] {
        let made = Made(code.parityPages)
        var members = GroupMembers(in: memory) { member in
            if case .page(let number) = member { places[number] } else { nil }
        } taken: { member, bytes in
            guard case .parity(let index) = member else { return false }
            var page = Array(UnsafeRawBufferPointer(start: bytes, count: pageSize))
            LinkParityPage.seal(&page, generation: generation, index: index)
            made.pages[index] = PageBytes(page)
            return true
        }
        let rebuilder = ParityRebuilder(code)
        for group in 0..<code.groups {
            guard rebuilder.encode(group, &members) == .rebuilt else {
                throw SystemError("read", code: ErrorCode.inputOutput)
            }
        }
        return made.pages
    }

    private final class Made {
        var pages: [PageBytes]
        init(_ count: Int) { pages = [PageBytes](repeating: PageBytes(), count: count) }
    }
}

/// The pages that tell where a chain's second copy of links is, found without any link.
public enum Locators {
    /// Whether the range has a locator of a chain with this head.
    public static func name(_ head: PFN, in memory: any WritableMemory) -> Bool {
        for page in [head.number &+ 1, memory.pages.upperBound &- 1] {
            if let geometry = GeometryPage(locator: page, in: memory), geometry.head == head.number { return true }
        }
        return false
    }

    /// Clears the locators of the chain with this head, so that nobody brings back what has given way.
    public static func clear(head: PFN, in memory: any WritableMemory) throws(SystemError) {
        var pages: [UInt64] = []
        if head.number < .max { pages.append(head.number + 1) }
        if memory.pages.upperBound > 0 { pages.append(memory.pages.upperBound - 1) }
        for page in pages {
            guard let geometry = GeometryPage(locator: page, in: memory), geometry.head == head.number else { continue }
            for locator in [geometry.front, geometry.back] where memory.pages.contains(locator) {
                guard let other = GeometryPage(locator: locator, in: memory), other.head == head.number else {
                    continue
                }
                try memory.write(PFN(locator), PageBytes())
            }
        }
    }
}
