import Linux

/// An image that `save --size` has made, or may have made larger: a save that fails, or that a signal ends, leaves it as
/// large as it was.
struct ImageGrowth {
    let path: [UInt8]
    /// What the path named when it was opened: nothing else is touched.
    let image: FileStatus
    /// In bytes; nil where there was no such file.
    let before: UInt64?

    /// What was saved is complete but for its head, so a signal leaves the file as it is from now on.
    func keep() { FileDescriptor.growthEnded() }

    /// To be called while the image is locked.
    func undo() {
        FileDescriptor.growthEnded()
        guard let file = try? FileDescriptor.openForUpdate(path), let now = try? file.status(),
            now.isSameFile(as: image)
        else { return }
        if let before {
            if now.size > before { try? file.truncate(to: before) }
        } else {
            try? FileDescriptor.remove(path)
        }
    }
}
