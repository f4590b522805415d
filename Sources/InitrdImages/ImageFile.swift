import Initrd
import Linux

/// An image that is open for reading: an initrd, or a unified kernel image (UKI) with one in it.
public final class ImageFile {
    /// What the kernel unpacks by itself, front to back: the whole of an initrd; of a UKI the sections .ucode and
    /// .initrd, in the order in which systemd-stub hands them over.
    public struct Part: Sendable {
        /// The section's name; empty for an initrd.
        public let section: [UInt8]
        /// In bytes of the file. Alignment counts from its start.
        public let range: Range<UInt64>
    }

    public let path: [UInt8]
    /// In bytes.
    public let size: UInt64
    /// Headers and sections of a UKI; nil for an initrd.
    public let executable: PortableExecutable?
    public let parts: [Part]
    let file: FileDescriptor

    /// Opens a regular file. Anything else is refused before it is opened, as opening a device can be an act.
    public init(_ path: [UInt8]) throws(ImageFailure) {
        self.path = path
        if let kind = otherKind(try status(of: path)) { throw ImageFailure(.notAFile(kind), path: path) }
        do throws(SystemError) {
            file = try FileDescriptor.openWithoutWaiting(path)
        } catch {
            throw ImageFailure(.system(error), path: path)
        }
        let opened = try openStatus(file)
        if let kind = otherKind(opened) { throw ImageFailure(.notAFile(kind), path: path) }
        size = opened.size
        guard size > 0 else { throw ImageFailure(.empty, path: path) }
        executable = try readHeaders(file, size: size)
        guard let executable else {
            parts = [Part(section: [], range: 0..<size)]
            return
        }
        var parts: [Part] = []
        for name in [".ucode", ".initrd"] as [StaticString] {
            guard let section = executable.section(name), section.size > 0 else { continue }
            parts.append(Part(section: section.name, range: section.offset..<section.offset + section.size))
        }
        self.parts = parts
    }
}

extension ImageFile {
    /// The command line that a UKI brings with it; nil for an initrd, and for a UKI without one.
    public func commandLine() throws(ImageFailure) -> [UInt8]? {
        // The kernel takes 2048 bytes; some architectures 4096.
        guard let line = try content(of: ".cmdline", limit: 1 << 16) else { return nil }
        return Array(line.prefix { $0 != 0 && $0 != UInt8(ascii: "\n") })
    }

    /// What a small section of a UKI holds; nil where there is none.
    public func content(of section: StaticString, limit: Int) throws(ImageFailure) -> [UInt8]? {
        guard let section = executable?.section(section) else { return nil }
        guard section.size <= UInt64(limit) else { throw ImageFailure(.tooMuch("a section"), path: path) }
        return try read(file, at: section.offset, count: Int(section.size))
    }
}

/// What the path names when it is no regular file.
func otherKind(_ status: FileStatus) -> StaticString? {
    switch FileType(mode: status.mode) {
    case .regular: nil
    case .directory: "a directory"
    case .symbolicLink: "a symbolic link"
    case .characterDevice, .blockDevice: "a device"
    case .fifo: "a FIFO"
    case .socket: "a socket"
    case .unknown: "of an unknown kind"
    }
}

private func status(of path: [UInt8]) throws(ImageFailure) -> FileStatus {
    do throws(SystemError) {
        return try FileDescriptor.status(of: path)
    } catch {
        throw ImageFailure(.system(error), path: path)
    }
}

private func openStatus(_ file: borrowing FileDescriptor) throws(ImageFailure) -> FileStatus {
    do throws(SystemError) {
        return try file.status()
    } catch {
        throw ImageFailure(.system(error), path: file.path)
    }
}

/// Bytes of the file, fewer where it ends.
func read(_ file: borrowing FileDescriptor, at offset: UInt64, count: Int) throws(ImageFailure) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var failure: SystemError?
    let got = bytes.withUnsafeMutableBytes { room in
        do throws(SystemError) {
            return try file.read(at: offset, into: room)
        } catch {
            failure = error
            return 0
        }
    }
    if let failure { throw ImageFailure(.system(failure), path: file.path) }
    bytes.removeLast(count - got)
    return bytes
}

/// nil for what does not begin as a PE file does.
private func readHeaders(
    _ file: borrowing FileDescriptor, size: UInt64
) throws(ImageFailure) -> PortableExecutable? {
    let start = try read(file, at: 0, count: Int(min(size, UInt64(PortableExecutable.headerLimit))))
    do throws(PortableExecutable.Fault) {
        return try PortableExecutable(start.span, fileSize: size)
    } catch {
        if error == .notPortableExecutable { return nil }
        throw ImageFailure(.damagedHeaders(error), path: file.path)
    }
}
