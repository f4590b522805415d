/// Paths as archives hold them: `./usr/bin/sh`, `/usr/bin/sh` and `usr//bin/sh` are one file to a kernel that unpacks
/// into the root.
public enum ArchivePath {
    static let slash = UInt8(ascii: "/")
    static let dot = UInt8(ascii: ".")

    /// Without what changes nothing: a leading `/` or `./`, empty components and `.`. The root itself is empty.
    public static func normalized(_ path: [UInt8]) -> [UInt8] {
        if isNormal(path) { return path }
        var result: [UInt8] = []
        for part in path.split(separator: slash) where !(part.count == 1 && part.first == dot) {
            if !result.isEmpty { result.append(slash) }
            result += part
        }
        return result
    }

    /// Most are, so this costs a look and no copy.
    private static func isNormal(_ path: [UInt8]) -> Bool {
        var atStart = true
        for place in 0..<path.count {
            let byte = path[place]
            if atStart {
                if byte == slash { return false }
                if byte == dot, place + 1 == path.count || path[place + 1] == slash { return false }
            }
            atStart = byte == slash
        }
        return !atStart || path.isEmpty
    }

    /// Whether one of the components is `..`.
    public static func climbs(_ path: [UInt8]) -> Bool {
        for part in path.split(separator: slash) where part.count == 2 && part.elementsEqual("..".utf8) { return true }
        return false
    }

    /// The same for every layout of a root: in most /bin, /sbin and /lib are links into /usr.
    public static func withoutUsr(_ path: [UInt8]) -> [UInt8] {
        let normal = normalized(path)
        return normal.starts(with: "usr/".utf8) ? Array(normal[4...]) : normal
    }

    /// The last component.
    public static func lastComponent(_ path: [UInt8]) -> ArraySlice<UInt8> {
        guard let place = path.lastIndex(of: slash) else { return path[...] }
        return path[(place + 1)...]
    }

    /// A path behind a symbolic link, normalized, as the kernel finds it in the root.
    /// - Parameters:
    ///   - link: the link's own path, normalized.
    ///   - target: what it holds.
    ///   - rest: what follows, with the slash.
    public static func behind(_ link: [UInt8], leadingTo target: [UInt8], _ rest: ArraySlice<UInt8>) -> [UInt8] {
        let start = target.first == slash ? [] : parent(link) + [slash]
        var parts: [ArraySlice<UInt8>] = []
        for part in (start + target + rest).split(separator: slash) where !part.elementsEqual(".".utf8) {
            // Above the root is the root.
            if part.elementsEqual("..".utf8) { _ = parts.popLast() } else { parts.append(part) }
        }
        var path: [UInt8] = []
        for part in parts { path += [slash] + part }
        return normalized(path)
    }

    /// All but the last component of a normalized path; empty for a name in the root.
    public static func parent(_ path: [UInt8]) -> [UInt8] {
        guard let place = path.lastIndex(of: slash) else { return [] }
        return Array(path[..<place])
    }

    /// The directories above a normalized path, from the top: `usr`, `usr/sbin`.
    public static func ancestors(_ path: [UInt8]) -> [[UInt8]] {
        var result: [[UInt8]] = []
        for place in 0..<path.count where path[place] == slash { result.append(Array(path[..<place])) }
        return result
    }
}
