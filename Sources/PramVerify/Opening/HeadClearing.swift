import ChainWriting
import Linux
import Machine
import PRAM
import Text

extension WritingTarget {
    /// Makes the head a page of zeros, so that there is no chain.
    func clear(_ page: PFN) throws(Failure) -> Written {
        guard memory.pages.contains(page.number) else {
            throw .writing(
                WritingFailure(
                    .noChain,
                    "the head, page \(hexadecimal(page.number)), does not lie in the range that may be written",
                    remedy: "name the right range with --region, or the head with --pfn"))
        }
        try refuseKernelsChain(page)
        var before = PageState.absent
        let isZero = PageBytes(page, of: memory, state: &before).isZero && before == .present
        // A head that was lost leaves what would bring it back.
        if isZero && !Locators.name(page, in: memory) {
            return Written(
                purpose: .clearing, head: nil, changed: false, warnings: ["the head page holds zeros already"])
        }
        var walk = ChainWalk(head: page, memory: memory, seed: randomNumber())
        guard isZero || walk.next()?.link != nil else {
            throw .writing(
                WritingFailure(
                    .noChain, "page \(hexadecimal(page.number)) is no head of a chain, so it is not cleared",
                    remedy: "name the head with --pfn"))
        }
        if let refusal = memory.refusal { throw .memory(refusal) }
        try calling { () throws(SystemError) in
            // First what would bring the chain back.
            try Locators.clear(head: page, in: memory)
            try memory.write(page, PageBytes())
            try memory.synchronize()
        }
        var state = PageState.absent
        guard PageBytes(page, of: memory, state: &state).isZero, state == .present else {
            throw .writing(WritingFailure(.notVerified, "the head page does not read back as zeros"))
        }
        return Written(purpose: .clearing, head: nil)
    }

    /// A kernel with pram has taken in the chain that /sys/kernel/pram names, and will follow its links when it is
    /// mounted.
    func refuseKernelsChain(_ page: PFN) throws(Failure) {
        guard machine != nil, MachineEvidence.kernelsHead() == page.number else { return }
        throw .writing(
            WritingFailure(
                .holdsChain, "this kernel has pram and holds the chain: only a mount may take it away",
                remedy: "mount -t pram, and copy the files"))
    }
}
