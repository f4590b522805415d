/// Reads a manifest that comes in pieces, entry by entry. The text is untrusted: whatever it says, this neither traps
/// nor keeps more than one line, one entry and their attributes, within the limits.
public struct ManifestParser {
    public enum Event {
        case entry(TreeEntry)
        case finding(ManifestFinding)
    }

    private let limits: TreeEntry.Limits
    private var lines: ManifestLines
    private var defaults: [(keyword: Keyword, value: [UInt8])] = []
    private var directory: TreePath? = .top
    private var attributes = PendingAttributes()
    private var linkGroup: UInt64?
    private var isInHead = true
    private var hasHead = false
    private var textLength: UInt64 = 0
    private var told: UInt64 = 0

    /// What the head says: complete as soon as there was an entry. nil when there is none.
    public private(set) var provenance: Provenance?
    /// Entries so far.
    public private(set) var entries: UInt64 = 0
    /// Findings that were not told one by one.
    public private(set) var omittedFindings: UInt64 = 0
    /// Nothing more is read: a limit was reached.
    public private(set) var hasEnded = false

    public init(limits: TreeEntry.Limits = TreeEntry.Limits()) {
        self.limits = limits
        lines = ManifestLines(limit: limits.line)
    }

    /// Reads the next piece of the text, of any size.
    /// - Throws: what `take` throws; the parser is not to be used again then.
    public mutating func read<Failure: Error>(
        _ text: ArraySlice<UInt8>, _ take: (Event) throws(Failure) -> Void
    ) throws(Failure) {
        if hasEnded { return }
        let room = limits.text - textLength
        let taken = UInt64(text.count) > room ? text.prefix(Int(truncatingIfNeeded: room)) : text
        textLength += UInt64(taken.count)
        lines.feed(taken)
        while !hasEnded, let line = lines.next() { try read(line, take) }
        if !hasEnded && taken.count < text.count { try end(.tooMuchText, line: 0, take) }
    }

    /// The text has ended.
    public mutating func finish<Failure: Error>(_ take: (Event) throws(Failure) -> Void) throws(Failure) {
        if hasEnded { return }
        if let line = lines.last() { try read(line, take) }
        if !hasHead { try tell(.noHead, 1, take) }
        hasEnded = true
    }

    private mutating func tell<Failure: Error>(
        _ kind: ManifestFinding.Kind, _ line: UInt64, _ take: (Event) throws(Failure) -> Void
    ) throws(Failure) {
        if told >= limits.findings {
            omittedFindings += 1
        } else {
            told += 1
            try take(.finding(ManifestFinding(kind, line: line)))
        }
    }

    /// A limit: always told.
    private mutating func end<Failure: Error>(
        _ kind: ManifestFinding.Kind, line: UInt64, _ take: (Event) throws(Failure) -> Void
    ) throws(Failure) {
        hasEnded = true
        try take(.finding(ManifestFinding(kind, line: line)))
    }

    private mutating func read<Failure: Error>(
        _ line: ManifestLines.Line, _ take: (Event) throws(Failure) -> Void
    ) throws(Failure) {
        let text = line.text
        if line.isTooLong || line.isCut || !text.allSatisfy({ $0 == 9 || $0 >= 0x20 && $0 < 0x7f }) {
            // What stood here belonged to something that cannot be told any more.
            forget()
            directory = nil
            return try tell(
                line.isTooLong ? .longLine : line.isCut ? .cutLine : .unreadableLine, line.number, take)
        }
        let words = text.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        guard let first = words.first else { return }
        switch first {
        case UInt8(ascii: "#"): try readComment(words, line.number, take)
        case UInt8(ascii: "/"): try readCommand(words, line.number, take)
        default: try readEntry(words, line.number, take)
        }
    }

    private mutating func forget() {
        attributes = PendingAttributes()
        linkGroup = nil
    }

