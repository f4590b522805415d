/// Which pages and which parity pages are lost, and so which groups can be rebuilt: those that have lost no more
/// members than they have parity pages. Takes a bit for each page and two bytes for each group.
public struct ParityLosses: Sendable {
    public let code: Interleaving
    private var pages: [UInt64]
    private var parity: [UInt64]
    private var lostOf: [UInt16]

    public private(set) var lostPages = 0
    public private(set) var lostParity = 0
    /// How many groups have lost more than can be rebuilt.
    public private(set) var hopelessGroups = 0

    /// - Parameter code: of a chain that was walked, not merely one that a geometry page claims (see
    ///   `GeometryPage.fits`): memory is taken for as many pages as it has.
    public init(_ code: Interleaving) {
        self.code = code
        pages = [UInt64](repeating: 0, count: (code.pages + 63) / 64)
        parity = [UInt64](repeating: 0, count: (code.parityPages + 63) / 64)
        lostOf = [UInt16](repeating: 0, count: code.groups)
    }

    public var isEmpty: Bool { lostPages == 0 && lostParity == 0 }

    /// Whether everything that is lost can be rebuilt.
    public var areRecoverable: Bool { hopelessGroups == 0 }

    /// Notes that a member is lost, once or more often. One that does not exist is ignored.
    public mutating func insert(_ member: GroupMember) {
        switch member {
        case .page(let rank):
            guard rank >= 0, rank < code.pages, !isLost(member) else { return }
            pages[rank >> 6] |= 1 << UInt64(rank & 63)
            lostPages += 1
            count(code.group(ofPage: rank))
        case .parity(let index):
            guard index >= 0, index < code.parityPages, !isLost(member) else { return }
            parity[index >> 6] |= 1 << UInt64(index & 63)
            lostParity += 1
            count(code.group(ofParity: index))
        }
    }

    private mutating func count(_ group: Int) {
        lostOf[group] += 1
        if Int(lostOf[group]) == code.rows + 1 { hopelessGroups += 1 }
    }

    public func isLost(_ member: GroupMember) -> Bool {
        switch member {
        case .page(let rank):
            rank >= 0 && rank < code.pages && pages[rank >> 6] >> UInt64(rank & 63) & 1 == 1
        case .parity(let index):
            index >= 0 && index < code.parityPages && parity[index >> 6] >> UInt64(index & 63) & 1 == 1
        }
    }

    /// How many members a group has lost.
    public func lost(of group: Int) -> Int { Int(lostOf[group]) }

    /// Whether a group can be rebuilt, as one that has lost nothing can.
    public func isRecoverable(_ group: Int) -> Bool { lost(of: group) <= code.rows }

    /// Whether this page is there or can be rebuilt.
    public func isRecoverable(page rank: Int) -> Bool {
        !isLost(.page(rank)) || isRecoverable(code.group(ofPage: rank))
    }
}

/// A page that belongs to a group.
public enum GroupMember: Equatable, Sendable {
    /// A protected page, by its rank.
    case page(Int)
    /// A parity page, by its place among all parity pages.
    case parity(Int)
}
