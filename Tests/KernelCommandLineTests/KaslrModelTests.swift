import KernelCommandLine
import Testing

/// The boot stub as plain as can be, on lines whose elements are known before they are written: nothing is parsed, and
/// every byte is asked for by itself. What the answers are to be is compared over small numbers of bytes.
private struct Element {
    enum Kind { case region, usable, limit, percent, exactmap, junk, empty, soft, notSoft }

    var kind: Kind
    var start: UInt64
    var size: UInt64
    var text = ""
    /// In the line.
    var place = 0..<0

    init(_ kind: Kind, start: UInt64, size: UInt64, mark: String) {
        self.kind = kind
        self.start = start
        self.size = size
        text =
            switch kind {
            case .region: "\(size)\(mark)\(start)"
            case .usable: "\(size)@\(start)"
            case .limit: "\(size)"
            case .percent: "\(size)%\(start)"
            case .exactmap: "exactmap"
            case .junk: "?"
            case .empty: ""
            case .soft: "\(size)@\(start):0x40001"
            case .notSoft: "\(size)@\(start):0x8000"
            }
    }

    /// What the kernel reserves.
    var reserves: Bool { (kind == .region || kind == .percent) && size > 0 }
    func holds(_ byte: UInt64) -> Bool { start <= byte && byte - start < size }
}

private enum Word {
    case memmap([Element])
    case fake([Element])
    case mem(UInt64, Range<Int>)
    case bare
}

private struct ModelStub {
    var regions: [Element] = []
    var limit = UInt64.max
    var dropped: [(element: Element, reason: KaslrView.Unseen)] = []
    var hasTooMany = false

    init(_ words: [Word], readsFake: Bool, switchesOff: Bool) {
        var stop: Range<Int>?
        for word in words {
            switch word {
            case .memmap(let list) where stop != nil:
                for element in list where element.reserves { dropped.append((element, .behindMem(stop!))) }
            case .memmap(let list): read(list, switchesOff)
            case .fake(let list): if stop == nil && readsFake { read(list, switchesOff) }
            case .mem(let size, let place):
                if stop == nil && size == 0 { stop = place }
                if stop == nil { limit = min(limit, size) }
            case .bare: break
            }
        }
    }

    private mutating func read(_ list: [Element], _ switchesOff: Bool) {
        if regions.count == 4 {
            if switchesOff { hasTooMany = true }
            if !switchesOff { for each in list where each.reserves { dropped.append((each, .behindFour(each.place))) } }
            return
        }
        for (number, element) in list.enumerated() {
            if regions.count == 4 {
                hasTooMany = true
                return
            }
            switch element.kind {
            case .exactmap, .junk, .empty:
                for each in list[(number + 1)...] where each.reserves {
                    dropped.append((each, .behindUnreadable(element.place)))
                }
                return
            case .usable, .notSoft: break
            case .region where element.start > 0, .soft where element.start > 0: regions.append(element)
            case .limit, .percent, .region, .soft:
                if element.size > 0 { limit = min(limit, element.size) }
                if element.reserves { dropped.append((element, .otherKind(element.place))) }
            }
        }
    }

    func answer(_ start: UInt64, _ last: UInt64) -> KaslrView.Unseen? {
        for byte in start...last where byte < limit && !regions.contains(where: { $0.holds(byte) }) {
            return dropped.first { $0.element.holds(byte) }?.reason ?? .notNamed
        }
        return nil
    }
}

@Suite struct KaslrModelTests {
    private func list(_ random: inout SeededGenerator, fake: Bool) -> [Element] {
        (0..<1 + random.below(4)).map { _ in
            let dice = random.below(20)
            let kind: Element.Kind =
                switch dice {
                case 0: .usable
                case 1: fake ? .notSoft : .limit
                case 2: fake ? .notSoft : .percent
                case 3: fake ? .junk : .exactmap
                case 4: .junk
                case 5: .empty
                default: fake ? (dice < 14 ? .soft : .notSoft) : .region
                }
            let size = random.below(8) == 0 ? 20 + UInt64(random.below(8)) : UInt64(random.below(8))
            return Element(
                kind, start: UInt64(random.below(20)), size: size, mark: ["$", "!", "#"][random.below(3)])
        }
    }

