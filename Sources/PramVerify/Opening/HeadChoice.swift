import ChainWriting
import Linux
import Machine
import MemorySources
import PRAM
import Text

extension Head {
    /// The head of the chain that a command means which may write. Where the command line and the range that is written
    /// disagree, nobody guesses.
    /// - Parameters:
    ///   - target: what will be written; nil where the command only reads.
    ///   - image: the memory of an image or a device; nil for this machine's own.
    static func choose(
        _ call: Call, _ target: WritingTarget?, image: (any PhysicalMemory)?
    ) throws(Failure) -> Head {
        if call.has(.pfn) || call.has(.cmdline) || call.has(.cmdlineFile) { return try find(call, live: false) }
        let wanted = try call.region()
        if let image {
            if let wanted { return Head(origin: .range, page: PFN(containing: wanted.start)) }
            if call.has(.device), let target { return Head(origin: .range, page: target.head) }
            return try ofImage(image, base: try call.base())
        }
        let named = try find(call, live: true)
        if named.origin == .sysKernelPram || named.isRefused { return named }
        let range: PFN?
        let memory: any PhysicalMemory
        if let target {
            range = target.head
            memory = target.memory
        } else {
            range = try firstPage(wanted)
            memory = try MemoryChoice.thisMachine.open(base: 0, unpackLimit: 0, raw: false)
        }
        guard let range, try startsChain(range, in: memory) else { return named }
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

    /// Where `save` has put the head: behind the first MiB of a machine's memory, on the first page of anything smaller.
    private static func ofImage(_ image: any PhysicalMemory, base: UInt64) throws(Failure) -> Head {
        let first = LowMemory.firstPage(ofImageAt: base, length: 0)
        let behind = LowMemory.firstPage(ofImageAt: base, length: LowMemory.machineSize)
        var found: [PFN] = []
        for page in first == behind ? [first] : [behind, first] where try startsChain(page, in: image) {
            found.append(page)
        }
        guard found.count < 2 else {
            throw .writing(
                WritingFailure(
                    .decisionNeeded,
                    "chains start at page \(hexadecimal(first.number)) and at page "
                        + "\(hexadecimal(behind.number)) of the image",
                    remedy: "choose one of them with --pfn"))
        }
        let isMachine = image.contains(PFN(LowMemory.machineSize / UInt64(pageSize) - 1))
        return Head(origin: .range, page: found.first ?? (isMachine ? behind : first))
    }

    /// The first page of the reserved range; nil where none is to be had. What cannot be looked at is no answer.
    private static func firstPage(_ wanted: PhysicalRange?) throws(Failure) -> PFN? {
        let machine: MachineEvidence
        do throws(MachineFailure) { machine = try MachineEvidence.collect() } catch { throw Failure(error) }
        guard let region = try? WritableRegion.find(wanted, in: machine) else { return nil }
        return PFN(containing: region.range.start)
    }

    /// Whether a chain starts at the first page of a range.
    /// - Throws: when this machine's memory cannot be looked at there: that is not to pass for "no chain".
    static func startsChain(_ page: PFN, in memory: any PhysicalMemory) throws(Failure) -> Bool {
        var state = PageState.absent
        _ = PageBytes(page, of: memory, state: &state)
        if state != .present, let live = memory as? LiveMemory {
            throw .memory(
                live.explain(page).first
                    ?? MemoryFailure(
                        .inputOutput, source: live.kind, "page \(hexadecimal(page.number)) cannot be read"))
        }
        // A page of data can fit the checksum of a link by accident: when most of it is zeros, say.
        var walk = ChainWalk(head: page, memory: memory, seed: randomNumber())
        return walk.next()?.link?.magic == Link.magic
    }
}
