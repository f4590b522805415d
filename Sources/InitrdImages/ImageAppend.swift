import Initrd
import Linux
import Text

/// What `append` has done.
public enum AppendOutcome: Sendable, Equatable {
    /// The helper and its hook were there already, the very same.
    case unchanged(Flavour)
    /// One more segment, at this place in the file, in bytes.
    case appended(Flavour, at: UInt64)
    /// The last segment, which an earlier run had appended, gave way.
    case replaced(Flavour, at: UInt64)
}

/// `image append`: puts the helper and its hook into an initrd as one more segment, which the kernel unpacks over what is
/// there.
public struct ImageAppend {
    /// nil: told from what is in the image.
    public var flavour: Flavour?
    public var modified: UInt32 = 0
    public var program = RunningProgram.path
    public var limits = ImageLimits()
    /// Where to write; nil: in the image's own place.
    public var output: [UInt8]?

    public init() {}

    public func run(_ path: [UInt8]) throws(ImageFailure) -> AppendOutcome {
        let image = try ImageFile(path)
        try refuseExecutable(image)
        let running = try RunningProgram(program)
        var facts = try ImageFacts.read(image, running, limits)
        for segment in facts.segments where !segment.isUnpacked { throw refusal(image, segment) }
        guard !facts.segments.isEmpty else { throw ImageFailure(.unknownContent, path: path) }
        let chosen: Flavour
        if let flavour { chosen = flavour } else { chosen = try told(image, facts) }

        if try isComplete(image, facts, chosen) {
            if let output { try copy(image, image.size, then: [], to: output) }
            return .unchanged(chosen)
        }
        // What an earlier run has put at the end gives way, so that an image does not grow with each run.
        let own = facts.segments.count > 1 ? facts.ownSegment : nil
        if let own { facts = try ImageFacts.read(image, running, limits, upTo: own) }
        let kept = own ?? image.size
        let zeros = own == nil ? padding(image, facts) : 0
        let plan = try plan(image, facts, chosen)
        var archive = HelperArchive(chosen)
        archive.modified = modified
        archive.program = program
        let segment = archive.pack(plan.directories, plan.program, try running.contents(), plan.items)
        try copy(image, kept, then: [UInt8](repeating: 0, count: zeros) + segment, to: output)
        let place = kept + UInt64(zeros)
        return own == nil ? .appended(chosen, at: place) : .replaced(chosen, at: place)
    }

    // MARK: What is refused

    private func refuseExecutable(_ image: ImageFile) throws(ImageFailure) {
        guard let executable = image.executable else { return }
        if executable.isSigned {
            throw ImageFailure(
                .refused(
                    reason: "it is a signed unified kernel image, and a change would break the signature",
                    remedy:
                        "Make an archive with image make, and build and sign the image with it as a further --initrd=, "
                        + "or hand it over as an addon in IMAGE.extra.d."),
                path: image.path)
        }
        throw ImageFailure(
            .refused(
                reason: "it is a unified kernel image, whose sections cannot grow",
                remedy: "Make an archive with image make, and build the image with it as a further ukify --initrd=."),
            path: image.path)
    }

    private func refusal(_ image: ImageFile, _ segment: Segment) -> ImageFailure {
        ImageFailure(
            .refused(
                reason: Phrase(
                    "segment \(segment.index) is packed with \(segment.format.name), and cannot be looked into"
                )
                .text,
                remedy: "Pack the image with zstd, gzip, xz or lz4 -l."),
            path: image.path)
    }

    private func told(_ image: ImageFile, _ facts: ImageFacts) throws(ImageFailure) -> Flavour {
        if let flavour = facts.flavour { return flavour }
        throw ImageFailure(
            .refused(
                reason: "it is not known how this image starts",
                remedy: "Say it with --flavour=initramfs-tools, dracut-shell, mkinitcpio or systemd."),
            path: image.path)
    }

    // MARK: What goes in

    private struct Plan {
        var directories: [[UInt8]] = []
        var program: [UInt8] = []
        var items: [HookFiles.Item] = []
    }

    private func items(
        _ image: ImageFile, _ facts: ImageFacts, _ flavour: Flavour
    ) throws(ImageFailure) -> [HookFiles.Item] {
        if flavour == .mkinitcpio { return HookFiles.items(flavour, order: try config(image, facts)) }
        guard flavour == .initramfsTools else { return HookFiles.items(flavour, order: []) }
        guard let entry = facts.entry("scripts/init-top/ORDER") else {
            // Nothing but this script will run in that stage, as before.
            return HookFiles.items(flavour, order: ScriptOrder.adding(HookFiles.orderedScript, to: []) ?? [])
        }
        guard let text = entry.content,
            let order = text == HookFiles.anyOrder ? text : ScriptOrder.adding(HookFiles.orderedScript, to: text)
        else {
            throw ImageFailure(
                .refused(
                    reason: "scripts/init-top/ORDER has lines that mkinitramfs does not write",
                    remedy: "Make the image again with the hooks installed."),
                path: image.path)
        }
        return HookFiles.items(flavour, order: order)
    }

    /// /config with the hook in it.
    private func config(_ image: ImageFile, _ facts: ImageFacts) throws(ImageFailure) -> [UInt8] {
        if let text = facts.entry("config")?.content, let config = HookList.adding(HookFiles.hookName, to: text) {
            return config
        }
        throw ImageFailure(
            .refused(
                reason: "it has no /config as mkinitcpio writes it",
                remedy: "Make the image again with pram-verify in HOOKS of mkinitcpio.conf."),
            path: image.path)
    }

