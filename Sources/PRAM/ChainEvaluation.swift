/// What a chain was found to be, as a whole.
public enum Verdict: Int, Sendable {
    /// Every link and every page is proved.
    case intact
    /// Something is proved wrong.
    case damaged
    /// Nothing is proved wrong, and not everything proved right.
    case indeterminate
    /// There is no chain to judge.
    case absent

    public var name: StaticString {
        switch self {
        case .intact: "intact"
        case .damaged: "damaged"
        case .indeterminate: "indeterminate"
        case .absent: "absent"
        }
    }
}

/// What was computed over the page of one entry.
public struct EntryResult: Sendable {
    public var state: PageState
    /// crc32c of the page, when it is present.
    public var checksum: UInt32
    public init(state: PageState, checksum: UInt32) {
        self.state = state
        self.checksum = checksum
    }
}

/// One link in the report.
public struct LinkSummary: Sendable {
    public var page: PFN
    /// Entries it lists; 0 when its length is out of range.
    public var entries: Int
    public var reading: LinkReading
    public var standing: Standing
    /// The generation it was stamped with, if it was.
    public var generation: UInt64?

    public enum Standing: Int, Sendable {
        /// Magic, length and checksum prove it, by its reading.
        case proved
        /// Whether it is damaged, or a kernel has cleared its flags, cannot be told.
        case indeterminate
        /// It is damaged.
        case broken
    }

    public var proved: Bool { standing == .proved }
}

/// Judges a chain from its links and the checksums of their pages, handed over in chain order. Pure: the order in which
/// pages were read, and by how many threads, is not visible in the outcome.
///
/// The rules (Documentation/FORMAT.md, "Verdicts"): only what proved links list can be intact. From the first link on
/// that is not proved, pages may still fit their own checksums, but that such a list of pages is a file is unverified:
/// indeterminate. A file is complete once every index up to its size was seen; one that was complete before the chain
/// broke stays intact.
public final class ChainEvaluation {
    /// How much is kept of what a chain says. Real chains do not come near it; hostile ones, and above all compressed
    /// dumps of them, say in a few bytes what takes many to remember.
    struct Limits {
        /// More are counted, not kept.
        var findings = 1 << 17
        /// 2.8 TiB of pages. What is behind is not looked at, and the chain counts as cut there.
        var links = 1 << 22
        /// The same holds for files: behind the first one that is not kept, none is.
        var files = 1 << 20
        /// Files whose META page is another one's too, or is not there: each costs the writer 24 bytes, and no page.
        var filesWithoutPage = 1 << 16
        /// Bytes of all names together.
        var nameBytes = 64 << 20
        /// See `SparseSet`.
        var chunks = SparseSet.chunkLimit
    }

    /// More findings than this are counted, not kept.
    public static let findingsKept = Limits().findings
    /// A chain with more links than this counts as cut behind them.
    public static let linksKept = Limits().links

    public private(set) var files: [StoredFile] = []
    public private(set) var findings: [Finding] = []
    public private(set) var links: [LinkSummary] = []
    public private(set) var entryCount: UInt64 = 0
    public private(set) var pagesChecked: UInt64 = 0
    /// How many findings of each kind there are, kept or not.
    public private(set) var findingCounts = [UInt64](repeating: 0, count: Finding.Kind.allCases.count)
    /// Pages that more than one place uses, and whose content fits more than one of them: it is not known whose they
    /// are. When not empty, `assignContested` must be called for each link once more.
    public private(set) var contested: SparseSet
    /// Files that the chain lists behind the last one in `files`, and links behind the last one in `links`: more than
    /// are kept. With any of them the chain counts as cut there, at best indeterminate.
    public private(set) var filesOmitted: UInt64 = 0
    public private(set) var linksOmitted: UInt64 = 0

    private let seed: UInt64
    private let limits: Limits
    private var used: SparseSet
    /// Pages that do not fit the first entry that names them, and pages that fit an entry that is not the first to name
    /// them.
    private var misfits: SparseSet
    private var fitsAgain: SparseSet
    private var names: NameTable
    /// Which file has the name at each place of `names`.
    private var namesakes: [Int] = []
    private var nameBytes = 0
    private var filesWithoutPage = 0
    /// The META entry of the first file that was not kept.
    private var firstOmitted: (link: Int, entry: Int)?
    private var open: OpenFile?
    /// The first link that is not proved; behind it nothing is.
    private var broken: Int?
    /// Where links begin that only their pages vouch for, and the first file that depends on them.
    private var vouchedFrom: (link: Int, file: Int)?
    /// Whether no link contradicts that a kernel has reserved the chain and cleared its LRU flags.
    private var wasReserved = true
    private var zeroChecksums: UInt64 = 0
    private var firstZeroChecksum: Finding?

