import Linux
import Machine
import PRAM
import Text

/// What `doctor` has to say. The schema of its JSON is Documentation/doctor.schema.json.
struct SetupReport {
    /// Raised whenever a consumer of the former format could misread the new one.
    static let schemaVersion = 1

    let evidence: SetupEvidence
    let checks: [SetupCheck]
    /// nil where a range is set aside already and no size was asked for, and where there is no room.
    let proposal: RangeProposal?
    /// A range was looked for.
    let isAsked: Bool

    init(_ evidence: SetupEvidence, size: UInt64? = nil) {
        self.evidence = evidence
        checks = SetupCheck.all(evidence)
        let isNeeded = checks.contains { $0.id == .reservedRange && $0.state == .problem } && !evidence.isPramKernel
        isAsked = size != nil || isNeeded
        proposal = isAsked ? RangeProposal.find(size ?? RangeProposal.usualSize, in: evidence) : nil
    }

    init(_ call: Call) throws(Failure) {
        let size = try call.size(.size)
        if size == 0 { throw .usage(UsageError("--size takes a number of bytes, not 0")) }
        let paths = MachinePaths(root: call[.root] ?? [])
        let isLive = paths.root.isEmpty
        if !isLive {
            let status = try calling { () throws(SystemError) in try FileDescriptor.status(of: paths.root) }
            guard status.kind == .directory else {
                throw .system(SystemError("open", code: ErrorCode.notADirectory, path: paths.root), remedy: "")
            }
        }
        self.init(SetupEvidence.collect(paths, isLive: isLive), size: size)
        guard !evidence.isEmpty else {
            throw .system(
                SystemError("open", code: ErrorCode.noSuchFile, path: paths.commandLine),
                remedy: isLive ? "mount /proc and /sys" : "name the top directory of another machine's files")
        }
    }

    var isReady: Bool { SetupCheck.isReady(checks) }
    var status: ExitStatus { isReady ? [] : .damaged }

    // MARK: - JSON

    func writeJSON(to output: Output) {
        var json = JSONWriter { output.write($0) }
        json.beginObject()
        json.number("schema", SetupReport.schemaVersion)
        json.string("version", Program.version)
        json.string("command", Doctor.name)
        json.bool("ready", isReady)
        json.number("exit", Int(status.rawValue))
        json.beginArray("checks")
        for check in checks {
            json.beginObject()
            json.string("id", check.id.name)
            json.string("state", check.state.name)
            json.string("message", check.message)
            json.string("remedy", check.remedy)
            json.endObject()
        }
        json.endArray()
        json.beginArray("kernels")
        for taker in evidence.takers {
            json.beginObject()
            json.string("path", escaped(taker.path))
            json.beginArray("forms")
            for form in taker.forms { json.string(nil, escaped(form)) }
            json.endArray()
            if let fits = evidence.fits(taker) { json.bool("fits", fits) } else { json.null("fits") }
            json.string("message", taker.fault)
            json.endObject()
        }
        json.endArray()
        if let proposal {
            json.beginObject("proposal")
            json.number("start", proposal.range.start)
            json.number("size", proposal.range.size)
            json.string("parameter", proposal.parameter(.persistent))
            json.string("grub", proposal.grubLine(.persistent, evidence.bootLoader.grubValue))
            json.string("reserved_parameter", proposal.parameter(.reserved))
            json.string("reserved_grub", proposal.grubLine(.reserved, evidence.bootLoader.grubValue))
            json.endObject()
        } else {
            json.null("proposal")
        }
        json.endObject()
        json.finish()
    }

    // MARK: - Text

    private static let width = 79