    private mutating func readComment<Failure: Error>(
        _ text: ArraySlice<UInt8>, _ line: UInt64, _ take: (Event) throws(Failure) -> Void
    ) throws(Failure) {
        if let (annotation, value) = Annotation.read(text) {
            switch annotation {
            case .attribute:
                if let fault = attributes.begin(value, limit: limits.attributes) { try tell(fault, line, take) }
            case .attributeGoesOn:
                if let fault = attributes.goOn(value, limit: limits.attributes) { try tell(fault, line, take) }
            case .linked:
                linkGroup = Number.unsigned(value)
                if linkGroup == nil { try tell(.value, line, take) }
            }
        } else if isInHead, begins(text, with: Provenance.prefix) {
            var head = provenance ?? Provenance()
            if !head.read(text.dropFirst(Provenance.prefix.utf8CodeUnitCount)) { try tell(.headValue, line, take) }
            if head.format > Provenance.format, provenance?.format ?? 0 != head.format {
                try tell(.laterFormat, line, take)
            }
            provenance = head
            hasHead = true
        }
    }

    /// `/set` and `/unset`.
    private mutating func readCommand<Failure: Error>(
        _ text: ArraySlice<UInt8>, _ line: UInt64, _ take: (Event) throws(Failure) -> Void
    ) throws(Failure) {
        var words = WordsOfLine(text)
        guard let command = words.next() else { return }
        if equal(command, "/set") {
            while let word = words.next() {
                guard let (keyword, value) = Keyword.read(word) else { continue }
                defaults.removeAll { $0.keyword == keyword }
                defaults.append((keyword, Array(value)))
            }
        } else if equal(command, "/unset") {
            while let word = words.next() {
                if equal(word, "all") { defaults = [] }
                defaults.removeAll { equal(word, $0.keyword.name) }
            }
        } else {
            try tell(.unknownCommand, line, take)
        }
    }

    private mutating func readEntry<Failure: Error>(
        _ text: ArraySlice<UInt8>, _ line: UInt64, _ take: (Event) throws(Failure) -> Void
    ) throws(Failure) {
        if isInHead {
            isInHead = false
            if !hasHead { try tell(.noHead, line, take) }
            hasHead = true
        }
        var words = WordsOfLine(text)
        guard let name = words.next() else { return }
        if equal(name, "..") {
            directory = directory?.parent
            return
        }
        guard entries < limits.entries else { return try end(.tooManyEntries, line: line, take) }
        entries += 1

        let isFull = name.contains(UInt8(ascii: "/")) || equal(name, ".")
        let entry = entry(name, &words, isFull: isFull)
        forget()
        switch entry {
        case .success(let entry):
            if !isFull && entry.kind == .directory { directory = entry.path }
            try take(.entry(entry))
        case .failure(let fault):
            // It may have been a directory, and what follows may lie in it.
            if !isFull { directory = nil }
            try tell(fault.kind, line, take)
        }
    }

    private func entry(
        _ word: ArraySlice<UInt8>, _ words: inout WordsOfLine, isFull: Bool
    ) -> Result<TreeEntry, EntryFault> {
        guard let name = VisEncoding.decoded(word) else { return .failure(EntryFault(kind: .path)) }
        do throws(TreePath.Fault) {
            let path: TreePath
            if isFull {
                path = try TreePath(name)
            } else {
                guard let directory else { return .failure(EntryFault(kind: .lostDirectory)) }
                path = try directory.appending(name)
            }
            var reading = EntryReading(path)
            for (keyword, value) in defaults { reading.read(keyword, value[...]) }
            while let word = words.next() {
                if let (keyword, value) = Keyword.read(word) { reading.read(keyword, value) }
            }
            return reading.finish(attributes: attributes.list, linkGroup: linkGroup)
        } catch {
            return .failure(EntryFault(kind: .path))
        }
    }
}

/// Why there is no entry.
struct EntryFault: Error {
    var kind: ManifestFinding.Kind
}

/// The words of a line, with blanks and tabs between them.
struct WordsOfLine {
    private var rest: ArraySlice<UInt8>

    init(_ text: ArraySlice<UInt8>) { rest = text }

    mutating func next() -> ArraySlice<UInt8>? {
        rest = rest.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        if rest.isEmpty { return nil }
        let end = rest.firstIndex { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") } ?? rest.endIndex
        let word = rest[..<end]
        rest = rest[end...]
        return word
    }
}
