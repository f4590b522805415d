import Initrd
import Linux
import Text

/// One thing that was looked at in an image.
public struct CheckLine: Sendable {
    public enum Verdict: UInt8, Sendable {
        case good
        /// The helper does not run, or not as it should.
        case bad
        /// It could not be looked at.
        case unknown
        /// Worth knowing, and no fault.
        case note

        public var name: StaticString {
            switch self {
            case .good: "good"
            case .bad: "bad"
            case .unknown: "unknown"
            case .note: "note"
            }
        }
    }

    public enum Subject: UInt8, Sendable, CaseIterable {
        case segments, decompressor, helper, version, program, architecture, flavour, script, order, hook, unit, wanted
        case needs, drivers, rules

        public var name: StaticString {
            switch self {
            case .segments: "segments"
            case .decompressor: "decompressor"
            case .helper: "helper"
            case .version: "version"
            case .program: "program"
            case .architecture: "architecture"
            case .flavour: "flavour"
            case .script: "script"
            case .order: "order"
            case .hook: "hook"
            case .unit: "unit"
            case .wanted: "wanted"
            case .needs: "needs"
            case .drivers: "drivers"
            case .rules: "rules"
            }
        }
    }

    public let subject: Subject
    public let verdict: Verdict
    /// What was found: one clause without a full stop.
    public let text: String
    /// How to mend it: a sentence; nil where nothing is wrong.
    public let remedy: String?
}

/// Whether the helper in an image will run.
public struct ImageCheck: Sendable {
    /// What the answer depends on besides the image.
    public struct Question: Sendable {
        /// Whether the kernel's command line reserves memory with `memmap=nn!ss`, which takes the drivers for pmem.
        public var reservesPmem = false
        /// The configuration of the kernel that is to unpack the image; nil when none was named.
        public var config: [UInt8]?
        public var limits = ImageLimits()
        /// What to compare the helper with.
        public var program = RunningProgram.path

        public init() {}
    }

    public internal(set) var lines: [CheckLine] = []
    public internal(set) var helpers: [Helper] = []
    public internal(set) var flavour: Flavour?
    public internal(set) var segments: [Segment] = []
    /// Why the image was not read to its end; nil when it was.
    public internal(set) var failure: ImageFailure?

    /// Bits as fsck(8) has them: 4 something is not well, 8 something could not be looked at.
    public var exitStatus: Int32 {
        var status: Int32 = failure == nil ? 0 : 8
        for line in lines {
            if line.verdict == .bad { status |= 4 }
            if line.verdict == .unknown { status |= 8 }
        }
        return status
    }

    /// Reads the image through and judges it.
    /// - Throws: only when the program to compare with cannot be read.
    public static func run(_ image: ImageFile, _ question: Question = Question()) throws(ImageFailure) -> ImageCheck {
        let facts = ImageFacts(try RunningProgram(question.program))
        var check = ImageCheck()
        do throws(ImageFailure) {
            try ImageWalk(image, question.limits, verifyingChecksums: true).run(facts)
        } catch {
            check.failure = error
        }
        check.helpers = facts.helpers
        check.flavour = facts.flavour
        check.segments = facts.segments
        check.judgeSegments(image, facts, question)
        check.judgeHelpers(image, facts)
        check.judgeFlavour(facts, question)
        return check
    }

    mutating func add(
        _ subject: CheckLine.Subject, _ verdict: CheckLine.Verdict, _ text: Phrase, _ remedy: Phrase? = nil
    ) {
        lines.append(CheckLine(subject: subject, verdict: verdict, text: text.text, remedy: remedy?.text))
    }

    // MARK: Segments

    private mutating func judgeSegments(_ image: ImageFile, _ facts: ImageFacts, _ question: Question) {
        if let failure {
            add(
                .segments, .unknown, Phrase(failure.message),
                failure.remedy.map { Phrase($0) } ?? "Make the image again.")
        } else if image.parts.isEmpty {
            add(
                .segments, .bad, "the unified kernel image has no initrd",
                "Build it with an initrd: ukify build --initrd=...")
        } else {
            add(
                .segments, .good,
                "\(counted(facts.segments.count, "segment")), read to the end as the kernel takes them")
        }
        for segment in facts.segments where !segment.isUnpacked {
            if segment.format == .lz4Frame {
                add(
                    .decompressor, .bad, "segment \(segment.index) is lz4 in its frame format, which no kernel unpacks",
                    "Pack it in lz4's legacy format: lz4 -l.")
            } else {
                add(
                    .segments, .unknown,
                    "segment \(segment.index) is packed with \(segment.format.name), and was not looked into",
                    "Pack it with zstd, gzip, xz or lz4 -l to have it checked.")
            }
        }
        guard let config = question.config else { return }
        judgeConfig(config, facts)
    }

