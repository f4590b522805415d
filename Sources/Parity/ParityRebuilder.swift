import CParity

/// Where the members of groups come from and go to.
public protocol GroupPages {
    /// Where a member lies, if it is mapped and may be read in place; valid for as long as the rebuilder works on the
    /// group.
    func address(of member: GroupMember) -> UnsafeRawPointer?

    /// Reads a member that has no address: 4096 bytes.
    /// - Returns: false when it cannot be read.
    mutating func read(_ member: GroupMember, into page: UnsafeMutableRawPointer) -> Bool

    /// Calls `work(context)`, which reads mapped pages: under a guard, where they may vanish.
    /// - Returns: false when one has vanished.
    mutating func perform(
        _ work: @convention(c) (UnsafeMutableRawPointer?) -> Void, _ context: UnsafeMutableRawPointer
    ) -> Bool

    /// Takes a member that was rebuilt: 4096 bytes, valid during the call. Whether they are right nobody has seen yet:
    /// compare them with the checksum in the link.
    /// - Returns: false when they are not.
    mutating func take(_ member: GroupMember, _ page: UnsafeRawPointer) -> Bool
}

/// What became of a group.
public enum GroupResult: Equatable, Sendable {
    /// All that was lost was rebuilt and taken.
    case rebuilt
    /// More is lost than can be rebuilt. Nothing was read.
    case hopeless
    /// A member that was not lost could not be read: note it as lost, and try again.
    case unreadable(GroupMember)
    /// A mapped member vanished, and nobody knows which.
    case vanished
    /// What was rebuilt was refused: some page that passed for sound was not.
    case refused(GroupMember)
}

/// Rebuilds groups, one after the other, with memory that depends on the size of a group alone: at most 1.3 MiB, of it
/// 1 MiB only where pages are not mapped. Each thread has one of its own.
///
/// The pages of a group lie as far from each other as there are groups. One pass over them makes everything that the
/// group has lost; what is made stays in the nearest caches (see the kernels).
@safe public final class ParityRebuilder {
    public let code: Interleaving
    private let matrix = CauchyMatrix()
    private var decoding: GroupDecoding?
    private let factors: UnsafeMutablePointer<pv_gf_factor>
    private let sources: UnsafeMutablePointer<UnsafeRawPointer?>
    private let destinations: UnsafeMutableRawPointer
    private var buffer: UnsafeMutableRawPointer?

    public init(_ code: Interleaving) {
        self.code = code
        // As many sources as columns, always: for each column that is lost there is a row.
        unsafe factors = .allocate(capacity: code.columns * code.rows)
        unsafe sources = .allocate(capacity: code.columns)
        unsafe destinations = .allocate(byteCount: code.rows * parityPageSize, alignment: parityPageSize)
    }

    deinit {
        unsafe factors.deallocate()
        unsafe sources.deallocate()
        unsafe destinations.deallocate()
        unsafe buffer?.deallocate()
    }

    /// Makes the parity pages of a group, 0..<code.groups.
    public func encode<Pages: GroupPages>(_ group: Int, _ pages: inout Pages) -> GroupResult {
        guard (0..<code.groups).contains(group) else { return .hopeless }
        return rebuild(group, GroupDecoding.Losses(encoding: group, code), &pages)
    }

    /// Rebuilds what a group has lost; nothing is done for one that has lost nothing.
    /// - Parameter losses: with the rebuilder's code.
    public func rebuild<Pages: GroupPages>(
        _ group: Int, _ losses: ParityLosses, _ pages: inout Pages
    ) -> GroupResult {
        guard losses.code == code, (0..<code.groups).contains(group), losses.isRecoverable(group) else {
            return .hopeless
        }
        guard losses.lost(of: group) > 0 else { return .rebuilt }
        return rebuild(group, GroupDecoding.Losses(of: group, losses), &pages)
    }

    private func rebuild<Pages: GroupPages>(
        _ group: Int, _ losses: GroupDecoding.Losses, _ pages: inout Pages
    ) -> GroupResult {
        guard let decoding = decoding(for: losses) else { return .hopeless }
        let known =
            decoding.columns.map { GroupMember.page(code.page(group: group, column: $0)) }
            + decoding.rows.map { .parity(code.parity(group: group, row: $0)) }
        let lost =
            losses.lostColumns.map { GroupMember.page(code.page(group: group, column: $0)) }
            + losses.lostRows.map { .parity(code.parity(group: group, row: $0)) }
        for (i, member) in known.enumerated() {
            guard let address = unsafe address(of: member, i, &pages) else { return .unreadable(member) }
            unsafe sources[i] = address
        }
        var combination = unsafe pv_gf_combination(
            sources: UnsafePointer(sources), source_count: known.count, destinations: destinations,
            destination_count: lost.count, destination_distance: parityPageSize, adds: false,
            factors: UnsafePointer(factors))
        let whole = unsafe withUnsafeMutablePointer(to: &combination) {
            unsafe pages.perform(pv_gf_combine, UnsafeMutableRawPointer($0))
        }
        guard whole else { return .vanished }
        for (i, member) in lost.enumerated() {
            guard unsafe pages.take(member, UnsafeRawPointer(destinations + i * parityPageSize)) else {
                return .refused(member)
            }
        }
        return .rebuilt
    }

    /// Where a source lies; it is read into the buffer first if it is nowhere.
    private func address<Pages: GroupPages>(
        of member: GroupMember, _ number: Int, _ pages: inout Pages
    ) -> UnsafeRawPointer? {
        if let address = unsafe pages.address(of: member) { return unsafe address }
        let room: UnsafeMutableRawPointer
        if let buffer = unsafe buffer {
            unsafe room = buffer
        } else {
            unsafe room = .allocate(byteCount: code.columns * parityPageSize, alignment: parityPageSize)
            unsafe buffer = room
        }
        let place = unsafe room + number * parityPageSize
        return unsafe pages.read(member, into: place) ? UnsafeRawPointer(place) : nil
    }

    /// After a run of losses most groups have lost the same, so what was found for the last one is kept.
    private func decoding(for losses: GroupDecoding.Losses) -> GroupDecoding? {
        if let decoding, decoding.losses == losses { return decoding }
        guard let new = GroupDecoding(losses, rows: code.rows, matrix) else { return nil }
        for (i, factor) in new.factors.enumerated() { unsafe pv_gf_make_factor(factors + i, factor) }
        decoding = new
        return new
    }
}

extension GroupDecoding.Losses {
    /// No page is lost, and all parity.
    init(encoding group: Int, _ code: Interleaving) {
        columns = code.columns(of: group)
        lostRows = Array(0..<code.rows)
    }
}
