/// What was done to a chain, and what follows from it for each file: the other opinion on what is damaged.
struct Damage {
    /// Files of which something is wrong, or of which a damaged link lists a part.
    var damaged: Set<Int> = []
    /// Damaged so that not even size and name are known to be right.
    var withoutMeta: Set<Int> = []
    /// Damaged in their own META or DATA pages alone: what `quarantine` keeps.
    var inPagesOnly: Set<Int> = []
    /// Whether they are kept is left open.
    var open: Set<Int> = []
    /// Pages of DATA that were flipped.
    var flipped: Set<UInt64> = []
    /// Links that are damaged; behind the first, only a stamp helps.
    private var badLinks: Set<Int> = []
    /// From this link on, nothing is found any more.
    private var end = Int.max
    /// Nothing more may happen to this chain: what follows would be anyone's guess.
    private(set) var isFinal = false
    private(set) var words: [String] = []

    var isNone: Bool { words.isEmpty }

    // MARK: - Pages

    mutating func flipData(_ chain: inout MadeChain, _ dice: inout Dice) {
        let file = dice.roll(0..<chain.files.count)
        guard let slot = chain.dataSlots(file).randomElement(using: &dice) else { return }
        let page = chain.slots[slot].page
        // Only pages that are the file's own.
        guard chain.image.pages.contains(page), chain.slots.count(where: { $0.page == page }) == 1,
            !chain.links.contains(where: { $0.page == page })
        else { return }
        chain.image.flip(chain.slots[slot].page, bit: dice.roll(0..<4096 * 8))
        flipped.insert(chain.slots[slot].page)
        hit(file)
        words.append("data of \(file)")
    }

    mutating func flipMeta(_ chain: inout MadeChain, _ dice: inout Dice) {
        let file = dice.roll(0..<chain.files.count)
        chain.image.flip(chain.slots[chain.metaSlot(file)].page, bit: dice.roll(0..<4096 * 8))
        hit(file)
        withoutMeta.insert(file)
        words.append("meta of \(file)")
    }

    private mutating func hit(_ file: Int) {
        damaged.insert(file)
        inPagesOnly.insert(file)
    }

    // MARK: - Links

    /// Whether damage to a link of this chain is told from what a kernel does.
    static func isStrict(_ chain: MadeChain) -> Bool {
        chain.shape.generation != nil || chain.shape.flags == .all && !chain.shape.isCleared
    }

    mutating func flipLink(_ chain: inout MadeChain, _ dice: inout Dice) {
        let number = dice.roll(0..<chain.links.count)
        let link = chain.links[number]
        let used = chain.entriesOffset + link.slots.count * 24
        var bit: Int
        repeat {
            bit = dice.once(in: 4) ? dice.roll(0..<96) : dice.roll(0..<(dice.once(in: 4) ? 4080 : used) * 8)
        } while !Damage.isTold(bit / 8, bit % 8, chain, used)
        chain.image.flip(link.page, bit: bit)
        // What tells the layout are the entries of the head, if it lists any.
        let told = 8..<12, flags = chain.entriesOffset..<chain.entriesOffset + 24
        let isLayoutLost = number == 0 && chain.shape.is32Bit && (told.contains(bit / 8) || flags.contains(bit / 8))
        let isNextLost = (chain.nextOffset..<chain.nextOffset + 8).contains(bit / 8)
        let cuts = isLayoutLost || isNextLost || badLinks.contains(number)
        bad(number, in: chain, cuts: cuts)
        words.append("bit \(bit) of link \(number)")
    }

    /// Whether a flip in this byte shows; some in a link that a kernel may have changed cannot.
    private static func isTold(_ byte: Int, _ bit: Int, _ chain: MadeChain, _ used: Int) -> Bool {
        if byte >= chain.entriesOffset && byte < used {
            let place = (byte - chain.entriesOffset) % 24
            if place == 1 && bit == 0 { return false }
            return place < 16 || isStrict(chain)
        }
        return isStrict(chain) || !(chain.nextOffset..<chain.nextOffset + 8).contains(byte)
    }

    mutating func overwriteLink(_ chain: inout MadeChain, _ dice: inout Dice) {
        let number = dice.roll(0..<chain.links.count)
        chain.image[chain.links[number].page] = dice.once(in: 2) ? Page() : dice.page()
        bad(number, in: chain, cuts: true)
        words.append("link \(number) overwritten")
    }

    private mutating func bad(_ number: Int, in chain: MadeChain, cuts: Bool) {
        // Behind a first bad link, the next one ends the search.
        if let first = badLinks.min() {
            if first != number { end = min(end, max(first, number)) }
        }
        if cuts { end = min(end, number) }
        badLinks.insert(number)
    }

    // MARK: - Lies with checksums that fit

