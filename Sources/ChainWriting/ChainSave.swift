import CChecksum
import Linux
import MemorySources
import PRAM
import Parity
import Text
import Verification

/// Writes the files of a directory as a chain into a range of memory.
///
/// The order makes an interruption harmless. First the head page is zeroed, as a whole: from then on there is no chain.
/// Then come the data, the META pages and the links but the head; all of it is read back and verified with the head
/// laid over it in memory. The head page is written last, in one call. So at any moment the range holds the old chain,
/// untouched, or none, or the new one.
///
/// Where the range has room for a chain that it holds and for the new one, none of the old one's pages is written but
/// the head, last: then it is the old chain or the new one, and never none.
public struct ChainSave {
    private static let batchCapacity = 256

    private let memory: any WritableMemory
    private let directory: SourceDirectory?
    private let plan: SavePlan
    private let head: PFN
    private var nextPage: UInt64
    /// Behind the last page that may be taken.
    private let end: UInt64
    /// Stays until the new one is complete; nil where there is none, or no room beside it.
    private var standing: StandingChain?
    private var writer: ChainWriter
    private var headLink: PageBytes?
    private let stamp: LinkStamp
    private var held: HeldLink?
    private var streamed: (meta: PFN, file: SavePlan.File, size: UInt64)?
    private let buffers = ChecksumBuffers(capacity: batchCapacity)
    private let generation: UInt64
    // For parity, where there is to be any.
    private var placement: ChainPlacement?
    private var nextLink: UInt64 = 0
    private var links: [UInt64]
    private var protected = ProtectedDigest()
    /// nil where pages are written in place.
    private var behind: WriteBehind?
    /// nil where parity is made when all pages are written.
    private var along: ParityAlong?
    /// How many bytes of a stream found no room.
    private var excess: UInt64?
    /// Called right before the head is written: from then on what was written counts.
    public var beforeHead: () -> Void = {}
    /// Whether the page frames lie too scattered for parity: it says where they lie run by run.
    public private(set) var isScattered = false
    /// What protects the chain that was written; nil when nothing does.
    public private(set) var protection: ParityLayout?

    /// - Parameters:
    ///   - generation: marks the links of this chain; any number that no other chain has.
    ///   - parity: how many parity pages there are to be for 100 pages, 1 to 50; 0 for none, nor copies of links. Where
    ///     the range has no room, as much as fits.
    ///   - standing: the chain that this one replaces. It stays until this one is complete where there is room for both
    ///     with all the parity that is asked for; otherwise it is cleared first.
    /// - Throws: `.tooSmall`, when the range cannot hold the chain; `.notSavable`, when there is nothing to save.
    public init(
        _ plan: SavePlan, from directory: SourceDirectory?, into memory: any WritableMemory, generation: UInt64,
        parity: Int = 0, replacing standing: StandingChain? = nil
    ) throws(WritingFailure) {
        guard !plan.isEmpty else { throw ChainSave.nothingToSave(in: directory) }
        if let target = memory.writtenFile,
            let file = plan.files.first(where: { $0.source.identity?.isFile(target) == true })
        {
            throw WritingFailure(
                .notSavable, "\(escaped(file.name)) is the very file that is to be written",
                remedy: "keep the image outside of the directory that is saved")
        }
        let pages = memory.pages
        guard pages.lowerBound > 0 else {
            throw WritingFailure(.notSavable, "the range begins at address 0: no chain begins at page 0")
        }
        guard let needed = plan.pagesNeeded, needed <= UInt64(pages.count) else {
            throw WritingFailure(
                .tooSmall,
                "the files need \(plan.pagesNeeded ?? .max) pages of 4 KiB, and the range has \(pages.count)",
                remedy: "more room is needed")
        }
        self.memory = memory
        self.directory = directory
        self.plan = plan
        head = PFN(pages.lowerBound)
        self.generation = generation
        links = [pages.lowerBound]
        if let standing, let place = plan.place(beside: standing, parity: parity) {
            self.standing = standing
            placement = place.placement
            nextPage = place.pages.lowerBound
            end = place.pages.upperBound
        } else {
            if parity > 0, !plan.hasStream, let most = plan.entryCount {
                placement = ChainPlacement(pages, most: most, percent: parity)
            }
            nextPage = placement?.firstPage ?? pages.lowerBound + 1
            end = pages.upperBound
        }
        if standing == nil, let placement, let most = plan.entryCount, !placement.fitsFrames(of: memory, pages: most) {
            self.placement = nil
            isScattered = true
            nextPage = pages.lowerBound + 1
        }
        nextLink = placement?.links.lowerBound ?? 0
        stamp = LinkStamp(generation: generation)
        writer = ChainWriter(head: head, stamp: stamp)
    }