    private struct OpenFile {
        var number: Int
        /// nil when the META page does not tell.
        var pageCount: UInt64?
        var indexes: IndexesSeen
        var lastIndex: UInt64?
        var damaged = false
        var missing = false
        var proved: Bool

        /// Every page up to the size was listed, and fits.
        var isComplete: Bool {
            guard let pageCount, !damaged, !missing, !indexes.isIncomplete else { return false }
            return indexes.count == pageCount
        }
    }

    /// - Parameter seed: any number that nobody can foresee, for the tables of names and pages.
    public convenience init(seed: UInt64) { self.init(seed: seed, Limits()) }

    init(seed: UInt64, _ limits: Limits) {
        self.seed = seed
        self.limits = limits
        names = NameTable(seed: seed)
        // The others hold some of the pages of `used`, so that they never have more to keep.
        used = SparseSet(seed: seed, chunkLimit: limits.chunks)
        misfits = SparseSet(seed: seed, chunkLimit: limits.chunks)
        fitsAgain = SparseSet(seed: seed, chunkLimit: limits.chunks)
        contested = SparseSet(seed: seed, chunkLimit: limits.chunks)
    }

    /// Takes in the next link.
    /// - Parameters:
    ///   - results: what was computed over the entries' pages, in the order of entries; nil when pages are not looked at.
    ///   - image: the file image of the META entry with this number, called only where its page is present.
    public func accept(
        _ walked: WalkedLink, results: UnsafeBufferPointer<EntryResult>?, image: (Int) -> FileImage
    ) {
        let number = walked.number
        guard number < limits.links else {
            if linksOmitted == 0 { breakOff(at: links.count - 1) }
            linksOmitted += 1
            return
        }
        switch walked.content {
        case .link(let link, let reading, let looksCleared):
            unsafe accept(link, reading, looksCleared, number, walked.page, results, image)
        case .notALink(let zeros):
            report(Finding(number == 0 ? .noChain : .linkMagic, link: number, page: walked.page, detail: zeros ? 1 : 0))
            breakOff(at: number)
        case .absent:
            report(Finding(.pageNotInSource, link: number, page: walked.page))
            breakOff(at: number)
        case .unreadable:
            report(Finding(.pageUnreadable, link: number, page: walked.page))
            breakOff(at: number)
        case .invalidPFN:
            report(Finding(.pfnInvalid, link: number, page: walked.page))
            breakOff(at: number)
        case .loop:
            report(Finding(.linkLoop, link: number, page: walked.page))
            breakOff(at: number)
        }
    }

    /// Call behind the last link.
    public func finish() {
        closeFile(ended: broken == nil)
        judgeVouched()
        if let broken, !links.isEmpty {
            let behind = max(0, links.count - 1 - broken)
            report(Finding(.chainCut, link: broken, detail: UInt64(behind)))
        }
        if var first = firstZeroChecksum {
            first.detail = zeroChecksums
            report(first)
        }
    }

    /// The walk was stopped before the end of the chain, for lack of time.
    public func interrupt() {
        report(Finding(.timeout, link: links.count))
        breakOff(at: links.count)
    }

    /// Whether nothing is proved from some link on that was taken in.
    public var isBroken: Bool { broken != nil }
    /// Whether links were taken in that only their pages vouch for: `finish` decides whether they are believed.
    public var isOnTrial: Bool { vouchedFrom != nil }

    /// Adds a finding that the driver made: a time-out, pages not looked at.
    public func report(_ finding: Finding) {
        findingCounts[finding.kind.rawValue] += 1
        if findings.count < limits.findings { findings.append(finding) }
    }

    /// Findings beyond those kept.
    public var findingsOmitted: UInt64 { findingCounts.reduce(0, +) - UInt64(findings.count) }

    /// Whether the page that was named as head holds zeros only.
    public var isHeadCleared: Bool { links.isEmpty && findings.contains { $0.kind == .noChain && $0.detail == 1 } }

    public var verdict: Verdict {
        var doubt = false
        for kind in Finding.Kind.allCases where findingCounts[kind.rawValue] > 0 {
            if kind.severity == .damage { return .damaged }
            if kind.severity == .doubt { doubt = true }
        }
        return doubt ? .indeterminate : .intact
    }