    mutating func lie(_ chain: inout MadeChain, _ dice: inout Dice) {
        let file = dice.roll(0..<chain.files.count)
        let data = chain.dataSlots(file)
        let isLinkLie = chain.shape.flags != .random && chain.shape.flags != .interval
        let last = chain.links.count - 1
        switch dice.roll(0..<(isLinkLie ? 14 : 8)) {
        case 0 where data.count >= 2:
            chain.slots[data[1]].index = chain.slots[data[0]].index
            damaged.insert(file)
            words.append("index twice in \(file)")
        case 1 where !data.isEmpty:
            let end = (chain.files[file].size + 4095) / 4096
            chain.slots[data[data.count - 1]].index = dice.pick([end, end + 7, 1 << 52, .max - 1, .max])
            damaged.insert(file)
            words.append("index past the end of \(file)")
        case 2:
            changeMeta(&chain, file, "mode", &dice) { file, dice in
                file.mode = dice.pick([0o40755, 0o120777, 0o20600, 0, 0o644, 0x18000, 0xffff_ffff])
            }
        case 3:
            changeMeta(&chain, file, "size", &dice) { file, dice in
                file.size = dice.pick([1 << 63, .max, .max - 4095])
            }
        case 4:
            changeMeta(&chain, file, "name", &dice) { file, dice in
                file.name = dice.pick([[], [0x2e], [0x2e, 0x2e], [0x61, 0x2f, 0x62], [0x2f], [0x61, 0, 0x62], [0]])
            }
        case 5: changeMeta(&chain, file, "name length", &dice, length: dice.pick([256, 4000, .max])) { _, _ in }
        case 6 where file > 0:
            let name = chain.files[dice.roll(0..<file)].name
            changeMeta(&chain, file, "name twice", &dice) { file, _ in file.name = name }
            isFinal = true  // were the other file damaged, this one would have the name to itself
        case 8 where !data.isEmpty:
            chain.slots[dice.pick(data)].flags = dice.pick([0, 3, 4, 0x42, 0xff])
            damaged.insert(file)
            words.append("unknown type in \(file)")
        case 9:
            chain.slots[0].flags = chain.shape.flags == .all ? 0x102 : 2
            damaged.insert(0)
            withoutMeta.insert(0)
            words.append("data first")
        case 10:
            let number = dice.roll(0...last)
            chain.links[number].length = dice.pick([0, 170, 171, .max])
            badLinks.insert(number)
            if number == 0 && chain.shape.is32Bit { end = 0 }  // only its entries tell the layout
            words.append("length of link \(number)")
        case 11:
            let number = dice.once(in: 2) ? last : dice.roll(0...last)
            chain.links[number].next = dice.pick([
                chain.links[dice.roll(0...number)].page, chain.image.pages.upperBound, 1 << 52, .max,
                chain.free.first ?? .max,
            ])
            badLinks.insert(number + 1)
            end = min(end, number + 1)
            words.append("link \(number) leads astray")
        case 12 where !data.isEmpty:
            chain.slots[dice.pick(data)].page = dice.pick([0, 1 << 52, .max, chain.image.pages.upperBound])
            damaged.insert(file)
            words.append("page of \(file) nowhere")
        case 13 where !data.isEmpty: share(&chain, dice.pick(data), &dice)
        default: return
        }
        chain.writeLinks()
    }

    private mutating func changeMeta(
        _ chain: inout MadeChain, _ file: Int, _ word: String, _ dice: inout Dice, length: UInt32? = nil,
        _ change: (inout Kernel.File, inout Dice) -> Void
    ) {
        var stored = chain.files[file]
        change(&stored, &dice)
        let slot = chain.metaSlot(file)
        let page = chain.slots[slot].page
        chain.image[page] = MadeChain.meta(stored, &dice)
        if let length { chain.image.store(length, page, 12) }
        chain.slots[slot].checksum = chain.image.pageChecksum(page)
        damaged.insert(file)
        withoutMeta.insert(file)
        words.append("\(word) of \(file)")
    }

    /// Has an entry name a page of another: it does not fit, or fits both.
    private mutating func share(_ chain: inout MadeChain, _ slot: Int, _ dice: inout Dice) {
        let other = dice.roll(0..<chain.slots.count)
        guard chain.slots[other].file != chain.slots[slot].file else { return }
        if dice.once(in: 4) {
            chain.slots[slot].page = dice.pick(chain.links).page
        } else {
            chain.slots[slot].page = chain.slots[other].page
            if dice.once(in: 2) { chain.slots[slot].checksum = chain.slots[other].checksum }
            if chain.slots[slot].checksum == chain.slots[other].checksum {
                isFinal = true
                open.insert(chain.slots[other].file)
                open.insert(chain.slots[slot].file)
            }
        }
        damaged.insert(chain.slots[slot].file)
        words.append("\(chain.slots[slot].file) shares a page of \(chain.slots[other].file)")
    }

    // MARK: - What follows

    /// Whether the file must be kept as it is.
    func mustKeep(_ file: Int, of chain: MadeChain) -> Bool {
        guard !damaged.contains(file), !open.contains(file) else { return false }
        guard let first = badLinks.min() else { return true }
        let place = chain.links(of: file)
        // The end of a file with holes shows only where another one begins, or the chain ends.
        func ends(before link: Int) -> Bool {
            chain.isComplete(file)
                || (file + 1 < chain.files.count ? chain.links(of: file + 1).lowerBound < link : link == .max)
        }
        if place.upperBound < first { return ends(before: first) }
        if place.contains(where: badLinks.contains) { return false }
        // Behind it, only links that prove themselves without a search count, and only by their stamp.
        let isCertain = !(chain.shape.flags == .interval && chain.shape.isCleared)
        guard chain.shape.generation != nil, isCertain, place.upperBound < end else { return false }
        let nextBad = badLinks.filter { $0 > place.upperBound }.min()
        return ends(before: nextBad ?? .max)
    }

    /// What is left of a file that is damaged in its DATA alone.
    func remains(of file: Int, in chain: MadeChain, withHoles: Bool) -> Kernel.File {
        var left = chain.files[file]
        for slot in chain.dataSlots(file) where flipped.contains(chain.slots[slot].page) {
            let page = chain.slots[slot]
            // A bit that was flipped twice is a bit that was not flipped.
            let fits = chain.image.pageChecksum(page.page) == page.checksum
            left.pages[page.index] = withHoles && !fits ? nil : chain.image[page.page]
        }
        return left
    }
}