    public static func nothingToSave(in directory: SourceDirectory?) -> WritingFailure {
        WritingFailure(
            .notSavable, "\(escaped(directory?.path ?? [])) holds nothing that can be saved: a chain cannot be empty")
    }

    /// - Parameter threads: for the verification at the end.
    /// - Returns: the head, and what the verification found: an intact chain.
    public mutating func run(threads: Int, seed: UInt64) throws(WritingFailure) -> (head: PFN, chain: ChainEvaluation) {
        if let refusal = memory.refusal { throw WritingFailure(refusal) }
        defer { behind?.end() }
        do throws(SystemError) {
            try startWriting()
            if standing == nil {
                // What was found by them is no more, also where this ends early.
                try Locators.clear(head: head, in: memory)
                try memory.write(head, PageBytes())
                try memory.synchronize()
            }
            for file in plan.files { try save(file) }
            try storeHeldLink()
            try behind?.flush()
            protection = placement?.layout(pages: protected.count)
            if let protection { try saveParity(protection, threads: threads) }
            if let (page, link) = writer.finish() { try store(link, at: page) }
            try behind?.flush()
            if let protection { try saveCopies(protection, threads: threads) }
            try memory.reserve(nextPage..<max(nextPage, protection?.meta ?? protection?.mirror ?? end), areUsed: false)
        } catch {
            if let excess {
                throw WritingFailure(
                    .tooSmall, "the range is full, and \(excess) more bytes came; no chain was left",
                    remedy: "more room is needed")
            }
            if error.code == ErrorCode.stale {
                throw WritingFailure(changed: error.path, whatIsLeft)
            }
            throw WritingFailure(error)
        }
        guard let headLink else { throw WritingFailure(.notSavable, "there was nothing to save") }
        let frame = memory.frame(of: head)
        let chain = try verify(headLink, frame, threads: threads, seed: seed)
        try publish(headLink, frame)
        return (frame, chain)
    }

    /// Reads everything back, with the head laid over it. Pages that were read back while parity was made of them are
    /// not read once more: the links have to list just what was found then.
    private func verify(
        _ headLink: PageBytes, _ frame: PFN, threads: Int, seed: UInt64
    ) throws(WritingFailure) -> ChainEvaluation {
        var options = ChainCheck.Options()
        options.threads = threads
        let listed = Listed()
        if let found = along?.found, let pages = along?.pages, found == protected {
            options.knows = { page, _ in pages.contains(page) }
            options.observe = { walked, _ in listed.take(walked, pages) }
        }
        let chain = ChainCheck(
            head: frame, memory: OverlaidMemory(memory.readBack, page: frame, bytes: headLink), options: options,
            seed: seed
        ).run()
        let parityFiles = protection?.code == nil ? 0 : 1
        let isKnown = along?.found.map { $0 == protected && listed.digest == protected } ?? true
        guard chain.verdict == .intact, chain.files.count == plan.files.count + parityFiles, isKnown else {
            throw WritingFailure(
                .notVerified, "what was written does not read back as written; \(whatIsLeft)",
                remedy: "the memory may be faulty, or something else uses the range")
        }
        return chain
    }

    /// What links list of some pages.
    private final class Listed {
        var digest = ProtectedDigest()