    /// Whether all is in the image already, as it would be put there.
    private func isComplete(
        _ image: ImageFile, _ facts: ImageFacts, _ flavour: Flavour
    ) throws(ImageFailure) -> Bool {
        let program = try resolve(HookFiles.program, image, facts)
        guard facts.helpers.contains(where: { $0.path == program && $0.isRunning && $0.isExecutable }) else {
            return false
        }
        if flavour == .systemd, hasUnit(facts) { return true }
        if flavour == .dracutShell, hasShellHook(facts) { return true }
        for item in try items(image, facts, flavour) where item.path != HookFiles.rules || !hasRules(facts) {
            guard let entry = facts.entry(at: try resolve(item.path, image, facts)), entry.content == item.content,
                item.permissions == nil ? entry.record.type == .symbolicLink : entry.record.type == .regular,
                item.permissions == nil || entry.record.permissions & 0o111 == item.permissions! & 0o111
            else { return false }
        }
        return true
    }

    /// The unit, the script and a link that wants it, wherever dracut has put them.
    private func hasUnit(_ facts: ImageFacts) -> Bool {
        let items = HookFiles.items(.systemd, order: [])
        let units = facts.entries.filter { Interest.isUnit($0.canonical) }
        return units.contains { $0.content == items[1].content } && units.contains { $0.record.type == .symbolicLink }
            && facts.entry("lib/pram-verify/boot.sh")?.content == items[0].content && hasRules(facts)
    }

    private func hasShellHook(_ facts: ImageFacts) -> Bool {
        let script = HookFiles.items(.dracutShell, order: [])[0].content
        return facts.entries.contains { Interest.isShellHook($0.canonical) && $0.content == script } && hasRules(facts)
    }

    private func hasRules(_ facts: ImageFacts) -> Bool {
        let rules =
            facts.entry("etc/udev/rules.d/98-pram-verify.rules") ?? facts.entry("lib/udev/rules.d/98-pram-verify.rules")
        return rules?.content == HookFiles.items(.dracutShell, order: [])[1].content
    }

    /// Where files go, and which directories are not there yet. A directory that is there, or a link in its place, is
    /// left alone: to the kernel a directory takes the place of a link.
    private func plan(_ image: ImageFile, _ facts: ImageFacts, _ flavour: Flavour) throws(ImageFailure) -> Plan {
        var plan = Plan()
        func settle(_ path: [UInt8]) throws(ImageFailure) -> [UInt8] {
            let resolved = try resolve(path, image, facts)
            for ancestor in ArchivePath.ancestors(resolved)
            where facts.entry(at: ancestor) == nil && !plan.directories.contains(ancestor) {
                plan.directories.append(ancestor)
            }
            return resolved
        }
        plan.program = try settle(HookFiles.program)
        for item in try items(image, facts, flavour) {
            let path = try settle(item.path)
            plan.items.append(HookFiles.Item(path: path, permissions: item.permissions, content: item.content))
        }
        return plan
    }

    /// Follows the links that an image has in place of directories: lib to usr/lib, usr/sbin to bin.
    private func resolve(_ path: [UInt8], _ image: ImageFile, _ facts: ImageFacts) throws(ImageFailure) -> [UInt8] {
        if let resolved = try facts.resolved(path) { return resolved }
        throw ImageFailure(
            .refused(
                reason: Phrase("links lead in a circle on the way to \(escaped(path))").text,
                remedy: "Make the image again."),
            path: image.path)
    }

    // MARK: Bytes

    /// Zeros between the image and one more segment: an archive begins at a multiple of four bytes. lz4's legacy form
    /// has no end mark: the kernel takes a block length of 0 for it (since Linux 5.16 and the stable releases of that
    /// time), so four zeros at least must follow.
    private func padding(_ image: ImageFile, _ facts: ImageFacts) -> Int {
        var zeros = NewcFormat.padding(at: image.size)
        if let last = facts.segments.last, last.format == .lz4Legacy {
            let there = image.size - min(image.size, last.offset + last.length)
            while there + UInt64(zeros) < 4 { zeros += 4 }
        }
        return zeros
    }

    private func copy(
        _ image: ImageFile, _ count: UInt64, then rest: [UInt8], to output: [UInt8]?
    ) throws(ImageFailure) {
        let own = try replacementTarget(image.path)
        var target = own
        if let output { target = try replacementTarget(output) }
        let like = target.status ?? own.status
        try replaceFile(target.path, like: like, failing: { ImageFailure(.system($0), path: target.path) }) {
            file throws(ImageFailure) in
            var place: UInt64 = 0
            while place < count {
                let piece = try read(image.file, at: place, count: Int(min(count - place, 1 << 18)))
                guard !piece.isEmpty else {
                    let error = SystemError("read", code: ErrorCode.stale, path: image.path)
                    throw ImageFailure(.system(error), path: image.path)
                }
                try write(piece, at: place, file)
                place += UInt64(piece.count)
            }
            try write(rest, at: place, file)
        }
    }
}

/// What will be replaced: the file itself where the path is a link to it, and what it is like; nil where there is none.
func replacementTarget(_ path: [UInt8]) throws(ImageFailure) -> (path: [UInt8], status: FileStatus?) {
    let target: [UInt8]
    let status: FileStatus
    do throws(SystemError) {
        guard FileDescriptor.exists(path) else { return (path, nil) }
        status = try FileDescriptor.status(of: path)
        target = try canonicalPath(path)
    } catch {
        throw ImageFailure(.system(error), path: path)
    }
    if let kind = otherKind(status) { throw ImageFailure(.notAFile(kind), path: path) }
    return (target, status)
}

func write(_ bytes: [UInt8], at offset: UInt64, _ file: borrowing FileDescriptor) throws(ImageFailure) {
    do throws(SystemError) {
        try file.write(bytes, at: offset)
    } catch {
        throw ImageFailure(.system(error), path: file.path)
    }
}
