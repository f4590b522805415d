/// Something that a check found out about a chain: a value in the report, never an error.
public struct Finding: Equatable, Sendable {
    public var kind: Kind
    /// The link's number in the chain, counted from 0; -1 when it concerns none.
    public var link: Int = -1
    /// The entry's number in its link; -1 when it concerns none.
    public var entry: Int = -1
    /// The page that is meant; nil when none is.
    public var page: PFN?
    /// The file's number in the file table; -1 when none is known.
    public var file: Int = -1
    /// What the sentence needs besides: see `Kind`.
    public var detail: UInt64 = 0

    public init(
        _ kind: Kind, link: Int = -1, entry: Int = -1, page: PFN? = nil, file: Int = -1, detail: UInt64 = 0
    ) {
        self.kind = kind
        self.link = link
        self.entry = entry
        self.page = page
        self.file = file
        self.detail = detail
    }

    /// How a finding bears on the verdict.
    public enum Severity: Int, Sendable {
        /// Worth knowing; the verdict stays.
        case note
        /// Something cannot be told: at best "indeterminate".
        case doubt
        /// Something is proved wrong: "damaged".
        case damage

        public var name: StaticString {
            switch self {
            case .note: "note"
            case .doubt: "doubt"
            case .damage: "damage"
            }
        }
    }

    /// The fixed list of what can be found, documented in Documentation/REPORT.md.
    public enum Kind: Int, CaseIterable, Sendable {
        // The chain
        case noChain, linkMagic, linkChecksum, linkIndeterminate, linkVouched, linkLength, linkLoop, chainCut
        // Where links and entries point
        case pfnInvalid, pageShared, pageNotInSource, pageUnreadable
        // Entries and their pages
        case entryType, dataBeforeMeta, metaChecksum, dataChecksum, zeroChecksum, unknownFlags
        // Files
        case metaSize, metaMode, metaNameLength, metaName, duplicateName, duplicateIndex, indexPastEnd, fileCut
        // The manifest: how it agrees with the chain
        case manifestLine, manifestContents, manifestUnnamed
        // The run
        case pagesNotChecked, timeout, malformedParameter, kernelRefused, handoverLost, chainUnnamed, parityStale,
            copiesLost, findingsOmitted

        /// In kebab case, for machines.
        public var name: StaticString {
            switch self {
            case .noChain: "no-chain"
            case .linkMagic: "link-magic"
            case .linkChecksum: "link-checksum"
            case .linkIndeterminate: "link-indeterminate"
            case .linkVouched: "link-vouched"
            case .linkLength: "link-length"
            case .linkLoop: "link-loop"
            case .chainCut: "chain-cut"
            case .pfnInvalid: "pfn-invalid"
            case .pageShared: "page-shared"
            case .pageNotInSource: "page-not-in-source"
            case .pageUnreadable: "page-unreadable"
            case .entryType: "entry-type"
            case .dataBeforeMeta: "data-before-meta"
            case .metaChecksum: "meta-checksum"
            case .dataChecksum: "data-checksum"
            case .zeroChecksum: "zero-checksum"
            case .unknownFlags: "unknown-flags"
            case .metaSize: "meta-size"
            case .metaMode: "meta-mode"
            case .metaNameLength: "meta-name-length"
            case .metaName: "meta-name"
            case .duplicateName: "duplicate-name"
            case .duplicateIndex: "duplicate-index"
            case .indexPastEnd: "index-past-end"
            case .fileCut: "file-cut"
            case .manifestLine: "manifest-line"
            case .manifestContents: "manifest-contents"
            case .manifestUnnamed: "manifest-unnamed"
            case .pagesNotChecked: "pages-not-checked"
            case .timeout: "timeout"
            case .malformedParameter: "malformed-parameter"
            case .kernelRefused: "kernel-refused"
            case .chainUnnamed: "chain-unnamed"
            case .handoverLost: "handover-lost"
            case .parityStale: "parity-stale"
            case .copiesLost: "copies-lost"
            case .findingsOmitted: "findings-omitted"
            }
        }

        public var severity: Severity {
            switch self {
            case .linkVouched, .zeroChecksum, .unknownFlags, .malformedParameter, .chainUnnamed, .parityStale,
                .copiesLost, .manifestUnnamed, .findingsOmitted:
                .note
            case .linkIndeterminate, .chainCut, .pageNotInSource, .pageUnreadable, .fileCut, .pagesNotChecked, .timeout,
                .manifestLine, .manifestContents:
                .doubt
            case .noChain, .linkMagic, .linkChecksum, .linkLength, .linkLoop, .pfnInvalid, .pageShared, .entryType,
                .dataBeforeMeta, .metaChecksum, .dataChecksum, .metaSize, .metaMode, .metaNameLength, .metaName,
                .duplicateName, .duplicateIndex, .indexPastEnd, .kernelRefused, .handoverLost:
                .damage
            }
        }
    }
}
