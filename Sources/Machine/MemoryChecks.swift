import KernelCommandLine
import PRAM
import Text

// Whether there is memory for a chain, and whether it is nobody else's.

extension SetupEvidence {
    typealias Judgement = SetupCheck.Judgement

    private static let lineUnknown: Phrase = "the kernel's command line is not known"

    private var asRoot: Phrase { isLive ? "run this as root, outside of containers" : "" }

    func judgeReservedRange() -> Judgement {
        guard let line else { return .unknown(Self.lineUnknown, isLive ? "mount /proc" : "") }
        if hasVmcore || MachineEvidence.isCrashKernel(line) {
            return .problem(
                "this is a crash kernel, which writes to no memory but its own", "look again after a normal boot")
        }
        guard !named.isEmpty else { return judgeNothingNamed(line) }
        guard let machine, machine.iomem.skippedLines == 0 else {
            let isHidden = iomemFailure?.cause == .notPermitted
            return .unknown(
                "the line sets \(list(named)) aside; whether the kernel keeps off it cannot be seen: /proc/iomem "
                    + (isHidden ? "shows no addresses" : "cannot be read"),
                isLive ? "run this as root, outside of containers" : "copy /proc/iomem as root")
        }
        var good: [WritableRegion] = []
        var refusal: WriteRefusal?
        for region in named {
            if let failed = refusalOfRange(region, machine) { refusal = refusal ?? failed } else { good.append(region) }
        }
        if let refusal, good.isEmpty { return .problem(Phrase(refusal.message), Phrase(refusal.remedy)) }
        if let refusal {
            return .warning("\(Phrase(refusal.message)); \(list(good)) is fine", Phrase(refusal.remedy))
        }
        if good.count > 1 {
            return .warning(
                "several ranges are set aside: \(list(good)); save has to be told which one to use",
                "name it with --region, in SAVE_OPTIONS too")
        }
        let isDevice = machine.iomem.resources.contains { $0.depth > 0 && $0.range.overlaps(good[0].range) }
        let device: StaticString = isDevice ? ", a pmem device, through which save writes" : ""
        return .ok("\(list(good)) is set aside, \(byteCount(good[0].range.size))\(device)")
    }

    private func judgeNothingNamed(_ line: ParameterLine) -> Judgement {
        if isPramKernel {
            guard BannedRegions.find(in: line).regions.isEmpty else {
                return .ok("this kernel has pram and keeps chains in its own memory")
            }
            return .problem(
                "this kernel has pram, and no pram_banned=START-END keeps room for the next one",
                "boot with pram_banned=START-END, a region large enough for the next kernel and its initrd")
        }
        let planned = bootLoader.files.first { !ReservedMemory($0.line).ranges.isEmpty }
        if let planned {
            return .problem(
                "this boot's line sets no memory aside for a chain; that of \(escaped(planned.path)) does",
                "let it come into effect (update-grub where it is GRUB's), and start the machine anew")
        }
        let refusal = WritableRegion.nothingNamed(MemmapParameters.find(in: line))
        let isSimple = refusal.cause == .notNamed
        if isSimple && handsMemoryOver {
            return .ok("none is set aside, and none is needed: save --kho keeps chains in memory that is handed over")
        }
        return .problem(
            Phrase(refusal.message),
            isSimple ? "put memmap= on it, and start the machine anew; doctor proposes a range" : Phrase(refusal.remedy)
        )
    }

    /// The rules of `save` for one range, less those that other checks judge.
    private func refusalOfRange(_ region: WritableRegion, _ machine: MachineEvidence) -> WriteRefusal? {
        do throws(WriteRefusal) {
            try region.checkAlignment()
            try region.checkInitrd(machine)
        } catch {
            return error
        }
        do throws(WriteRefusal) {
            try region.checkIomem(machine.iomem)
        } catch {
            // A pmem device is written through its driver.
            if error.cause == .claimed, region.kind == .persistent || isOthers(region, machine) { return nil }
            return error
        }
        return nil
    }

