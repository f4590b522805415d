/// Something wrong in a manifest: a value in the report, never an error. Nothing that a text says ends the reading of
/// it but its sheer size.
public struct ManifestFinding: Equatable, Sendable {
    public var kind: Kind
    /// The line, counted from 1.
    public var line: UInt64

    public init(_ kind: Kind, line: UInt64) {
        self.kind = kind
        self.line = line
    }

    /// The fixed list, documented in Documentation/MANIFEST.md.
    public enum Kind: Int, CaseIterable, Sendable {
        // The text
        case noHead, laterFormat, headValue, unreadableLine, longLine, cutLine, unknownCommand
        // Entries: each of these costs the entry
        case path, lostDirectory, noType, noTarget, noDevice, value
        // Extended attributes: each of these costs the attribute
        case attribute, attributesTooLarge
        // The reading ends here
        case tooManyEntries, tooMuchText

        /// In kebab case, for machines.
        public var name: StaticString {
            switch self {
            case .noHead: "no-head"
            case .laterFormat: "later-format"
            case .headValue: "head-value"
            case .unreadableLine: "unreadable-line"
            case .longLine: "long-line"
            case .cutLine: "cut-line"
            case .unknownCommand: "unknown-command"
            case .path: "path"
            case .lostDirectory: "lost-directory"
            case .noType: "no-type"
            case .noTarget: "no-target"
            case .noDevice: "no-device"
            case .value: "value"
            case .attribute: "attribute"
            case .attributesTooLarge: "attributes-too-large"
            case .tooManyEntries: "too-many-entries"
            case .tooMuchText: "too-much-text"
            }
        }
    }
}