        func take(_ walked: WalkedLink, _ pages: Range<UInt64>) {
            for entry in walked.link?.entries ?? [] where pages.contains(entry.page.number) {
                digest.add(page: entry.page.number, checksum: entry.checksum)
            }
        }
    }

    /// Where pages go by system calls, a second thread makes these, and parity is made while it does.
    private mutating func startWriting() throws(SystemError) {
        guard memory.isWrittenByCalls else { return }
        var along: ParityAlong?
        if let placement, let most = plan.entryCount, let layout = placement.layout(pages: most), let code = layout.code
        {
            try memory.reserve(layout.parity..<layout.parity + UInt64(code.parityPages), areUsed: true)
            along = ParityAlong(code, in: memory, first: placement.firstPage, parity: layout.parity)
        }
        self.along = along
        behind = WriteBehind(memory, watching: placement?.firstPage ?? end) { along?.advance($0) ?? false }
    }

    /// Writes the head; what follows from it is complete.
    private func publish(_ headLink: PageBytes, _ frame: PFN) throws(WritingFailure) {
        let former = standing.map { _ in FormerPages([head.number, frontLocator, backLocator], memory) }
        do throws(SystemError) {
            // A head that is torn is brought back by what these name. What the old chain lists waits.
            if let standing { try saveLocators { !standing.lists($0) } }
            try memory.synchronize()
            beforeHead()
            memoryFence()
            try memory.write(head, headLink)
            try memory.synchronize()
        } catch {
            if former?.restore(memory) != true { clearHead() }
            throw WritingFailure(error)
        }
        var state = PageState.absent
        let back = PageBytes(frame, of: memory.readBack, state: &state)
        guard state == .present, back.bytes == headLink.bytes else {
            let remains: StaticString =
                if former?.restore(memory) == true {
                    "the older chain was left"
                } else if clearHead() {
                    "no chain was left"
                } else {
                    "it cannot be cleared"
                }
            throw WritingFailure(.notVerified, "the head page does not read back as written; \(remains)")
        }
        guard let standing else { return }
        do throws(SystemError) {
            try saveLocators { standing.lists($0) }
            try memory.synchronize()
        } catch {
            throw WritingFailure(error)
        }
    }

    /// What a failure before the head leaves behind.
    private var whatIsLeft: StaticString { standing == nil ? "no chain was left" : "the older chain was left" }

    /// What may have become of the head is nothing that anybody should follow.
    /// - Returns: whether it reads back as zeros.
    @discardableResult
    private func clearHead() -> Bool {
        try? memory.write(head, PageBytes())
        try? memory.synchronize()
        var state = PageState.absent
        return PageBytes(memory.frame(of: head), of: memory.readBack, state: &state).isZero && state == .present
    }

    private mutating func save(_ file: SavePlan.File) throws(SystemError) {
        switch file.source {
        case .stream(let number): return try saveStream(number, file)
        case .text(let text): return try saveText(text, file)
        case .canary(let canary): return try saveCanary(canary, file)
        case .named, .path: break
        }
        guard let source = try plan.open(file, in: directory),
            try source.isStill(file.source.identity)
        else { throw SystemError("read", code: ErrorCode.stale, path: file.name) }
        try saveMeta(of: file, size: file.size)
        let isExact = source.tellsHolesExactly
        var offset: UInt64 = 0
        while let run = try source.nextPages(from: offset, size: file.size, holesAreExact: isExact) {
            try copy(run, of: source, size: file.size)
            offset = run.upperBound * UInt64(pageSize)
        }
        guard try source.endsAt(file.size), try source.isStill(file.source.identity) else {
            throw SystemError("read", code: ErrorCode.stale, path: file.name)
        }
    }

    private mutating func saveMeta(of file: SavePlan.File, size: UInt64) throws(SystemError) {
        let meta = try takePages(1)
        try append(try metaEntry(at: meta, of: file, size: size))
    }

