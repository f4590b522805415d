import PRAM

/// A stretch of the chain that one thread verifies at a time: up to 16 links (2704 pages, 10.6 MiB). Long enough to put
/// its pages into the order that memory likes, short enough that a few of them need next to no memory.
final class Slice {
    static let linkCapacity = 16
    /// At most 4096: `PageVerifier` packs an entry's number into 12 bits.
    static let entryCapacity = linkCapacity * Link.capacity

    private(set) var links: [WalkedLink] = []
    /// Where each link's entries begin in `entries` and `results`.
    private(set) var starts: [Int] = []
    private(set) var entries: [Entry] = []
    /// What was computed over the page of each entry.
    let results = UnsafeMutablePointer<EntryResult>.allocate(capacity: entryCapacity)
    /// Which of `images` belongs to each META entry; -1 for others.
    private var imageSlots: [Int] = []
    private var images: [UInt8] = []
    private var imageCount = 0

    enum State { case empty, ready, done }
    /// Guarded by the engine's monitor.
    var state = State.empty

    deinit { results.deallocate() }

    var isFull: Bool { links.count == Slice.linkCapacity }

    func clear() {
        links.removeAll(keepingCapacity: true)
        starts.removeAll(keepingCapacity: true)
        entries.removeAll(keepingCapacity: true)
        imageSlots.removeAll(keepingCapacity: true)
        imageCount = 0
    }

    func append(_ walked: WalkedLink) {
        links.append(walked)
        starts.append(entries.count)
        for entry in walked.link?.entries ?? [] {
            results[entries.count] = EntryResult(state: .absent, checksum: 0)
            entries.append(entry)
            if entry.kind == .meta {
                imageSlots.append(imageCount)
                imageCount += 1
            } else {
                imageSlots.append(-1)
            }
        }
    }

    /// Call once before `keepImage`: room for the images of all META entries.
    func prepareImages() {
        let needed = imageCount * FileImage.size
        if images.count < needed { images = [UInt8](repeating: 0, count: needed) }
    }

    func keepImage(of entry: Int, from page: UnsafeRawPointer) {
        let slot = imageSlots[entry]
        guard slot >= 0 else { return }
        images.withUnsafeMutableBytes {
            $0.baseAddress!.advanced(by: slot * FileImage.size).copyMemory(from: page, byteCount: FileImage.size)
        }
    }

    func image(of entry: Int) -> FileImage {
        let slot = imageSlots[entry]
        guard slot >= 0 else { return FileImage(size: 0, mode: 0, name: []) }
        return FileImage(decoding: images[slot * FileImage.size..<(slot + 1) * FileImage.size])
    }
}
