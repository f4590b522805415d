import Linux
import Manifest
import PRAM
import Text
import Verification

/// What a chain's manifest says, for machines: `tree`, `saved`, and by `list` each entry.
struct TreeJSON {
    static func write(_ report: Report, _ json: inout JSONWriter) {
        if let survey = report.survey, let manifest = report.manifest {
            json.beginObject("manifest")
            json.number("file", manifest.file)
            json.string("status", manifest.stored.status.name)
            json.number("entries", survey.entries)
            json.number("directories", survey.directories)
            json.number("others", survey.others)
            json.endObject()
        }
        if let origin = report.origin { write(origin, &json) }
        if let manifest = report.manifest, report.listsTree { write(manifest, &json) }
    }

    private static func write(_ origin: Origin, _ json: inout JSONWriter) {
        let provenance = origin.provenance
        json.beginObject("saved")
        json.string("message", origin.sentence)
        json.string("when", origin.age.name)
        if case .beforeStart(let seconds) = origin.age { json.number("seconds_before_start", UInt64(seconds)) }
        if let isThis = origin.isThisMachine { json.bool("this_machine", isThis) } else { json.null("this_machine") }
        json.string("program", escaped(provenance.program))
        json.string("kernel", escaped(provenance.kernel))
        json.string("boot_id", escaped(provenance.boot))
        json.string("machine", escaped(provenance.machine))
        json.string("host", escaped(provenance.host))
        if let time = provenance.time { json.string("time", CivilTime(secondsSince1970: time.seconds).text) }
        if let time = provenance.monotonic { json.string("monotonic", seconds(time)) }
        if let time = provenance.sinceBoot { json.string("boottime", seconds(time)) }
        json.endObject()
    }

    /// "-5.000000007": seconds, and nanoseconds after that second, with nine digits.
    private static func seconds(_ time: FileTime) -> String {
        var digits = String(time.nanoseconds)
        while digits.utf8.count < 9 { digits = "0" + digits }
        return "\(time.seconds).\(digits)"
    }

    /// Takes the writer along into a closure.
    private final class Box {
        var json: JSONWriter
        init(_ json: JSONWriter) { self.json = json }
    }

    private static func write(_ manifest: ChainManifest, _ json: inout JSONWriter) {
        let files = ManifestFiles(manifest)
        json.beginArray("tree")
        let box = Box(json)
        manifest.read { event in
            guard case .entry(let entry) = event else { return }
            write(entry, files, &box.json)
        }
        json = box.json
        json.endArray()
    }

    private static func write(_ entry: TreeEntry, _ files: ManifestFiles, _ json: inout JSONWriter) {
        json.beginObject()
        json.string("path", entry.path == .top ? "." : escaped(entry.path.bytes))
        json.string("path_hex", hexadecimal(entry.path.bytes))
        json.string("type", entry.kind.name)
        if let mode = entry.mode { json.string("mode", JSONReport.octalMode(mode)) }
        if let uid = entry.uid { json.number("uid", UInt64(uid)) }
        if let gid = entry.gid { json.number("gid", UInt64(gid)) }
        if let time = entry.time { json.string("time", seconds(time)) }
        if let links = entry.links { json.number("links", links) }
        if entry.kind == .symbolicLink {
            json.string("target", escaped(entry.target))
            json.string("target_hex", hexadecimal(entry.target))
        }
        if let device = entry.device {
            json.number("major", UInt64(device.major))
            json.number("minor", UInt64(device.minor))
        }
        if entry.kind == .regular {
            let contents = entry.contents ?? Array(entry.path.name)
            json.string("contents", escaped(contents))
            json.string("contents_hex", hexadecimal(contents))
            if let file = files.file(of: entry) {
                json.number("size", file.size)
                json.string("status", file.status.name)
            } else {
                json.null("status")
            }
        }
        json.endObject()
    }
}
