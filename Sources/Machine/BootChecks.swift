import KernelCommandLine
import PRAM
import Text

// Whether the next kernel will be loaded so that a chain lives, and will look at it.

extension SetupEvidence {
    func judgeKexecTools() -> Judgement {
        if isKexecOff {
            return .problem(
                "kexec is switched off until the next boot (kernel.kexec_load_disabled is 1)",
                "find out what sets it (sysctl.d, or a hardening script), and start the machine anew")
        }
        let hasFileLoad = configuration.map { $0["CONFIG_KEXEC_FILE"] != .off }
        if let configuration, configuration["CONFIG_KEXEC"] == .off, hasFileLoad == false {
            return .problem("the kernel has no kexec (CONFIG_KEXEC, CONFIG_KEXEC_FILE)", "use a kernel that has it")
        }
        guard let isInstalled = kexec.isInstalled else { return .unknown("whether kexec(8) is there is not known") }
        guard isInstalled else { return .problem("kexec(8) is not installed", "install kexec-tools") }
        let version: Phrase = kexec.version.isEmpty ? "" : " \(escaped(kexec.version))"
        if !isPramKernel, hasFileLoad == false {
            return .warning(
                "the kernel has no kexec_file_load, and kexec_load knows nothing of the range",
                "let pram-verify kexec load the next kernel: it keeps it below the range")
        }
        if kexec.prefersFileLoad == false {
            return .warning(
                "kexec-tools\(version) use kexec_load where nothing else is said, which knows nothing of the range",
                "let pram-verify kexec load the next kernel, or call kexec with -s")
        }
        return .ok("kexec-tools\(version) are installed")
    }

    func judgeKexecLoaded() -> Judgement {
        guard let isKernelLoaded else {
            return .unknown("whether a kernel is loaded is not known", isLive ? "mount /sys" : "")
        }
        guard isKernelLoaded else { return .ok("no kernel is loaded yet") }
        guard let loaded else {
            return .warning(
                "a kernel is loaded, and not by pram-verify: whether it will be told of a chain is not known",
                "load it once more with pram-verify kexec")
        }
        let head = PramParameter.find(in: loaded.line).pfn ?? 0
        if case .ready(_, let wanted) = chain, wanted != head {
            return .problem(
                "\(escaped(loaded.kernel)) is loaded, and will not be told of the chain that is there now",
                "load it once more with pram-verify kexec")
        }
        if case .none = chain, head != 0 {
            return .warning(
                "\(escaped(loaded.kernel)) is loaded, and will be told of a chain that is not there any more",
                "load it once more with pram-verify kexec")
        }
        return .ok(
            "\(escaped(loaded.kernel)) is loaded" + (head == 0 ? ", without a chain" : ", and knows of the chain"))
    }

    func judgeNextKernel() -> Judgement {
        let ranges = named.map { $0.range }
        if let loaded, isKernelLoaded == true, let lost = missing(ranges, on: loaded.line) {
            return .problem(
                "the line of the kernel that is loaded does not set \(lost.text) aside",
                "load it once more with pram-verify kexec")
        }
        if let file = bootLoader.files.first(where: { $0.losesDollar }) {
            return .warning(
                "\(escaped(file.path)) has a memmap= whose $ is taken for a variable, so nothing is set aside after "
                    + "the next boot from power-off",
                "write memmap=nn!ss, or memmap=nn\\\\\\$ss between double quotes")
        }
        for file in bootLoader.files {
            guard let lost = missing(ranges, on: file.line) else { continue }
            return .warning(
                "\(escaped(file.path)) does not set \(lost.text) aside: after a boot from power-off it is gone",
                file.kind == .grubConfiguration
                    ? "run update-grub; /etc/default/grub wants the memmap= of this boot's line"
                    : "put the memmap= of this boot's line there, too")
        }
        guard let kernel = kernels.next else {
            if !kernels.isKnown { return .unknown("the kernels of this machine are not known: there is no /boot") }
            return .warning(
                "there is no kernel in /boot (vmlinuz-RELEASE)", "name one: pram-verify kexec KERNEL [INITRD]")
        }
        if let fault = kernel.file.fault {
            return .warning(
                "\(escaped(kernel.path)) \(fault), and it is what starts next",
                "install the kernel anew, or name another: pram-verify kexec KERNEL [INITRD]")
        }
        guard kernel.initrd != nil else {
            return .warning(
                "\(escaped(kernel.path)) has no initrd beside it", "name one: pram-verify kexec KERNEL INITRD")
        }
        return .ok(
            "the next kernel is Linux \(escaped(kernel.release))"
                + (ranges.isEmpty ? "" : ", and keeps off what this one keeps off"))
    }

