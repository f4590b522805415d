import ChainWriting
import Linux
import Text

/// What `save --dry-run` has to say.
struct EstimateReport {
    let estimate: SaveEstimate
    let parity: Int
    /// What would be left out: sentences.
    let warnings: [String]

    /// A range is named without its start, which `doctor` proposes.
    var parameter: String { "memmap=\(estimate.mebibytes)M!START" }

    func write(to output: Output, _ errors: Output) {
        for warning in warnings { errors.write("pram-verify: \(warning)\n") }
        output.write("files:   \(estimate.files) of the chain\n")
        output.write("pages:   \(estimate.pages), \(byteCount(estimate.bytes)), with \(parity) % parity\n")
        output.write("range:   \(parameter), or memmap=\(estimate.mebibytes)M$START without a pmem driver\n")
    }

    func write(_ json: inout JSONWriter) {
        json.beginObject("estimate")
        json.number("files", estimate.files)
        json.number("pages", estimate.pages)
        json.number("bytes", estimate.bytes)
        json.string("parameter", parameter)
        json.beginArray("warnings")
        for warning in warnings { json.string(nil, warning) }
        json.endArray()
        json.endObject()
    }
}