    private func isOthers(_ region: WritableRegion, _ machine: MachineEvidence) -> Bool {
        (try? region.checkRamoops(machine)) == nil || (try? region.checkCrashReservation(machine)) == nil
    }

    func judgeFirmwareMap() -> Judgement {
        guard let firmware else {
            if carriesByHandOver { return .ok("there is no firmware's memory map, and save --kho needs none") }
            if !isLive { return .unknown("the firmware's memory map is not among the files") }
            let isOff = configuration.map { $0["CONFIG_FIRMWARE_MEMMAP"] == .off } ?? false
            return .problem(
                "there is no firmware's memory map (/sys/firmware/memmap), so save cannot tell RAM from devices",
                isOff ? "use a kernel with CONFIG_FIRMWARE_MEMMAP" : "mount /sys")
        }
        for region in named {
            do throws(WriteRefusal) {
                try region.checkFirmware(firmware)
            } catch {
                return .problem(Phrase(error.message), Phrase(error.remedy))
            }
        }
        if !named.isEmpty { return .ok("the firmware calls all of the range System RAM") }
        var total: UInt64 = 0
        for entry in firmware.entries where entry.type.spell("System RAM") {
            total = total.addingReportingOverflow(entry.range.size).partialValue
        }
        return .ok("the firmware's map names \(byteCount(total)) of System RAM")
    }

    /// Chains of a kernel with pram, and those that a kernel hands over, lie in System RAM. /proc/kcore shows it, and
    /// /dev/mem where nothing forbids that.
    private var isRAMHidden: Bool {
        guard isPramKernel || carriesByHandOver, let configuration, configuration["CONFIG_PROC_KCORE"] == .off else {
            return false
        }
        return configuration["CONFIG_DEVMEM"] == .off || configuration["CONFIG_STRICT_DEVMEM"] != .off
    }

    func judgeDevMem() -> Judgement {
        if isRAMHidden {
            return .problem(
                "the kernel shows no System RAM, where chains lie here (no CONFIG_PROC_KCORE, and CONFIG_STRICT_DEVMEM)",
                "use a kernel with CONFIG_PROC_KCORE")
        }
        if carriesByHandOver { return .ok("memory that the kernel hands over is written without /dev/mem") }
        if let configuration, configuration["CONFIG_DEVMEM"] == .off {
            if named.contains(where: { $0.kind == .persistent }) {
                return .warning(
                    "the kernel has no /dev/mem (CONFIG_DEVMEM), so chains are written through a pmem device alone",
                    "give save and load --device=/dev/pmem0")
            }
            return .problem(
                "the kernel has no /dev/mem (CONFIG_DEVMEM), so nothing can be written",
                "use memmap=nn!ss and --device=/dev/pmem0, or a kernel with CONFIG_DEVMEM")
        }
        guard isLive else {
            guard let configuration else { return .unknown("the kernel's configuration is not among the files") }
            // A pmem driver claims its range.
            let isClosed =
                configuration["CONFIG_IO_STRICT_DEVMEM"] != .off && named.contains { $0.kind == .persistent }
            return isClosed
                ? .ok("the kernel has /dev/mem; a pmem range is written through its device (CONFIG_IO_STRICT_DEVMEM)")
                : .ok("the kernel has /dev/mem")
        }
        guard hasDevMem else {
            return .problem(
                "/dev/mem does not exist, so nothing can be written",
                "mount devtmpfs on /dev, or use a kernel with CONFIG_DEVMEM")
        }
        if policy.mayRawIO == false || policy.mayRawIO == nil && !policy.isRoot {
            return .unknown(
                "/dev/mem is there, and this process may not open it (CAP_SYS_RAWIO)", asRoot)
        }
        return .ok("/dev/mem reaches what is set aside")
    }

