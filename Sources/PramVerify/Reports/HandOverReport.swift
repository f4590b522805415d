import KernelCommandLine
import Linux
import Machine
import MemorySources
import PRAM
import Text
import Verification

/// A chain in memory that one kernel hands over to the next: whether it was, and what holds it now.
struct HandOverReport {
    let evidence: HandOverEvidence
    let census: FrameCensus
    /// Why the chain is gone; nil where it is not.
    let loss: HandOverEvidence.Loss?
    /// Who holds it for the next kernel; nil where nobody has been asked to.
    let holder: String?
    /// Whether who holds it has a session, so that the next kernel gets it.
    var hasSession = true

    /// One word for machines.
    var state: StaticString {
        if loss != nil { return "lost" }
        if holder != nil { return hasSession ? "saved" : "retrieved" }
        if census.held == census.total { return "held" }
        return census.others == 0 && census.unknown == 0 ? "retrieved" : "unknown"
    }

    func write(to output: Output) {
        if let holder { output.write("kept:    \(holder)\n") }
        guard loss == nil, holder == nil else { return }
        switch census.unknown > 0 {
        case true: output.write("kept:    whether its \(census.total) page frames are held back cannot be told\n")
        case false where census.held == census.total:
            output.write("kept:    all of its \(census.total) page frames are held back since the kexec\n")
        case false: output.write("kept:    its page frames were taken out of their session, and are in use\n")
        }
    }

    func write(to json: inout JSONWriter) {
        json.beginObject("hand_over")
        json.string("state", state)
        if let arrived = evidence.arrived { json.bool("arrived", arrived) } else { json.null("arrived") }
        json.bool("found", evidence.isFound)
        json.string("kernel_says", escaped(evidence.incompatible))
        json.number("frames", census.total)
        json.number("frames_held", census.held)
        json.number("frames_in_other_use", census.others)
        json.endObject()
    }
}

/// The page frames of a chain, collected while it is walked.
final class ChainFrames {
    private(set) var pages = PageRuns()

    func take(_ walked: WalkedLink) {
        pages.insert(walked.page)
        for entry in walked.link?.entries ?? [] { pages.insert(entry.page) }
    }
}

extension Report {
    /// Looks at what became of the hand-over, where the chain in this machine's memory is one that only this can have
    /// brought.
    mutating func lookAtHandOver(_ head: PFN, _ frames: ChainFrames) {
        guard memory?.isLive == true, let machine = try? MachineEvidence.collect() else { return }
        let note = HoldNote.read().flatMap { $0.head == head.number ? $0 : nil }
        let evidence = HandOverEvidence.collect(machine.line)
        guard note != nil || evidence.arrived == true || PramParameter.find(in: machine.line).pfn == head.number else {
            return
        }
        guard note != nil || evidence.concerns(head, machine, kernelsHead: MachineEvidence.kernelsHead()) else {
            return
        }
        let census = FrameCensus.take(frames.pages.ranges)
        if let note {
            // What a process has without a session does not reach the next kernel, and is there in this one.
            handOver = HandOverReport(
                evidence: evidence, census: census, loss: note.keepsMemory ? nil : .notKept,
                holder: note.standing.sentence.text, hasSession: note.standing.isHeld)
            return
        }
        let isGone = census.others > 0 || evaluation?.isHeadCleared == true && !Report.waitsForChain(head)
        handOver = HandOverReport(
            evidence: evidence, census: census, loss: evidence.loss ?? (isGone ? .notKept : nil), holder: nil)
    }

    /// Whether a head of zeros is one under which nothing was saved (`save --early`), as far as that can be seen: the page
    /// behind it is held back and holds zeros, too. Where a chain was, there is its locator, or what came after it.
    private static func waitsForChain(_ head: PFN) -> Bool {
        guard let behind = head.advanced(by: 1), let address = behind.address,
            let range = PhysicalRange(start: address, size: UInt64(pageSize)),
            let memory = try? LiveMemory.open(only: .kcore)
        else { return false }
        var state = PageState.absent
        return PageBytes(behind, of: memory, state: &state).isZero && state == .present
            && FrameCensus.take([range]).held == 1
    }

    /// What has become of the hand-over, with the evidence.
    var handOverSentence: Phrase {
        guard let handOver, let loss = handOver.loss else {
            return "the former kernel was to hand the chain over, and has not"
        }
        switch loss {
        case .never:
            return
                "the former kernel handed no memory over (there is no setup_data of type 10): it was loaded with kexec "
                + "-c, had no kho=on, or this is no kexec at all"
        case .refused:
            return "the former kernel handed memory over, and this one does not take it: "
                + "\(escaped(handOver.evidence.incompatible))"
        case .ignored:
            return
                "the former kernel handed memory over, and this one says nothing of it (no \"KHO: found kexec handover "
                + "data\"): it knows no hand-over"
        case .notKept:
            if let holder = handOver.holder { return Phrase(holder) }
            if handOver.census.others == 0 {
                return
                    "the head's page holds zeros, and the one behind it is none of a head that waits for its chain: nobody "
                    + "held the session at the kexec, or the memory was given back since"
            }
            return
                "\(handOver.census.others) of the chain's \(handOver.census.total) page frames that can be found are "
                + "not held back: nobody held the session at the kexec, or the memory was given back since"
        }
    }
}