    private func missing(_ ranges: [PhysicalRange], on line: ParameterLine) -> PhysicalRange? {
        let reserved = ReservedMemory(line)
        return ranges.first { !reserved.contains($0) }
    }

    func judgeCommandLineRoom() -> Judgement {
        guard let line else { return .unknown("the kernel's command line is not known") }
        // " pram=" and a page frame number of 52 bits at the most.
        let room = NextLine(after: line).line.end + 6 + 13
        let limit = isPramKernel ? LengthLimit.x86.bytes : LengthLimit.x86KexecFileLoad.bytes
        if room > limit {
            return .problem(
                "the line of the next kernel would have \(room) bytes, and \(limit) are possible",
                "shorten the command line; --remove takes parameters out for the next kernel")
        }
        if limit - room < 64 {
            return .warning(
                "only \(limit - room) bytes are left on the command line", "shorten it before something is added")
        }
        return .ok("the line of the next kernel has \(room) of \(limit) bytes")
    }

    func judgeInitrdHelper() -> Judgement {
        guard !images.isEmpty else {
            return .unknown("no image of an initramfs was found in /boot", "check one: pram-verify image check IMAGE")
        }
        if let bad = images.first(where: { $0.verdict == .bad }) {
            return .warning(
                "\(escaped(bad.path)) will not check the chain: \(Phrase(bad.text))", Phrase(bad.remedy))
        }
        if let unclear = images.first(where: { $0.verdict == .unknown }) {
            return .unknown("\(escaped(unclear.path)): \(Phrase(unclear.text))", Phrase(unclear.remedy))
        }
        return .ok(
            images.count == 1
                ? "\(escaped(images[0].path)) checks the chain at boot"
                : "\(images.count) images in /boot check the chain at boot")
    }

    func judgeUnits() -> Judgement {
        guard units.isKnown else { return .unknown("there is no systemd whose units could be looked at") }
        if units.debianLoads && !units.hasDebianHook {
            return .warning(
                "Debian's kexec-tools load a kernel at a reboot (LOAD_KEXEC=true) and do not know of the chain",
                "install /etc/default/kexec.d/pram-verify")
        }
        switch units.unit {
        case .enabled: return .ok("pram-verify.service is enabled")
        case .masked:
            return .warning(
                "pram-verify.service is masked, so nothing is saved and restored by itself", "unmask and enable it")
        case .missing:
            return .warning(
                "pram-verify.service is not installed, so saving and restoring are done by hand",
                "install it, and enable it")
        case .disabled:
            return .warning(
                "pram-verify.service is not enabled, so saving and restoring are done by hand",
                "systemctl enable --now pram-verify.service")
        }
    }

    /// Whether `save --kho` has what it needs: KHO and live update, both switched on.
    var handsMemoryOver: Bool {
        if isLive { return hasLiveUpdate }
        guard let configuration, configuration["CONFIG_KEXEC_HANDOVER"] != .off,
            configuration["CONFIG_LIVEUPDATE"] != .off
        else { return false }
        return isKhoOn(configuration) && isOn("liveupdate") == true
    }

    /// Whether that is the only way here: no range is named.
    var carriesByHandOver: Bool { handsMemoryOver && named.isEmpty && !isPramKernel }

    private func isOn(_ name: ParameterName) -> Bool? {
        line?.last(named: name)?.value.map { $0.spell("on") || $0.spell("1") || $0.spell("y") }
    }

    private func isKhoOn(_ configuration: KernelConfiguration) -> Bool {
        isOn("kho") ?? (configuration["CONFIG_KEXEC_HANDOVER_ENABLE_DEFAULT"] != .off)
    }

