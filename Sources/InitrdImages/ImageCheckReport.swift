import Initrd
import Text

/// A check as text and as JSON.
extension ImageCheck {
    /// One line for each thing that was looked at, and one below it that says how to mend what is not well.
    public func write(to sink: ([UInt8]) -> Void) {
        for line in lines {
            sink(Array("\(line.verdict.name): \(line.subject.name): \(line.text)\n".utf8))
            if let remedy = line.remedy { sink(Array("    \(remedy)\n".utf8)) }
        }
    }

    /// Documentation/image.schema.json.
    public func writeJSON(_ image: ImageFile, version: String, to sink: @escaping ([UInt8]) -> Void) {
        var json = JSONWriter(sink: sink)
        json.beginObject()
        writeHead(image, "check", version, &json)
        json.number("exit", Int(exitStatus))
        if let flavour { json.string("flavour", flavour.name) } else { json.null("flavour") }
        json.beginArray("helpers")
        for helper in helpers {
            json.beginObject()
            json.string("path", escaped(helper.path))
            json.string("version", escaped(helper.version))
            json.string("architecture", machineName(helper.machine))
            json.bool("executable", helper.isExecutable)
            json.bool("this_program", helper.isRunning)
            json.endObject()
        }
        json.endArray()
        json.beginArray("segments")
        for segment in segments {
            json.beginObject()
            json.number("index", segment.index)
            json.string("section", escaped(segment.section))
            json.number("offset", segment.offset)
            json.number("length", segment.length)
            json.string("compression", segment.format.name)
            json.bool("looked_into", segment.isUnpacked)
            json.endObject()
        }
        json.endArray()
        json.beginArray("lines")
        for line in lines {
            json.beginObject()
            json.string("subject", line.subject.name)
            json.string("verdict", line.verdict.name)
            json.string("text", line.text)
            if let remedy = line.remedy { json.string("remedy", remedy) }
            json.endObject()
        }
        json.endArray()
        writeFailure(failure, &json)
        json.endObject()
        json.finish()
    }
}
