import CLinux
import Manifest

/// Something about a restored file that could not be made as the manifest says. The file itself is there.
public struct TreeShortfall: Equatable, Sendable {
    /// What could not be set.
    public enum Part: Int, CaseIterable, Sendable {
        case owner, mode, time, attribute, flags

        public var name: StaticString {
            switch self {
            case .owner: "owner"
            case .mode: "mode"
            case .time: "time"
            case .attribute: "extended attribute"
            case .flags: "flags"
            }
        }
    }

    public var path: [UInt8]
    public var part: Part
    /// errno
    public var code: Int32
    /// The attribute's name; empty for all else.
    public var attribute: [UInt8] = []
}

/// Sets what an entry says of a file that is open, or opened by its name. What is not the caller's to set by right is
/// told, never thrown.
struct TreeMetadata {
    /// Whether owners are set; groups are tried in any case.
    let setsOwners: Bool
    /// Whether suid, sgid and sticky bits are.
    let keepsSpecialBits: Bool
    let tell: (TreeShortfall) -> Void

    private func fell(_ part: TreeShortfall.Part, _ entry: TreeEntry, attribute: [UInt8] = []) {
        tell(TreeShortfall(path: entry.path.bytes, part: part, code: pv_errno(), attribute: attribute))
    }

    func mode(of entry: TreeEntry) -> UInt32? {
        guard let mode = entry.mode else { return nil }
        return mode & (keepsSpecialBits ? 0o7777 : 0o777)
    }

    /// Owner, then attributes: a change of the owner takes capabilities away.
    func setOwnerAndAttributes(_ entry: TreeEntry, _ file: borrowing FileDescriptor, isOpen: Bool) {
        let nobody = UInt32.max
        if setsOwners {
            if entry.uid != nil || entry.gid != nil,
                pv_change_owner(file.number, entry.uid ?? nobody, entry.gid ?? nobody) != 0
            {
                fell(.owner, entry)
            }
        } else if let gid = entry.gid {
            // A group that an ordinary user belongs to is hers to give.
            _ = pv_change_owner(file.number, nobody, gid)
        }
        for attribute in entry.attributes where !FileAttributes.set(attribute, of: file, isOpen: isOpen) {
            fell(.attribute, entry, attribute: attribute.name)
        }
    }

    func setMode(_ entry: TreeEntry, _ file: borrowing FileDescriptor, isOpen: Bool) {
        guard let mode = mode(of: entry) else { return }
        let path = file.procPath
        let code = isOpen ? fchmod(file.number, mode) : withCString(path) { chmod($0, mode) }
        if code != 0 { fell(.mode, entry) }
    }

    func setTime(_ entry: TreeEntry, _ file: borrowing FileDescriptor, isOpen: Bool) {
        guard let time = entry.time else { return }
        // The time of the last access is not kept: it becomes the other one, as tar(1) does.
        let one = timespec(tv_sec: time_t(time.seconds), tv_nsec: Int(time.nanoseconds))
        let times = [one, one]
        let path = file.procPath
        let number = file.number
        let code = times.withUnsafeBufferPointer { times in
            isOpen
                ? futimens(number, times.baseAddress)
                : withCString(path) { utimensat(AT_FDCWD, $0, times.baseAddress, 0) }
        }
        if code != 0 { fell(.time, entry) }
    }

    func setFlags(_ entry: TreeEntry, _ file: borrowing FileDescriptor) {
        guard let flags = entry.flags else { return }
        if !FileAttributes.set(flags, of: file) { fell(.flags, entry) }
    }
}
