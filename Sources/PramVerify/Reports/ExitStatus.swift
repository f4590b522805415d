/// What the program's exit status says: a sum of bits, as fsck(8) has them. 0 is intact, or no chain to look at.
public struct ExitStatus: OptionSet, Sendable {
    public let rawValue: Int32
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// Damage was cut out, and what is left is consistent.
    public static let corrected = ExitStatus(rawValue: 1)
    /// Damaged or indeterminate.
    public static let damaged = ExitStatus(rawValue: 4)
    /// The program could not look, or could not write what it was asked to.
    public static let failed = ExitStatus(rawValue: 8)
    /// The call itself was wrong.
    public static let usage = ExitStatus(rawValue: 16)
}
