import Linux
import MemoryPicture
import PRAM
import Parity
import Verification

/// Puts the pages of a chain into pictures as they are verified.
final class ChainDrawing {
    private(set) var pictures: [Picture]
    // The file whose entries are looked at.
    private var file = -1
    private var isParity = false

    init(_ blank: [Picture]) { pictures = blank }

    /// What the other has drawn takes the place of what this one has.
    func take(over other: ChainDrawing) { pictures = other.pictures }

    private func add(_ page: UInt64, _ content: Content, file: Int = -1) {
        for number in pictures.indices { pictures[number].add(page, content, file: file) }
    }

    private func move(_ page: UInt64, from old: [Content], to new: Content) {
        for number in pictures.indices {
            for content in old where pictures[number].move(page, from: content, to: new) { break }
        }
    }

    /// For `ChainCheck.Options.judged`.
    func take(_ chain: ChainEvaluation, _ walked: WalkedLink, _ results: UnsafeBufferPointer<EntryResult>) {
        switch walked.content {
        case .link(let link, _, _): take(link, walked.number, chain, results)
        case .notALink: add(walked.page.number, .damaged)
        case .absent, .unreadable: add(walked.page.number, .unknown)
        // There is no such page, or it is drawn as the link that it is.
        case .invalidPFN: add(.max, .damaged)
        case .loop: break
        }
    }

    private func take(
        _ link: Link, _ number: Int, _ chain: ChainEvaluation, _ results: UnsafeBufferPointer<EntryResult>
    ) {
        let isDoubtful = chain.isBroken || chain.isOnTrial
        enter(0, of: number, chain)
        for (place, entry) in link.entries.enumerated() {
            if entry.kind == .meta && place > 0 { enter(place, of: number, chain) }
            guard entry.page.number != 0, entry.page.address != nil else {
                add(.max, .damaged, file: file)
                continue
            }
            let content: Content
            if results[place].state != .present {
                content = .unknown
            } else if results[place].checksum != entry.checksum || entry.kind == .unknown {
                content = .damaged
            } else {
                content = isDoubtful ? .unknown : isParity ? .parity : .intact
            }
            add(entry.page.number, content, file: file)
        }
    }

    private func enter(_ entry: Int, of link: Int, _ chain: ChainEvaluation) {
        file = chain.file(at: link, entry) ?? -1
        isParity = file >= 0 && chain.files[file].isParity
    }

    /// What is known at the end only: which links are believed, and which pages more than one place claims.
    func finish(_ chain: ChainEvaluation, head: PFN, in memory: any PhysicalMemory) {
        if chain.isOnTrial && !chain.isBroken {
            for number in pictures.indices { pictures[number].turn(.unknown, into: .intact) }
        }
        for link in chain.links {
            switch link.standing {
            case .proved: add(link.page.number, .link)
            case .indeterminate: add(link.page.number, .unknown)
            case .broken: add(link.page.number, .damaged)
            }
        }
        guard !chain.contested.isEmpty else { return }
        var walk = ChainWalk(head: head, memory: memory, seed: randomNumber())
        while let walked = walk.next() {
            if chain.contested.contains(walked.page.number) { contest(walked.page.number) }
            for entry in walked.link?.entries ?? [] where chain.contested.contains(entry.page.number) {
                contest(entry.page.number)
            }
        }
    }

    private func contest(_ page: UInt64) {
        move(page, from: [.intact, .parity, .link, .unknown], to: .damaged)
        for number in pictures.indices { pictures[number].note(page, .damaged, file: -1) }
    }

    /// What is lost and comes back.
    func take(_ recovery: ChainRecovery) {
        for number in pictures.indices { pictures[number].forget() }
        recovery.forEachLost { page, file, isLink, comesBack in
            if comesBack { move(page, from: isLink ? [.link] : [.damaged, .unknown], to: .repairable) }
            for number in pictures.indices {
                pictures[number].note(page, comesBack ? .repairable : .damaged, file: file)
            }
        }
    }

    /// What protects the chain and is no part of it: locators, the links' copies, their parity.
    func take(_ links: LinkRecovery, in memory: any PhysicalMemory) {
        let geometry = links.geometry
        for page in [geometry.front, geometry.back] {
            add(page, links.hasLocator(at: page) ? .parity : .repairable)
        }
        for number in 0..<geometry.links {
            add(geometry.copy(ofLink: number), links.isMirrored(number) ? .parity : .repairable)
        }
        for index in 0..<geometry.linkCode.parityPages {
            let page = geometry.linkParity(index)
            add(page, links.hasParity(index) ? .parity : .repairable)
        }
    }

    /// Where a chain lies, as far as its links tell: what surrounds all of its pages that lie in `bounds`. Nothing but
    /// links is read.
    static func extent(of head: PFN, in memory: any PhysicalMemory, bounds: Range<UInt64>) -> Range<UInt64>? {
        var found: Range<UInt64>?
        func include(_ page: UInt64) {
            guard bounds.contains(page) else { return }
            let known = found ?? page..<page
            found = min(known.lowerBound, page)..<max(known.upperBound, page + 1)
        }
        var walk = ChainWalk(head: head, memory: memory, seed: randomNumber())
        while let walked = walk.next() {
            include(walked.page.number)
            for entry in walked.link?.entries ?? [] { include(entry.page.number) }
        }
        return found
    }
}
