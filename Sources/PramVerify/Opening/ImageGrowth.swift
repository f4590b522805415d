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
            guard let now = try? FileDescriptor.status(of: path), now.size > before else { return }
            try? FileDescriptor.open(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK).truncate(to: before)
        } else {
            try? FileDescriptor.remove(path)
        }
    }
}
