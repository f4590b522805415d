import CLinux
import Linux

/// An image that `save --size` makes, or makes larger: a save that fails leaves it as large as it was.
struct ImageGrowth {
    private let path: [UInt8]
    /// In bytes; nil where there was no such file.
    private let before: Int?

    /// Looks at the image before anything is done to it.
    init(_ path: [UInt8]) {
        self.path = path
        before = (try? FileDescriptor.status(of: path)).map { Int($0.st_size) }
    }

    func undo() {
        guard let now = try? FileDescriptor.status(of: path), now.st_mode & UInt32(S_IFMT) == UInt32(S_IFREG) else { return }
        if let before {
            if now.st_size > before { _ = withCString(path) { truncate($0, off_t(before)) } }
        } else {
            _ = withCString(path) { unlink($0) }
        }
    }
}
