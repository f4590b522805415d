import Linux
import PRAM
import Verification

extension SavePlan {
    /// How many pages of data a canary's file has.
    private static let pagesInFile: UInt64 = 256

    /// The files of a rehearsal: as many pages as fit, none of which comes from a file.
    /// - Parameters:
    ///   - room: how many pages there are, links and META pages among them.
    ///   - head: the first of them.
    /// - Returns: nil where there is no room for a link, a META page and one of data.
    public static func canary(seed: UInt64, head: PFN, room: UInt64, name: CanaryName) -> (SavePlan, Canary)? {
        guard let data = dataPages(room) else { return nil }
        let canary = Canary(seed: seed, head: head, pages: pagesNeeded(data))
        var files: [File] = []
        var done: UInt64 = 0
        while done < data {
            let pages = min(pagesInFile, data - done)
            let image = name.image(files.count, size: pages * UInt64(pageSize))
            files.append(
                File(name: image.name, size: image.size, mode: image.mode, source: .canary(canary), pages: pages))
            done += pages
        }
        return (SavePlan(files: files, warnings: [], tree: nil), canary)
    }

    /// Links, META and DATA.
    private static func pagesNeeded(_ data: UInt64) -> UInt64 {
        let entries = data + (data + pagesInFile - 1) / pagesInFile
        return entries + (entries + UInt64(Link.capacity) - 1) / UInt64(Link.capacity)
    }

    /// The most pages of data that fit.
    private static func dataPages(_ room: UInt64) -> UInt64? {
        // 1 TiB: more would take longer than anybody waits.
        var (low, high) = (UInt64(0), min(room, 1 << 28))
        while low < high {
            let middle = low + (high - low + 1) / 2
            if pagesNeeded(middle) <= room { low = middle } else { high = middle - 1 }
        }
        return low > 0 ? low : nil
    }
}
