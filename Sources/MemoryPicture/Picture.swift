/// Memory as a picture: all of it, and beside it the parts of it that matter, each in as many cells as there is room
/// for. Pages of a chain are added one by one as they are verified, and none is remembered: memory depends on the number
/// of cells alone.
public struct Picture: Sendable {
    /// A part of memory that is drawn, with what it is to be called.
    public struct Part: Sendable {
        public enum Name: Sendable { case all, range, chain }
        public let name: Name
        public internal(set) var strip: Strip
    }

    /// Adjacent pages that are named because they are not as they should be.
    public struct Example: Equatable, Sendable {
        public let first: UInt64
        public fileprivate(set) var count: UInt64
        public let content: Content
        /// The file's number in the chain; -1 where there is none.
        public let file: Int
    }

    /// How many are named.
    public static let exampleLimit = 8

    /// Of what is drawn.
    public private(set) var background: Background
    public private(set) var parts: [Part] = []
    /// Pages of the chain that nothing that is drawn holds.
    public private(set) var outside: UInt64 = 0
    /// The first that came; see `note`.
    public private(set) var examples: [Example] = []
    private var counts = [UInt64](repeating: 0, count: Content.pageKinds)

    /// - Parameters:
    ///   - wanted: all of it first, then parts of what comes before them. One that would hardly be larger than it is
    ///     drawn already is left out.
    ///   - cells: how many there is room for in each.
    public init(_ background: Background, _ wanted: [(name: Part.Name, pages: Range<UInt64>, cells: Int)]) {
        self.background = background
        for part in wanted {
            guard let strip = Strip(part.pages, cells: part.cells, on: background) else { continue }
            if let before = parts.last?.strip {
                guard strip.pagesPerCell * 4 <= before.pagesPerCell else { continue }
            }
            parts.append(Part(name: part.name, strip: strip))
        }
        if let all = parts.first { self.background = background.clipped(to: all.strip.pages) }
    }

    /// Pages of this kind, whether they are drawn or not.
    public func pages(_ kind: Content) -> UInt64 { kind.place.map { counts[$0] } ?? background.pages(kind) }

    /// All pages of the chain: the sum of those of each kind.
    public var chainPages: UInt64 { counts.reduce(0, &+) }

    /// - Parameters:
    ///   - page: any number.
    ///   - file: see `Example`.
    public mutating func add(_ page: UInt64, _ kind: Content, file: Int = -1) {
        guard let place = kind.place else { return }
        counts[place] &+= 1
        if kind >= .unknown { note(page, kind, file: file) }
        var isDrawn = false
        for number in parts.indices where parts[number].strip.pages.contains(page) {
            parts[number].strip.add(page, kind, file: file)
            isDrawn = true
        }
        if !isDrawn { outside &+= 1 }
    }

    /// A page that was added is of another kind. What was noted of it stays.
    /// - Returns: false where none of the old kind is there, and nothing is done.
    @discardableResult
    public mutating func move(_ page: UInt64, from old: Content, to new: Content) -> Bool {
        guard let place = old.place, let target = new.place, counts[place] > 0 else { return false }
        var isDrawn = false
        var moved = false
        for number in parts.indices where parts[number].strip.pages.contains(page) {
            isDrawn = true
            if parts[number].strip.move(page, from: old, to: new) { moved = true }
        }
        guard moved || !isDrawn else { return false }
        counts[place] -= 1
        counts[target] &+= 1
        return true
    }

    /// All pages of one kind are of another.
    public mutating func turn(_ old: Content, into new: Content) {
        guard let place = old.place, let target = new.place, place != target else { return }
        counts[target] &+= counts[place]
        counts[place] = 0
        for number in parts.indices { parts[number].strip.turn(old, into: new) }
        if new < .unknown { examples.removeAll { $0.content == old } }
    }

    /// Names a page as one that is not as it should be. The first that come are kept, but damage takes the place of
    /// what is less.
    public mutating func note(_ page: UInt64, _ kind: Content, file: Int) {
        if let last = examples.indices.last, examples[last].content == kind, examples[last].file == file,
            page >= examples[last].first, page - examples[last].first == examples[last].count
        {
            examples[last].count += 1
            return
        }
        let example = Example(first: page, count: 1, content: kind, file: file)
        if examples.count < Picture.exampleLimit {
            examples.append(example)
        } else if kind == .damaged, let weaker = examples.lastIndex(where: { $0.content < .damaged }) {
            examples.remove(at: weaker)
            examples.append(example)
        }
    }

    /// Names none.
    public mutating func forget() { examples.removeAll() }
}
