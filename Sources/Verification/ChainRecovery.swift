import CChecksum
import Linux
import PRAM
import Parity

/// What is lost of a chain, and what of it comes back.
public final class ChainRecovery {
    /// Why nothing comes back.
    public enum Obstacle: Error, Equatable {
        /// Nothing is found that protects the chain.
        case noParity
        /// What is found is of another chain, or of what this one was.
        case stale
        /// Too many links are lost with their copies.
        case linksLost
    }

    /// A page that is lost, with the checksum that it had.
    struct LostPage {
        let page: UInt64
        let checksum: UInt32
        /// The file's number in the chain.
        let file: Int
    }

    public let geometry: GeometryPage
    public let links: LinkRecovery
    /// The chain with its links, as it is before any page comes back.
    public let evaluation: ChainEvaluation
    /// Memory with the links where they belong.
    public let linked: LinkedMemory
    /// Lost META and DATA pages, sorted by page.
    private(set) var lost: [LostPage] = []
    /// The parity file's own: META page, geometry page, parity pages.
    private var parityFile: [Member] = []
    private var lostOfParityFile: [Int] = []
    private let pages: ProtectedPages
    /// nil where there is no parity, only copies of links.
    public let losses: ParityLosses?

    struct Member {
        let page: UInt64
        let checksum: UInt32
    }

    /// Finds what is lost. Nothing is written.
    /// - Parameters:
    ///   - ends: pages that may be the last ones of the range in which the chain was written.
    ///   - judged: see `ChainCheck.Options`; of the chain with its links.
    /// - Throws: `Obstacle`.
    public init(
        head: PFN, memory: any PhysicalMemory, ends: [UInt64], threads: Int, seed: UInt64,
        judged: ((ChainEvaluation, WalkedLink, UnsafeBufferPointer<EntryResult>) -> Void)? = nil
    ) throws(Obstacle) {
        let links = try ChainRecovery.findLinks(head, memory, ends, seed)
        let geometry = links.geometry
        self.links = links
        self.geometry = geometry
        linked = LinkedMemory(memory, links)
        let survey = Survey(geometry)
        var options = ChainCheck.Options()
        options.threads = threads
        options.observe = { survey.take($0, $1) }
        options.judged = judged
        options.staysMapped = geometry.code != nil
        evaluation = ChainCheck(head: head, memory: linked, options: options, seed: seed).run()
        guard survey.isWhole, geometry.fits(generation: geometry.generation, protected: survey.digest),
            survey.pages.order()
        else { throw .stale }
        pages = survey.pages
        lost = survey.lost.sorted { $0.page < $1.page }
        parityFile = survey.parityFile
        lostOfParityFile = survey.lostOfParityFile
        if let code = geometry.code {
            var losses = ParityLosses(code)
            for page in lost { if let rank = pages.rank(of: page.page) { losses.insert(.page(rank)) } }
            for number in lostOfParityFile where number >= 2 { losses.insert(.parity(number - 2)) }
            self.losses = losses
        } else {
            losses = nil
        }
    }

    // MARK: - What comes back

    public var lostPages: Int { lost.count }
    /// Pages of the parity file.
    public var lostParityPages: Int { lostOfParityFile.count }
    public var lostLinks: Int { links.lost.count }
    /// Whether everything does.
    public var isWhole: Bool { losses?.areRecoverable ?? lost.isEmpty }
    /// Whether nothing that the chain lists is lost.
    public var isNeedless: Bool { lost.isEmpty && lostOfParityFile.isEmpty && lostLinks == 0 }

    /// Whether this lost page does.
    func isRecoverable(_ page: LostPage) -> Bool {
        guard let losses, let rank = pages.rank(of: page.page) else { return false }
        return losses.isRecoverable(page: rank)
    }

    /// Whether the name of a file is lost for now.
    public var losesNames: Bool { evaluation.files.contains { !$0.metaFits } }

    /// A file that has lost pages.
    public struct DamagedFile: Equatable, Sendable {
        /// In the chain.
        public let number: Int
        public var lost = 0
        public var comingBack = 0
    }

    /// Each file that has lost pages.
    public var files: [DamagedFile] {
        var files: [DamagedFile] = []
        for page in lost.sorted(by: { $0.file < $1.file }) {
            if files.last?.number != page.file { files.append(DamagedFile(number: page.file)) }
            files[files.count - 1].lost += 1
            if isRecoverable(page) { files[files.count - 1].comingBack += 1 }
        }
        return files
    }

    /// How many pages come back, of files and of the parity file.
    public var pagesComingBack: Int {
        var count = 0
        forEachLost { _, _, isLink, comesBack in if !isLink && comesBack { count += 1 } }
        return count
    }

    /// The groups that have lost something and come back.
    public var groups: [Int] {
        guard let losses else { return [] }
        return (0..<losses.code.groups).filter { losses.lost(of: $0) > 0 && losses.isRecoverable($0) }
    }

