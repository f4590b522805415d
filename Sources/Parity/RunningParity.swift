import CParity

/// Parity that is made while the pages come: some columns of a group at a time are added to its sums, which lie where
/// the parity pages belong. Its tables are only read, so several threads may add to different groups.
@safe public final class RunningParity {
    public let code: Interleaving
    private let factors: UnsafeMutablePointer<pv_gf_factor>
    private let sums: UnsafeMutableRawPointer

    /// - Parameter sums: room for all parity pages, one behind the other, for as long as this object is in use.
    public init(_ code: Interleaving, sums: UnsafeMutableRawPointer) {
        self.code = code
        unsafe self.sums = unsafe sums
        let matrix = CauchyMatrix()
        unsafe factors = .allocate(capacity: code.columns * code.rows)
        for column in 0..<code.columns {
            for row in 0..<code.rows {
                unsafe pv_gf_make_factor(
                    factors + column * code.rows + row, matrix.factor(row: row, column: column))
            }
        }
    }

    deinit { unsafe factors.deallocate() }

    /// Adds columns of a group to its sums; those from column 0 on begin them.
    /// - Parameters:
    ///   - columns: of those that the group has.
    ///   - sources: the addresses of their pages.
    ///   - perform: see `GroupPages.perform`; here it writes as well.
    /// - Returns: false when a page or a sum has vanished: the sums are of no use then.
    public func add(
        _ columns: Range<Int>, of group: Int, _ sources: UnsafePointer<UnsafeRawPointer?>,
        by perform: (@convention(c) (UnsafeMutableRawPointer?) -> Void, UnsafeMutableRawPointer) -> Bool
    ) -> Bool {
        guard (0..<code.groups).contains(group), columns.lowerBound >= 0, columns.upperBound <= code.columns(of: group)
        else { return false }
        var combination = unsafe pv_gf_combination(
            sources: sources, source_count: columns.count,
            destinations: sums + code.parity(group: group, row: 0) * parityPageSize, destination_count: code.rows,
            destination_distance: code.groups * parityPageSize, adds: columns.lowerBound > 0,
            factors: UnsafePointer(factors + columns.lowerBound * code.rows))
        return unsafe withUnsafeMutablePointer(to: &combination) {
            unsafe perform(pv_gf_combine, UnsafeMutableRawPointer($0))
        }
    }
}
