/// An entry while its keywords are read. The last of two equal keywords counts.
struct EntryReading {
    private var entry: TreeEntry
    private var kind: TreeEntry.Kind?
    /// Keywords whose last value was none that they can have, as bits.
    private var wrong: UInt32 = 0

    init(_ path: TreePath) { entry = TreeEntry(path: path, kind: .regular) }

    mutating func read(_ keyword: Keyword, _ value: ArraySlice<UInt8>) {
        let bit: UInt32 = 1 << UInt32(keyword.rawValue)
        wrong = take(keyword, value) ? wrong & ~bit : wrong | bit
    }

    /// Takes a value where it can be one.
    private mutating func take(_ keyword: Keyword, _ value: ArraySlice<UInt8>) -> Bool {
        switch keyword {
        case .type:
            kind = TreeEntry.Kind.allCases.first { equal(value, $0.name) }
            return kind != nil
        case .mode:
            guard let mode = Number.unsigned(value, radix: 8), mode <= 0o7777 else { return false }
            entry.mode = UInt32(truncatingIfNeeded: mode)
        case .uid:
            guard let uid = EntryReading.owner(value) else { return false }
            entry.uid = uid
        case .gid:
            guard let gid = EntryReading.owner(value) else { return false }
            entry.gid = gid
        case .time:
            guard let time = Number.time(value) else { return false }
            entry.time = time
        case .size:
            guard let size = Number.unsigned(value), size <= UInt64(Int64.max) else { return false }
            entry.size = size
        case .links:
            guard let links = Number.unsigned(value) else { return false }
            entry.links = links
        case .target:
            guard let target = VisEncoding.decoded(value), (1...4095).contains(target.count), !target.contains(0)
            else { return false }
            entry.target = target
        case .device:
            guard let device = EntryReading.device(value) else { return false }
            entry.device = device
        case .flags: entry.flags = FileFlags(words: value)
        case .contents, .content:
            guard let name = VisEncoding.decoded(value), (1...255).contains(name.count), !name.contains(0),
                !name.contains(UInt8(ascii: "/"))
            else { return false }
            entry.contents = name
        }
        return true
    }

    /// 4,294,967,295 is chown(2)'s word for "leave it", and nobody's number.
    private static func owner(_ value: ArraySlice<UInt8>) -> UInt32? {
        guard let number = Number.unsigned(value), number < UInt64(UInt32.max) else { return nil }
        return UInt32(truncatingIfNeeded: number)
    }

    /// `native,MAJOR,MINOR` or `linux,MAJOR,MINOR`, 12 and 20 bits as Linux has them.
    private static func device(_ value: ArraySlice<UInt8>) -> DeviceNumber? {
        let parts = value.split(separator: UInt8(ascii: ","), maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 3, equal(parts[0], "native") || equal(parts[0], "linux"),
            let major = Number.unsigned(parts[1]), major < 1 << 12,
            let minor = Number.unsigned(parts[2]), minor < 1 << 20
        else { return nil }
        return DeviceNumber(major: UInt32(truncatingIfNeeded: major), minor: UInt32(truncatingIfNeeded: minor))
    }

    /// The entry, with nothing that its kind cannot have.
    func finish(attributes: [ExtendedAttribute], linkGroup: UInt64?) -> Result<TreeEntry, EntryFault> {
        guard wrong == 0 else { return .failure(EntryFault(kind: .value)) }
        guard let kind else { return .failure(EntryFault(kind: .noType)) }
        var entry = entry
        entry.kind = kind
        entry.attributes = attributes
        let isDevice = kind == .characterDevice || kind == .blockDevice
        if kind == .symbolicLink && entry.target.isEmpty { return .failure(EntryFault(kind: .noTarget)) }
        if isDevice && entry.device == nil { return .failure(EntryFault(kind: .noDevice)) }
        // Only a directory can be the top.
        if entry.path == .top && kind != .directory { return .failure(EntryFault(kind: .path)) }
        if kind != .symbolicLink { entry.target = [] }
        if !isDevice { entry.device = nil }
        if kind != .regular {
            entry.size = nil
            entry.contents = nil
        }
        if kind != .regular && kind != .directory { entry.linkGroup = linkGroup }
        return .success(entry)
    }
}

/// The extended attributes that the next entry will have.
struct PendingAttributes {
    private(set) var list: [ExtendedAttribute] = []
    private var size = 0
    /// Whether the last attribute was taken, so that more of it can come.
    private var isOpen = false

    /// What one costs besides its bytes, so that a great number of small ones is bounded too.
    private static let cost = 64

    /// `NAME=BASE64`
    mutating func begin(_ text: ArraySlice<UInt8>, limit: Int) -> ManifestFinding.Kind? {
        isOpen = false
        guard let sign = text.firstIndex(of: UInt8(ascii: "=")), let name = VisEncoding.decoded(text[..<sign]),
            (1...ExtendedAttribute.longestName).contains(name.count), !name.contains(0),
            let value = Base64.decoded(text[(sign + 1)...]), value.count <= ExtendedAttribute.largestValue
        else { return .attribute }
        let wanted = name.count + value.count + PendingAttributes.cost
        guard size + wanted <= limit else { return .attributesTooLarge }
        size += wanted
        list.append(ExtendedAttribute(name: name, value: value))
        isOpen = true
        return nil
    }

    /// More of the last one. When it does not fit, the attribute goes as a whole: half a value is none.
    mutating func goOn(_ text: ArraySlice<UInt8>, limit: Int) -> ManifestFinding.Kind? {
        guard isOpen, let last = list.indices.last else { return .attribute }
        guard let value = Base64.decoded(text),
            list[last].value.count + value.count <= ExtendedAttribute.largestValue
        else {
            drop()
            return .attribute
        }
        guard size + value.count <= limit else {
            drop()
            return .attributesTooLarge
        }
        size += value.count
        list[last].value += value
        return nil
    }

    private mutating func drop() {
        isOpen = false
        list.removeLast()
    }
}