    /// The second look at a link, when `contested` is not empty: no file that claims a contested page stays intact.
    public func assignContested(_ number: Int, _ link: Link) {
        for (entryNumber, entry) in link.entries.enumerated() where contested.contains(entry.page.number) {
            guard let file = file(at: number, entryNumber),
                files[file].status.rawValue
                    < StoredFile.Status
                    .indeterminate.rawValue
            else { continue }
            files[file].status = .indeterminate
        }
    }

    /// The second look ended before the link with this number: whether files that reach so far claim a contested page is
    /// not known.
    public func doubtFiles(from link: Int) {
        report(Finding(.timeout, link: link))
        for file in files.indices
        where files[file].lastLink >= link && files[file].status.rawValue < StoredFile.Status.indeterminate.rawValue {
            files[file].status = .indeterminate
        }
    }

    // MARK: - Links

    private func accept(
        _ link: Link, _ reading: LinkReading, _ looksCleared: Bool, _ number: Int, _ page: PFN,
        _ results: UnsafeBufferPointer<EntryResult>?, _ image: (Int) -> FileImage
    ) {
        var proved = link.magic == Link.magic && link.hasSoundCount
        var standing = LinkSummary.Standing.broken
        var reading = reading
        // A kernel may have cleared it, for all that the page itself tells.
        var mayBeCleared = looksCleared
        if link.magic != Link.magic { report(Finding(.linkMagic, link: number, page: page)) }
        switch reading {
        case .asIs, .allRestored: break
        case .intervalRestored:
            // The search alone is not enough: every page must vouch for the entries as well.
            if unsafe proved && pagesVouch(for: link, results) { break }
            // A damaged page is no proof against the link that lists it.
            if proved { mayBeCleared = true }
            fallthrough
        default:
            if unsafe looksCleared && link.isFilled && broken == nil && pagesVouch(for: link, results) {
                reading = .vouchedByPages
                if vouchedFrom == nil { startVouching(at: number) }
            } else {
                proved = false
                // A kernel that clears flags clears all of a link's and touches nothing else. What that cannot explain
                // is damage.
                reading = .none
                if mayBeCleared { standing = .indeterminate }
                report(Finding(mayBeCleared ? .linkIndeterminate : .linkChecksum, link: number, page: page))
            }
        }
        if link.entries.contains(where: { $0.hasLRU })
            || reading == .asIs && link.entries.contains(where: { $0.kind == .data })
        {
            wasReserved = false
        }
        if !link.hasSoundCount {
            report(Finding(.linkLength, link: number, page: page, detail: UInt64(link.count)))
        }
        if !used.insert(page.number) {
            report(Finding(.pageShared, link: number, page: page))
            _ = contested.insert(page.number)
        }
        if proved { standing = .proved }
        links.append(
            LinkSummary(
                page: page, entries: link.entries.count, reading: reading, standing: standing,
                generation: link.stamp?.generation))
        if !proved { breakOff(at: number) }
        for (entryNumber, entry) in link.entries.enumerated() {
            let result = unsafe results?[entryNumber]
            let hasImage =
                entry.kind == .meta && result?.state == .present && entry.page.number != 0
                && entry.page.address != nil
            accept(entry, at: number, entryNumber, result, hasImage ? image(entryNumber) : nil)
        }
    }

    /// Whether all pages of the link fit and the indexes ascend within each file: what makes an interval reading
    /// believable.
    private func pagesVouch(for link: Link, _ results: UnsafeBufferPointer<EntryResult>?) -> Bool {
        guard let results = unsafe results else { return false }
        var last = open?.lastIndex
        for (number, entry) in link.entries.enumerated() {
            let result = unsafe results[number]
            guard result.state == .present, result.checksum == entry.checksum else { return false }
            switch entry.kind {
            case .meta: last = nil
            case .data:
                if let last, entry.index <= last { return false }
                last = entry.index
            case .unknown: return false
            }
        }
        return true
    }

    /// The first link of which no simple reading fits, though it looks like one whose flags a kernel has cleared. What
    /// comes from here on is taken on trial, and `judgeVouched` decides at the end.
    private func startVouching(at number: Int) {
        if open?.isComplete == true { closeFile(ended: true) }
        vouchedFrom = (link: number, file: open?.number ?? files.count)
    }