    func judgeLockdown() -> Judgement {
        let secure: StaticString = isSecureBoot == true ? "; Secure Boot is on" : ""
        switch policy.lockdown {
        case .none: return .ok("the kernel is not locked down\(secure)")
        case .integrity, .confidentiality:
            let mode: StaticString = policy.lockdown == .integrity ? "integrity" : "confidentiality"
            if named.contains(where: { $0.kind == .persistent }) {
                return .warning(
                    "the kernel is locked down (\(mode)): /dev/mem is closed, and only a pmem device can be written",
                    "give save and load --device=/dev/pmem0; the kernel has to be signed for kexec")
            }
            return .problem(
                "the kernel is locked down (\(mode)): /dev/mem is closed, so nothing can be saved",
                "set memory aside with memmap=nn!ss and use --device=/dev/pmem0, or start without Secure Boot")
        case .unknown: break
        }
        if let configuration, configuration["CONFIG_SECURITY_LOCKDOWN_LSM"] == .off {
            return .ok("the kernel knows no lockdown\(secure)")
        }
        return .unknown(
            "whether the kernel is locked down is not known\(secure)",
            isLive ? "mount securityfs on /sys/kernel/security, and run this as root" : "")
    }

    func judgeKaslr() -> Judgement {
        guard let line else { return .unknown(Self.lineUnknown) }
        if let configuration, configuration["CONFIG_RANDOMIZE_BASE"] == .off {
            return .ok("the kernel is always put at the same place (no CONFIG_RANDOMIZE_BASE)")
        }
        let view = KaslrView(line)
        if isPramKernel {
            if view.covers(start: 0, last: 0) == .disabled(.nokaslr) { return .ok("nokaslr is on the line") }
            return .problem(
                "this kernel has pram, and without nokaslr the next one may come to lie on the chain",
                view.hidesNokaslr
                    ? "put nokaslr at the start of the line: where it stands the boot stub does not find it"
                    : "put nokaslr on the line")
        }
        for region in named {
            guard case .unseen(let reason) = view.covers(start: region.range.start, last: region.range.last) else {
                continue
            }
            return .problem(
                "KASLR may put the next kernel on \(region.range.text): \(reason.sentence)",
                view.hidesNokaslr
                    ? "put nokaslr at the start of the line: where it stands the boot stub does not find it"
                    : "put this range's memmap= before all others, or nokaslr on the line")
        }
        if named.isEmpty { return .ok("there is no range that KASLR would have to keep off") }
        return .ok("KASLR keeps off the range")
    }

    func judgeCrashkernel() -> Judgement {
        guard let line else { return .unknown(Self.lineUnknown) }
        let empty = Iomem(parsing: [])
        let machine = MachineEvidence(line: line, firmware: nil, iomem: iomem ?? empty)
        for region in named {
            do throws(WriteRefusal) {
                try region.checkCrashReservation(machine)
            } catch {
                return .problem(Phrase(error.message), Phrase(error.remedy))
            }
        }
        let reserved = machine.iomem.resources.first { $0.name.spell("Crash kernel") }?.range
        if let reserved { return .ok("the crash kernel has \(reserved.text), apart from the range") }
        guard line.contains(named: "crashkernel") else { return .ok("nothing is set aside for a crash kernel") }
        if iomem == nil, !named.isEmpty {
            return .unknown("where crashkernel= was granted cannot be seen without /proc/iomem", asRoot)
        }
        return .ok("crashkernel= does not touch the range")
    }

    func judgeRamoops() -> Judgement {
        guard let line else { return .unknown(Self.lineUnknown) }
        let machine = MachineEvidence(
            line: line, firmware: nil, iomem: iomem ?? Iomem(parsing: []), ramoops: ramoops)
        for region in named {
            do throws(WriteRefusal) {
                try region.checkRamoops(machine)
            } catch {
                return .problem(Phrase(error.message), Phrase(error.remedy))
            }
        }
        if let ramoops { return .ok("ramoops has \(ramoops.text), apart from the range") }
        return .ok("ramoops has no memory of the range")
    }

    func list(_ regions: [WritableRegion]) -> Phrase {
        Phrase(regions.map { "\($0.range.text) (\($0.kind.name))" }.joined(separator: ", "))
    }
}
