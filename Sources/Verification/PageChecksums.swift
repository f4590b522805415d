import CChecksum
import Linux

/// Computes crc32c of pages where they lie, in mapped memory that may vanish meanwhile.
/// - Parameters:
///   - pages: the addresses of `count` pages.
///   - checksums: room for as many; what belongs to a page that vanished is unspecified.
///   - vanished: called for each page that is no longer there.
public func computeChecksums(
    of pages: UnsafePointer<UnsafeRawPointer?>, count: Int, into checksums: UnsafeMutablePointer<UInt32>,
    vanished: (Int) -> Void
) {
    var done = 0
    while done < count {
        var request = pv_page_batch(pages: pages + done, checksums: checksums + done, count: count - done, done: 0)
        let isWhole = withUnsafeMutablePointer(to: &request) { guarded(pv_crc32c_pages, $0) }
        done += request.done
        if !isWhole {
            vanished(done)
            done += 1
        }
    }
}