    func writeText(to output: Output) {
        let problems = checks.count { $0.state == .problem }
        let warnings = checks.count { $0.state == .warning }
        let unknown = checks.count { $0.state == .unknown }
        var list: [String] = []
        if problems > 0 { list.append(counted(problems, "problem")) }
        if warnings > 0 { list.append(counted(warnings, "warning")) }
        if unknown > 0 { list.append("\(unknown) unknown") }
        let counts = list.isEmpty ? "" : " (\(list.joined(separator: ", ")))"
        output.write("ready: \(isReady ? "yes" : "no")\(counts)\n\n")
        for check in checks {
            let start = padded(check.state.name, 8) + padded(check.id.name, 18)
            output.write("\(start)\(wrapped(check.message, Self.width, indent: 26))")
            if check.remedy.utf8.isEmpty { continue }
            output.write("\(padded("", 26))-> \(wrapped(check.remedy, Self.width, indent: 29))")
        }
        writeTakers(to: output)
        writeProposal(to: output)
    }

    private func writeTakers(to output: Output) {
        guard !evidence.takers.isEmpty else { return }
        output.write("\nIn which form kernels take memory over, which save --kho needs:\n")
        for taker in evidence.takers {
            let answer: Phrase
            if !taker.fault.utf8.isEmpty {
                answer = "not known: \(taker.fault)"
            } else if !taker.takesMemoryOver {
                answer = "in none"
            } else {
                let end: StaticString =
                    switch evidence.fits(taker) {
                    case true?: taker.isOwn ? " (this kernel)" : " (as this kernel hands it over)"
                    case false?: " (not as this kernel hands it over)"
                    case nil: ""
                    }
                answer = "\(taker.list)\(end)"
            }
            output.write("    \(wrapped(Phrase("\(escaped(taker.path)): \(answer)").text, Self.width, indent: 8))")
        }
    }

    private func writeProposal(to output: Output) {
        guard isAsked else { return }
        guard let proposal else {
            let why: StaticString =
                evidence.iomem == nil || evidence.firmware == nil || evidence.line == nil
                ? "No range can be proposed: too little is known of this machine's memory."
                : "No range can be proposed: there is no room of this size that nothing else needs."
            return output.write("\n\(why)\n")
        }
        let loader = evidence.bootLoader
        output.write(
            "\nA range that could be set aside: \(byteCount(proposal.range.size)) at \(hexadecimal(proposal.range.start))\n"
        )
        output.write("    \(proposal.parameter(.persistent))      (a pmem device, also under a lockdown)\n")
        output.write("    \(proposal.parameter(.reserved))      (reserved; boot loaders take the $ away)\n")
        if proposal.standsBeforeOthers {
            output.write("It has to stand before every other memmap= of the line.\n")
        }
        let knowsNone = loader.files.isEmpty && !loader.hasGrubby && !loader.hasUpdateGrub && !loader.hasGrub2
        if loader.hasGrub || loader.hasUpdateGrub || knowsNone { writeGrub(proposal, loader, to: output) }
        if loader.files.contains(where: { $0.kind == .kernelCommandLine }) || loader.hasKernelInstall || knowsNone {
            output.write("In /etc/kernel/cmdline, at the start of the line; then kernel-install add-all:\n")
            output.write("    \(proposal.parameter(.persistent))\n")
        }
        if loader.files.contains(where: { $0.kind == .entry }) || knowsNone {
            output.write("In an entry of systemd-boot (loader/entries/*.conf), a line of its own:\n")
            output.write("    options \(proposal.parameter(.persistent))\n")
        }
        if loader.hasGrubby || knowsNone {
            output.write("With grubby:\n")
            output.write("    grubby --update-kernel=ALL --args='\(proposal.parameter(.persistent))'\n")
        }
        output.write("Then start the machine anew, look again with doctor, and try it with rehearse.\n")
    }

    private func writeGrub(_ proposal: RangeProposal, _ loader: BootLoaderFiles, to output: Output) {
        let tool: StaticString =
            loader.hasGrub2 && !loader.hasUpdateGrub ? "grub2-mkconfig -o /boot/grub2/grub.cfg" : "update-grub"
        output.write("In /etc/default/grub, in place of GRUB_CMDLINE_LINUX; then \(tool):\n")
        output.write("    \(proposal.grubLine(.persistent, loader.grubValue))\n")
        output.write("or\n")
        output.write("    \(proposal.grubLine(.reserved, loader.grubValue))\n")
    }
}
