/// The keywords of mtree(5) that mean something here. Documentation/MANIFEST.md has a table of them.
enum Keyword: Int, CaseIterable {
    case type, mode, uid, gid, time, size, links, target, device, flags, contents
    /// libarchive's other word for `contents`, read and never written.
    case content

    var name: StaticString {
        switch self {
        case .type: "type"
        case .mode: "mode"
        case .uid: "uid"
        case .gid: "gid"
        case .time: "time"
        case .size: "size"
        case .links: "nlink"
        case .target: "link"
        case .device: "device"
        case .flags: "flags"
        case .contents: "contents"
        case .content: "content"
        }
    }

    /// The keyword that a word `name=value` begins with, and where its value begins; nil for those not known here.
    static func read(_ word: ArraySlice<UInt8>) -> (keyword: Keyword, value: ArraySlice<UInt8>)? {
        guard let sign = word.firstIndex(of: UInt8(ascii: "=")) else { return nil }
        let name = word[..<sign]
        for keyword in Keyword.allCases where equal(name, keyword.name) { return (keyword, word[(sign + 1)...]) }
        return nil
    }
}

/// What mtree(5) has no keyword for stands in comments before the entry that it belongs to, so that every other reader
/// ignores it: an unknown keyword ends mtree(8), and makes bsdtar's run a failure.
enum Annotation: Int, CaseIterable {
    /// `#xattr NAME=BASE64`: an extended attribute, or the first part of one.
    case attribute
    /// `#xattr+BASE64`: more of the attribute's value.
    case attributeGoesOn
    /// `#linked NUMBER`: entries that are no regular files and have the same number are names of one file.
    case linked

    var name: StaticString {
        switch self {
        case .attribute: "#xattr "
        case .attributeGoesOn: "#xattr+"
        case .linked: "#linked "
        }
    }

    static func read(_ line: ArraySlice<UInt8>) -> (annotation: Annotation, value: ArraySlice<UInt8>)? {
        for annotation in Annotation.allCases where begins(line, with: annotation.name) {
            return (annotation, line.dropFirst(annotation.name.utf8CodeUnitCount))
        }
        return nil
    }
}
