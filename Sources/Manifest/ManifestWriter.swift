/// Writes a manifest entry by entry, handing on the text in pieces of some 64 KiB. Each entry has its whole path, so
/// that a lost page costs the entries on it and no others.
public struct ManifestWriter {
    private var buffer: [UInt8] = []
    private let sink: ([UInt8]) -> Void
    /// Bytes of text, so far.
    public private(set) var length: UInt64 = 0

    /// Raw bytes of an attribute's value on one line, a multiple of 3: libarchive refuses lines of 65,536 bytes.
    private static let attributePart = 24_576

    /// Begins with the head.
    public init(_ provenance: Provenance, sink: @escaping ([UInt8]) -> Void) {
        self.sink = sink
        provenance.append(to: &buffer)
    }

    /// Directories before what is in them. `contents` is written as it is, also when the chain has no such file.
    public mutating func write(_ entry: TreeEntry) {
        for attribute in entry.attributes { append(attribute) }
        if let group = entry.linkGroup, entry.kind != .regular {
            Manifest.append(Annotation.linked.name, to: &buffer)
            Number.append(group, to: &buffer)
            buffer.append(UInt8(ascii: "\n"))
        }
        buffer.append(UInt8(ascii: "."))
        if !entry.path.bytes.isEmpty { buffer.append(UInt8(ascii: "/")) }
        VisEncoding.append(entry.path.bytes, to: &buffer)
        for keyword in Keyword.allCases { append(keyword, of: entry) }
        buffer.append(UInt8(ascii: "\n"))
        if buffer.count >= 1 << 16 { flush() }
    }

    /// Hands on what is left of the text.
    public mutating func finish() { flush() }

    private mutating func flush() {
        length += UInt64(buffer.count)
        sink(buffer)
        buffer.removeAll(keepingCapacity: true)
    }

    private mutating func append(_ attribute: ExtendedAttribute) {
        Manifest.append(Annotation.attribute.name, to: &buffer)
        VisEncoding.append(attribute.name, to: &buffer)
        buffer.append(UInt8(ascii: "="))
        var rest = attribute.value[...]
        Base64.append(rest.prefix(ManifestWriter.attributePart), to: &buffer)
        rest = rest.dropFirst(ManifestWriter.attributePart)
        while !rest.isEmpty {
            buffer.append(UInt8(ascii: "\n"))
            Manifest.append(Annotation.attributeGoesOn.name, to: &buffer)
            Base64.append(rest.prefix(ManifestWriter.attributePart), to: &buffer)
            rest = rest.dropFirst(ManifestWriter.attributePart)
        }
        buffer.append(UInt8(ascii: "\n"))
    }

    /// Writes ` keyword=`, and what `value` appends.
    private mutating func pair(_ keyword: Keyword, _ value: (inout [UInt8]) -> Void) {
        buffer.append(UInt8(ascii: " "))
        Manifest.append(keyword.name, to: &buffer)
        buffer.append(UInt8(ascii: "="))
        value(&buffer)
    }

    private mutating func number(_ keyword: Keyword, _ value: UInt64?) {
        if let value { pair(keyword) { Number.append(value, to: &$0) } }
    }

    private mutating func append(_ keyword: Keyword, of entry: TreeEntry) {
        switch keyword {
        case .type: pair(keyword) { Manifest.append(entry.kind.name, to: &$0) }
        case .mode:
            if let mode = entry.mode { pair(keyword) { Number.append(UInt64(mode), to: &$0, radix: 8, width: 4) } }
        case .uid: number(keyword, entry.uid.map { UInt64($0) })
        case .gid: number(keyword, entry.gid.map { UInt64($0) })
        case .time: if let time = entry.time { pair(keyword) { Number.append(time, to: &$0) } }
        case .size: if entry.kind == .regular { number(keyword, entry.size) }
        case .links: number(keyword, entry.links)
        case .target:
            if entry.kind == .symbolicLink { pair(keyword) { VisEncoding.append(entry.target, to: &$0) } }
        case .device:
            guard let device = entry.device else { break }
            pair(keyword) {
                Manifest.append("native,", to: &$0)
                Number.append(UInt64(device.major), to: &$0)
                $0.append(UInt8(ascii: ","))
                Number.append(UInt64(device.minor), to: &$0)
            }
        case .flags: if let flags = entry.flags, !flags.isEmpty { pair(keyword) { flags.append(to: &$0) } }
        case .contents:
            if let contents = entry.contents, entry.kind == .regular {
                pair(keyword) { VisEncoding.append(contents, to: &$0) }
            }
        case .content: break
        }
    }
}

extension FileFlags {
    /// Words with commas between them; `none` for none.
    func append(to text: inout [UInt8]) {
        var isFirst = true
        for (flag, word) in FileFlags.words where contains(flag) {
            if !isFirst { text.append(UInt8(ascii: ",")) }
            Manifest.append(word, to: &text)
            isFirst = false
        }
        if isFirst { Manifest.append("none", to: &text) }
    }

    /// Words that are not known are those of other systems, and mean nothing here.
    init(words text: ArraySlice<UInt8>) {
        var flags: FileFlags = []
        for part in text.split(separator: UInt8(ascii: ",")) {
            for (flag, word) in FileFlags.words + FileFlags.synonyms where equal(part, word) { flags.insert(flag) }
        }
        self = flags
    }
}
