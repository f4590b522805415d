import CLinux
import Manifest

/// Extended attributes and inode flags of what is open. Files and directories are asked through their descriptor, all
/// else through /proc/self/fd, for O_PATH takes no other way.
enum FileAttributes {
    /// Attributes that belong to a file wherever it lies. What else is called `system.` is the file system's own
    /// affair.
    static func isKept(_ name: ArraySlice<UInt8>) -> Bool {
        name.starts(with: "user.".utf8) || name.starts(with: "trusted.".utf8) || name.starts(with: "security.".utf8)
            || name.elementsEqual(accessList) || name.elementsEqual(defaultList)
    }

    static let accessList = Array("system.posix_acl_access".utf8)
    static let defaultList = Array("system.posix_acl_default".utf8)

    /// XATTR_LIST_MAX and XATTR_SIZE_MAX
    private static let room = 65_536
    /// Most are small, and the kernel allocates what it is offered.
    private static var usualRooms: [Int] { [512, room] }

    /// All attributes that are kept, in the order of their names.
    /// - Parameters:
    ///   - isOpen: whether the descriptor is more than O_PATH.
    ///   - limit: bytes of names and values together, and 64 for each.
    /// - Throws: E2BIG past `limit`.
    static func read(
        of file: borrowing FileDescriptor, isOpen: Bool, limit: Int
    ) throws(SystemError) -> [ExtendedAttribute] {
        var list: [ExtendedAttribute] = []
        var size = 0
        for name in try names(of: file, isOpen: isOpen).split(separator: 0) where isKept(name) {
            guard let value = try value(of: Array(name), file, isOpen: isOpen) else { continue }
            size += name.count + value.count + 64
            guard size <= limit else { throw SystemError("listxattr", code: E2BIG, path: file.path) }
            list.append(ExtendedAttribute(name: Array(name), value: value))
        }
        list.sort { $0.name.lexicographicallyPrecedes($1.name) }
        return list
    }

    /// The names of all attributes, each with a zero behind it.
    private static func names(
        of file: borrowing FileDescriptor, isOpen: Bool
    ) throws(SystemError) -> ArraySlice<UInt8> {
        let source = source(file, isOpen: isOpen)
        for room in usualRooms {
            var names = [UInt8](repeating: 0, count: room)
            let answer = names.withUnsafeMutableBytes { SystemCalls.listxattr(source, $0) }
            if !answer.failed { return names[..<answer.value] }
            if answer.code == EOPNOTSUPP { return [] }
            if answer.code != ERANGE { try answer.get("listxattr", path: file.path) }
        }
        throw SystemError("listxattr", code: ERANGE, path: file.path)
    }

    /// nil when it has gone meanwhile.
    private static func value(
        of name: [UInt8], _ file: borrowing FileDescriptor, isOpen: Bool
    ) throws(SystemError) -> [UInt8]? {
        let source = source(file, isOpen: isOpen)
        for room in usualRooms {
            var value = [UInt8](repeating: 0, count: room)
            let answer = value.withUnsafeMutableBytes { SystemCalls.getxattr(source, name, $0) }
            if !answer.failed { return Array(value[..<answer.value]) }
            if answer.code == ENODATA { return nil }
            if answer.code != ERANGE { try answer.get("getxattr", path: file.path) }
        }
        throw SystemError("getxattr", code: ERANGE, path: file.path)
    }

    private static func source(_ file: borrowing FileDescriptor, isOpen: Bool) -> SystemCalls.Attributed {
        isOpen ? .open(file.number) : .path(file.procPath)
    }

    static func set(
        _ attribute: ExtendedAttribute, of file: borrowing FileDescriptor, isOpen: Bool
    ) -> SystemCalls.Answer {
        SystemCalls.setxattr(source(file, isOpen: isOpen), attribute.name, attribute.value)
    }

    /// Takes away the ACLs that a new file or directory has from the one that it was made in.
    static func removeInheritedLists(of file: borrowing FileDescriptor, isOpen: Bool = true) {
        removeInheritedLists(of: source(file, isOpen: isOpen))
    }

    static func removeInheritedLists(of file: SystemCalls.Attributed) {
        for list in [accessList, defaultList] { _ = SystemCalls.removexattr(file, list) }
    }

    /// The flags that a manifest holds; nil where the file system has none. Of open files and directories alone.
    static func flags(of file: borrowing FileDescriptor) -> FileFlags? {
        var flags: UInt32 = 0
        guard !SystemCalls.inodeFlags(file.number, &flags).failed else { return nil }
        return FileFlags(rawValue: flags).intersection(.known)
    }

    /// Sets and clears the flags that a manifest holds, and leaves others.
    static func set(_ flags: FileFlags, of file: borrowing FileDescriptor) -> SystemCalls.Answer {
        var old: UInt32 = 0
        let answer = SystemCalls.inodeFlags(file.number, &old)
        if answer.failed { return flags.isEmpty ? SystemCalls.Answer(0) : answer }
        let new = old & ~FileFlags.known.rawValue | flags.intersection(.known).rawValue
        return new == old ? answer : SystemCalls.setInodeFlags(file.number, new)
    }
}