    /// The group that brings back a page; nil for pages that are not lost, or stay so.
    func group(of page: UInt64) -> Int? {
        guard let losses else { return nil }
        if let rank = pages.rank(of: page) {
            let group = losses.code.group(ofPage: rank)
            return losses.isLost(.page(rank)) && losses.isRecoverable(group) ? group : nil
        }
        guard let number = parityNumber(of: page), number >= 2, losses.isLost(.parity(number - 2)) else { return nil }
        let group = losses.code.group(ofParity: number - 2)
        return losses.isRecoverable(group) ? group : nil
    }

    private func parityNumber(of page: UInt64) -> Int? {
        // In the order of their numbers wherever this program has written them.
        if let first = parityFile.first, page >= first.page, page - first.page < UInt64(parityFile.count),
            parityFile[Int(page - first.page)].page == page
        {
            return Int(page - first.page)
        }
        return lostOfParityFile.first { parityFile[$0].page == page }
    }

    /// Whether pages that come back are not in memory, so that they can be read, and not written.
    public var hasPagesOutside: Bool { writtenPages.contains { !linked.contains(PFN($0)) } }

    /// All pages that the chain lists and that come back.
    public var writtenPages: [UInt64] {
        var pages: [UInt64] = []
        forEachLost { page, _, _, comesBack in if comesBack { pages.append(page) } }
        return pages
    }

    /// Calls `body` with every page that the chain lists and that is lost, links too, with the number of its file (-1 for
    /// links and parity) and whether it comes back.
    public func forEachLost(_ body: (_ page: UInt64, _ file: Int, _ isLink: Bool, _ comesBack: Bool) -> Void) {
        for page in lost { body(page.page, page.file, false, isRecoverable(page)) }
        let madePages = lostOfParityFile.isEmpty ? [] : madePages
        for number in lostOfParityFile {
            let page = parityFile[number].page
            body(page, -1, false, number < 2 ? madePages.contains { $0.page == page } : group(of: page) != nil)
        }
        for number in links.lost { body(links.places[number], -1, true, true) }
    }

    /// Whether a page that the chain lists with this checksum is as it should be once all that comes back is written and
    /// was read back: it was found so, or is one of those.
    public func fitsOnceRepaired(_ page: UInt64, _ checksum: UInt32) -> Bool {
        if let found = ChainRecovery.find(page, in: lost) {
            return found.checksum == checksum && isRecoverable(found)
        }
        if pages.rank(of: page) != nil { return true }
        guard let number = parityNumber(of: page), parityFile[number].checksum == checksum else { return false }
        guard lostOfParityFile.contains(number) else { return true }
        return number < 2 ? madePages.contains { $0.page == page } : group(of: page) != nil
    }

    /// Lost pages that follow from the geometry alone: the parity file's META page and its geometry page.
    public var madePages: [(page: UInt64, bytes: PageBytes)] {
        guard let code = geometry.code else { return [] }
        let made = [FileImage.ofParity(code).encoded(), PageBytes(geometry.encoded())]
        return lostOfParityFile.compactMap { number in
            guard number < 2, made[number].pageChecksum == parityFile[number].checksum else { return nil }
            return (parityFile[number].page, made[number])
        }
    }

    /// Rebuilds groups.
    /// - Parameter take: gets each page that comes back and fits its checksum, valid during the call; false ends it.
    /// - Returns: false when a page does not fit, a survivor cannot be read, or `take` says so.
    public func rebuild(
        _ rebuilder: ParityRebuilder, _ group: Int, take: @escaping (UInt64, UnsafeRawPointer) -> Bool
    ) -> Bool {
        guard let losses else { return false }
        let (pages, parityFile, lost) = (pages, parityFile, lost)
        var members = GroupMembers(in: linked) { member in
            switch member {
            case .page(let rank): pages.page(ofRank: rank)
            case .parity(let index): parityFile[index + 2].page
            }
        } taken: { member, bytes in
            let wanted: Member?
            switch member {
            case .page(let rank):
                wanted = pages.page(ofRank: rank).flatMap { page in
                    ChainRecovery.find(page, in: lost).map { Member(page: page, checksum: $0.checksum) }
                }
            case .parity(let index): wanted = parityFile[index + 2]
            }
            guard let wanted, pv_crc32c(0, bytes, pageSize) == wanted.checksum else { return false }
            return take(wanted.page, bytes)
        }
        return rebuilder.rebuild(group, losses, &members) == .rebuilt
    }

    private static func find(_ page: UInt64, in lost: [LostPage]) -> LostPage? {
        var low = 0
        var high = lost.count
        while low < high {
            let middle = (low + high) / 2
            if lost[middle].page < page { low = middle + 1 } else { high = middle }
        }
        return low < lost.count && lost[low].page == page ? lost[low] : nil
    }