    /// Decides whether links that only their pages vouch for are believed. The kernel clears the flags of a link only
    /// after it has verified it, and then clears all of them. So the state of the whole chain must be that of a
    /// reserved one: no LRU flag is left anywhere, no link that lists data fits as it lies, at least two do not fit
    /// (one may be a single accident, all of them at once are not), and otherwise nothing at all is wrong: every page
    /// fits, indexes ascend, all unused bytes are zero, every link but the last is full. Else those links are
    /// indeterminate, and so is every file from the first of them on.
    private func judgeVouched() {
        guard let start = vouchedFrom else { return }
        let vouched = links.indices.filter { links[$0].reading == .vouchedByPages }
        if wasReserved && vouched.count >= 2 && verdict == .intact {
            report(Finding(.linkVouched, link: start.link, page: links[start.link].page, detail: UInt64(vouched.count)))
            return
        }
        for number in vouched {
            links[number].reading = .none
            links[number].standing = .indeterminate
            report(Finding(.linkIndeterminate, link: number, page: links[number].page))
        }
        for file in files.indices.dropFirst(start.file)
        where files[file].status.rawValue < StoredFile.Status.indeterminate.rawValue {
            files[file].status = .indeterminate
        }
        broken = min(broken ?? start.link, start.link)
    }

    /// From here on nothing is proved. The open file keeps its status when it was complete.
    private func breakOff(at number: Int) {
        if broken == nil { broken = number }
        if open?.isComplete == true { closeFile(ended: true) }
        open?.proved = false
    }

    // MARK: - Entries

    private func accept(
        _ entry: Entry, at link: Int, _ number: Int, _ result: EntryResult?, _ image: FileImage?
    ) {
        entryCount += 1
        if entry.kind == .meta {
            closeFile(ended: true)
            openFile(entry, at: link, number, result, image)
        } else if open == nil && broken == nil && entry.kind == .data && result != nil {
            report(Finding(.dataBeforeMeta, link: link, entry: number, page: entry.page))
        }
        let file = open?.number ?? -1
        if entry.kind == .unknown {
            report(
                Finding(
                    .entryType, link: link, entry: number, page: entry.page, file: file,
                    detail: UInt64(entry.flags & 0xff)))
            open?.damaged = true
        } else if entry.hasUnknownFlags {
            report(
                Finding(
                    .unknownFlags, link: link, entry: number, page: entry.page, file: file,
                    detail: UInt64(entry.flags)))
        }
        checkPage(entry, at: link, number, result, file)
        if entry.kind == .data && open != nil { placeData(entry, at: link, number, file) }
        // What was seen before is no longer known for certain, so that nothing from here on is proved: not even the
        // file that this page completes, for a later one might name it too.
        if broken == nil && (used.isIncomplete || open?.indexes.isIncomplete == true) {
            open?.proved = false
            breakOff(at: link)
        }
    }

    private func checkPage(_ entry: Entry, at link: Int, _ number: Int, _ result: EntryResult?, _ file: Int) {
        guard entry.page.number != 0, entry.page.address != nil else {
            report(Finding(.pfnInvalid, link: link, entry: number, page: entry.page, file: file))
            pageIsBad(file)
            open?.damaged = true
            return
        }
        // What is not there is not remembered either: hostile numbers must not fill memory.
        if let result, result.state == .absent {
            report(Finding(.pageNotInSource, link: link, entry: number, page: entry.page, file: file))
            pageIsBad(file)
            open?.missing = true
            return
        }
        let shared = !used.insert(entry.page.number)
        if shared { report(Finding(.pageShared, link: link, entry: number, page: entry.page, file: file)) }
        guard let result else { return }
        switch result.state {
        case .absent: break
        case .unreadable:
            report(Finding(.pageUnreadable, link: link, entry: number, page: entry.page, file: file))
            pageIsBad(file)
            open?.missing = true
        case .present:
            pagesChecked += 1
            if result.checksum != entry.checksum {
                report(
                    Finding(
                        entry.kind == .meta ? .metaChecksum : .dataChecksum, link: link, entry: number,
                        page: entry.page, file: file, detail: UInt64(result.checksum)))
                pageIsBad(file)
                open?.damaged = true
                // Of the first that names it only: `claim` counts the others by themselves.
                if !shared { _ = misfits.insert(entry.page.number) }
            } else {
                if shared { claim(entry.page) }
                if entry.checksum == 0 {
                    zeroChecksums += 1
                    if firstZeroChecksum == nil {
                        firstZeroChecksum = Finding(
                            .zeroChecksum, link: link, entry: number, page: entry.page, file: file)
                    }
                }
            }
        }
    }

    /// A page fits here, and was used before: it is contested unless all the others that claim it do not fit.
    private func claim(_ page: PFN) {
        let firstFits = !misfits.contains(page.number)
        if !fitsAgain.insert(page.number) || firstFits { _ = contested.insert(page.number) }
    }

