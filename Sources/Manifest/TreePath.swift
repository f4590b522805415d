/// Where something lies in a tree, as bytes that are safe to use: relative, its components separated by single slashes,
/// none of them empty, `.` or `..`, longer than 255 bytes or with a NUL. The empty path is the top directory itself.
public struct TreePath: Equatable, Sendable {
    public let bytes: [UInt8]

    /// In bytes. A path may be longer than PATH_MAX (4096), as directories can lie that deep.
    public static let longest = 65_536
    /// In bytes: NAME_MAX.
    public static let longestName = 255
    /// The top directory.
    public static let top = TreePath(unchecked: [])

    private init(unchecked bytes: [UInt8]) { self.bytes = bytes }

    /// What may be wrong with a path.
    public enum Fault: Error, Equatable, Sendable {
        case absolute, dotDot, dot, emptyComponent, nul, longComponent, long
    }

    /// Takes a path as a manifest has it: `.` is the top directory, and one or more leading `./` mean nothing.
    public init(_ text: [UInt8]) throws(Fault) {
        let slash = UInt8(ascii: "/")
        let dot = UInt8(ascii: ".")
        var start = 0
        if text.first == slash { throw .absolute }
        while text.count - start >= 2, text[start] == dot, text[start + 1] == slash { start += 2 }
        if text.count - start == 1, text[start] == dot { start += 1 }
        if start == text.count {
            if text.isEmpty { throw .emptyComponent }
            bytes = []
            return
        }
        guard text.count - start <= TreePath.longest else { throw .long }
        let path = Array(text[start...])
        var first = 0
        for index in 0...path.count where index == path.count || path[index] == slash {
            try TreePath.check(path[first..<index])
            first = index + 1
        }
        bytes = path
    }

    private static func check(_ name: ArraySlice<UInt8>) throws(Fault) {
        let dot = UInt8(ascii: ".")
        if name.isEmpty { throw .emptyComponent }
        if name.count == 1 && name.first == dot { throw .dot }
        if name.count == 2 && name.first == dot && name.last == dot { throw .dotDot }
        if name.count > longestName { throw .longComponent }
        if name.contains(0) { throw .nul }
    }

    /// The path of something in this directory.
    /// - Parameter name: one component.
    public func appending(_ name: [UInt8]) throws(Fault) -> TreePath {
        if name.contains(UInt8(ascii: "/")) { throw .emptyComponent }
        try TreePath.check(name[...])
        if bytes.isEmpty { return TreePath(unchecked: name) }
        guard bytes.count + 1 + name.count <= TreePath.longest else { throw .long }
        return TreePath(unchecked: bytes + [UInt8(ascii: "/")] + name)
    }

    /// The directory that this lies in; the top directory's is itself.
    public var parent: TreePath {
        guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return .top }
        return TreePath(unchecked: Array(bytes[..<slash]))
    }

    /// The last component; empty for the top directory.
    public var name: ArraySlice<UInt8> {
        guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return bytes[...] }
        return bytes[(slash + 1)...]
    }

    /// Whether it lies in the top directory.
    public var isShallow: Bool { !bytes.isEmpty && !bytes.contains(UInt8(ascii: "/")) }

    /// How many components it has.
    public var depth: Int {
        if bytes.isEmpty { return 0 }
        var depth = 1
        for byte in bytes where byte == UInt8(ascii: "/") { depth += 1 }
        return depth
    }

    /// Whether this is the other path or lies somewhere below it.
    public func isWithin(_ other: TreePath) -> Bool {
        if other.bytes.isEmpty { return true }
        guard bytes.starts(with: other.bytes) else { return false }
        return bytes.count == other.bytes.count || bytes[other.bytes.count] == UInt8(ascii: "/")
    }
}
