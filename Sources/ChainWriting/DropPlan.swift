import Linux
import Manifest
import PRAM
import Text
import Verification

/// A chain with everything that is needed to write it anew: what a check found, and every entry with its page's result.
public struct SurveyedChain {
    struct Listed {
        let entry: Entry
        let link: Int
        let fits: Bool
        /// crc32c of the page as it is now; nil when it could not be read.
        let checksum: UInt32?
    }

    public let evaluation: ChainEvaluation
    public let layout: ChainLayout
    let head: PFN
    let entries: [Listed]
    /// For tables of what the chain says: see `SeededHash`.
    let seed: UInt64
    /// Every page that the chain uses, links included: none of them is free.
    let usedPages: SparseSet
    /// Whether the last link that was found says that it is the last.
    let isWhole: Bool
    let areLinksProved: Bool

    /// Whether all that the chain lists is known: see `ChainEvaluation.Limits`.
    public var isComplete: Bool {
        evaluation.filesOmitted == 0 && evaluation.linksOmitted == 0 && !usedPages.isIncomplete
    }

    /// Checks the chain page by page, and keeps what it lists: 48 bytes for each page of the chain.
    /// - Parameter knows: see `ChainCheck.Options`.
    public init(
        head: PFN, memory: any PhysicalMemory, threads: Int, seed: UInt64,
        knows: ((UInt64, UInt32) -> Bool)? = nil
    ) {
        var entries: [Listed] = []
        var used = SparseSet(seed: seed)
        var isWhole = false
        var options = ChainCheck.Options()
        options.threads = threads
        options.knows = knows
        options.observe = { walked, results in
            _ = used.insert(walked.page.number)
            isWhole = false
            guard case .link(let link, let reading, _) = walked.content else { return }
            isWhole = link.next.number == 0
            // What a link leads to is never free, also where the walk does not go on: the old chain must not change.
            _ = used.insert(link.next.number)
            let restored = reading.restored(in: link)
            for (number, original) in link.entries.enumerated() {
                var entry = original
                if restored.contains(number) { entry.flags |= Entry.lru }
                let result = results[number]
                let isPresent = result.state == .present
                _ = used.insert(entry.page.number)
                entries.append(
                    Listed(
                        entry: entry, link: walked.number, fits: isPresent && result.checksum == entry.checksum,
                        checksum: isPresent ? result.checksum : nil))
            }
        }
        let check = ChainCheck(head: head, memory: memory, options: options, seed: seed)
        evaluation = check.run()
        layout = check.layout
        self.head = head
        self.seed = seed
        self.entries = entries
        usedPages = used
        self.isWhole = isWhole
        areLinksProved = evaluation.links.allSatisfy { $0.standing == .proved }
    }
}

/// What becomes of each file of a damaged chain, decided before anything is written.
public struct DropPlan {
    public struct Options {
        /// Keep damaged files too, their bad pages as holes.
        public var keepsHoles = false
        /// Keep damaged files too, as NAME.damaged, their bad pages as they are.
        public var quarantines = false
        /// What to do with what lies behind a bad link and cannot prove that it belongs there; nil leaves it open.
        public var unproved: Unproved?

        public enum Unproved { case salvage, cut }
        public init() {}
    }

    public enum Fate: Equatable {
        case kept
        /// Kept under this name, marked as quarantined.
        case quarantined([UInt8])
        case dropped(Reason)
        /// Nobody has said whether to keep it.
        case undecided
    }

    public enum Reason: Int {
        case damaged, listedByBadLink, unproved, sharesPage, incomplete

        public var sentence: StaticString {
            switch self {
            case .damaged: "it is damaged"
            case .listedByBadLink: "a damaged link lists it"
            case .unproved: "nothing proves that it belongs to this chain"
            case .sharesPage: "another file claims one of its pages"
            case .incomplete: "not all of it can be read"
            }
        }
    }

    /// One for each file of the evaluation.
    public let fates: [Fate]
    /// The entries of the chain to come, in order.
    let entries: [SurveyedChain.Listed]
    /// META pages that get a new name: the place in `entries`, and the file image.
    let renamed: [(place: Int, image: FileImage)]
    /// Whether anything differs from the chain as it lies, links that are only marked anew included.
    public let isNeeded: Bool

    /// Whether no file is left.
    public var leavesNothing: Bool { entries.isEmpty }

    public var isUndecided: Bool { fates.contains(.undecided) }

