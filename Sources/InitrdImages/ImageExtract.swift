import Initrd
import Linux
import Text

/// `image extract IMAGE PATH`: what one path holds once the whole image is unpacked, for what comes later takes the place
/// of what was there.
public enum ImageExtract {
    /// - Parameter sink: takes the content piece by piece; the memory is good until it returns.
    /// - Throws: also `noSuchPath`, and `noContent` for anything but a file. Nothing has reached the sink then.
    public static func file(
        _ path: [UInt8], of image: ImageFile, limits: ImageLimits = ImageLimits(),
        to sink: @escaping (UnsafeRawBufferPointer) -> Void
    ) throws(ImageFailure) {
        var wanted = ArchivePath.normalized(path)
        guard !ArchivePath.climbs(wanted) else {
            throw ImageFailure(
                .refused(reason: "it has .. in its path", remedy: "Name a path below the image's top directory."),
                path: path)
        }
        var last = LastRecord(wanted)
        try ImageWalk(image, limits).run(last)
        var links = 0
        while last.record == nil, links < mostLinks, let next = last.pathBehindLink {
            links += 1
            wanted = next
            last = LastRecord(wanted)
            try ImageWalk(image, limits).run(last)
        }
        guard let found = last.record else {
            guard links > 0 else { throw ImageFailure(.noSuchPath, path: path) }
            let reason = Phrase("symbolic links lead to \(escaped(wanted)), and there is no such path in the image")
            throw ImageFailure(.refused(reason: reason.text, remedy: "Name a path that image list shows."), path: path)
        }
        guard found.type == .regular else {
            if let target = found.target { throw ImageFailure(.isLink(to: target), path: path) }
            throw ImageFailure(.noContent(found.type == .directory ? "a directory" : "a device or a FIFO"), path: path)
        }
        // Of hard links one has the data, mostly the last.
        var place = last.place
        if found.linkCount >= 2 {
            let data = LinkedData(found, archive: last.archive)
            try ImageWalk(image, limits).run(data)
            guard let linked = data.place else { return }
            place = linked
        }
        guard place.size > 0 else { return }
        try ImageWalk(image, limits).run(OneRecord(place.index, sink))
    }

    /// How many symbolic links are followed on the way to a path: each takes one more look at the whole image.
    private static let mostLinks = 8

    /// Which record of the image, all counted.
    struct Place {
        var index: UInt64 = 0
        var size: UInt32 = 0
    }
}

/// Finds the last record of a path, and those of the directories on the way to it.
private final class LastRecord: ImageVisitor {
    private let wanted: [UInt8]
    private var index: UInt64 = 0
    private var archives: UInt64 = 0
    private(set) var record: NewcRecord?
    private(set) var place = ImageExtract.Place()
    /// Which archive it is in: hard links reach no further.
    private(set) var archive: UInt64 = 0
    /// From the top: each directory on the way, and where it leads if it is a symbolic link.
    private var way: [(path: [UInt8], target: [UInt8]?)]

    init(_ wanted: [UInt8]) {
        self.wanted = wanted
        way = ArchivePath.ancestors(wanted).map { ($0, nil) }
    }

    /// The path once the first symbolic link on the way is followed; nil where there is none.
    var pathBehindLink: [UInt8]? {
        guard let link = way.first(where: { $0.target != nil }), let target = link.target else { return nil }
        return ArchivePath.behind(link.path, leadingTo: target, wanted[link.path.count...])
    }

    func record(_ record: NewcRecord, in segment: Segment) -> Bool {
        index += 1
        for step in way.indices
        where ArchivePath.lastComponent(record.name) == ArchivePath.lastComponent(way[step].path) {
            if ArchivePath.normalized(record.name) == way[step].path { way[step].target = record.target }
        }
        guard ArchivePath.lastComponent(record.name) == ArchivePath.lastComponent(wanted),
            ArchivePath.normalized(record.name) == wanted
        else { return false }
        self.record = record
        place = ImageExtract.Place(index: index, size: record.size)
        archive = archives
        return false
    }

    func trailer() { archives += 1 }
}

/// Finds which of several hard links in an archive has the data: the last one with any.
private final class LinkedData: ImageVisitor {
    private let file: NewcRecord
    private let archive: UInt64
    private var index: UInt64 = 0
    private var archives: UInt64 = 0
    private(set) var place: ImageExtract.Place?

    init(_ file: NewcRecord, archive: UInt64) {
        self.file = file
        self.archive = archive
    }

    func record(_ record: NewcRecord, in segment: Segment) -> Bool {
        index += 1
        if archives == archive && record.size > 0 && record.isSameFile(as: file) {
            place = ImageExtract.Place(index: index, size: record.size)
        }
        return false
    }

    func trailer() { archives += 1 }
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
