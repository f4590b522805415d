import ChainWriting
import KernelCommandLine
import Linux
import Machine
import MemorySources
import PRAM
import Text
import Verification

/// A chain that the former kernel has handed over, and that no `pram=` names: somebody has started this kernel with
/// another line.
///
/// Nothing tells which sessions there are, and to take one out ends it. But page frames that were handed over have no
/// flags, as few others have, and the chain's links prove themselves. So those are looked through.
enum UnnamedHandOver {
    /// 1 GiB: what the kernel keeps for itself has no flags either.
    private static let mostFrames = 1 << 18
    private static let batch = 256

    enum Found {
        case head(PFN)
        /// Memory cannot be read; a session of this name has arrived, as systemd shows.
        case session([UInt8])
        /// Time ran out before everything was looked at.
        case nothingInTime
    }

    /// - Parameter deadline: of the monotonic clock, in nanoseconds; nil where there is time for all of it.
    static func find(until deadline: UInt64? = nil) -> Found? {
        guard let machine = try? MachineEvidence.collect(), MachineEvidence.kernelsHead() == nil else { return nil }
        let evidence = HandOverEvidence.collect(machine.line)
        guard evidence.arrived == true, evidence.loss == nil else { return nil }
        // What this boot has saved, or put into a session, is known.
        let known = HoldNote.read()
        guard let memory = try? LiveMemory.open(only: .kcore) else {
            let names = (ProcessFacts.sessions(of: 1) ?? []).map { $0.name }
            return names.first { KeptSession.isName($0) && $0 != known?.session }.map { .session($0) }
        }
        guard known == nil else { return nil }
        let search = Searching(memory, until: deadline)
        for range in machine.iomem.kernelMemory {
            FrameCensus.forEachRunWithoutFlags(in: range, isOver: { search.hasEnded }) { search.look($0) }
            if search.hasEnded { break }
        }
        if search.isLate && search.found.proved == nil { return .nothingInTime }
        guard let head = search.found.head else { return nil }
        // A head that a locator tells may be lost. What was handed over holds its frame all the same.
        let isThere = search.found.told == nil ? (try? Head.startsChain(head, in: memory)) == true : isHeld(head)
        return isThere ? .head(head) : nil
    }

    private static func isHeld(_ page: PFN) -> Bool {
        page.address.flatMap { PhysicalRange(start: $0, size: UInt64(pageSize)) }
            .map { FrameCensus.take([$0]).held == 1 } ?? false
    }

    private final class Searching {
        var found = HeadSearch()
        private var seen = 0
        private let memory: LiveMemory
        private let deadline: UInt64
        private(set) var isLate = false
        private let buffer = UnsafeMutableRawPointer.allocate(byteCount: batch * pageSize, alignment: pageSize)
        private let states = UnsafeMutablePointer<PageState>.allocate(capacity: batch)

        init(_ memory: LiveMemory, until deadline: UInt64?) {
            self.memory = memory
            self.deadline = deadline ?? .max
        }

        deinit {
            buffer.deallocate()
            states.deallocate()
        }

        var hasEnded: Bool {
            if monotonicNanoseconds() >= deadline { isLate = true }
            return isLate || found.proved != nil || seen >= mostFrames
        }

        /// - Returns: whether to go on.
        func look(_ frames: Range<UInt64>) -> Bool {
            var frame = frames.lowerBound
            while frame < frames.upperBound && !hasEnded {
                let count = Int(min(UInt64(batch), frames.upperBound - frame))
                memory.read(PFN(frame), count: count, into: buffer, states: states)
                for index in 0..<count where states[index] == .present {
                    let page = buffer + index * pageSize
                    guard HeadSearch.mayBegin(page.load(as: UInt64.self)) else { continue }
                    found.take(
                        frame + UInt64(index), PageBytes(UnsafeRawBufferPointer(start: page, count: pageSize)))
                }
                seen += count
                frame += UInt64(count)
            }
            return !hasEnded
        }
    }
}
