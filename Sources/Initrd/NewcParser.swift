/// What lies next in a piece of an archive.
public enum NewcEvent {
    /// All of the piece was taken: hand over the next one.
    case needsMore
    /// A record's header and name, and a link's target too.
    case record(NewcRecord)
    /// A part of the last record's data: a range of the piece.
    case data(Range<Int>)
    /// The last record's data are complete.
    case endOfData
    /// The end mark of an archive; others may follow.
    case trailer
}

/// Takes a stream of cpio archives apart, piece by piece, in the way of the kernel (init/initramfs.c): records, one
/// behind the other; any number of zeros between; an end mark that may be missing, or be followed by another archive.
///
/// It keeps no more than one header and one name (8 KiB), whatever the stream says, and copies no data.
public struct NewcParser {
    private enum State {
        /// Before a record or among zeros.
        case between
        case header
        case name
        case target
        case data
        /// Zeros of unchecked value behind a name or behind data.
        case skipping(then: After)
    }
    private enum After { case target, data, record }

    /// Offset in the stream of the next byte.
    public private(set) var offset: UInt64
    /// Whether the data are compared with the checksums of records that have one. It touches every byte.
    private let verifies: Bool

    private var state = State.between
    private var collected: [UInt8] = []
    private var record = NewcRecord()
    private var nameSize = 0
    /// Bytes of the data, or of padding, that are still to come.
    private var left: UInt64 = 0
    private var sum: UInt32 = 0

    /// - Parameter offset: of the stream's first byte: 0 for what was unpacked, and for an image that is not packed
    ///   the place in it, since the kernel counts alignment from there.
    public init(at offset: UInt64 = 0, verifyingChecksums: Bool = false) {
        self.offset = offset
        verifies = verifyingChecksums
        collected.reserveCapacity(NewcFormat.headerSize)
    }

    /// Whether the stream may end here: no record has begun that is not complete.
    public var isBetweenRecords: Bool {
        if case .between = state { return true }
        return false
    }

    /// How many bytes of data, or of padding, come before anything that has to be looked at: who can seek need not read
    /// them. 0 where every byte counts.
    public var skippable: UInt64 {
        switch state {
        case .skipping: return left
        case .data: return verifies && record.hasChecksum ? 0 : left
        default: return 0
        }
    }

    /// Passes over bytes that were not read; at most `skippable`.
    public mutating func skip(_ count: UInt64) {
        let count = min(count, skippable)
        left -= count
        offset += count
    }

    /// Takes the next thing from the piece.
    /// - Parameter cursor: where in the piece the next byte lies; moved on.
    public mutating func next(_ piece: Span<UInt8>, _ cursor: inout Int) throws(NewcFault) -> NewcEvent {
        while true {
            switch state {
            case .between:
                guard try findRecord(piece, &cursor) else { return .needsMore }
                state = .header
                collected.removeAll(keepingCapacity: true)
            case .header:
                guard collect(NewcFormat.headerSize, piece, &cursor) else { return .needsMore }
                try readHeader()
                state = .name
                collected.removeAll(keepingCapacity: true)
            case .name:
                guard collect(nameSize, piece, &cursor) else { return .needsMore }
                if let event = try readName() { return event }
            case .target:
                guard collect(Int(record.size), piece, &cursor) else { return .needsMore }
                record.target = Array(collected.prefix { $0 != 0 })
                endOfData()
                return .record(record)
            case .data:
                if left == 0 {
                    try checkSum()
                    endOfData()
                    return .endOfData
                }
                guard cursor < piece.count else { return .needsMore }
                return .data(takeData(piece, &cursor))
            case .skipping(let then):
                let count = min(left, UInt64(piece.count - cursor))
                cursor += Int(count)
                offset += count
                left -= count
                guard left == 0 else { return .needsMore }
                switch then {
                case .record: state = .between
                case .target:
                    state = .target
                    collected.removeAll(keepingCapacity: true)
                case .data:
                    state = .data
                    left = UInt64(record.size)
                    return .record(record)
                }
            }
        }
    }

    /// Call when nothing follows. The padding behind the last record may be missing.
    public func finish() throws(NewcFault) {
        switch state {
        case .between, .skipping(then: .record): return
        default: throw NewcFault(.truncated, at: record.offset)
        }
    }

    // MARK: States

