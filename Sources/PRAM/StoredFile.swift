/// A file of the chain, as far as it is known.
public struct StoredFile: Sendable {
    /// What is known of the content, from best to worst.
    public enum Status: Int, Sendable {
        /// Every page fits its checksum, and proved links list them all.
        case intact
        /// As intact, but it was kept on purpose although it is damaged.
        case quarantined
        /// Every page fits, but what lists them is not proved, or another file claims a page too.
        case indeterminate
        /// Some pages could not be looked at, or the chain ends before the file is known to.
        case incomplete
        /// Something of it is proved wrong.
        case damaged

        public var name: StaticString {
            switch self {
            case .intact: "intact"
            case .quarantined: "quarantined"
            case .indeterminate: "indeterminate"
            case .incomplete: "incomplete"
            case .damaged: "damaged"
            }
        }
    }

    public var size: UInt64
    public var mode: UInt32
    public var name: [UInt8]
    public var status: Status
    /// Where its META entry stands.
    public var link: Int
    public var entry: Int
    /// The link that holds its last entry.
    public var lastLink: Int
    /// How many DATA entries it has.
    public var pages: UInt64
    /// How many of its pages (META included) do not fit, or could not be looked at.
    public var badPages: UInt64
    /// Whether the META page itself was read and fits; otherwise name, size and mode are unverified.
    public var metaFits: Bool
    /// Whether an earlier file has the same name.
    public var isDuplicate = false

    /// Whether it has the name that is reserved for parity, and the mode, as far as that is known: no file of a user's,
    /// and never restored.
    public var isParity: Bool { FileImage.isParity(name) && (!metaFits || mode & 0o7777 == FileImage.parityMode) }
}

extension FileImage {
    /// The name that is reserved for the file that holds parity (Documentation/PARITY.md).
    public static let parityName: StaticString = ".pram-parity"

    /// Its permissions. A user's file of that name, which a kernel with pram has saved, has others.
    public static let parityMode: UInt32 = 0o400

    public static func isParity(_ name: [UInt8]) -> Bool {
        parityName.withUTF8Buffer { unsafe $0.elementsEqual(name) }
    }
}
