import Linux
import PRAM

/// Reads `count` adjacent pages: all at once, and where that fails page by page, so that one bad page (or sector) costs
/// no other. Pages behind the end of what there is are `.unreadable`.
/// - Parameter read: reads from so many bytes behind the first page's first; returns how many bytes it got, nil after
///   an error.
func readPages(
    count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>,
    _ read: (_ offset: UInt64, UnsafeMutableRawBufferPointer) -> Int?
) {
    if let got = read(0, UnsafeMutableRawBufferPointer(start: destination, count: count * pageSize)) {
        for index in 0..<count { states[index] = got / pageSize > index ? .present : .unreadable }
        return
    }
    for index in 0..<count {
        let page = UnsafeMutableRawBufferPointer(start: destination + index * pageSize, count: pageSize)
        states[index] = count > 1 && read(UInt64(index * pageSize), page) == pageSize ? .present : .unreadable
    }
}

/// The same from a file, at a byte offset of it.
func readPages(
    _ file: borrowing FileDescriptor, at offset: UInt64, count: Int, into destination: UnsafeMutableRawPointer,
    states: UnsafeMutablePointer<PageState>
) {
    let (number, path) = (file.number, file.path)
    readPages(count: count, into: destination, states: states) { distance, buffer in
        try? FileDescriptor.read(number, path, at: offset &+ distance, into: buffer)
    }
}

/// How many whole pages the range holds from `page` on, at most `limit`; the page itself is one of them.
func wholePages(of range: PhysicalRange, from page: PFN, limit: Int) -> Int {
    guard let address = page.address, range.contains(page) else { return 1 }
    let behind = (range.last - (address | 0xfff)) / UInt64(pageSize)
    return behind >= UInt64(limit) ? limit : Int(behind) + 1
}
