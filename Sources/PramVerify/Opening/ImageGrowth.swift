import CLinux
import Linux

/// An image that `save --size` has made, or may have made larger: a save that fails leaves it as large as it was.
struct ImageGrowth {
    let path: [UInt8]
    /// In bytes; nil where there was no such file.
    let before: UInt64?

    /// To be called while the image is locked.
    func undo() {
        if let before {
            guard let now = try? FileDescriptor.status(of: path), UInt64(clamping: now.st_size) > before else { return }
            _ = withCString(path) { truncate($0, off_t(clamping: before)) }
        } else {
            _ = withCString(path) { unlink($0) }
        }
    }
}
