import Initrd
import Linux
import Text

/// The same as JSON (Documentation/image.schema.json), piece by piece.
public final class ImageListJSON: ImageVisitor {
    private var json: JSONWriter

    private let image: [UInt8]

    private init(_ image: [UInt8], _ sink: @escaping ([UInt8]) -> Void) {
        self.image = image
        json = JSONWriter(sink: sink)
    }

    /// Also where the image cannot be read on the text is whole: `failure` says why.
    /// - Returns: what ended it, nil when nothing did.
    public static func write(
        _ image: ImageFile, version: String, limits: ImageLimits = ImageLimits(),
        to sink: @escaping ([UInt8]) -> Void
    ) -> ImageFailure? {
        let list = ImageListJSON(image.path, sink)
        list.json.beginObject()
        writeHead(image, "list", version, &list.json)
        list.json.beginArray("segments")
        var failure: ImageFailure?
        do throws(ImageFailure) { try ImageWalk(image, limits, verifyingChecksums: true).run(list) } catch {
            failure = error
        }
        if failure != nil { list.closeOpenSegment() }
        list.json.endArray()
        writeFailure(failure, &list.json)
        list.json.endObject()
        list.json.finish()
        return failure
    }

    private var isOpen = false

    public func begin(_ segment: Segment) {
        isOpen = true
        json.beginObject()
        json.number("index", segment.index)
        json.string("section", escaped(segment.section))
        json.number("offset", segment.offset)
        json.string("compression", segment.format.name)
        json.bool("looked_into", segment.isUnpacked)
        json.beginArray("files")
    }

    public func record(_ record: NewcRecord, in segment: Segment) -> Bool {
        json.beginObject()
        json.string("path", escaped(record.name))
        json.string("type", record.type.name)
        json.number("mode", UInt64(record.permissions))
        json.number("uid", UInt64(record.user))
        json.number("gid", UInt64(record.group))
        json.number("links", UInt64(record.linkCount))
        json.number("size", UInt64(record.size))
        json.number("mtime", UInt64(record.modified))
        if record.type.isDevice {
            json.number("major", UInt64(record.nodeMajor))
            json.number("minor", UInt64(record.nodeMinor))
        }
        if let target = record.target { json.string("target", escaped(target)) }
        json.endObject()
        return false
    }

    public func end(_ segment: Segment) throws(ImageFailure) {
        json.endArray()
        json.number("length", segment.length)
        json.number("unpacked_length", segment.unpackedLength)
        json.number("archives", segment.trailers)
        json.bool("early", segment.isEarly)
        json.endObject()
        isOpen = false
        try segment.requireUnpacked(image)
    }

    private func closeOpenSegment() {
        guard isOpen else { return }
        json.endArray()
        json.endObject()
    }
}

/// What every JSON about an image begins with.
func writeHead(_ image: ImageFile, _ command: StaticString, _ version: String, _ json: inout JSONWriter) {
    json.number("schema", 1)
    json.string("version", version)
    json.string("command", command)
    json.string("image", escaped(image.path))
    json.string("kind", image.executable == nil ? "initrd" : "uki" as StaticString)
    json.number("size", image.size)
    guard let executable = image.executable else { return }
    json.bool("signed", executable.isSigned)
    json.beginArray("sections")
    for section in executable.sections {
        json.beginObject()
        json.string("name", escaped(section.name))
        json.number("offset", section.offset)
        json.number("size", section.size)
        json.endObject()
    }
    json.endArray()
}

func writeFailure(_ failure: ImageFailure?, _ json: inout JSONWriter) {
    guard let failure else { return json.null("failure") }
    json.beginObject("failure")
    json.string("cause", failure.causeName)
    json.string("message", failure.message)
    if let remedy = failure.remedy { json.string("remedy", remedy) }
    json.endObject()
}
