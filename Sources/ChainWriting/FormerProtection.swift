import MemorySources
import PRAM
import Parity
import Verification

/// What protected a chain before it was cut: how much of it the next one is to have, and which pages become free.
public struct FormerProtection {
    /// Parity pages for 100 pages, 1 to 50.
    let percent: Int
    private let listed: SparseSet
    /// The copies of links and their parity, which no link lists.
    private let copies: MirrorPlaces?
    private let locators: [UInt64]

    /// What `save` makes where nobody says otherwise.
    private static let usualPercent = 5

    /// - Returns: nil for a chain that had no parity.
    public init?(of chain: SurveyedChain, in memory: any WritableMemory) {
        listed = chain.provedPages
        let generation = chain.evaluation.links.first { $0.generation != nil }?.generation
        for page in [chain.head.number &+ 1, memory.pages.upperBound &- 1] {
            guard let geometry = GeometryPage(locator: page, in: memory), geometry.head == chain.head.number,
                geometry.generation == generation
            else { continue }
            percent = geometry.percent ?? FormerProtection.usualPercent
            copies = geometry.copies
            locators = [geometry.front, geometry.back]
            return
        }
        guard chain.evaluation.files.contains(where: { $0.isParity }) else { return nil }
        percent = FormerProtection.usualPercent
        copies = nil
        locators = []
    }

    /// Whether the page was the old chain's, so that nobody else has anything in it.
    func held(_ page: UInt64) -> Bool {
        listed.contains(page) || copies?.contains(page) == true || locators.contains(page)
    }
}

extension GeometryPage {
    /// What `save` was told: the least percentage that gives this code; nil where no parity was made.
    var percent: Int? {
        guard let code else { return nil }
        for percent in 1...50 where Interleaving(pages: pages, percent: percent) == code { return percent }
        return max(1, min(50, code.parityPages * 100 / pages))
    }
}

extension SurveyedChain {
    /// The pages of links that prove themselves, and what they list: what a damaged link names may be anybody's.
    fileprivate var provedPages: SparseSet {
        var pages = SparseSet(seed: seed)
        for link in evaluation.links where link.standing == .proved { _ = pages.insert(link.page.number) }
        for listed in entries where evaluation.links[listed.link].standing == .proved {
            _ = pages.insert(listed.entry.page.number)
        }
        return pages
    }
}
