import Linux
import MemorySources
import PRAM
import Parity
import Text
import Verification

/// Writes what comes back of a chain into its place, and nothing else.
///
/// Before the first write everything was rebuilt once and compared with its checksum. Every page that is written is
/// the one that the chain lists there, and is read back; a head that was lost comes last. So wherever this is cut
/// short, what was good is good, and a second run finishes.
public final class ChainRepair {
    public struct Outcome {
        public var pages = 0
        public var links = 0
        /// Of what no link lists: copies of links, their parity, locators.
        public var copies = 0
        public var isNothing: Bool { pages == 0 && links == 0 && copies == 0 }
    }

    private let recovery: ChainRecovery
    private let memory: any WritableMemory
    private let writesCopies: Bool
    private let permit: () throws(WritingFailure) -> Void
    /// What was rebuilt to see whether it fits, where it is not too much: 128 MiB.
    private var kept: KeptPages?
    /// What a page that was written reads like.
    private let back = UnsafeMutableRawPointer.allocate(byteCount: pageSize, alignment: pageSize)

    /// - Parameters:
    ///   - writesCopies: whether pages that no link lists are ours to write: not in a kernel's System RAM.
    ///   - permit: called before each write; throws when the chain is no longer ours to change.
    public init(
        _ recovery: ChainRecovery, in memory: any WritableMemory, writesCopies: Bool,
        permit: @escaping () throws(WritingFailure) -> Void = {}
    ) {
        self.recovery = recovery
        self.memory = memory
        self.writesCopies = writesCopies
        self.permit = permit
    }

    deinit { back.deallocate() }

    /// Pages that no link lists and that are not as they should be. What lies outside of the range is not ours to write.
    public var lostCopies: LostCopies? {
        writesCopies ? LostCopies(of: recovery.geometry, links: recovery.links.places, in: recovery.linked) : nil
    }

    /// What those are to hold.
    /// - Returns: nil for links' parity when a link cannot be read any more.
    private func contents(of lost: LostCopies?) -> [(page: UInt64, bytes: PageBytes?)] {
        guard let lost else { return [] }
        let (links, geometry) = (recovery.links, recovery.geometry)
        let parity =
            lost.parityPages > 0
            ? try? LinkParity.pages(links.places, of: recovery.linked, geometry.linkCode, geometry.generation) : nil
        return lost.pages.map { page, content in
            switch content {
            case .link(let number): (page, links.link(number)?.page)
            case .parity(let index): (page, parity?[index])
            case .locator: (page, PageBytes(geometry.encoded()))
            }
        }
    }

    /// What comes back, and lies where it may be written.
    public var plan: Outcome {
        var plan = Outcome(copies: lostCopies?.pages.count ?? 0)
        recovery.forEachLost { page, _, isLink, comesBack in
            guard comesBack, memory.pages.contains(page) else { return }
            if isLink { plan.links += 1 } else { plan.pages += 1 }
        }
        return plan
    }

    /// - Throws: where a page that comes back does not lie in the range, as when an image was cut short.
    public func refuseOutside() throws(WritingFailure) {
        for page in recovery.writtenPages where !memory.pages.contains(page) {
            throw WritingFailure(
                .noChain, "page \(hexadecimal(page)) of the chain does not lie in the range that may be written",
                remedy: "repair --partial writes what does; load and extract bring back all of it with --repair")
        }
    }

    /// - Parameter isPartial: whether to do what can be done where not all comes back; else nothing is written then.
    public func run(isPartial: Bool, threads: Int) throws(WritingFailure) -> Outcome {
        var outcome = Outcome()
        guard recovery.isWhole || isPartial else { return outcome }
        if let refusal = memory.refusal { throw WritingFailure(refusal) }
        let copies = contents(of: lostCopies)
        guard !recovery.isNeedless || !copies.isEmpty else { return outcome }
        if !isPartial { try refuseOutside() }
        let kept = KeptPages(recovery.lostPages + recovery.lostParityPages)
        guard recovery.prove(threads: threads, keep: { kept?.take($0, $1) }) else {
            throw WritingFailure(
                .notVerified, "what was rebuilt does not fit its checksums, so nothing was changed",
                remedy: "something else may be writing to the range")
        }
        self.kept = kept
        let links = recovery.links
        for number in links.lost where number != 0 && memory.pages.contains(links.places[number]) {
            try write(links.places[number], links.link(number)?.page)
            outcome.links += 1
        }
        try writePages(&outcome)
        for copy in copies {
            try write(copy.page, copy.bytes)
            outcome.copies += 1
        }
        try synchronize()
        if links.lost.first == 0 && memory.pages.contains(links.places[0]) {
            memoryFence()
            try write(links.places[0], links.link(0)?.page)
            outcome.links += 1
            try synchronize()
        }
        return outcome
    }

    private final class Writing {
        var count = 0
        var failure: WritingFailure?
    }

    private func writePages(_ outcome: inout Outcome) throws(WritingFailure) {
        for (page, bytes) in recovery.madePages where memory.pages.contains(page) {
            try write(page, bytes)
            outcome.pages += 1
        }
        if let kept {
            var bytes = PageBytes()
            for number in 0..<kept.count where memory.pages.contains(kept.page(number)) {
                bytes.take(kept.bytes(number))
                try write(kept.page(number), bytes)
                outcome.pages += 1
            }
            return
        }
        guard let code = recovery.geometry.code else { return }
        let rebuilder = ParityRebuilder(code)
        let writing = Writing()
        for group in recovery.groups {
            let isWhole = recovery.rebuild(rebuilder, group) { page, bytes in
                guard self.memory.pages.contains(page) else { return true }
                do throws(WritingFailure) {
                    try self.write(page, PageBytes(UnsafeRawBufferPointer(start: bytes, count: pageSize)))
                    writing.count += 1
                    return true
                } catch {
                    writing.failure = error
                    return false
                }
            }
            if let failure = writing.failure { throw failure }
            guard isWhole else {
                throw WritingFailure(
                    .changed, "a page changed while others were rebuilt from it; what was rebuilt so far stays",
                    remedy: "repair again")
            }
        }
        outcome.pages += writing.count
    }

    private func write(_ page: UInt64, _ bytes: PageBytes?) throws(WritingFailure) {
        guard let bytes else { throw WritingFailure(.changed, "a copy of a link changed while it was used") }
        try permit()
        do throws(SystemError) { try memory.write(PFN(page), bytes) } catch { throw WritingFailure(error) }
        var state = PageState.absent
        memory.read(PFN(page), count: 1, into: back, states: &state)
        guard state == .present,
            bytes.bytes.withUnsafeBytes({ areEqual($0, UnsafeRawBufferPointer(start: back, count: pageSize)) })
        else {
            throw WritingFailure(
                .notVerified, "page \(hexadecimal(page)) does not read back as written",
                remedy: "the memory may be faulty, or the kernel protects it")
        }
    }

    private func synchronize() throws(WritingFailure) {
        do throws(SystemError) { try memory.synchronize() } catch { throw WritingFailure(error) }
    }
}
