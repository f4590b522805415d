import ChainWriting
import Linux
import Machine
import MemorySources
import PRAM
import Text

extension Head {
    /// The head of the chain that a command means which may write. Where the command line and the range that is written
    /// disagree, nobody guesses.
    static func choose(_ call: Call, _ choice: MemoryChoice, _ target: WritingTarget?) throws(Failure) -> Head {
        if call.has(.pfn) || call.has(.cmdline) || call.has(.cmdlineFile) { return try find(call, live: false) }
        let wanted = try call.region()
        guard choice.isLive && !call.has(.device) else {
            // An image that save wrote has its head on its first page, or on page 1, for page 0 can be no head.
            let base = try call.base()
            let first = wanted?.start ?? max(base, UInt64(pageSize))
            return Head(origin: .range, page: target?.head ?? PFN(containing: first))
        }
        let named = try find(call, live: true)
        if named.origin == .sysKernelPram || named.isRefused { return named }
        var range = target?.head
        if range == nil, let machine = try? MachineEvidence.collect(),
            let region = try? WritableRegion.find(wanted, in: machine)
        {
            range = PFN(containing: region.range.start)
        }
        guard let range, holdsChain(range) else { return named }
        guard let page = named.page else { return Head(origin: .range, page: range) }
        guard page == range else {
            throw .writing(
                WritingFailure(
                    .decisionNeeded,
                    "the command line names page \(hexadecimal(page.number)), and the range has a chain at page "
                        + "\(hexadecimal(range.number))",
                    remedy: "choose one of them with --pfn"))
        }
        return named
    }

    private static func holdsChain(_ page: PFN) -> Bool {
        guard let memory = try? LiveMemory.open() else { return false }
        var walk = ChainWalk(head: page, memory: memory, seed: randomNumber())
        return walk.next()?.link?.magic == Link.magic
    }
}
