import Linux
import PRAM

/// The page of a chain's head, before there is a chain: so the next kernel can be loaded with its `pram=` long before the
/// files are saved.
///
/// It lies in a small file in memory of its own, which a session keeps from then on. What is saved later goes into its
/// other pages and into a second file of the same session.
public struct EarlyHead {
    /// How many pages the file has: so many that two of them mostly have frames that follow each other, one for the head
    /// and one for a locator.
    public static let pages = 64

    public let file: MemoryFileDescriptor
    /// The head's page frame.
    public let page: PFN

    /// A new file, which the session keeps. Its pages hold zeros.
    /// - Throws: ENOSPC, ENOMEM; EPERM where frames are hidden.
    public init(keptBy session: borrowing LiveSession) throws(SystemError) {
        let file = try MemoryFileDescriptor(size: UInt64(EarlyHead.pages * pageSize))
        // Who saves is another process, which writes it then.
        try file.seal(againstWriters: false)
        try session.preserve([file])
        try self.init(file)
    }

    /// One that was made before.
    public init(_ file: MemoryFileDescriptor) throws(SystemError) {
        self.file = file
        page = try KeptFile([file]).first
    }
}
