/// What a kernel has made so far of the records of an image: directories, and symbolic links in their place. It says where
/// each record ends up, since links that earlier records have made lead the paths of later ones elsewhere.
///
/// Files are not kept, unless somebody notes them. Directories that no record has made are taken to be there: an archive
/// that is to be unpacked behind others lies in directories of theirs.
public struct RootTree {
    /// What an image asks for is more than is kept in memory, or than is done for it; no image that boots comes near.
    public struct Excess: Error, Equatable {
        public init() {}
    }

    /// A place below the root: a directory, by its number in one tree, and a name in it.
    public struct Spot: Equatable, Sendable {
        /// 0 is the root.
        public let directory: Int
        /// Empty for the root itself, and for a directory that a path names by `..`.
        public let name: [UInt8]
    }

    private enum Kind {
        /// Nothing, or a file that nobody has noted.
        case other
        case directory
        case link
        /// A file with a number of somebody else's.
        case file(Int)
    }

    private struct Node {
        let parent: Int
        let name: [UInt8]
        var kind: Kind
        var target: [UInt8] = []
        /// Whether something was ever put into it: it cannot be removed then.
        var isFilled = false
        /// The length of its path.
        let length: Int
        /// The next one of the same bucket; -1 at the end.
        let next: Int32
    }

    private var nodes = [Node(parent: 0, name: [], kind: .directory, isFilled: true, length: 0, next: -1)]
    /// Nodes by parent and name.
    private var buckets = [Int32](repeating: -1, count: 1 << 14)
    /// Of names and targets.
    private var bytes = 0
    private var steps = 0

    /// The directory of the last path, as neighbours follow each other.
    private var lastText: [UInt8] = []
    private var last: Int?

    /// As the kernel has it (MAXSYMLINKS).
    public static let linkLimit = 40
    static let nodeLimit = 1 << 16
    static let byteLimit = 8 << 20
    static let pathLimit = 4096
    /// Directories that are looked up on the way to the places of all records: below a second's worth.
    public static let stepLimit = 4 << 20
    private static let bucketLimit = 64

    private let stepLimit: Int

    public init(stepLimit: Int = stepLimit) { self.stepLimit = stepLimit }

    // MARK: Records

    /// Does what the kernel does about a record.
    /// - Returns: where it ends up; nil where the kernel makes nothing of it: it is passed over, a link on the way leads
    ///   nowhere or in a circle, or a directory with something in it is in its place.
    public mutating func place(_ record: NewcRecord) throws(Excess) -> Spot? {
        guard !record.isPassedOver, record.type != .unknown else { return nil }
        guard let spot = try find(record.name, .madeBeforeLinks) else { return nil }
        guard !spot.name.isEmpty else { return record.type == .directory ? spot : nil }
        nodes[spot.directory].isFilled = true
        let node = node(spot)
        switch record.type {
        case .directory:
            if let node, case .directory = nodes[node].kind { return spot }
            try set(spot, .directory, [])
        case .symbolicLink:
            guard isRemovable(node) else { return nil }
            // A link to nowhere at all cannot be made, but what was there has gone.
            let target = record.target ?? []
            if node != nil || !target.isEmpty { try set(spot, target.isEmpty ? .other : .link, target) }
            if target.isEmpty { return nil }
        default:
            guard isRemovable(node) else { return nil }
            if let node {
                // To a file that is written over all its names stay.
                if case .file = nodes[node].kind, record.type == .regular { return spot }
                try set(spot, .other, [])
            }
        }
        return spot
    }

    private func isRemovable(_ node: Int?) -> Bool {
        guard let node, case .directory = nodes[node].kind else { return true }
        return !nodes[node].isFilled
    }

    // MARK: Files

    /// The number that was noted for a file; nil where there is none, or it is no longer there.
    public func file(at spot: Spot) -> Int? {
        guard let node = node(spot), case .file(let number) = nodes[node].kind else { return nil }
        return number
    }

    /// Notes a file, where `place` has put a record; nil: that there is none, or none to be known.
    public mutating func note(file number: Int?, at spot: Spot) throws(Excess) {
        guard !spot.name.isEmpty, number != nil || node(spot) != nil else { return }
        var kind = Kind.other
        if let number { kind = .file(number) }
        try set(spot, kind, [])
    }

    // MARK: Paths

    /// What becomes of directories on the way to a place, where there are none.
    public enum Missing: Sendable {
        /// The way ends there.
        case refused
        /// They are made, but not those that only a link names.
        case madeBeforeLinks
        case made
    }

    /// Where a path leads now. A link at its end is not followed.
    /// - Returns: nil where links on the way lead nowhere or in a circle, or a directory on the way is missing.
    public mutating func spot(_ path: [UInt8], missing: Missing = .refused) throws(Excess) -> Spot? {
        try find(path, missing)
    }

    /// Whether a directory is there.
    public func isDirectory(_ spot: Spot) -> Bool {
        if spot.name.isEmpty { return true }
        guard let node = node(spot), case .directory = nodes[node].kind else { return false }
        return true
    }

    /// Whether a symbolic link is there.
    public func isLink(_ spot: Spot) -> Bool {
        guard let node = node(spot), case .link = nodes[node].kind else { return false }
        return true
    }

