import CHookFiles
import Initrd
import Text

/// Whether an image's init runs the helper, for each kind of init.
extension ImageCheck {
    mutating func judgeFlavour(_ facts: ImageFacts, _ question: Question) {
        switch facts.flavour {
        case nil:
            let isWhole = failure == nil && !facts.segments.contains { !$0.isUnpacked }
            add(
                .flavour, .unknown, "it is not known how this image starts",
                isWhole
                    ? "Only images of initramfs-tools, of dracut, of mkinitcpio, and with systemd are known."
                    : "Not all of the image could be read.")
        case .initramfsTools:
            add(.flavour, .good, "the image is one of initramfs-tools")
            judgeScript(facts)
        case .dracutShell:
            add(.flavour, .good, "the image is one of dracut without systemd")
            judgeHook(facts)
        case .mkinitcpio:
            add(.flavour, .good, "the image is one of mkinitcpio without systemd")
            judgeRuntimeHook(facts)
        case .systemd:
            add(.flavour, .good, "the image starts systemd")
            judgeUnit(facts)
        }
        if facts.flavour != nil {
            judgeNeeds(facts, question)
            judgeRules(facts)
        }
        if question.reservesPmem { judgeDrivers(facts) }
    }

    private static let remake: Phrase =
        "Make the image again with the hooks installed, or: pram-verify image append IMAGE."

    private mutating func judgeScript(_ facts: ImageFacts) {
        if let script = facts.entry("scripts/init-top/pram-verify") {
            if script.record.isExecutable && script.record.type == .regular {
                add(.script, .good, "scripts/init-top/pram-verify is there")
            } else {
                add(.script, .bad, "scripts/init-top/pram-verify is not executable", Self.remake)
            }
        } else {
            add(.script, .bad, "scripts/init-top/pram-verify is missing, so nothing calls the helper", Self.remake)
        }
        let order = facts.entry("scripts/init-top/ORDER")?.content
        if let order, ScriptOrder.names(HookFiles.orderedScript, in: order) || order == HookFiles.anyOrder {
            add(.order, .good, "scripts/init-top/ORDER names it")
        } else {
            add(.order, .bad, "scripts/init-top/ORDER does not name pram-verify, so it is not called", Self.remake)
        }
    }

    private mutating func judgeHook(_ facts: ImageFacts) {
        if let hook = facts.entries.last(where: { Interest.isShellHook($0.canonical) }) {
            add(.hook, .good, "\(escaped(hook.path)) is there")
        } else {
            add(
                .hook, .bad, "no hook calls the helper: lib/dracut/hooks/cmdline/00-pram-verify.sh is missing",
                Self.remake)
        }
    }

    private mutating func judgeRuntimeHook(_ facts: ImageFacts) {
        if let hook = facts.entry(at: HookFiles.runtimeHook) {
            if hook.record.isExecutable && hook.record.type == .regular {
                add(.hook, .good, "hooks/pram-verify is there")
            } else {
                add(.hook, .bad, "hooks/pram-verify is not executable, so init passes it over", Self.remake)
            }
        } else {
            add(.hook, .bad, "hooks/pram-verify is missing, so nothing calls the helper", Self.remake)
        }
        if HookList.names(HookFiles.hookName, in: facts.entry("config")?.content ?? []) {
            add(.order, .good, "EARLYHOOKS of config names it")
        } else {
            add(.order, .bad, "EARLYHOOKS of config does not name pram-verify, so it is not called", Self.remake)
        }
    }

    private mutating func judgeUnit(_ facts: ImageFacts) {
        let units = facts.entries.filter { Interest.isUnit($0.canonical) }
        if let unit = units.last(where: { $0.record.type == .regular }) {
            add(.unit, .good, "\(escaped(unit.path)) is there")
        } else if units.contains(where: {
            $0.canonical.elementsEqual("etc/systemd/system/pram-verify-boot.service".utf8)
        }) {
            add(.unit, .bad, "pram-verify-boot.service is masked or only a link", Self.remake)
        } else {
            add(.unit, .bad, "pram-verify-boot.service is missing, so nothing calls the helper", Self.remake)
        }
        let wanted = units.last { entry in
            let place = ArchivePath.lastComponent(ArchivePath.parent(entry.canonical))
            return place.suffix(6).elementsEqual(".wants".utf8) || place.suffix(9).elementsEqual(".requires".utf8)
        }
        if let wanted {
            add(.wanted, .good, "\(escaped(wanted.path)) makes systemd start it")
        } else {
            add(.wanted, .bad, "no target wants pram-verify-boot.service, so systemd does not start it", Self.remake)
        }
        if facts.entry("lib/pram-verify/boot.sh") == nil {
            add(.script, .bad, "usr/lib/pram-verify/boot.sh is missing, which the unit runs", Self.remake)
        }
    }

    /// What the scripts call. busybox in the image brings them all, by links or built into its shell.
    private mutating func judgeNeeds(_ facts: ImageFacts, _ question: Question) {
        var missing: [StaticString] = []
        let hasBusybox = facts.program("busybox") != nil
        for name in ["sh", "cat"] as [StaticString] where facts.program(name) == nil && !hasBusybox {
            missing.append(name)
        }
        let needsModprobe =
            question.reservesPmem && !ImageFacts.pmemDrivers.allSatisfy { facts.isBuiltIn($0) }
        if needsModprobe && facts.program("modprobe") == nil && !hasBusybox { missing.append("modprobe") }
        if facts.flavour == .systemd && unitSources(facts, "/lib/dracut-lib.sh")
            && facts.entry("lib/dracut-lib.sh") == nil
        {
            missing.append("lib/dracut-lib.sh")
        }
        guard let first = missing.first else {
            add(.needs, .good, "what the script calls is there")
            return
        }
        var list = Phrase("\(first)")
        for name in missing.dropFirst() { list = list + ", \(name)" }
        add(.needs, .bad, "what the script calls is missing: " + list, "Put it into the image: " + list + ".")
    }

    /// Whether the unit that is in the image cannot do without a file.
    private func unitSources(_ facts: ImageFacts, _ path: StaticString) -> Bool {
        let unit = facts.entries.last { Interest.isUnit($0.canonical) && $0.record.type == .regular }
        guard let text = unit?.content else { return false }
        let wanted = Array("\". ".utf8) + bytes(of: path)
        guard text.count >= wanted.count else { return false }
        for start in 0...text.count - wanted.count where text[start...].starts(with: wanted) { return true }
        return false
    }

    private mutating func judgeRules(_ facts: ImageFacts) {
        let rules =
            facts.entry("etc/udev/rules.d/98-pram-verify.rules") ?? facts.entry("lib/udev/rules.d/98-pram-verify.rules")
        guard rules == nil else { return }
        add(
            .rules, .note,
            "98-pram-verify.rules is missing: a hibernated system that is about to be resumed is not warned of",
            Self.remake)
    }

    private mutating func judgeDrivers(_ facts: ImageFacts) {
        var missing: Phrase = ""
        for driver in ImageFacts.pmemDrivers where !facts.hasDriver(driver) {
            missing = missing.text.utf8.isEmpty ? "\(driver)" : missing + ", \(driver)"
        }
        if missing.text.utf8.isEmpty {
            add(.drivers, .good, "the drivers for pmem are there, for what memmap=nn!ss reserves")
        } else {
            add(
                .drivers, .bad, "drivers are missing for what memmap=nn!ss reserves: " + missing,
                "Make the image again with the hooks installed: append cannot add drivers. memmap=nn$ss needs none.")
        }
    }
}
