import Text

/// Why physical memory is not written to. No option waives any of these.
public struct WriteRefusal: Error {
    /// One for each rule.
    public enum Cause: Int, CaseIterable, Sendable {
        case crashKernel, notNamed, lostDollar, severalCandidates, outsideCandidate, notAligned, tooSmall
        case ramoops, crashReservation, initrd, firmwareMapMissing, notFirmwareRAM, iomemUnclear, notReserved, claimed

        /// A stable word for machines.
        public var name: StaticString {
            switch self {
            case .crashKernel: "crash-kernel"
            case .notNamed: "not-named"
            case .lostDollar: "lost-dollar"
            case .severalCandidates: "several-candidates"
            case .outsideCandidate: "outside-candidate"
            case .notAligned: "not-aligned"
            case .tooSmall: "too-small"
            case .ramoops: "ramoops"
            case .crashReservation: "crash-reservation"
            case .initrd: "initrd"
            case .firmwareMapMissing: "no-firmware-map"
            case .notFirmwareRAM: "not-firmware-ram"
            case .iomemUnclear: "iomem-unclear"
            case .notReserved: "not-reserved"
            case .claimed: "claimed"
            }
        }
    }

    public let cause: Cause
    /// One sentence without a full stop.
    public let message: String
    /// The way out.
    public let remedy: String

    public init(_ cause: Cause, _ message: Phrase, remedy: Phrase) {
        self.cause = cause
        self.message = message.text
        self.remedy = remedy.text
    }
}
