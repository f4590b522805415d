import ChainWriting
import Linux
import Machine
import MemorySources
import PRAM
import Text

extension WritingTarget {
    /// A chain that lies where one is to be written, in any state, is not written over without a word: one that starts
    /// at the range, at the start of the image, where the command line says, or where the kernel has it.
    func refuseHeldChains(_ call: Call) throws(Failure) {
        try refuseKernelsChain(head)
        guard !call.has(.replace) else { return }
        guard !Locators.name(head, in: memory) || holdsPagesOfChain(from: head, memory) else {
            throw .writing(
                WritingFailure(
                    .holdsChain, "the range holds what is left of a chain, whose head is lost",
                    remedy: "repair it, erase it, or write over it with --replace"))
        }
        let whole = try wholeMemory(call)
        for page in try heads(call) where holdsPagesOfChain(from: page, whole) {
            let place: Phrase =
                page == head
                ? "the range holds a chain already, or what is left of one"
                : "pages of the chain at page \(hexadecimal(page.number)) lie in what would be written"
            throw .writing(
                WritingFailure(
                    .holdsChain, Phrase(place.text),
                    remedy: "load it, erase it, or write over it with --replace"))
        }
    }

    /// Where a chain may start, each page once.
    private func heads(_ call: Call) throws(Failure) -> [PFN] {
        var heads = [head]
        func add(_ page: PFN?) { if let page, !heads.contains(page) { heads.append(page) } }
        if image != nil {
            let base = try call.base()
            add(LowMemory.firstPage(ofImageAt: base, length: 0))
            add(LowMemory.firstPage(ofImageAt: base, length: LowMemory.machineSize))
            if call.has(.pfn) || call.has(.cmdline) || call.has(.cmdlineFile) {
                add(try Head.find(call, live: false).page)
            }
        } else {
            add(try Head.find(call, live: true).page)
            if let machine {
                for range in ReservedMemory(machine.line).elements { add(PFN(containing: range.start)) }
            }
        }
        return heads
    }

    /// What lies around the range, too: a chain may start outside of it.
    private func wholeMemory(_ call: Call) throws(Failure) -> any PhysicalMemory {
        if let path = call[.memory], image != nil {
            return try MemoryChoice(path).open(base: try call.base(), unpackLimit: 0, raw: true)
        }
        return isDevice ? memory : try MemoryChoice.thisMachine.open(base: 0, unpackLimit: 0, raw: false)
    }

    private func holdsPagesOfChain(from head: PFN, _ whole: any PhysicalMemory) -> Bool {
        var walk = ChainWalk(head: head, memory: whole, seed: randomNumber())
        while let walked = walk.next() {
            guard let link = walked.link else { return false }
            if memory.pages.contains(walked.page.number) { return true }
            if link.entries.contains(where: { memory.pages.contains($0.page.number) }) { return true }
        }
        return false
    }
}
