/// What became of one page that was asked for.
public enum PageState: UInt8, Sendable {
    /// The page's 4096 bytes are there.
    case present = 0
    /// The source does not hold this page (outside its ranges, or left out of a dump). Nothing is known of it.
    case absent = 1
    /// The source holds the page but could not read it (EIO, a hardware-poisoned page, a file that shrank).
    case unreadable = 2
}

/// Physical memory, page by page: a dump file or the running machine's own.
///
/// All of it may be called from several threads at once. No argument is trusted: any PFN, also one without an address,
/// is answered.
public protocol PhysicalMemory: AnyObject {
    /// Whether the source claims to hold the whole page.
    func contains(_ page: PFN) -> Bool

    /// The page where it is mapped into this process, valid while the source lives; nil when it must be read.
    /// The bytes may vanish under the reader (SIGBUS): touch them only through the guarded functions of `Linux`.
    func mapped(_ page: PFN) -> UnsafeRawPointer?

    /// Reads `count` adjacent pages into `destination` (count * 4096 bytes) and tells of each what became of it
    /// (`states`: `count` elements). Bytes of pages that are not `.present` are unspecified. Works for mapped pages
    /// too.
    func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>)

    /// Whether a page of zeros may be the source's way to show a page that it could not reach (/proc/kcore).
    var zerosMayBeHoles: Bool { get }

    /// The same for one page, where a source has several ways.
    func zerosMayBeHole(_ page: PFN) -> Bool

    /// What the source holds, as far as it tells that at once: some ranges, that many at most, in any order.
    func ranges(limit: Int) -> [PhysicalRange]

    /// What the source is, for reports: "raw image", "/dev/mem", "kdump-compressed dump" ...
    var kind: String { get }

    /// What a reader of the report should know about the source, a sentence each, without full stops: "the file is cut
    /// short", "pages compressed with lzo cannot be read". More may come up while pages are read: ask last.
    var notes: [String] { get }
}

extension PhysicalMemory {
    public var notes: [String] { [] }
    public func ranges(limit: Int) -> [PhysicalRange] { [] }
    public func zerosMayBeHole(_ page: PFN) -> Bool { zerosMayBeHoles }
}