    /// Where a place lies, without links: `usr/sbin/pram-verify`.
    public func path(_ spot: Spot) -> [UInt8] {
        var names: [[UInt8]] = spot.name.isEmpty ? [] : [spot.name]
        var node = spot.directory
        while node != 0 {
            names.append(nodes[node].name)
            node = nodes[node].parent
        }
        var path: [UInt8] = []
        for name in names.reversed() {
            if !path.isEmpty { path.append(ArchivePath.slash) }
            path += name
        }
        return path
    }

    private mutating func find(_ path: [UInt8], _ missing: Missing) throws(Excess) -> Spot? {
        let path = ArchivePath.normalized(path)
        let name = ArchivePath.lastComponent(path)
        let isClimbing = name.elementsEqual("..".utf8)
        let way = isClimbing ? path[...] : path[..<max(0, name.startIndex - 1)]
        guard !way.isEmpty else { return Spot(directory: 0, name: Array(name)) }
        if let last, way.elementsEqual(lastText) { return Spot(directory: last, name: isClimbing ? [] : Array(name)) }
        guard let directory = try walk(way, missing) else { return nil }
        lastText = Array(way)
        last = directory
        return Spot(directory: directory, name: isClimbing ? [] : Array(name))
    }

    /// The directory that a way leads to.
    private mutating func walk(_ way: ArraySlice<UInt8>, _ missing: Missing) throws(Excess) -> Int? {
        var pending = [way]
        var links = 0
        var directory = 0
        while var rest = pending.popLast() {
            while let part = Self.takeComponent(&rest) {
                steps += 1
                guard steps <= stepLimit else { throw Excess() }
                if part.elementsEqual(".".utf8) { continue }
                if part.elementsEqual("..".utf8) {
                    directory = nodes[directory].parent
                    continue
                }
                guard let node = node(directory, part) else {
                    guard missing == .made || missing == .madeBeforeLinks && pending.isEmpty else { return nil }
                    directory = try make(directory, part)
                    continue
                }
                switch nodes[node].kind {
                case .directory: directory = node
                case .link:
                    links += 1
                    guard links <= Self.linkLimit else { return nil }
                    if !rest.isEmpty || pending.isEmpty { pending.append(rest) }
                    rest = nodes[node].target[...]
                    if rest.first == ArchivePath.slash { directory = 0 }
                case .file: return nil
                case .other:
                    guard missing == .made || missing == .madeBeforeLinks && pending.isEmpty else { return nil }
                    directory = try make(directory, part)
                }
            }
        }
        return directory
    }

    private static func takeComponent(_ rest: inout ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        while rest.first == ArchivePath.slash { rest = rest.dropFirst() }
        guard !rest.isEmpty else { return nil }
        let part = rest.prefix { $0 != ArchivePath.slash }
        rest = rest[part.endIndex...]
        return part
    }

    // MARK: Nodes

    private mutating func make(_ parent: Int, _ name: ArraySlice<UInt8>) throws(Excess) -> Int {
        nodes[parent].isFilled = true
        return try set(Spot(directory: parent, name: Array(name)), .directory, [])
    }

    @discardableResult
    private mutating func set(_ spot: Spot, _ kind: Kind, _ target: [UInt8]) throws(Excess) -> Int {
        bytes += target.count
        guard bytes <= Self.byteLimit else { throw Excess() }
        if let node = node(spot) {
            bytes -= nodes[node].target.count
            nodes[node].kind = kind
            nodes[node].target = target
            nodes[node].isFilled = false
            // What was reached through it is no longer.
            last = nil
            return node
        }
        let length = nodes[spot.directory].length + 1 + spot.name.count
        bytes += spot.name.count
        guard nodes.count < Self.nodeLimit, bytes <= Self.byteLimit, length <= Self.pathLimit else { throw Excess() }
        let bucket = bucket(spot.directory, spot.name[...])
        var depth = 0
        var next = Int(buckets[bucket])
        while next >= 0 {
            depth += 1
            next = Int(nodes[next].next)
        }
        guard depth < Self.bucketLimit else { throw Excess() }
        nodes.append(
            Node(
                parent: spot.directory, name: spot.name, kind: kind, target: target, length: length,
                next: buckets[bucket]))
        buckets[bucket] = Int32(nodes.count - 1)
        return nodes.count - 1
    }

    private func node(_ spot: Spot) -> Int? {
        spot.name.isEmpty ? nil : node(spot.directory, spot.name[...])
    }

    private func node(_ parent: Int, _ name: ArraySlice<UInt8>) -> Int? {
        var node = Int(buckets[bucket(parent, name)])
        while node >= 0 {
            if nodes[node].parent == parent && nodes[node].name.elementsEqual(name) { return node }
            node = Int(nodes[node].next)
        }
        return nil
    }

    private func bucket(_ parent: Int, _ name: ArraySlice<UInt8>) -> Int {
        var hash = UInt64(truncatingIfNeeded: parent) &* 0x9e37_79b9_7f4a_7c15
        for byte in name { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        hash ^= hash >> 29
        hash = hash &* 0xbf58_476d_1ce4_e5b9
        return Int((hash >> 40) & UInt64(buckets.count - 1))
    }
}