    private func metaEntry(at page: PFN, of file: SavePlan.File, size: UInt64) throws(SystemError) -> Entry {
        let image = FileImage(size: size, mode: file.mode, name: file.name).encoded()
        if let behind {
            try behind.put(page, image)
            return Entry(flags: 1, checksum: image.pageChecksum, page: memory.frame(of: page), index: 0)
        }
        try memory.write(page, image)
        var state = PageState.absent
        return Entry(
            flags: 1, checksum: PageBytes(page, of: memory, state: &state).pageChecksum, page: memory.frame(of: page),
            index: 0)
    }

    /// The manifest, whose text is at hand.
    private mutating func saveText(_ text: ManifestText, _ file: SavePlan.File) throws(SystemError) {
        let end = text.finish()
        try saveMeta(of: file, size: end)
        var offset: UInt64 = 0
        while offset < end {
            let count = Int(min(UInt64(batchCapacity), (end - offset - 1) / UInt64(pageSize) + 1))
            let first = try takePages(count)
            let (start, index) = (offset, offset / UInt64(pageSize))
            try fill(first, count: count, index: index, path: file.name) { (bytes) throws(SystemError) in
                guard text.copy(from: start, to: bytes) else {
                    throw SystemError("write", code: ErrorCode.badAddress, path: file.name)
                }
            }
            offset += UInt64(count * pageSize)
        }
    }

    private mutating func saveCanary(_ canary: Canary, _ file: SavePlan.File) throws(SystemError) {
        try saveMeta(of: file, size: file.size)
        let made = UnsafeMutableRawPointer.allocate(byteCount: pageSize, alignment: pageSize)
        defer { made.deallocate() }
        var done: UInt64 = 0
        while done < file.pages {
            let count = Int(min(UInt64(batchCapacity), file.pages - done))
            let first = try takePages(count)
            try fill(first, count: count, index: done, path: file.name) { (bytes) throws(SystemError) in
                for index in 0..<count {
                    canary.write(PFN(first.number + UInt64(index)), to: made)
                    guard guardedCopy(made, to: bytes.baseAddress! + index * pageSize, count: pageSize) else {
                        throw SystemError("write", code: ErrorCode.badAddress, path: file.name)
                    }
                }
            }
            done += UInt64(count)
        }
    }

    /// What comes until the stream ends. How long it is shows at its end alone, so its META page is written then, and
    /// the link that lists it is kept back until then.
    private mutating func saveStream(_ number: Int32, _ file: SavePlan.File) throws(SystemError) {
        let meta = try takePages(1)
        try append(Entry(flags: 1, checksum: 0, page: memory.frame(of: meta), index: 0))
        held = HeldLink(page: writer.currentPage, entry: writer.count - 1, meta: meta)
        let source = StreamSource(number, path: file.name)
        var size: UInt64 = 0
        while !source.hasEnded {
            var got = 0
            let index = size / UInt64(pageSize)
            let room = min(UInt64(batchCapacity), pagesLeft(besides: plan.pagesBehindStream))
            guard room > 0 else {
                let more = try source.skip()
                if more == 0 { break }
                excess = more
                throw SystemError("write", code: ErrorCode.noSpace, path: file.name)
            }
            let first = PFN(nextPage)
            if let behind {
                let bytes = try behind.room(first, count: Int(room))
                got = try source.fill(bytes)
                let count = (got + pageSize - 1) / pageSize
                behind.giveBack(Int(room) - count)
                guard count > 0 else { break }
                _ = try takePages(count)
                let whole = UnsafeRawBufferPointer(rebasing: bytes[..<(count * pageSize)])
                try enter(first, buffers.checksums(of: whole), index: index, path: file.name)
            } else {
                try memory.fill(first, count: Int(room)) { (bytes) throws(SystemError) in
                    got = try source.fill(bytes)
                }
                let count = (got + pageSize - 1) / pageSize
                if count == 0 { break }
                _ = try takePages(count)
                try enter(first, buffers.checksums(of: first, count: count, in: memory), index: index, path: file.name)
            }
            size += UInt64(got)
        }
        streamed = (meta, file, size)
        plan.tell(streamed: file.name, size: size)
    }

