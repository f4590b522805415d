/// Whether a hibernated system on disk can come back under this kernel: what the command line and the kernel say of it.
///
/// Two may bring it back: the kernel itself, late in its start, and the initramfs, by writing to /sys/power/resume. The
/// words that stop one of them do not all stop the other (kernel/power/hibernate.c; initramfs-tools' init, which looks
/// for the bare word `noresume` between blanks; systemd's generator, which looks for the same):
///
/// | parameter | kernel | initramfs |
/// |---|---|---|
/// | `nohibernate`, `hibernate=no` | never | never: the write does nothing |
/// | `noresume`, bare | not by itself | no |
/// | `noresume=1`, `"noresume"`, `hibernate=noresume` | not by itself | yes: the write forgets the word |
///
/// The kernel matches the names by their beginning, as it does with all parameters of the old kind (__setup without a
/// `=` at the end): `noresumes` is `noresume` to it. A value counts by its beginning, too.
public enum HibernationWords: Equatable, Sendable {
    /// No kernel under this line, or not this kernel, can bring it back.
    case impossible(Obstacle)
    /// Neither the kernel nor the initramfs tries.
    case stopped
    /// The kernel does not try by itself; the initramfs may all the same. The parameter.
    case stoppedInKernelAlone(Range<Int>)
    /// Nothing stops it.
    case open

    public enum Obstacle: Equatable, Sendable {
        /// `nohibernate` or `hibernate=no`: the parameter.
        case parameter(Range<Int>)
        /// The kernel was built without hibernation.
        case notBuilt
        /// /sys/power/disk says `[disabled]`: a lockdown, secret memory in use, or `nohibernate`.
        case disabled
    }

    /// What is known of /sys/power/disk.
    public enum DiskFile: Sendable {
        /// Its contents.
        case contents([UInt8])
        /// /sys/power is there, the file is not: CONFIG_HIBERNATION is off.
        case missing
        /// Nothing: /sys is not mounted, or it could not be read.
        case unknown
    }

    public init(_ line: ParameterLine, disk: DiskFile) {
        switch disk {
        case .missing:
            self = .impossible(.notBuilt)
            return
        case .contents(let text) where HibernationWords.isDisabled(text):
            self = .impossible(.disabled)
            return
        case .contents, .unknown: break
        }
        var stopped: Range<Int>?
        for parameter in line.parameters {
            switch HibernationWords.word(parameter) {
            case .nohibernate:
                self = .impossible(.parameter(parameter.range))
                return
            case .noresume: stopped = stopped ?? parameter.range
            case nil: break
            }
        }
        guard let stopped else {
            // Behind `--`, or inside the quotes of another parameter, the word stops the initramfs and not the kernel.
            self = .open
            return
        }
        self = HibernationWords.holdsBareNoresume(line) ? .stopped : .stoppedInKernelAlone(stopped)
    }

    private enum Word { case nohibernate, noresume }

    /// What the kernel takes the parameter for.
    private static func word(_ parameter: Parameter) -> Word? {
        let hibernate: ParameterName = "hibernate"
        if begins(parameter.name, with: "nohibernate") { return .nohibernate }
        if begins(parameter.name, with: "noresume") { return .noresume }
        guard let value = parameter.value, parameter.isNamed(hibernate) else { return nil }
        if begins(value, with: "noresume") { return .noresume }
        if begins(value, with: "nocompress") { return nil }
        return begins(value, with: "no") ? .nohibernate : nil
    }

    /// For names `-` equals `_`, which none of the words has.
    private static func begins(_ text: ArraySlice<UInt8>, with word: StaticString) -> Bool {
        word.withUTF8Buffer { unsafe text.starts(with: $0) }
    }

    /// The whole line is split at blanks, also behind `--`, and quotes are bytes like others.
    private static func holdsBareNoresume(_ line: ParameterLine) -> Bool {
        let words = line.bytes[..<line.end].split { $0 == 0x20 || $0 == 0x09 || $0 == 0x0a }
        for word in words where word.count == 8 && begins(word, with: "noresume") { return true }
        return false
    }

    private static func isDisabled(_ text: [UInt8]) -> Bool { begins(text[...], with: "[disabled]") }
}