    /// Whether it is worth while to look into kernels for what they take over.
    public var mayHandMemoryOver: Bool {
        handsMemoryOver || configuration.map { $0["CONFIG_KEXEC_HANDOVER"] != .off } == true
    }

    private func judgeNextTaker() -> Judgement? {
        guard let next = kernels.next?.path, let taker = takers.first(where: { $0.path == next }),
            fits(taker) == false
        else { return nil }
        let what: Phrase =
            taker.takesMemoryOver
            ? "takes memory over in another form than this one hands it over" : "takes no memory over"
        return .warning(
            "the next kernel, \(escaped(next)), \(what): a chain of save --kho would be lost",
            "start one that takes it over, or save into a range that memmap= sets aside")
    }

    func judgeKho() -> Judgement {
        if handsMemoryOver {
            return judgeNextTaker()
                ?? .ok("the kernel hands memory over (KHO, live update): save --kho needs no range")
        }
        guard let configuration else {
            return .unknown("whether the kernel can hand memory over (KHO) is not known; chains do not need it")
        }
        guard configuration["CONFIG_KEXEC_HANDOVER"] != .off else {
            return .ok("the kernel cannot hand memory over (no CONFIG_KEXEC_HANDOVER); chains do not need it")
        }
        guard configuration["CONFIG_LIVEUPDATE"] != .off else {
            return .ok("the kernel can hand memory over (KHO), but no files (no CONFIG_LIVEUPDATE)")
        }
        return .ok("the kernel could hand memory over to save --kho: kho=on liveupdate=on switch that on")
    }

    func judgeChain() -> Judgement {
        let last: Phrase = lastStatus.isEmpty ? "" : "; the last look said \(escaped(lastStatus.prefix(20)))"
        switch chain {
        case .notLookedAt(let reason):
            if lastStatus.isEmpty {
                return .unknown(reason.utf8.isEmpty ? "nobody has looked for a chain" : Phrase(reason))
            }
            if lastStatus.spell("damaged") || lastStatus.spell("indeterminate") {
                return .problem(
                    "the last look at the chain said \(escaped(lastStatus))", "pram-verify status tells more")
            }
            let isGood = ["intact", "corrected", "absent", "empty"].contains { lastStatus.spell($0) }
            if isGood && !isLive { return .ok("the last look at memory said \(escaped(lastStatus))") }
            return .unknown("it was not looked at now\(last)")
        case .none:
            if lastStatus.spell("unnamed") {
                return .problem(
                    "the last look has found a chain that no command line names", "pram-verify status tells more")
            }
            if lastStatus.spell("failed") {
                return .warning("there is no chain now, and the check at boot failed", "pram-verify status tells more")
            }
            return .ok("there is no chain now\(last)")
        case .ready(let contents, let head):
            return .ok("the next kernel will be told of the chain at page \(hexadecimal(head)): \(contents)")
        case .notHandedOn(let reason, let remedy):
            return .problem(Phrase(reason), Phrase(remedy))
        }
    }

    func judgeRehearsal() -> Judgement {
        guard let rehearsal else {
            return .warning("the way over a kexec was never tried here", "try it: pram-verify rehearse")
        }
        let text = Phrase(rehearsal.sentence)
        switch rehearsal.state {
        case .failed:
            let place: Phrase = rehearsal.overwritten.first.map { ", first at \($0.text)" } ?? ""
            return .problem("the last rehearsal \(text)\(place)", "mend what the other checks name, and rehearse again")
        case .waiting:
            return .warning(
                "a rehearsal is under way, and its canary was not looked at yet",
                "start the next kernel, or see: pram-verify rehearse --result")
        case .passed: break
        }
        if !named.isEmpty, !named.contains(where: { $0.range.overlaps(rehearsal.range) }) {
            return .warning(
                "the last rehearsal passed with another range: \(rehearsal.range.text)", "try it: pram-verify rehearse")
        }
        // After the trial the kernel that has looked is the one that runs.
        let isPair = release.isEmpty || rehearsal.from == release || rehearsal.to == release
        let next = kernels.next?.release ?? []
        guard isPair, next.isEmpty || rehearsal.to == next else {
            return .warning("the last rehearsal was of other kernels; it \(text)", "try it: pram-verify rehearse")
        }
        return .ok("the last rehearsal \(text)")
    }
}
