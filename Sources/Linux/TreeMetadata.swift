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

    private func note(
        _ answer: SystemCalls.Answer, _ part: TreeShortfall.Part, _ entry: TreeEntry, attribute: [UInt8] = []
    ) {
        if answer.failed {
            tell(TreeShortfall(path: entry.path.bytes, part: part, code: answer.code, attribute: attribute))
        }
    }

    func mode(of entry: TreeEntry) -> UInt32? {
        guard let mode = entry.mode else { return nil }
        return mode & (keepsSpecialBits ? 0o7777 : 0o777)
    }

    /// Owner, then attributes: a change of the owner takes capabilities away.
    func setOwnerAndAttributes(_ entry: TreeEntry, _ file: borrowing FileDescriptor, isOpen: Bool) {
        let nobody = UInt32.max
        if setsOwners {
            if entry.uid != nil || entry.gid != nil {
                note(
                    SystemCalls.changeOwner(file.number, entry.uid ?? nobody, entry.gid ?? nobody), .owner, entry)
            }
        } else if let gid = entry.gid {
            // A group that an ordinary user belongs to is hers to give.
            _ = SystemCalls.changeOwner(file.number, nobody, gid)
        }
        for attribute in entry.attributes {
            note(
                FileAttributes.set(attribute, of: file, isOpen: isOpen), .attribute, entry, attribute: attribute.name)
        }
    }

    func setMode(_ entry: TreeEntry, _ file: borrowing FileDescriptor, isOpen: Bool) {
        guard let mode = mode(of: entry) else { return }
        note(isOpen ? SystemCalls.fchmod(file.number, mode) : SystemCalls.chmod(file.procPath, mode), .mode, entry)
    }

    func setTime(_ entry: TreeEntry, _ file: borrowing FileDescriptor, isOpen: Bool) {
        guard let time = entry.time else { return }
        // The time of the last access is not kept: it becomes the other one, as tar(1) does.
        let (seconds, nanoseconds) = (Int(time.seconds), Int(time.nanoseconds))
        note(
            isOpen
                ? SystemCalls.futimens(file.number, seconds, nanoseconds)
                : SystemCalls.utimensat(file.procPath, seconds, nanoseconds), .time, entry)
    }

    func setFlags(_ entry: TreeEntry, _ file: borrowing FileDescriptor) {
        if let flags = entry.flags { note(FileAttributes.set(flags, of: file), .flags, entry) }
    }
}