    /// The stream's META page, and the link with its entry.
    private mutating func storeHeldLink() throws(SystemError) {
        guard let (meta, file, size) = streamed, let held else { return }
        let entry = try metaEntry(at: meta, of: file, size: size)
        self.held = nil
        guard let link = held.link else {
            writer.replace(held.entry, entry)
            return
        }
        var decoded = Link(decoding: link, writer.layout)
        decoded.entries[held.entry] = entry
        try store(decoded.encoded(writer.layout, slack: stamp.bytes), at: held.page)
    }

    /// Copies a run of the file's pages, and enters them.
    private mutating func copy(_ run: Range<UInt64>, of source: borrowing FileDescriptor, size: UInt64)
        throws(SystemError)
    {
        var index = run.lowerBound
        while index < run.upperBound {
            let count = Int(min(UInt64(batchCapacity), run.upperBound - index))
            let first = try takePages(count)
            let offset = index * UInt64(pageSize)
            let length = Int(min(UInt64(count * pageSize), size - offset))
            let (number, path) = (source.number, source.path)
            try fill(first, count: count, index: index, path: path) { (bytes) throws(SystemError) in
                try FileDescriptor.readWhole(number, path, at: offset, into: bytes, length: length)
            }
            index += UInt64(count)
        }
    }

    /// How many pages are filled at a time.
    private var batchCapacity: Int { behind?.capacity(at: PFN(nextPage)) ?? ChainSave.batchCapacity }

    /// Fills adjacent pages, and enters them with the checksums of what has arrived in memory, or is on its way there.
    private mutating func fill(
        _ first: PFN, count: Int, index: UInt64, path: [UInt8],
        _ body: (UnsafeMutableRawBufferPointer) throws(SystemError) -> Void
    ) throws(SystemError) {
        if let behind {
            let bytes = try behind.room(first, count: count)
            try body(bytes)
            try enter(first, buffers.checksums(of: UnsafeRawBufferPointer(bytes)), index: index, path: path)
        } else {
            try memory.fill(first, count: count, body)
            try enter(first, buffers.checksums(of: first, count: count, in: memory), index: index, path: path)
        }
    }

    /// - Parameter checksums: of adjacent pages; nil where one cannot be read.
    private mutating func enter(
        _ first: PFN, _ checksums: UnsafeBufferPointer<UInt32>?, index: UInt64, path: [UInt8]
    ) throws(SystemError) {
        guard let checksums else { throw SystemError("read", code: ErrorCode.inputOutput, path: path) }
        for (i, checksum) in checksums.enumerated() {
            let page = memory.frame(of: PFN(first.number + UInt64(i)))
            try append(Entry(flags: 2, checksum: checksum, page: page, index: index + UInt64(i)))
        }
    }

    private mutating func append(_ entry: Entry) throws(SystemError) {
        protected.add(page: entry.page.number, checksum: entry.checksum)
        try list(entry)
    }

    private mutating func list(_ entry: Entry) throws(SystemError) {
        let nextLink = writer.needsPage ? try takeLinkPage() : PFN(0)
        if let (page, link) = writer.append(entry, nextLink: nextLink, frame: memory.frame(of: nextLink)) {
            try store(link, at: page)
        }
    }

    private mutating func store(_ link: PageBytes, at page: PFN) throws(SystemError) {
        if held?.page == page {
            held?.link = link
            return
        }
        if page == head {
            headLink = link
        } else if let behind {
            try behind.put(page, link)
        } else {
            try memory.write(page, link)
        }
    }

    private mutating func takeLinkPage() throws(SystemError) -> PFN {
        let page: PFN
        if let placement, placement.links.contains(nextLink) {
            page = PFN(nextLink)
            nextLink += 1
        } else {
            page = try takePages(1)
        }
        links.append(page.number)
        return page
    }

    // MARK: - Parity

    /// How many parity pages so many percent are, of what was saved.
    public func parityWanted(_ percent: Int) -> Int? {
        Interleaving(pages: protected.count, percent: percent)?.parityPages
    }

    /// Of what nobody knew how much would come.
    public var isOfStream: Bool { plan.hasStream }