    /// - Parameter refits: re-make links that do not fit as they lie even where no file is lost.
    public init(_ chain: SurveyedChain, options: Options, refits: Bool) {
        let evaluation = chain.evaluation
        let evidence = Evidence(chain)
        var names = Names(evaluation.files, seed: chain.seed)
        var fates: [Fate] = []
        for number in evaluation.files.indices {
            // Parity is of a chain that ends here; its file counts as neither kept nor lost.
            if evaluation.files[number].isParity {
                fates.append(.kept)
                continue
            }
            fates.append(DropPlan.fate(of: evaluation.files[number], number, evidence, options, &names))
        }

        var entries: [SurveyedChain.Listed] = []
        var renamed: [(place: Int, image: FileImage)] = []
        var file = -1
        var left: UInt64 = 0
        var indexes = SparseSet(seed: chain.seed)
        // Pages that are spoken for: a quarantined file may hold none of them.
        var taken = DropPlan.pages(of: chain, keptBy: fates)
        for var listed in chain.entries {
            if listed.entry.kind == .meta {
                file += 1
                guard file < fates.count else { break }
                left = evaluation.files[file].pages
                indexes.removeAll()
                if evaluation.files[file].isParity {
                    left = 0
                    continue
                }
                switch fates[file] {
                case .dropped: continue
                case .kept, .undecided: break
                case .quarantined(let name):
                    guard taken.insert(listed.entry.page.number) else {
                        fates[file] = .dropped(.sharesPage)
                        continue
                    }
                    listed = listed.with(flags: 1 | Entry.quarantined)
                    let stored = evaluation.files[file]
                    if name != stored.name {
                        renamed.append((entries.count, FileImage(size: stored.size, mode: stored.mode, name: name)))
                    }
                }
                entries.append(listed)
            } else if listed.entry.kind == .data, file >= 0, left > 0 {
                left -= 1
                let kept = DropPlan.keep(listed, of: evaluation.files[file], fates[file], options, &indexes, &taken)
                if let kept { entries.append(kept) }
            }
        }
        self.fates = fates
        self.entries = entries
        self.renamed = renamed
        isNeeded = DropPlan.isNeeded(evaluation, cuts: entries.count != chain.entries.count, fates, refits: refits)
    }

    /// Whether anything is to be written at all.
    /// - Parameter cuts: whether the new chain has fewer entries.
    private static func isNeeded(_ evaluation: ChainEvaluation, cuts: Bool, _ fates: [Fate], refits: Bool) -> Bool {
        let damage =
            evaluation.verdict != .intact
            && (cuts || fates.contains { $0 != .kept } || evaluation.links.contains { $0.standing == .broken })
        return damage || evaluation.verdict == .damaged && !evaluation.links.isEmpty
            || refits && evaluation.links.contains { $0.reading != .asIs }
    }

    /// The pages of all links, and of the files that are kept as they are.
    private static func pages(of chain: SurveyedChain, keptBy fates: [Fate]) -> SparseSet {
        var pages = SparseSet(seed: chain.seed)
        for link in chain.evaluation.links { _ = pages.insert(link.page.number) }
        var file = -1
        for listed in chain.entries {
            if listed.entry.kind == .meta { file += 1 }
            guard file >= 0, file < fates.count, fates[file] == .kept || fates[file] == .undecided else { continue }
            _ = pages.insert(listed.entry.page.number)
        }
        return pages
    }

    /// The DATA entry as it goes on, or nil when it is left out.
    private static func keep(
        _ listed: SurveyedChain.Listed, of file: StoredFile, _ fate: Fate, _ options: Options,
        _ indexes: inout SparseSet,
        _ taken: inout SparseSet
    ) -> SurveyedChain.Listed? {
        switch fate {
        case .dropped: return nil
        case .kept, .undecided: return listed
        case .quarantined:
            // What the kernel would refuse goes in any case: an index twice, or behind the end.
            guard let pages = FileImage(size: file.size, mode: file.mode, name: file.name).pageCount,
                listed.entry.index < pages, let checksum = listed.checksum,
                listed.fits || options.quarantines, indexes.insert(listed.entry.index),
                taken.insert(listed.entry.page.number)
            else { return nil }
            return listed.with(checksum: checksum)
        }
    }