    private func pageIsBad(_ file: Int) {
        if file >= 0 { files[file].badPages += 1 }
    }

    private func placeData(_ entry: Entry, at link: Int, _ number: Int, _ file: Int) {
        files[file].pages += 1
        files[file].lastLink = link
        open?.lastIndex = entry.index
        if let pageCount = open?.pageCount, entry.index >= pageCount {
            report(Finding(.indexPastEnd, link: link, entry: number, page: entry.page, file: file, detail: entry.index))
            open?.damaged = true
        } else if open?.indexes.insert(entry.index) == false {
            report(
                Finding(
                    .duplicateIndex, link: link, entry: number, page: entry.page, file: file,
                    detail: entry.index))
            open?.damaged = true
        }
    }

    // MARK: - Files

    private func openFile(
        _ entry: Entry, at link: Int, _ number: Int, _ result: EntryResult?, _ image: FileImage?
    ) {
        guard let result else { return }  // pages are not looked at: no names, no files
        guard hasRoom(forFileOf: entry, image) else {
            if firstOmitted == nil {
                firstOmitted = (link, number)
                breakOff(at: link)
            }
            filesOmitted += 1
            return
        }
        let file = files.count
        var stored = StoredFile(
            size: 0, mode: 0, name: [], status: entry.isQuarantined ? .quarantined : .intact, link: link, entry: number,
            lastLink: link, pages: 0, badPages: 0, metaFits: false)
        var opened = OpenFile(
            number: file, indexes: IndexesSeen(seed: seed, chunkLimit: limits.chunks), proved: broken == nil)
        func violates(_ kind: Finding.Kind, _ detail: UInt64) {
            report(Finding(kind, link: link, entry: number, page: entry.page, file: file, detail: detail))
            opened.damaged = true
        }
        if let meta = image {
            stored.size = meta.size
            stored.mode = meta.mode
            stored.name = meta.name
            stored.metaFits = result.checksum == entry.checksum
            if stored.metaFits {
                opened.pageCount = meta.pageCount
                if meta.pageCount == nil { violates(.metaSize, meta.size) }
                if !meta.hasSoundMode { violates(.metaMode, UInt64(meta.mode)) }
                if !meta.hasSoundNameLength {
                    violates(.metaNameLength, UInt64(meta.nameLength))
                } else if !meta.hasSafeName && !used.contains(entry.page.number) {
                    violates(.metaName, 0)
                }
            }
        }
        files.append(stored)
        if stored.metaFits && !opened.damaged && !stored.name.isEmpty {
            let (place, isNew) = names.insert(stored.name)
            if isNew {
                namesakes.append(file)
            } else {
                violates(.duplicateName, UInt64(namesakes[place]))
                files[file].isDuplicate = true
            }
        }
        open = opened
    }

    /// Counts the file in, unless there are too many. None follows one that is left out: the files that are kept are
    /// the first ones of the chain.
    private func hasRoom(forFileOf entry: Entry, _ image: FileImage?) -> Bool {
        guard firstOmitted == nil, files.count < limits.files else { return false }
        if image == nil || used.contains(entry.page.number) {
            guard filesWithoutPage < limits.filesWithoutPage else { return false }
            filesWithoutPage += 1
        }
        let count = image?.name.count ?? 0
        guard count <= limits.nameBytes - nameBytes else { return false }
        nameBytes += count
        return true
    }

    /// - Parameter ended: whether it is proved that nothing more of the file follows.
    private func closeFile(ended: Bool) {
        guard let file = open else { return }
        open = nil
        if file.damaged {
            files[file.number].status = .damaged
        } else if file.missing {
            files[file.number].status = .incomplete
        } else if !ended && !file.isComplete {
            files[file.number].status = .incomplete
            report(Finding(.fileCut, link: files[file.number].link, entry: files[file.number].entry, file: file.number))
        } else if !file.proved {
            files[file.number].status = .indeterminate
        }
    }

    /// The file to which an entry belongs that was taken in, if any: a place in `files`.
    public func file(at link: Int, _ entry: Int) -> Int? {
        if let firstOmitted, (link, entry) >= firstOmitted { return nil }
        var low = 0
        var high = files.count
        while low < high {
            let middle = (low + high) / 2
            if (files[middle].link, files[middle].entry) <= (link, entry) { low = middle + 1 } else { high = middle }
        }
        return low > 0 ? low - 1 : nil
    }
}