    /// Rebuilds every group that can be, and compares what comes back with its checksum.
    /// - Parameter keep: called for each page that fits, by any thread; valid during the call.
    /// - Returns: whether all of it fits.
    public func prove(threads: Int, keep: @escaping (UInt64, UnsafeRawPointer) -> Void = { _, _ in }) -> Bool {
        guard let losses else { return true }
        let groups = groups
        let outcome = Outcome()
        Division.run(groups.count, threads: threads) { part in
            let rebuilder = ParityRebuilder(losses.code)
            for place in part {
                let fits = self.rebuild(rebuilder, groups[place]) { page, bytes in
                    keep(page, bytes)
                    return true
                }
                if fits { continue }
                outcome.monitor.lock()
                outcome.fits = false
                outcome.monitor.unlock()
                return
            }
        }
        return outcome.fits
    }

    private final class Outcome {
        let monitor = Monitor()
        var fits = true
    }
}

// MARK: - Finding what protects a chain

extension ChainRecovery {
    private static func findLinks(
        _ head: PFN, _ memory: any PhysicalMemory, _ ends: [UInt64], _ seed: UInt64
    ) throws(Obstacle) -> LinkRecovery {
        var found: [GeometryPage] = []
        for page in [head.number &+ 1] + ends {
            if let geometry = GeometryPage(locator: page, in: memory), !found.contains(geometry) {
                found.append(geometry)
            }
        }
        let current = generation(of: head, memory)
        var obstacle = Obstacle.noParity
        func links(of geometry: GeometryPage) -> LinkRecovery? {
            guard geometry.head == head.number else { return nil }
            // A head that proves itself is of the chain that is there now, whatever was there before.
            if case .of(let generation) = current, generation != geometry.generation {
                obstacle = .stale
                return nil
            }
            if let links = LinkRecovery(geometry, in: memory) { return links }
            obstacle = .linksLost
            return nil
        }
        for geometry in found { if let links = links(of: geometry) { return links } }
        // Locators may be lost, or be left over from another chain.
        if let geometry = geometryInFile(head, memory, seed), !found.contains(geometry),
            let links = links(of: geometry)
        {
            return links
        }
        throw obstacle
    }

    private enum Generation {
        case lost
        case of(UInt64?)
    }

    private static func generation(of head: PFN, _ memory: any PhysicalMemory) -> Generation {
        var walk = ChainWalk(head: head, memory: memory)
        guard case .link(let link, let reading, _)? = walk.next()?.content, link.magic == Link.magic,
            link.hasSoundCount, reading == .asIs || reading == .allRestored
        else { return .lost }
        return .of(link.stamp?.generation)
    }

    /// The geometry page that the chain's own last file holds, where both locators are lost.
    private static func geometryInFile(_ head: PFN, _ memory: any PhysicalMemory, _ seed: UInt64) -> GeometryPage? {
        var walk = ChainWalk(head: head, memory: memory, seed: seed)
        var isFirst = false
        var candidate: PFN?
        while let walked = walk.next() {
            for entry in walked.link?.entries ?? [] {
                if isFirst && entry.kind == .data && entry.index == 0 { candidate = entry.page }
                isFirst = entry.kind == .meta
            }
        }
        guard let candidate else { return nil }
        var state = PageState.absent
        let bytes = PageBytes(candidate, of: memory, state: &state)
        return state == .present ? GeometryPage(decoding: bytes.bytes) : nil
    }

    /// Takes in the entries of a chain: the first ones are protected, the last ones those of the parity file.
    private final class Survey {
        private let geometry: GeometryPage
        private var count = 0
        private var file = -1
        private var isSound = true
        var pages = ProtectedPages()
        var digest = ProtectedDigest()
        var lost: [LostPage] = []
        var parityFile: [Member] = []
        var lostOfParityFile: [Int] = []

        init(_ geometry: GeometryPage) { self.geometry = geometry }

        private var expected: Int { geometry.pages + (geometry.code.map { $0.parityPages + 2 } ?? 0) }
        /// Whether the chain was followed to its end, and has as many entries as it should.
        var isWhole: Bool { isSound && count == expected }

        func take(_ walked: WalkedLink, _ results: UnsafeBufferPointer<EntryResult>) {
            guard let link = walked.link else {
                isSound = false
                return
            }
            for (number, entry) in link.entries.enumerated() where isSound {
                let result = results[number]
                take(entry, fits: result.state == .present && result.checksum == entry.checksum)
            }
        }

        private func take(_ entry: Entry, fits: Bool) {
            if entry.kind == .meta { file += 1 }
            if count < geometry.pages {
                pages.add(entry.page.number)
                digest.add(page: entry.page.number, checksum: entry.checksum)
                if !fits {
                    lost.append(LostPage(page: entry.page.number, checksum: entry.checksum, file: file))
                }
            } else {
                let number = count - geometry.pages
                guard count < expected, number == 0 ? entry.kind == .meta : entry.kind == .data,
                    number == 0 || entry.index == UInt64(number - 1)
                else {
                    isSound = false
                    return
                }
                parityFile.append(Member(page: entry.page.number, checksum: entry.checksum))
                if !fits { lostOfParityFile.append(number) }
            }
            count += 1
        }
    }
}
