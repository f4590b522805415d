import Text

/// Why physical memory is not written to. No option waives any of these.
struct WriteRefusal: Error {
    /// One for each rule.
    enum Cause: Int, CaseIterable {
        case crashKernel, notNamed, lostDollar, severalCandidates, outsideCandidate, notAligned, tooSmall
        case ramoops, crashReservation, initrd, firmwareMapMissing, notFirmwareRAM, iomemUnclear, notReserved, claimed

        /// A stable word for machines.
        var name: StaticString {
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

    let cause: Cause
    /// One sentence without a full stop.
    let message: String
    /// The way out.
    let remedy: String

    init(_ cause: Cause, _ message: Phrase, remedy: Phrase) {
        self.cause = cause
        self.message = message.text
        self.remedy = remedy.text
    }
}
