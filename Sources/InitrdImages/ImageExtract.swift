import Initrd
import Linux
import Text

/// `image extract IMAGE PATH`: what one path holds once the whole image is unpacked, for what comes later takes the place
/// of what was there, and links that are made on the way lead paths elsewhere.
public enum ImageExtract {
    /// Reads the image three times: where the path leads is known only at the end, which record has the data only when
    /// that is known.
    /// - Parameter sink: takes the content piece by piece; the memory is good until it returns.
    /// - Throws: also `noSuchPath`, `noContent` for anything but a file, and `notUnpacked` where nobody can know. Nothing
    ///   has reached the sink then.
    public static func file(
        _ path: [UInt8], of image: ImageFile, limits: ImageLimits = ImageLimits(),
        to sink: @escaping (UnsafeRawBufferPointer) -> Void
    ) throws(ImageFailure) {
        let wanted = ArchivePath.normalized(path)
        guard !ArchivePath.climbs(wanted) else {
            throw ImageFailure(
                .refused(reason: "it has .. in its path", remedy: "Name a path below the image's top directory."),
                path: path)
        }
        let layout = Layout(image.path)
        try ImageWalk(image, limits, verifyingChecksums: true).run(layout)
        guard let spot = try layout.spot(wanted) else { throw missing(path, wanted, layout) }
        let found = FoundFile(layout.path(spot))
        try ImageWalk(image, limits).run(found)
        guard let record = found.record else {
            if layout.isDirectory(spot) { throw ImageFailure(.noContent("a directory"), path: path) }
            throw missing(path, layout.path(spot), layout)
        }
        guard record.type == .regular else {
            if let target = record.target { throw ImageFailure(.isLink(to: target), path: path) }
            throw ImageFailure(.noContent(record.type == .directory ? "a directory" : "a device or a FIFO"), path: path)
        }
        let place = found.place
        guard place.size > 0 else { return }
        try ImageWalk(image, limits).run(OneRecord(place.index, sink))
    }

    /// - Parameter place: where the path leads, as far as that is known.
    private static func missing(_ path: [UInt8], _ place: [UInt8], _ layout: Layout) -> ImageFailure {
        let wanted = ArchivePath.normalized(path)
        guard place != wanted || layout.hasLink(above: wanted) else { return ImageFailure(.noSuchPath, path: path) }
        let reason =
            place == wanted
            ? "symbolic links lead to no directory of the image"
            : Phrase("symbolic links lead to \(escaped(place)), and there is no such path in the image")
        return ImageFailure(
            .refused(reason: reason.text, remedy: "Name a path that image list shows."), path: path)
    }

    /// Which record of the image, all counted.
    struct Place {
        var index: UInt64 = 0
        var size: UInt32 = 0
    }
}

/// Goes through the records, and learns where they end up.
private class Layout: ImageVisitor {
    fileprivate var tree = RootTree()
    private let image: [UInt8]

    init(_ image: [UInt8]) { self.image = image }

    func record(_ record: NewcRecord, in segment: Segment) throws(ImageFailure) -> Bool {
        try counting(record.name) { tree throws(RootTree.Excess) in _ = try tree.place(record) }
        return false
    }

    func end(_ segment: Segment) throws(ImageFailure) { try segment.requireUnpacked(image) }

    func spot(_ path: [UInt8]) throws(ImageFailure) -> RootTree.Spot? {
        try counting(path) { tree throws(RootTree.Excess) in try tree.spot(path) }
    }

    func isDirectory(_ spot: RootTree.Spot) -> Bool { tree.isDirectory(spot) }

    func path(_ spot: RootTree.Spot) -> [UInt8] { tree.path(spot) }

    /// Whether one of the directories above a path, which leads nowhere, is a link.
    func hasLink(above path: [UInt8]) -> Bool {
        for ancestor in ArchivePath.ancestors(path) {
            guard let spot = try? tree.spot(ancestor) else { return true }
            if tree.isLink(spot) { return true }
            if !tree.isDirectory(spot) { return false }
        }
        return false
    }

    func counting<Result>(
        _ path: [UInt8], _ body: (inout RootTree) throws(RootTree.Excess) -> Result
    ) throws(ImageFailure) -> Result {
        do throws(RootTree.Excess) {
            return try body(&tree)
        } catch {
            throw ImageFailure(.tooManyDirectories, path: path)
        }
    }
}

/// Finds the last record of a place, and which one has the data that are there in the end.
private final class FoundFile: ImageVisitor {
    /// Without links.
    private let wanted: [UInt8]
    private var spot: RootTree.Spot?
    private var tree = RootTree()
    private var index: UInt64 = 0
    private(set) var record: NewcRecord?
    private var last = ImageExtract.Place()
    private var links = HardLinks()
    /// Of files with more than one name, by the number that the tree keeps.
    private var contents: [ImageExtract.Place] = []

    init(_ wanted: [UInt8]) { self.wanted = wanted }

    /// The record with the data.
    var place: ImageExtract.Place {
        guard let spot, let number = tree.file(at: spot) else { return last }
        return contents[number]
    }

    func record(_ record: NewcRecord, in segment: Segment) throws(ImageFailure) -> Bool {
        index += 1
        do throws(RootTree.Excess) {
            guard let spot = try tree.place(record) else { return false }
            let isThere = record.type != .regular ? true : try follow(record, spot)
            guard spot.name[...] == ArchivePath.lastComponent(wanted), tree.path(spot) == wanted else { return false }
            self.spot = spot
            self.record = isThere ? record : nil
            last = ImageExtract.Place(index: index, size: record.size)
        } catch {
            throw ImageFailure(.tooManyDirectories, path: record.name)
        }
        return false
    }

    func trailer() { links = HardLinks() }

    /// Notes which record has the data of a file with several names.
    /// - Returns: false where the kernel does not make it: what it was to be one file with is no longer there.
    private func follow(_ record: NewcRecord, _ spot: RootTree.Spot) throws(RootTree.Excess) -> Bool {
        var number = tree.file(at: spot)
        if record.linkCount >= 2 {
            let path = ArchivePath.normalized(record.name)
            if let first = links.path(of: record) {
                if first != path {
                    number = nil
                    if let old = try tree.spot(first) { number = tree.file(at: old) }
                    try tree.note(file: number, at: spot)
                    guard number != nil else { return false }
                }
                if record.size == 0 { return true }
            } else if links.add(record, path), number == nil {
                number = contents.count
                contents.append(ImageExtract.Place())
            }
        }
        guard let number else { return true }
        try tree.note(file: number, at: spot)
        contents[number] = ImageExtract.Place(index: index, size: record.size)
        return true
    }
}

/// Hands over the data of one record.
private final class OneRecord: ImageVisitor {
    private let wanted: UInt64
    private var index: UInt64 = 0
    private let sink: (UnsafeRawBufferPointer) -> Void

    init(_ wanted: UInt64, _ sink: @escaping (UnsafeRawBufferPointer) -> Void) {
        self.wanted = wanted
        self.sink = sink
    }

    func record(_ record: NewcRecord, in segment: Segment) -> Bool {
        index += 1
        return index == wanted
    }

    func data(_ bytes: UnsafeRawBufferPointer) -> Bool {
        sink(bytes)
        return true
    }
}
