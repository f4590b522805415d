@testable import Manifest

/// Random numbers that come again with their seed, so that a failing case can be named.
struct Dice: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: Int) { state = UInt64(truncatingIfNeeded: seed) &* 0x2545_f491_4f6c_dd1d &+ 0x9e37_79b9 }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }

    mutating func roll(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + Int(next() % UInt64(range.count))
    }

    mutating func once(in count: Int) -> Bool { next() % UInt64(count) == 0 }
    mutating func pick<Element>(_ choices: [Element]) -> Element { choices[roll(0...choices.count - 1)] }

    mutating func bytes(_ count: Int, in range: ClosedRange<UInt8> = 0...255) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: range, using: &self) }
    }

    /// One component: letters, or all that a name may hold, now and then 255 bytes of it.
    mutating func name() -> [UInt8] {
        let length = once(in: 8) ? 255 : roll(1...12)
        var name = once(in: 2) ? bytes(length, in: 97...100) : bytes(length, in: 1...255)
        name = name.map { $0 == UInt8(ascii: "/") ? UInt8(ascii: "\n") : $0 }
        return name == [46] || name == [46, 46] ? [46, 46, 46] : name
    }

    mutating func path() throws -> TreePath {
        var path = TreePath.top
        for _ in 0..<(once(in: 20) ? 30 : roll(1...4)) { path = try path.appending(name()) }
        return path
    }

    /// - Parameter values: how long the values of extended attributes are.
    mutating func entry(values: [Int] = [0, 1, 2, 3, 28, 300]) throws -> TreeEntry {
        var entry = TreeEntry(path: try path(), kind: pick(TreeEntry.Kind.allCases))
        if !once(in: 5) { entry.mode = UInt32(roll(0...0o7777)) }
        if !once(in: 5) { entry.uid = UInt32(truncatingIfNeeded: next() % UInt64(UInt32.max)) }
        if !once(in: 5) { entry.gid = pick([0, 1000, UInt32.max - 1]) }
        if !once(in: 5) {
            entry.time = FileTime(
                seconds: pick([0, -1, 1 << 31, -(1 << 40), .max, .min, Int64(truncatingIfNeeded: next())]),
                nanoseconds: UInt32(roll(0...999_999_999)))
        }
        if !once(in: 3) { entry.links = next() >> UInt64(roll(0...63)) }
        if once(in: 2) { entry.flags = FileFlags(rawValue: UInt32(truncatingIfNeeded: next())).intersection(.known) }
        if entry.flags == [] { entry.flags = nil }
        switch entry.kind {
        case .regular:
            if !once(in: 5) { entry.size = next() >> UInt64(roll(1...63)) }
            if !once(in: 5) { entry.contents = name() }
        case .symbolicLink: entry.target = bytes(once(in: 9) ? 4095 : roll(1...40), in: 1...255)
        case .characterDevice, .blockDevice:
            entry.device = DeviceNumber(major: UInt32(roll(0...4095)), minor: UInt32(roll(0...0xfffff)))
        case .fifo, .directory: break
        }
        if entry.kind != .regular && entry.kind != .directory && once(in: 3) { entry.linkGroup = next() }
        while once(in: 3) {
            let length = pick(values)
            entry.attributes.append(ExtendedAttribute(name: bytes(roll(1...255), in: 1...255), value: bytes(length)))
        }
        return entry
    }

    mutating func provenance() -> Provenance {
        var head = Provenance()
        head.program = Array("1.2.3".utf8)
        head.kernel = bytes(roll(1...80), in: 1...255)
        head.boot = Array("a2b2c2d2-0000-4000-8000-0123456789ab".utf8)
        head.machine = Array("0123456789abcdef0123456789abcdef".utf8)
        head.host = bytes(roll(0...256))
        head.time = FileTime(seconds: Int64(truncatingIfNeeded: next()), nanoseconds: 5)
        head.monotonic = once(in: 2) ? nil : FileTime(seconds: 7, nanoseconds: 999_999_999)
        head.sinceBoot = FileTime(seconds: 8)
        return head
    }
}

/// What a parser makes of a text.
struct Reading {
    var entries: [TreeEntry] = []
    var findings: [ManifestFinding] = []
    var provenance: Provenance?
    var omitted: UInt64 = 0

    /// - Parameter pieces: the text, in the pieces in which it comes.
    init(_ pieces: [ArraySlice<UInt8>], limits: TreeEntry.Limits = TreeEntry.Limits()) {
        var parser = ManifestParser(limits: limits)
        func take(_ event: ManifestParser.Event) {
            switch event {
            case .entry(let entry): entries.append(entry)
            case .finding(let finding): findings.append(finding)
            }
        }
        for piece in pieces { parser.read(piece, take) }
        parser.finish(take)
        provenance = parser.provenance
        omitted = parser.omittedFindings
    }

    init(_ text: String, limits: TreeEntry.Limits = TreeEntry.Limits()) {
        self.init([Array(text.utf8)[...]], limits: limits)
    }

    var kinds: [ManifestFinding.Kind] { findings.map(\.kind) }
    var paths: [String] { entries.map { String(decoding: $0.path.bytes, as: UTF8.self) } }
}

func text(of entries: [TreeEntry], _ head: Provenance = Provenance()) -> [UInt8] {
    var text: [UInt8] = []
    // The closure outlives the scope; what it collects is read when the writer is done.
    let collected = Collected()
    var writer = ManifestWriter(head) { collected.bytes += $0 }
    for entry in entries { writer.write(entry) }
    writer.finish()
    text = collected.bytes
    precondition(writer.length == UInt64(text.count))
    return text
}

private final class Collected { var bytes: [UInt8] = [] }

extension [UInt8] {
    /// The bytes in pieces of random lengths.
    func pieces(_ dice: inout Dice, longest: Int) -> [ArraySlice<UInt8>] {
        var pieces: [ArraySlice<UInt8>] = []
        var rest = self[...]
        while !rest.isEmpty {
            let piece = rest.prefix(dice.roll(0...longest))
            pieces.append(piece)
            rest = rest.dropFirst(piece.count)
        }
        return pieces
    }
}
