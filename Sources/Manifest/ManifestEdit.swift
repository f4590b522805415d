/// What becomes of a file of the chain.
public enum ChainFileFate: Equatable, Sendable {
    case kept
    case dropped
    /// Its name in the chain from now on, 1 to 255 bytes.
    case renamed([UInt8])
}

/// Edits a manifest that comes in pieces along with its chain: entries whose content is dropped go, with what stands
/// before them and belongs to them; `contents` follows files that are renamed; lines that cannot be read go; every
/// other byte stays. Paths never change.
public struct ManifestEdit {
    private let limits: TreeEntry.Limits
    private var lines: ManifestLines
    /// Lines that belong to the next entry.
    private var pending: [UInt8] = []
    private var isPendingTooLarge = false

    /// Entries that went with their files.
    public private(set) var droppedEntries: UInt64 = 0
    /// Entries whose `contents` changed.
    public private(set) var renamedEntries: UInt64 = 0
    /// Lines that could not be read.
    public private(set) var droppedLines: UInt64 = 0

    public init(limits: TreeEntry.Limits = TreeEntry.Limits()) {
        self.limits = limits
        lines = ManifestLines(limit: limits.line)
    }

    /// Takes a piece of the old text and gives what is known of the new one.
    /// - Parameter fate: of a file of the chain, by its name.
    public mutating func read(_ text: ArraySlice<UInt8>, fate: ([UInt8]) -> ChainFileFate) -> [UInt8] {
        lines.feed(text)
        var new: [UInt8] = []
        while let line = lines.next() { edit(line, fate, &new) }
        return new
    }

    /// The old text has ended; nothing is left to give but in the count of lines that could not be read.
    public mutating func finish() {
        if lines.last() != nil { droppedLines += 1 }
        pending = []
    }

    private mutating func edit(
        _ line: ManifestLines.Line, _ fate: ([UInt8]) -> ChainFileFate, _ new: inout [UInt8]
    ) {
        let text = line.text
        if line.isTooLong || !text.allSatisfy({ $0 == 9 || $0 >= 0x20 && $0 < 0x7f }) {
            droppedLines += 1
            return forget()
        }
        let words = text.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        if words.first == UInt8(ascii: "#"), Annotation.read(words) != nil { return keep(line) }
        if words.isEmpty || words.first == UInt8(ascii: "#") || words.first == UInt8(ascii: "/") {
            new += line.raw
            new.append(UInt8(ascii: "\n"))
            return
        }
        var entry = line.raw
        if let (name, range) = ManifestEdit.contents(of: text[words.startIndex...]) {
            switch fate(name) {
            case .kept: break
            case .dropped:
                droppedEntries += 1
                return forget()
            case .renamed(let name):
                renamedEntries += 1
                var word: [UInt8] = []
                VisEncoding.append(name, to: &word)
                entry = text
                entry.replaceSubrange(range, with: word)
            }
        }
        if isPendingTooLarge { droppedLines += 1 } else { new += pending }
        new += entry
        new.append(UInt8(ascii: "\n"))
        forget()
    }

    private mutating func forget() {
        pending.removeAll(keepingCapacity: true)
        isPendingTooLarge = false
    }

    private mutating func keep(_ line: ManifestLines.Line) {
        // Base64 takes four bytes for three; the rest is for names and line breaks.
        guard pending.count + line.raw.count < limits.attributes * 2 + limits.line else {
            pending.removeAll()
            isPendingTooLarge = true
            return
        }
        if isPendingTooLarge { return }
        pending += line.raw
        pending.append(UInt8(ascii: "\n"))
    }

    /// The file of the chain that an entry names, and where its word stands; of two, the last.
    private static func contents(of text: ArraySlice<UInt8>) -> (name: [UInt8], range: Range<Int>)? {
        var words = WordsOfLine(text)
        _ = words.next()
        var found: (name: [UInt8], range: Range<Int>)?
        while let word = words.next() {
            guard let (keyword, value) = Keyword.read(word), keyword == .contents || keyword == .content,
                let name = VisEncoding.decoded(value)
            else { continue }
            found = (name, value.startIndex..<value.endIndex)
        }
        return found
    }
}