    private static func fate(
        of file: StoredFile, _ number: Int, _ evidence: Evidence, _ options: Options, _ names: inout Names
    ) -> Fate {
        let reason: Reason
        switch file.status {
        case .intact, .quarantined: return .kept
        case .damaged: reason = .damaged
        case .incomplete:
            // Pages that cannot be looked at may be perfectly good: nothing of that goes without a word from the user.
            if file.badPages > 0 && options.unproved == nil { return .undecided }
            // With holes at its end, only the end of the chain shows that nothing follows.
            if file.badPages == 0 && evidence.endsHere(number) && evidence.standing(of: number) == .believed {
                return .kept
            }
            reason = .incomplete
        case .indeterminate:
            switch evidence.standing(of: number) {
            case .believed: return .kept
            case .listedByBadLink: reason = .listedByBadLink
            case .sharesPage: reason = .sharesPage
            case .unproved:
                switch options.unproved {
                case .salvage: return .quarantined(names.markedName(for: file))
                case .cut: return .dropped(.unproved)
                case nil: return .undecided
                }
            }
            if options.unproved == .salvage && reason == .listedByBadLink {
                return .quarantined(names.markedName(for: file))
            }
        }
        let isWhole =
            file.metaFits && FileImage.isSafe(file.name)
            && FileImage(size: file.size, mode: file.mode, name: file.name).pageCount != nil
            && file.mode & ~0xfff == 0x8000
        guard isWhole else { return .dropped(reason) }
        if options.quarantines { return .quarantined(names.damagedName(for: file.name)) }
        if options.keepsHoles { return .quarantined(names.markedName(for: file)) }
        return .dropped(reason)
    }
}

extension SurveyedChain.Listed {
    func with(flags: UInt32? = nil, checksum: UInt32? = nil) -> SurveyedChain.Listed {
        var entry = entry
        if let flags { entry.flags = flags }
        if let checksum { entry.checksum = checksum }
        return SurveyedChain.Listed(entry: entry, link: link, fits: fits, checksum: self.checksum)
    }
}

/// What stands behind a file that is only indeterminate.
private struct Evidence {
    enum Standing { case believed, listedByBadLink, sharesPage, unproved }

    private let links: [LinkSummary]
    private let files: [StoredFile]
    private let isWhole: Bool
    private let firstBroken: Int?
    /// The generation of the chain: of its first link that is stamped.
    private let generation: UInt64?
    /// Files that claim a page which others claim too.
    private var sharing: [Bool]

    init(_ chain: SurveyedChain) {
        links = chain.evaluation.links
        files = chain.evaluation.files
        isWhole = chain.isWhole
        firstBroken = links.firstIndex { $0.standing == .broken }
        generation = links.first { $0.generation != nil }?.generation
        sharing = files.map { _ in false }
        guard !chain.evaluation.contested.isEmpty else { return }
        var file = -1
        for listed in chain.entries {
            if listed.entry.kind == .meta { file += 1 }
            if file >= 0, file < sharing.count, chain.evaluation.contested.contains(listed.entry.page.number) {
                sharing[file] = true
            }
        }
    }

    /// Whether the chain ends with this file, and says so.
    func endsHere(_ number: Int) -> Bool { isWhole && number == files.count - 1 }

    func standing(of number: Int) -> Standing {
        if sharing[number] { return .sharesPage }
        let file = files[number]
        let pages = FileImage(size: file.size, mode: file.mode, name: file.name).pageCount
        // Where a file with holes ends, only the next file shows, or the end of the chain.
        let end =
            file.pages == pages ? file.lastLink : number + 1 < files.count ? files[number + 1].link : links.count - 1
        let range = file.link...max(file.link, file.lastLink, end)
        if range.contains(where: { links[$0].standing == .broken }) { return .listedByBadLink }
        guard let firstBroken, range.upperBound >= firstBroken else { return .believed }
        // Behind a bad link, only the stamp shows that a link belongs to this chain and is no left-over of another.
        guard let generation, range.allSatisfy({ links[$0].generation == generation && links[$0].standing == .proved })
        else { return .unproved }
        return .believed
    }
}

/// The names in use, and new ones for damaged files.
private struct Names {
    private var used: NameTable
    /// How often a name that starts like this was made: many that differ at their end alone would all try from 1 on.
    private var starts: NameTable
    private var tries: [Int] = []

    init(_ files: [StoredFile], seed: UInt64) {
        used = NameTable(seed: seed)
        starts = NameTable(seed: seed)
        for file in files where file.metaFits { _ = used.insert(file.name) }
    }

    /// Under what name a file goes on that is kept, marked: its own where it can keep it. Of two files with one name the
    /// second one cannot, nor can a manifest, whose name is that of the one that is made of it.
    mutating func markedName(for file: StoredFile) -> [UInt8] {
        file.isDuplicate || file.name == ManifestFile.name ? damagedName(for: file.name) : file.name
    }

    /// NAME.damaged, cut to 255 bytes; NAME.damaged2 and so on where that is taken.
    mutating func damagedName(for name: [UInt8]) -> [UInt8] {
        let (start, isNew) = starts.insert(Array(name.prefix(FileImage.nameCapacity - 16)))
        if isNew { tries.append(0) }
        var number = tries[start] + 1
        while true {
            let ending = Array((number == 1 ? ".damaged" : ".damaged\(number)").utf8)
            let new = Array(name.prefix(FileImage.nameCapacity - ending.count)) + ending
            if used.insert(new).isNew {
                tries[start] = number
                return new
            }
            number += 1
        }
    }
}
