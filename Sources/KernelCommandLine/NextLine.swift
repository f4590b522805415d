/// The command line for the next kernel, made from one that was there: what belongs to that boot alone is taken out,
/// what is asked for is put in, and every other byte stays.
public struct NextLine: Equatable, Sendable {
    /// The parameters that are true of one boot only, with what puts them there. Each goes only when it has a value.
    ///
    /// - BOOT_IMAGE: boot loaders name the file that they loaded; kexec(8) --reuse-cmdline takes it out as well.
    /// - elfcorehdr: kexec(8) -p, and kexec_file_load for a crash kernel: where the crashed kernel's headers lie.
    /// - dmcryptkeys: kexec_file_load for a crash kernel (6.16 and later): where the keys of encrypted disks lie.
    /// - kexec_jump_back_entry: the purgatory of kexec(8): where the former kernel can be gone back to.
    /// - disable_cpu_apicid: kdump-utils: the processor that the crashed kernel had booted on.
    /// - pram_verify.session: this program, beside a `pram=` in memory that is handed over.
    ///
    /// Not here although kexec(8) may put it there: acpi_rsdp. It stays true until the firmware starts again, and on a
    /// machine that needs it the next kernel finds no ACPI without it.
    public static let namesOfThisBoot: [ParameterName] = [
        "BOOT_IMAGE", "elfcorehdr", "dmcryptkeys", "kexec_jump_back_entry", "disable_cpu_apicid",
        sessionName,
    ]

    public static let sessionName: ParameterName = "pram_verify.session"

    /// Why text cannot be added.
    public enum Fault: Error, Equatable, Sendable {
        /// It has a bare `--`: what follows that is no kernel's.
        case doubleDash
        /// It has a `pram`, which only a chain that was verified may bring in.
        case pram
        case edit(EditFault)
    }

    /// Without `pram=`, unless `handingOn` put one in.
    public private(set) var line: ParameterLine

    /// Takes out every `pram` that a kernel takes notice of, in whatever spelling, with a value or without (a bare one
    /// ends the boot of a kernel with the RFC's code); the parameters of this boot; and those with one of `names`. All
    /// of that before a bare `--`: what follows is init's.
    public init(after line: ParameterLine, removing names: [ParameterName] = []) {
        let pram: ParameterName = "pram"
        self.line = line.removing { parameter in
            parameter.isNamed(pram) || names.contains { parameter.isNamed($0) }
                || parameter.value != nil && NextLine.namesOfThisBoot.contains { parameter.isNamed($0) }
        }
    }

    /// Puts in parameters, any number of them, before a bare `--`.
    public mutating func append(_ text: [UInt8]) throws(Fault) {
        let added = ParameterLine(text)
        guard added.doubleDash == nil else { throw .doubleDash }
        guard !added.contains(named: "pram") else { throw .pram }
        guard added.unclosed == nil, !text.contains(0) else { throw .edit(.notOneParameter) }
        var line = line
        do throws(EditFault) {
            for parameter in added.parameters { line = try line.inserting([UInt8](text[parameter.range])) }
        } catch {
            throw .edit(error)
        }
        self.line = line
    }

    /// The same with `pram=PFN`, which is what the kernel then goes by; nil when it cannot be put in.
    public func handingOn(_ pfn: UInt64) -> NextLine? {
        do throws(EditFault) {
            var next = self
            next.line = try line.inserting(Array("pram=\(String(pfn, radix: 16))".utf8))
            return PramParameter.find(in: next.line).pfn == pfn ? next : nil
        } catch {
            return nil
        }
    }

    /// The same with `kho=on` and `liveupdate=on` where they are missing, which a kernel needs to give memory back that
    /// was handed over to it, and to hand it on. What says otherwise goes.
    /// - Parameter session: put in as `pram_verify.session=`: which session has the chain, for those who cannot read it.
    public func handingOver(session: [UInt8]? = nil) -> NextLine {
        var next = self
        if let session, let longer = try? line.inserting(NextLine.sessionName.bytes + [UInt8(ascii: "=")] + session) {
            next.line = longer
        }
        let wanted: [(ParameterName, [UInt8])] = [
            ("kho", Array("kho=on".utf8)), ("liveupdate", Array("liveupdate=on".utf8)),
        ]
        for (name, text) in wanted {
            let present = next.line.all(named: name)
            if present.count == 1, next.line.bytes[present[0].range].elementsEqual(text) { continue }
            let without = next.line.removing(named: name)
            if let longer = try? without.inserting(text) { next.line = longer }
        }
        return next
    }

    /// What a kernel is to be given: no NUL and no newline behind it.
    public var text: [UInt8] { [UInt8](line.bytes[..<line.end]) }
}