    /// How large a range must be for so much parity of what was saved, in pages.
    public func pagesNeeded(_ percent: Int) -> Int? {
        ParityLayout.pagesNeeded(pages: protected.count, percent: percent)
    }

    private func geometry(_ layout: ParityLayout) throws(SystemError) -> GeometryPage {
        // The layout's start is moved where there are fewer links than there might have been.
        guard
            let copies = layout.copies(in: memory),
            let geometry = GeometryPage(
                head: frame(of: head.number), front: frame(of: frontLocator), back: frame(of: backLocator),
                copies: copies, links: layout.links, code: layout.code, generation: generation, protected: protected)
        else { throw SystemError("write", code: ErrorCode.invalid) }
        return geometry
    }

    private func frame(of page: UInt64) -> UInt64 { memory.frame(of: PFN(page)).number }

    // Both are looked for here, wherever the rest lies.
    private var frontLocator: UInt64 { head.number + 1 }
    private var backLocator: UInt64 { memory.pages.upperBound - 1 }

    /// The parity file: all of its pages, and their entries.
    private mutating func saveParity(_ layout: ParityLayout, threads: Int) throws(SystemError) {
        guard let code = layout.code, let meta = layout.meta, let geometryPage = layout.geometry,
            let first = placement?.firstPage
        else { return }
        let checksums: [UInt32]
        if let along, along.code == code, along.first == first, along.parity == layout.parity {
            checksums = try along.finish(threads: threads)
        } else {
            along = nil
            checksums = try ParityWriting(memory: memory, threads: threads).encode(
                code, page: { first + UInt64($0) }, parity: layout.parity)
        }
        let image = FileImage.ofParity(code).encoded()
        try memory.write(PFN(meta), image)
        try list(Entry(flags: 1, checksum: image.pageChecksum, page: memory.frame(of: PFN(meta)), index: 0))
        let geometry = PageBytes(try self.geometry(layout).encoded())
        try memory.write(PFN(geometryPage), geometry)
        try list(
            Entry(flags: 2, checksum: geometry.pageChecksum, page: memory.frame(of: PFN(geometryPage)), index: 0))
        for (index, checksum) in checksums.enumerated() {
            let page = memory.frame(of: PFN(layout.parity + UInt64(index)))
            try list(Entry(flags: 2, checksum: checksum, page: page, index: UInt64(index + 1)))
        }
    }

    /// What no link lists: copies of links, their parity, and, where no chain stands, the locators.
    private func saveCopies(_ layout: ParityLayout, threads: Int) throws(SystemError) {
        guard let headLink, links.count == layout.links else { throw SystemError("write", code: ErrorCode.invalid) }
        try ParityWriting(memory: memory, threads: threads).mirror(
            links, of: OverlaidMemory(memory, page: head, bytes: headLink), code: layout.linkCode, at: layout.mirror,
            generation: generation)
        if standing == nil { try saveLocators { _ in true } }
    }

    /// Writes those of the locators' pages that `isWanted` names. A chain without them clears what others have left.
    private func saveLocators(_ isWanted: (UInt64) -> Bool) throws(SystemError) {
        guard let protection else {
            if standing != nil { try Locators.clear(head: head, in: memory) }
            return
        }
        let geometry = PageBytes(try self.geometry(protection).encoded())
        for page in [frontLocator, backLocator] where isWanted(page) { try memory.write(PFN(page), geometry) }
    }

    /// How many pages are left for content, when so many are kept for other things, with links for all of them.
    private func pagesLeft(besides kept: UInt64) -> UInt64 {
        let free = end - nextPage
        guard free > kept else { return 0 }
        let capacity = UInt64(Link.capacity)
        // With this many more pages: those of further links, behind the one that takes entries now, which has one at
        // least, the stream's own.
        func links(_ pages: UInt64) -> UInt64 { (UInt64(writer.count) + pages + kept + capacity - 1) / capacity - 1 }
        var (low, high) = (UInt64(0), free - kept)
        while low < high {
            let middle = low + (high - low + 1) / 2
            if middle + kept + links(middle) <= free { low = middle } else { high = middle - 1 }
        }
        return low
    }

