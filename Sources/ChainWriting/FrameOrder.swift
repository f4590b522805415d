/// Page frames of files in memory, in the order of their numbers: so what lies side by side in a range lies side by
/// side here, too, as far as the frames do, and a run of lost frames hits no more than it would hit in a range.
///
/// The first two places are exceptions: they have two frames that follow each other, for the head and for the page
/// behind it, where a locator is looked for. Where there are no such frames, everything is in order, but for a head that
/// was chosen before.
public struct FrameOrder: Sendable {
    /// The frame of each place.
    public let frames: [UInt64]
    /// The page of the files, counted through, that each place is.
    private let pages: [UInt32]

    /// - Parameters:
    ///   - file: the frame of each page of the files.
    ///   - head: the frame that is to be the first place, where somebody was told so already; it must be one of them.
    /// - Returns: nil for more pages than 2^32, or where that frame is none of them.
    public init?(_ file: [UInt64], head: UInt64? = nil) {
        guard file.count <= Int(UInt32.max) else { return nil }
        var pages = (0..<UInt32(file.count)).map { $0 }
        pages.sort { file[Int($0)] < file[Int($1)] }
        func followed(_ place: Int) -> Bool {
            place + 1 < pages.count && file[Int(pages[place + 1])] == file[Int(pages[place])] &+ 1
        }
        let first: Int?
        if let head {
            first = pages.firstIndex { file[Int($0)] == head }
            guard first != nil else { return nil }
        } else {
            first = pages.indices.first(where: followed)
        }
        if let first, first > 0 {
            let count = followed(first) ? 2 : 1
            let moved = (0..<count).map { pages[first + $0] }
            // What lies below moves up.
            for place in stride(from: first - 1, through: 0, by: -1) { pages[place + count] = pages[place] }
            for (place, page) in moved.enumerated() { pages[place] = page }
        }
        frames = pages.map { file[Int($0)] }
        self.pages = pages
    }

    public var count: Int { frames.count }

    /// The place of a frame; nil where the file has none of this number.
    public func place(ofFrame frame: UInt64) -> Int? {
        // The first two are not in order.
        for place in 0..<min(2, frames.count) where frames[place] == frame { return place }
        var low = min(2, frames.count)
        var high = frames.count
        while low < high {
            let middle = (low + high) / 2
            if frames[middle] < frame { low = middle + 1 } else { high = middle }
        }
        return low < frames.count && frames[low] == frame ? low : nil
    }

    /// The page of the files at a place.
    public func page(_ place: Int) -> Int { Int(pages[place]) }

    /// Whether so many places from this one on are adjacent pages of the files.
    public func isAdjacent(_ place: Int, count: Int) -> Bool {
        guard count > 1 else { return true }
        for next in 1..<count where pages[place + next] != pages[place] &+ UInt32(next) { return false }
        return true
    }
}
