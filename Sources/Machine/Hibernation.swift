import KernelCommandLine
import Linux
import PRAM
import Text

/// What is known of a hibernated system on the device that `resume=` names: resuming it overwrites everything.
public enum Hibernation: Equatable {
    /// None, or nobody would resume it.
    case none
    /// There is no such device yet.
    case notThere(String)
    case waits(String)
    case unknown(String)

    /// A sentence for people; nil for none.
    public var sentence: String? {
        switch self {
        case .none: nil
        case .notThere(let device):
            "\(device) was not there yet when boot looked: should a hibernated system wait on it, there is a "
                + "warning in the kernel's log"
        case .waits(let device):
            "\(device) holds a hibernated system: resuming it replaces all memory, and the chain with it; the bare word "
                + "noresume on the command line keeps the chain"
        case .unknown(let device): "whether a hibernated system waits on \(device) could not be told"
        }
    }

    public static func find(_ line: ParameterLine, _ paths: MachinePaths = MachinePaths()) -> Hibernation {
        guard canComeBack(line, paths), let value = line.last(named: "resume")?.value, !value.isEmpty
        else { return .none }
        let device = path(ofDevice: value)
        // The kernel alone knows what 254:3 is. udev tells when it has appeared.
        guard device.first == UInt8(ascii: "/") else { return .none }
        guard FileDescriptor.exists(device) else { return .notThere(escaped(value.prefix(80))) }
        return find(on: device, line, paths)
    }

    /// The same of a device that has just appeared. Where the line has no `resume=`, an initramfs may know of a device
    /// by other ways.
    public static func find(
        on device: [UInt8], _ line: ParameterLine, _ paths: MachinePaths = MachinePaths()
    ) -> Hibernation {
        guard canComeBack(line, paths) else { return .none }
        let name = escaped(device.prefix(80))
        let resume = line.last(named: "resume")?.value
        do throws(SystemError) {
            // Looked at before it is opened: opening a device can be an act.
            if let resume, let named = try? FileDescriptor.status(of: path(ofDevice: resume)),
                named.represented != (try FileDescriptor.status(of: device)).represented
            {
                return .none
            }
            guard let offset = resumeOffset(line) else { return .unknown(name) }
            let file = try FileDescriptor.openWithoutWaiting(device)
            return try BlockProbe.holdsHibernatedSystem(file, at: offset) ? .waits(name) : .none
        } catch {
            // Of drives without a medium, say, nobody wants to hear who has not named them.
            return resume == nil ? .none : .unknown(name)
        }
    }

    /// As a number, to be told by one process to another.
    public var code: UInt64 {
        switch self {
        case .none: 0
        case .notThere: 1
        case .waits: 2
        case .unknown: 3
        }
    }

    /// What such a number says of the device that the line names.
    public init(code: UInt64, _ line: ParameterLine) {
        let value = line.last(named: "resume")?.value ?? []
        switch code {
        case 0: self = .none
        case 1: self = .notThere(escaped(value.prefix(80)))
        case 2: self = .waits(escaped(Hibernation.path(ofDevice: value).prefix(80)))
        default: self = .unknown(escaped(Hibernation.path(ofDevice: value).prefix(80)))
        }
    }

    /// Nothing was found out of the device that the line names.
    public static func unknownDevice(_ line: ParameterLine) -> Hibernation { Hibernation(code: 3, line) }

    /// Whether the kernel or the initramfs would bring a hibernated system back under this line.
    private static func canComeBack(_ line: ParameterLine, _ paths: MachinePaths) -> Bool {
        switch HibernationWords(line, disk: diskFile(paths)) {
        case .impossible, .stopped: false
        case .stoppedInKernelAlone, .open: true
        }
    }

    private static func diskFile(_ paths: MachinePaths) -> HibernationWords.DiskFile {
        do throws(SystemError) {
            return .contents(try FileDescriptor.contents(of: paths.power + bytes("/disk"), limit: 4096))
        } catch {
            return error.code == ErrorCode.noSuchFile && FileDescriptor.exists(paths.power) ? .missing : .unknown
        }
    }

    /// Where on the device the swap space starts, in bytes: `resume_offset=` counts pages, in decimal digits alone
    /// (kernel/power/hibernate.c, resume_offset_setup). 0 without one; nil for one that no device has.
    private static func resumeOffset(_ line: ParameterLine) -> Int64? {
        var pages: Int64 = 0
        for digit in line.last(named: "resume_offset")?.value ?? [] {
            guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") else { break }
            pages = pages * 10 + Int64(digit - UInt8(ascii: "0"))
            guard pages <= Int64.max / Int64(pageSize) / 16 else { return nil }
        }
        return pages * Int64(pageSize)
    }

    /// As udev names devices.
    public static func path(ofDevice value: ArraySlice<UInt8>) -> [UInt8] {
        let names: [(StaticString, StaticString)] = [
            ("UUID=", "/dev/disk/by-uuid/"), ("LABEL=", "/dev/disk/by-label/"),
            ("PARTUUID=", "/dev/disk/by-partuuid/"), ("PARTLABEL=", "/dev/disk/by-partlabel/"),
        ]
        for (name, folder) in names
        where name.withUTF8Buffer({ $0.elementsEqual(value.prefix($0.count)) }) {
            return folder.withUTF8Buffer { Array($0) } + value.dropFirst(name.utf8CodeUnitCount)
        }
        return Array(value)
    }
}
