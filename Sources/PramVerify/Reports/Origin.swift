import Linux
import Manifest
import Text

/// Where a chain comes from, by what its manifest says of itself. None of it is authenticated.
struct Origin {
    let provenance: Provenance
    /// When this kernel started, and which machine this is; only known of a chain in this machine's memory.
    let age: Age
    /// nil where one of the two is not known.
    let isThisMachine: Bool?

    enum Age: Equatable {
        case unknown
        /// In the boot that goes on.
        case thisBoot
        /// Seconds from the saving to this kernel's start.
        case beforeStart(Int64)
        /// By its clock, after this kernel's start, but in another boot.
        case afterStart

        var name: StaticString {
            switch self {
            case .unknown: "unknown"
            case .thisBoot: "this-boot"
            case .beforeStart: "before-start"
            case .afterStart: "after-start"
            }
        }
    }

    /// A kexec takes seconds, and a shutdown before it minutes at most.
    static let longestKexec: Int64 = 600

    init(_ provenance: Provenance, isLive: Bool) {
        self.provenance = provenance
        guard isLive else {
            age = .unknown
            isThisMachine = nil
            return
        }
        let own = Provenance.ofThisRun()
        if own.machine.isEmpty || provenance.machine.isEmpty {
            isThisMachine = nil
        } else if own.machine == provenance.machine {
            isThisMachine = true
        } else {
            // In an initrd systemd makes one up until the root file system is there.
            isThisMachine = FileDescriptor.exists(bytes("/etc/initrd-release")) ? nil : false
        }
        if !own.boot.isEmpty && own.boot == provenance.boot {
            age = .thisBoot
        } else if let now = own.time, let since = own.sinceBoot, let saved = provenance.time {
            let (seconds, overflow) = (now.seconds - since.seconds).subtractingReportingOverflow(saved.seconds)
            age = overflow ? .unknown : seconds >= 0 ? .beforeStart(seconds) : .afterStart
        } else {
            age = .unknown
        }
    }

    /// "12 s before this kernel started, by Linux 6.1.0 on host x"
    var sentence: String {
        var text: Phrase
        switch age {
        case .unknown:
            text = Phrase(provenance.time.map { CivilTime(secondsSince1970: $0.seconds).text } ?? "at an unknown time")
        case .thisBoot: text = "since this kernel started"
        case .beforeStart(let seconds): text = "\(Origin.duration(seconds)) before this kernel started"
        case .afterStart: text = "after this kernel started, by the clock of then"
        }
        if !provenance.kernel.isEmpty { text = "\(text), by Linux \(escaped(provenance.kernel))" }
        if !provenance.host.isEmpty { text = "\(text) on host \(escaped(provenance.host))" }
        if isThisMachine == false { text = "\(text), another machine" }
        return text.text
    }

    /// What `boot` warns of; nil where the chain can be from the boot before this one.
    var warning: String? {
        if isThisMachine == false { return Phrase("the chain was saved on another machine: \(sentence)").text }
        switch age {
        case .unknown, .thisBoot: return nil
        case .beforeStart(let seconds):
            guard seconds > Origin.longestKexec else { return nil }
            return Phrase("the chain is older than the boot before this one: saved \(sentence)").text
        case .afterStart:
            return Phrase("the chain is not from the boot before this one, or a clock was set: saved \(sentence)").text
        }
    }

    static func duration(_ seconds: Int64) -> String {
        switch seconds {
        case ..<120: "\(seconds) s"
        case ..<7200: "\(seconds / 60) min"
        case ..<172_800: "\(seconds / 3600) h"
        default: "\(seconds / 86_400) d"
        }
    }
}
