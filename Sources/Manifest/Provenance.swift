/// Who saved a tree, when: what the head of a manifest says. None of it is authenticated. What was not known is empty
/// or nil.
public struct Provenance: Equatable, Sendable {
    /// This format's number. A reader takes later ones for what it knows of them.
    public static let format: UInt64 = 1

    public var format = Provenance.format
    /// The version of this program.
    public var program: [UInt8] = []
    /// uname(2)'s release.
    public var kernel: [UInt8] = []
    /// /proc/sys/kernel/random/boot_id: another one at every boot.
    public var boot: [UInt8] = []
    /// `MachineIdentity.hashed`.
    public var machine: [UInt8] = []
    /// uname(2)'s node name.
    public var host: [UInt8] = []
    /// CLOCK_REALTIME.
    public var time: FileTime?
    /// CLOCK_MONOTONIC: since the boot, without the time that the machine slept.
    public var monotonic: FileTime?
    /// CLOCK_BOOTTIME: since the boot.
    public var sinceBoot: FileTime?

    public init() {}

    /// Values longer than this, in bytes as they are, are cut when they are written and not read.
    static let longestValue = 256

    /// The keys, in the order in which they are written.
    enum Key: Int, CaseIterable {
        case format, program, kernel, boot, machine, host, time, monotonic, sinceBoot

        var name: StaticString {
            switch self {
            case .format: "format"
            case .program: "program"
            case .kernel: "kernel"
            case .boot: "boot_id"
            case .machine: "machine"
            case .host: "host"
            case .time: "time"
            case .monotonic: "monotonic"
            case .sinceBoot: "boottime"
            }
        }
    }

    static let signature: StaticString = "#mtree"
    static let prefix: StaticString = "# pram-verify: "

    func append(to text: inout [UInt8]) {
        Manifest.append(Provenance.signature, to: &text)
        text.append(UInt8(ascii: "\n"))
        for key in Key.allCases {
            var value: [UInt8] = []
            switch key {
            case .format: Number.append(format, to: &value)
            case .program: VisEncoding.append(program.prefix(Provenance.longestValue), to: &value)
            case .kernel: VisEncoding.append(kernel.prefix(Provenance.longestValue), to: &value)
            case .boot: VisEncoding.append(boot.prefix(Provenance.longestValue), to: &value)
            case .machine: VisEncoding.append(machine.prefix(Provenance.longestValue), to: &value)
            case .host: VisEncoding.append(host.prefix(Provenance.longestValue), to: &value)
            case .time: if let time { Number.append(time, to: &value) }
            case .monotonic: if let monotonic { Number.append(monotonic, to: &value) }
            case .sinceBoot: if let sinceBoot { Number.append(sinceBoot, to: &value) }
            }
            if value.isEmpty { continue }
            Manifest.append(Provenance.prefix, to: &text)
            Manifest.append(key.name, to: &text)
            text.append(UInt8(ascii: "="))
            text += value
            text.append(UInt8(ascii: "\n"))
        }
    }

    /// Takes what stands behind `# pram-verify: `. Keys that are not known are those of a later format.
    /// - Returns: false when the value is not one that the key can have.
    mutating func read(_ pair: ArraySlice<UInt8>) -> Bool {
        guard let sign = pair.firstIndex(of: UInt8(ascii: "=")) else { return false }
        let name = pair[..<sign]
        let word = pair[(sign + 1)...]
        guard let key = Key.allCases.first(where: { equal(name, $0.name) }) else { return true }
        guard word.count <= 4 * Provenance.longestValue, let value = VisEncoding.decoded(word),
            value.count <= Provenance.longestValue
        else { return false }
        switch key {
        case .format:
            guard let number = Number.unsigned(word) else { return false }
            format = number
        case .program: program = value
        case .kernel: kernel = value
        case .boot: boot = value
        case .machine: machine = value
        case .host: host = value
        case .time:
            time = Number.time(word)
            return time != nil
        case .monotonic:
            monotonic = Number.time(word)
            return monotonic != nil
        case .sinceBoot:
            sinceBoot = Number.time(word)
            return sinceBoot != nil
        }
        return true
    }
}