    /// The next free pages. The plan has counted them; a file that has grown since shows here.
    private mutating func takePages(_ count: Int) throws(SystemError) -> PFN {
        guard end >= nextPage, end - nextPage >= UInt64(count) else {
            throw SystemError("write", code: ErrorCode.stale)
        }
        defer { nextPage += UInt64(count) }
        return PFN(nextPage)
    }
}

/// A link that lists the META page of a stream, and waits for the stream's end.
private struct HeldLink {
    let page: PFN
    let entry: Int
    let meta: PFN
    /// nil while it is not full.
    var link: PageBytes?
}

extension FileDescriptor {
    /// Whether it is what was looked at, and unchanged.
    fileprivate borrowing func isStill(_ identity: SavePlan.Identity?) throws(SystemError) -> Bool {
        SavePlan.Identity(try status()) == identity
    }

    /// Fills pages with `length` bytes of a file and zeros behind them. A file that ends early has changed.
    fileprivate static func readWhole(
        _ number: Int32, _ path: [UInt8], at offset: UInt64, into bytes: UnsafeMutableRawBufferPointer, length: Int
    ) throws(SystemError) {
        // read(2) writes into mapped memory on our behalf: where that has vanished it says EFAULT, and no signal comes.
        let wanted = UnsafeMutableRawBufferPointer(rebasing: bytes[..<length])
        guard try read(number, path, at: offset, into: wanted) == length else {
            throw SystemError("read", code: ErrorCode.stale, path: path)
        }
        guard length < bytes.count else { return }
        let zeros = PageBytes()
        let filled = zeros.bytes.withUnsafeBytes {
            guardedCopy($0.baseAddress!, to: bytes.baseAddress! + length, count: min(pageSize, bytes.count - length))
        }
        if !filled { throw SystemError("write", code: ErrorCode.badAddress, path: path) }
    }
}

/// Room to take the checksums of a run of pages.
final class ChecksumBuffers {
    private let capacity: Int
    private let pages: UnsafeMutablePointer<UnsafeRawPointer?>
    private let checksums: UnsafeMutablePointer<UInt32>
    private let buffer: UnsafeMutableRawPointer
    private let states: UnsafeMutablePointer<PageState>

    init(capacity: Int) {
        self.capacity = capacity
        pages = .allocate(capacity: capacity)
        checksums = .allocate(capacity: capacity)
        buffer = .allocate(byteCount: capacity * pageSize, alignment: pageSize)
        states = .allocate(capacity: capacity)
    }

    deinit {
        pages.deallocate()
        checksums.deallocate()
        buffer.deallocate()
        states.deallocate()
    }

    /// The checksums of pages in a buffer. Valid until the next call.
    func checksums(of bytes: UnsafeRawBufferPointer) -> UnsafeBufferPointer<UInt32>? {
        let count = bytes.count / pageSize
        guard let base = bytes.baseAddress, count <= capacity else { return nil }
        for i in 0..<count { checksums[i] = pv_crc32c(0, base + i * pageSize, pageSize) }
        return UnsafeBufferPointer(start: checksums, count: count)
    }

    /// The checksums of up to `capacity` adjacent pages; nil when one cannot be read. Valid until the next call.
    func checksums(of first: PFN, count: Int, in memory: any PhysicalMemory) -> UnsafeBufferPointer<UInt32>? {
        guard count <= capacity else { return nil }
        var mapped = 0
        while mapped < count, let address = memory.mapped(PFN(first.number + UInt64(mapped))) {
            pages[mapped] = address
            mapped += 1
        }
        if mapped < count {
            memory.read(first, count: count, into: buffer, states: states)
            for i in 0..<count {
                guard states[i] == .present else { return nil }
                pages[i] = UnsafeRawPointer(buffer + i * pageSize)
            }
        }
        var isWhole = true
        computeChecksums(of: UnsafePointer(pages), count: count, into: checksums) { _ in isWhole = false }
        return isWhole ? UnsafeBufferPointer(start: checksums, count: count) : nil
    }
}