    private mutating func judgeConfig(_ config: [UInt8], _ facts: ImageFacts) {
        guard KernelConfig.isConfig(config) else {
            add(
                .decompressor, .unknown, "the file named for the kernel's configuration is none",
                "Name a file like /boot/config-RELEASE.")
            return
        }
        if !KernelConfig.isBuiltIn("CONFIG_BLK_DEV_INITRD", in: config) {
            add(.decompressor, .bad, "the kernel takes no initrd at all", "Build it with CONFIG_BLK_DEV_INITRD=y.")
        }
        var seen: [SegmentFormat] = []
        for segment in facts.segments where !seen.contains(segment.format) {
            seen.append(segment.format)
            guard let option = segment.format.kernelOption else { continue }
            if KernelConfig.isBuiltIn(option, in: config) {
                add(.decompressor, .good, "the kernel unpacks \(segment.format.name)")
            } else {
                add(
                    .decompressor, .bad, "the kernel does not unpack \(segment.format.name): \(option) is not set",
                    "Pack the image in a form that the kernel unpacks, or build the kernel with \(option)=y.")
            }
        }
    }

    // MARK: The helper

    private static let putIn: Phrase = "Put it in: pram-verify image append IMAGE."

    /// Whether a file is what /usr/sbin/pram-verify means: by its name, or where sbin is a link to bin.
    private static func isReached(_ path: [UInt8], _ facts: ImageFacts) -> Bool {
        let place = ArchivePath.withoutUsr(path)
        if place.elementsEqual("sbin/pram-verify".utf8) { return true }
        return place.elementsEqual("bin/pram-verify".utf8)
            && facts.entries.contains {
                $0.canonical.elementsEqual("sbin".utf8) && $0.record.type == .symbolicLink
                    && ArchivePath.lastComponent($0.content ?? []).elementsEqual("bin".utf8)
            }
    }

    private mutating func judgeHelpers(_ image: ImageFile, _ facts: ImageFacts) {
        // Scripts call it by this name.
        let called = try? facts.resolved(program: HookFiles.program)
        var found = facts.helpers.last { $0.path == called }
        // What is there and no program hides those that lie elsewhere.
        if found == nil, called.map({ facts.entry(at: $0) == nil }) ?? true {
            found = facts.helpers.last { Self.isReached($0.path, facts) } ?? facts.helpers.last
        }
        guard let helper = found else {
            // Where not all of the image was seen, it may be in the rest.
            let isWhole = failure == nil && !facts.segments.contains { !$0.isUnpacked }
            if let called, facts.entry(at: called) != nil {
                add(.helper, .bad, "\(escaped(called)) is no program", Self.putIn)
            } else {
                add(.helper, isWhole ? .bad : .unknown, "pram-verify is not in what was read of the image", Self.putIn)
            }
            return
        }
        let name = escaped(helper.path)
        if helper.path != called && !Self.isReached(helper.path, facts) {
            add(.helper, .bad, "pram-verify is at \(name), where no hook looks for it", Self.putIn)
        } else if !helper.isExecutable {
            add(.helper, .bad, "\(name) is not executable", Self.putIn)
        } else {
            add(.helper, .good, "pram-verify is at \(name)")
        }
        if helper.version.isEmpty {
            add(.version, .unknown, "\(name) does not say its version: it is older than this check", Self.putIn)
        } else if helper.version == ProgramMarker.version {
            add(.version, .good, "its version is \(escaped(helper.version))")
        } else {
            add(
                .version, .bad,
                "its version is \(escaped(helper.version)), and this program's \(escaped(ProgramMarker.version))",
                "Put this one in: pram-verify image append IMAGE.")
        }
        if helper.isIdentical {
            add(.program, .good, "it is this very program")
        } else if helper.isRunning {
            add(.program, .good, "it is this very program, without the names of its sections")
        } else {
            add(
                .program, .bad, "it is not this very program: its bytes differ",
                "Put this one in: pram-verify image append IMAGE.")
        }
        judgeArchitecture(image, facts, helper)
    }

    private mutating func judgeArchitecture(_ image: ImageFile, _ facts: ImageFacts, _ helper: Helper) {
        let wanted: UInt16? =
            switch image.executable?.machine {
            case 0x8664?: 62
            case 0xaa64?: 183
            case 0x14c?: 3
            default: facts.machine
            }
        guard let wanted else {
            add(
                .architecture, .note,
                "it is a program for \(machineName(helper.machine)); nothing else tells the image's architecture")
            return
        }
        if wanted == helper.machine {
            add(.architecture, .good, "it is a program for \(machineName(helper.machine)), as the image is")
        } else {
            add(
                .architecture, .bad,
                "it is a program for \(machineName(helper.machine)), and the image is for \(machineName(wanted))",
                "Put the helper for \(machineName(wanted)) in.")
        }
    }
}
