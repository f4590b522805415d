import CLinux

extension FileDescriptor {
    /// fchown(2).
    public func setOwner(user: UInt32, group: UInt32) throws(SystemError) {
        try SystemCalls.changeOwner(number, user, group).get("fchown", path: path)
    }

    /// Seconds since 1970, for reading and for changing; left as they are where that cannot be done.
    public func setTimes(_ seconds: UInt32) { _ = SystemCalls.futimens(number, Int(seconds), 0) }
}

/// The path without symbolic links in it (realpath(3)): what is replaced is the file and not a link to it.
public func canonicalPath(_ path: [UInt8]) throws(SystemError) -> [UInt8] {
    var code: Int32 = 0
    guard let resolved = SystemCalls.realpath(path, &code) else {
        throw SystemError("realpath", code: code, path: path)
    }
    return resolved
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
            try file.setMode(like.permissions)
        } else {
            try file.setMode(0o644)
        }
        try file.synchronize()
        try directory.rename(file.path, to: name, replace: true)
        try directory.synchronize()
    } catch {
        directory.remove(file.path)
        throw failing(error)
    }
}