    /// Passes over zeros; false at the end of the piece.
    private mutating func findRecord(_ piece: Span<UInt8>, _ cursor: inout Int) throws(NewcFault) -> Bool {
        while cursor < piece.count && piece[cursor] == 0 {
            cursor += 1
            offset += 1
        }
        guard cursor < piece.count else { return false }
        record.offset = offset
        guard piece[cursor] == UInt8(ascii: "0") else { throw NewcFault(.noRecord, at: offset) }
        guard offset % NewcFormat.alignment == 0 else { throw NewcFault(.misaligned, at: offset) }
        return true
    }

    /// Collects up to `size` bytes; false when the piece ended before.
    private mutating func collect(_ size: Int, _ piece: Span<UInt8>, _ cursor: inout Int) -> Bool {
        let count = min(size - collected.count, piece.count - cursor)
        for place in cursor..<cursor + count { collected.append(piece[place]) }
        cursor += count
        offset += UInt64(count)
        return collected.count == size
    }

    private mutating func readHeader() throws(NewcFault) {
        let start = record.offset
        let magic = collected[0..<6]
        if magic.elementsEqual("070707".utf8) { throw NewcFault(.oldPortableForm, at: start) }
        record = NewcRecord()
        record.offset = start
        record.hasChecksum = magic.elementsEqual("070702".utf8)
        guard record.hasChecksum || magic.elementsEqual("070701".utf8) else { throw NewcFault(.noRecord, at: start) }

        record.inode = try field(0)
        record.mode = try field(1)
        record.user = try field(2)
        record.group = try field(3)
        record.linkCount = try field(4)
        record.modified = try field(5)
        record.size = try field(6)
        record.deviceMajor = try field(7)
        record.deviceMinor = try field(8)
        record.nodeMajor = try field(9)
        record.nodeMinor = try field(10)
        let nameSize = try field(11)
        let checksum = try field(12)
        if record.hasChecksum { record.checksum = checksum }
        guard nameSize > 0 else { throw NewcFault(.noName, at: start) }
        guard nameSize <= NewcFormat.pathLimit else { throw NewcFault(.nameTooLong(nameSize), at: start) }
        self.nameSize = Int(nameSize)
    }

    /// Eight hexadecimal digits of the collected header.
    private func field(_ index: Int) throws(NewcFault) -> UInt32 {
        var number: UInt32 = 0
        for place in 6 + index * 8..<14 + index * 8 {
            let digit = collected[place]
            let value: UInt8
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = digit - UInt8(ascii: "A") + 10
            default: throw NewcFault(.notHexadecimal(field: index), at: record.offset)
            }
            number = number << 4 | UInt32(value)
        }
        return number
    }

    /// With the name collected: what follows it. An event only where nothing has to be passed over first.
    private mutating func readName() throws(NewcFault) -> NewcEvent? {
        guard collected[nameSize - 1] == 0 else { throw NewcFault(.nameNotTerminated, at: record.offset) }
        record.name = Array(collected.prefix { $0 != 0 })
        left = UInt64(NewcFormat.padding(at: offset))
        if record.isTrailer {
            // The kernel passes over what data an end mark has.
            left += UInt64(record.size)
            left += UInt64(NewcFormat.padding(at: offset + left))
            state = .skipping(then: .record)
            return .trailer
        }
        sum = 0
        // A longer target is data of no meaning to the kernel.
        let isLink = record.type == .symbolicLink && record.size <= NewcFormat.pathLimit
        state = .skipping(then: isLink ? .target : .data)
        return nil
    }

    private mutating func takeData(_ piece: Span<UInt8>, _ cursor: inout Int) -> Range<Int> {
        let count = Int(min(left, UInt64(piece.count - cursor)))
        let range = cursor..<cursor + count
        if verifies && record.hasChecksum {
            for place in range { sum &+= UInt32(piece[place]) }
        }
        cursor += count
        offset += UInt64(count)
        left -= UInt64(count)
        return range
    }

    private func checkSum() throws(NewcFault) {
        guard verifies, record.hasChecksum, record.type == .regular, record.size > 0, sum != record.checksum else {
            return
        }
        throw NewcFault(.wrongChecksum, at: record.offset)
    }

    private mutating func endOfData() {
        left = UInt64(NewcFormat.padding(at: offset))
        state = left > 0 ? .skipping(then: .record) : .between
    }
}
