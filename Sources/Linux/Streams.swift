import CLinux

extension FileDescriptor {
    /// One read(2) of a stream, which may wait; interrupted ones are repeated.
    /// - Returns: how many bytes came; 0 at the end.
    public static func readStream(
        _ number: Int32, _ path: [UInt8], into destination: UnsafeMutableRawBufferPointer
    ) throws(SystemError) -> Int {
        guard let base = destination.baseAddress, destination.count > 0 else { return 0 }
        return try SystemCalls.read(number, base, destination.count).get("read", path: path)
    }

    /// Writes all of it to a stream.
    public static func writeStream(
        _ number: Int32, _ path: [UInt8], _ source: UnsafeRawBufferPointer
    ) throws(SystemError) {
        guard let base = source.baseAddress else { return }
        var done = 0
        while done < source.count {
            let count = try SystemCalls.write(number, base + done, source.count - done).get("write", path: path)
            if count == 0 { throw SystemError("write", code: ENOSPC, path: path) }
            done += count
        }
    }

    /// A second descriptor of a file that is open under that number, and stays so.
    public static func duplicated(_ number: Int32, path: [UInt8]) throws(SystemError) -> FileDescriptor {
        let answer = SystemCalls.dup(number)
        try answer.get("dup", path: path)
        return FileDescriptor(adopting: answer.number, path: path)
    }
}

extension FileDescriptor {
    /// Opens a directory; symbolic links are followed.
    public static func openDirectory(
        _ path: [UInt8], in directory: Int32 = AT_FDCWD
    ) throws(SystemError) -> FileDescriptor {
        try .open(path, O_RDONLY | O_DIRECTORY, in: directory)
    }
}

extension FileDescriptor {
    /// Opens a regular file in a directory for reading; no symbolic link is followed, and nothing is waited for.
    public static func openFile(_ name: [UInt8], in directory: Int32) throws(SystemError) -> FileDescriptor {
        try .open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, in: directory)
    }
}

/// Throws where an open descriptor cannot be read at all: it is closed, open for writing alone, or a directory. Nothing is
/// taken from it.
public func requireReadable(_ number: Int32) throws(SystemError) {
    var byte: UInt8 = 0
    try SystemCalls.read(number, &byte, 0).get("read", path: Array("standard input".utf8))
}
