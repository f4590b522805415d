import PRAM
import Parity

/// Looks on while a chain is checked, and tells whether its parity file is of just this chain.
public final class ParityWitness {
    private var digest = ProtectedDigest()
    /// Before the last META entry.
    private var before = ProtectedDigest()
    private var geometry: PFN?
    private var geometryFits = false
    private var isFirst = false
    private var generation: UInt64?

    public init() {}

    public func take(_ walked: WalkedLink, _ results: UnsafeBufferPointer<EntryResult>) {
        guard let link = walked.link else { return }
        if walked.number == 0 { generation = link.stamp?.generation }
        for (number, entry) in link.entries.enumerated() {
            if entry.kind == .meta {
                before = digest
                geometry = nil
            } else if isFirst && entry.kind == .data && entry.index == 0 {
                geometry = entry.page
                geometryFits = results[number].state == .present && results[number].checksum == entry.checksum
            }
            isFirst = entry.kind == .meta
            digest.add(page: entry.page.number, checksum: entry.checksum)
        }
    }

    /// What protects an intact chain besides what it lists; nil where nothing is found.
    /// - Parameter ends: pages that may be the last ones of the range; asked for only where all else is lost.
    public func geometry(
        of chain: ChainEvaluation, head: PFN, in memory: any PhysicalMemory, ends: () -> [UInt64]
    ) -> GeometryPage? {
        // Nobody else's chains have any.
        guard let generation, chain.verdict == .intact else { return nil }
        let ofFile = chain.files.last?.isParity == true && geometryFits ? geometry : nil
        if let ofFile {
            var state = PageState.absent
            let bytes = PageBytes(ofFile, of: memory, state: &state)
            guard state == .present, let page = GeometryPage(decoding: bytes.bytes), page.head == head.number,
                page.fits(generation: generation, protected: before), page.links == chain.links.count
            else { return nil }
            return page
        }
        func located(_ page: UInt64) -> GeometryPage? {
            guard let found = GeometryPage(locator: page, in: memory), found.head == head.number, found.code == nil,
                found.fits(generation: generation, protected: digest), found.links == chain.links.count
            else { return nil }
            return found
        }
        if let found = located(head.number &+ 1) { return found }
        for page in ends() { if let found = located(page) { return found } }
        return nil
    }

    /// Whether there is a parity file, and it is not of this chain. Where that cannot be told for damage, it is not
    /// said: then the damage is.
    public func isStale(_ chain: ChainEvaluation, in memory: any PhysicalMemory) -> Bool {
        guard let file = chain.files.lastIndex(where: { $0.isParity && $0.metaFits }) else { return false }
        guard file == chain.files.count - 1 else { return true }
        guard let geometry else { return chain.files[file].status == .intact }
        guard geometryFits, !chain.links.contains(where: { !$0.proved }) else { return false }
        var state = PageState.absent
        let bytes = PageBytes(geometry, of: memory, state: &state)
        guard state == .present else { return false }
        guard let page = GeometryPage(decoding: bytes.bytes), let generation else { return true }
        return !page.fits(generation: generation, protected: before)
    }
}
