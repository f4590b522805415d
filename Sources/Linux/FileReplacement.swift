import CLinux

extension FileDescriptor {
    /// fchmod(2), with the permissions of st_mode.
    public func setPermissions(_ permissions: UInt32) throws(SystemError) {
        guard fchmod(number, permissions & 0o7777) == 0 else { throw SystemError(last: "fchmod", path: path) }
    }

    /// fchown(2).
    public func setOwner(user: UInt32, group: UInt32) throws(SystemError) {
        guard fchown(number, user, group) == 0 else { throw SystemError(last: "fchown", path: path) }
    }

    /// Seconds since 1970, for reading and for changing.
    public func setTimes(_ seconds: UInt32) {
        var times = [timespec(tv_sec: Int(seconds), tv_nsec: 0), timespec(tv_sec: Int(seconds), tv_nsec: 0)]
        _ = futimens(number, &times)
    }

}

/// The path without symbolic links in it (realpath(3)): what is replaced is the file and not a link to it.
public func canonicalPath(_ path: [UInt8]) throws(SystemError) -> [UInt8] {
    guard !path.contains(0) else { throw SystemError("realpath", code: EINVAL, path: path) }
    guard let resolved = withCString(path, { realpath($0, nil) }) else {
        throw SystemError(last: "realpath", path: path)
    }
    defer { free(resolved) }
    return Array(UnsafeRawBufferPointer(start: resolved, count: strlen(resolved)))
}

/// Puts a file in the place of another, or of none, at one moment: until it returns the old one is there, whole, and
/// then the new one, and on the disk.
/// - Parameters:
///   - like: whose permissions and owner it gets; nil for 0644 less nothing, and the caller.
///   - body: writes the content.
public func replaceFile<Failure: Error>(
    _ path: [UInt8], like: FileStatus?, failing: (SystemError) -> Failure,
    _ body: (borrowing FileDescriptor) throws(Failure) -> Void
) throws(Failure) {
    let cut = path.lastIndex(of: UInt8(ascii: "/"))
    let folder = cut.map { $0 == 0 ? [UInt8(ascii: "/")] : Array(path[..<$0]) } ?? [UInt8(ascii: ".")]
    let name = Array(path[(cut.map { $0 + 1 } ?? 0)...])
    let directory: Directory
    let file: FileDescriptor
    do throws(SystemError) {
        guard FileDescriptor.exists(folder) else { throw SystemError("open", code: ENOENT, path: folder) }
        guard !name.isEmpty else { throw SystemError("open", code: EISDIR, path: path) }
        directory = try Directory(folder)
        file = try directory.createTemporary()
    } catch {
        throw failing(error)
    }
    do throws(Failure) {
        try body(file)
    } catch {
        directory.remove(file.path)
        throw error
    }
    do throws(SystemError) {
        if let like {
            let own = try file.status()
            // First the owner: that takes suid away.
            if own.user != like.user || own.group != like.group {
                try file.setOwner(user: like.user, group: like.group)
            }
            try file.setPermissions(like.mode)
        } else {
            try file.setPermissions(0o644)
        }
        try file.synchronize()
        try directory.rename(file.path, to: name, replace: true)
        try directory.synchronize()
    } catch {
        directory.remove(file.path)
        throw failing(error)
    }
}