    /// A line, and its words.
    private func line(_ random: inout SeededGenerator) -> (String, [Word]) {
        var text = ""
        var words: [Word] = []
        func place(_ name: String, _ list: [Element]) -> [Element] {
            text += name
            var placed = list
            for number in placed.indices {
                if number > 0 { text += "," }
                let start = text.utf8.count
                text += placed[number].text
                placed[number].place = start..<text.utf8.count
            }
            return placed
        }
        for _ in 0..<random.below(7) {
            if !text.isEmpty { text += " " }
            switch random.below(16) {
            case 0, 1: words.append(.fake(place("efi_fake_mem=", list(&random, fake: true))))
            case 2:
                let size = random.below(5) == 0 ? 0 : UInt64(10 + random.below(20))
                let start = text.utf8.count
                text += "mem=\(size)"
                words.append(.mem(size, start..<text.utf8.count))
            case 3:
                text += ["memmap", "mem=nopentium", "quiet", "memmapx=4$4", "efi_fake_mem"][random.below(5)]
                words.append(.bare)
            default: words.append(.memmap(place("memmap=", list(&random, fake: false))))
            }
        }
        return (text, words)
    }

    @Test(arguments: 1...30 as ClosedRange<UInt64>)
    func everyByteOfShortLines(_ seed: UInt64) {
        var random = SeededGenerator(state: seed &* 7919)
        for _ in 0..<30 {
            let (text, words) = line(&random)
            let view = KaslrView(ParameterLine(Array(text.utf8)))
            // From 5.5 on, from 6.8 on, and the newest.
            let moving = [(true, false), (false, false), (false, true)]
                .map { ModelStub(words, readsFake: $0.0, switchesOff: $0.1) }.filter { !$0.hasTooMany }
            for start in 0..<30 as Range<UInt64> {
                for last in [start, start + 1, start + 4, start + 11] {
                    let unseen = moving.lazy.compactMap { $0.answer(start, last) }.first
                    let wanted: KaslrView.Answer =
                        moving.isEmpty ? .disabled(.tooManyRegions) : unseen.map { .unseen($0) } ?? .avoided
                    let found = view.covers(start: start, last: last)
                    guard found != wanted else { continue }
                    Issue.record("\(text): \(start)...\(last) is \(found), not \(wanted)")
                    return
                }
            }
        }
    }

    /// The search for the word, told in words: one that is the beginning of it takes the next with it, where a single
    /// blank is between them.
    private func finds(_ words: [String], _ blanks: [Int]) -> Bool {
        var isSkipped = false
        for (number, word) in words.enumerated() {
            if isSkipped {
                isSkipped = false
                continue
            }
            if word == "nokaslr" { return true }
            isSkipped = "nokaslr".hasPrefix(word) && blanks[number] == 1
        }
        return false
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func theSearchForNokaslr(_ seed: UInt64) {
        var random = SeededGenerator(state: seed &* 104_729)
        let choice = ["nokaslr", "nokaslr", "n", "no", "nokasl", "nokaslrx", "kaslr", "x", "nox", "o"]
        for _ in 0..<200 {
            let words = (0..<1 + random.below(5)).map { _ in choice[random.below(choice.count)] }
            let blanks = words.map { _ in 1 + random.below(2) }
            var text = random.below(3) == 0 ? " " : ""
            for (number, word) in words.enumerated() {
                text += word
                if number + 1 < words.count {
                    for _ in 0..<blanks[number] { text += [" ", "\t", "\u{1}"][random.below(3)] }
                }
            }
            let view = KaslrView(ParameterLine(Array(text.utf8)))
            let wanted = finds(words, blanks)
            #expect((view.covers(start: 1, last: 1) == .disabled(.nokaslr)) == wanted, "\(text.debugDescription)")
            #expect(view.hidesNokaslr == (!wanted && words.contains("nokaslr")), "\(text.debugDescription)")
        }
    }
}
