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

    /// All attributes that are kept, in the order of their names.
    /// - Parameters:
    ///   - isOpen: whether the descriptor is more than O_PATH.
    ///   - limit: bytes of names and values together, and 64 for each.
    /// - Throws: E2BIG past `limit`.
    static func read(
        of file: borrowing FileDescriptor, isOpen: Bool, limit: Int
    ) throws(SystemError) -> [ExtendedAttribute] {
        let path = file.procPath
        var names = [UInt8](repeating: 0, count: room)
        let length = names.withUnsafeMutableBytes { names in
            let text = names.baseAddress?.assumingMemoryBound(to: CChar.self)
            return isOpen
                ? flistxattr(file.number, text, names.count)
                : withCString(path) { listxattr($0, text, names.count) }
        }
        if length < 0 && pv_errno() == EOPNOTSUPP { return [] }
        guard length >= 0 else { throw SystemError(last: "listxattr", path: file.path) }
        var list: [ExtendedAttribute] = []
        var size = 0
        for name in names[..<length].split(separator: 0) where isKept(name) {
            guard let value = try value(of: Array(name), file, isOpen: isOpen) else { continue }
            size += name.count + value.count + 64
            guard size <= limit else { throw SystemError("listxattr", code: E2BIG, path: file.path) }
            list.append(ExtendedAttribute(name: Array(name), value: value))
        }
        list.sort { $0.name.lexicographicallyPrecedes($1.name) }
        return list
    }

    /// nil when it has gone meanwhile.
    private static func value(
        of name: [UInt8], _ file: borrowing FileDescriptor, isOpen: Bool
    ) throws(SystemError) -> [UInt8]? {
        let path = file.procPath
        // Most are small, and the kernel allocates what it is offered.
        for room in [512, room] {
            var value = [UInt8](repeating: 0, count: room)
            let number = file.number
            let length = value.withUnsafeMutableBytes { value in
                withCString(name) { name in
                    isOpen
                        ? fgetxattr(number, name, value.baseAddress, value.count)
                        : withCString(path) { getxattr($0, name, value.baseAddress, value.count) }
                }
            }
            if length >= 0 { return Array(value[..<length]) }
            if pv_errno() == ENODATA { return nil }
            guard pv_errno() == ERANGE else { break }
        }
        throw SystemError(last: "getxattr", path: file.path)
    }

    /// Whether it was set; errno says why not.
    static func set(_ attribute: ExtendedAttribute, of file: borrowing FileDescriptor, isOpen: Bool) -> Bool {
        let path = file.procPath
        let number = file.number
        return attribute.value.withUnsafeBytes { value in
            withCString(attribute.name) { name in
                isOpen
                    ? fsetxattr(number, name, value.baseAddress, value.count, 0)
                    : withCString(path) { setxattr($0, name, value.baseAddress, value.count, 0) }
            }
        } == 0
    }

    /// Takes away the ACLs that a new file or directory has from the one that it was made in.
    static func removeInheritedLists(of file: borrowing FileDescriptor, isOpen: Bool = true) {
        let path = file.procPath
        let number = file.number
        for list in [accessList, defaultList] {
            _ = withCString(list) { list in
                isOpen ? fremovexattr(number, list) : withCString(path) { removexattr($0, list) }
            }
        }
    }

    /// The flags that a manifest holds; nil where the file system has none. Of open files and directories alone.
    static func flags(of file: borrowing FileDescriptor) -> FileFlags? {
        var flags: UInt32 = 0
        guard pv_get_flags(file.number, &flags) == 0 else { return nil }
        return FileFlags(rawValue: flags).intersection(.known)
    }

    /// Sets and clears the flags that a manifest holds, and leaves others. Whether that was done; errno says why not.
    static func set(_ flags: FileFlags, of file: borrowing FileDescriptor) -> Bool {
        var old: UInt32 = 0
        guard pv_get_flags(file.number, &old) == 0 else { return flags.isEmpty }
        let new = old & ~FileFlags.known.rawValue | flags.intersection(.known).rawValue
        return new == old || pv_set_flags(file.number, new) == 0
    }
}
