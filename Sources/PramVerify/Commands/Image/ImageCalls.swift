import InitrdImages
import Linux
import Text

// What the commands of `image` share: opening the image that a call names, and saying what went wrong.

/// Runs a command, and says on standard error why it ended early; with --json, where `body` has written nothing by then,
/// in an object too.
func aboutImage(
    _ call: Call, _ command: StaticString, _ streams: Streams, _ body: () throws(Failure) -> ExitStatus
) throws(UsageError) -> ExitStatus {
    do throws(Failure) { return try body() } catch {
        if case .usage(let usage) = error { throw usage }
        if call.has(.json) { writeFailureAlone(error, command, call.operands.first ?? [], streams.output) }
        // Lists come before what ended them, also where both go to one place.
        streams.output.flush()
        error.explain(to: streams.errors)
        return error.status
    }
}

/// The object of a run that has read nothing of its image.
private func writeFailureAlone(_ failure: Failure, _ command: StaticString, _ image: [UInt8], _ output: Output) {
    var json = JSONWriter { output.write($0) }
    json.beginObject()
    json.number("schema", 1)
    json.string("version", Program.version)
    // Without "image ".
    json.string("command", String(decoding: command.withUTF8Buffer { Array($0.dropFirst(6)) }, as: UTF8.self))
    json.string("image", escaped(image))
    json.number("exit", Int(failure.status.rawValue))
    json.beginObject("failure")
    json.string("cause", failure.cause)
    json.string("message", failure.message)
    if !failure.remedy.utf8.isEmpty { json.string("remedy", failure.remedy) }
    json.endObject()
    json.endObject()
    json.finish()
}

/// The image that the first word behind a command names, and what reading it may cost.
/// - Parameter words: how many words the call may have.
func openImage(
    _ call: Call, words: ClosedRange<Int> = 1...1, _ what: StaticString = "IMAGE"
) throws(Failure) -> (ImageFile, ImageLimits) {
    try call.requireOperands(words, what)
    let limits = try imageLimits(call)
    return (try imaging { () throws(ImageFailure) in try ImageFile(call.operands[0]) }, limits)
}

func imageLimits(_ call: Call) throws(Failure) -> ImageLimits {
    var limits = ImageLimits()
    if let limit = try call.size(.unpackLimit) { limits.unpacked = limit }
    return limits
}

/// What starts the helper in an image, by --flavour; nil where the call does not say.
func flavour(_ call: Call) throws(Failure) -> Flavour? {
    guard let name = call[.flavour] else { return nil }
    guard let flavour = Flavour(name: name) else {
        throw .usage(
            UsageError("--flavour takes initramfs-tools, dracut-shell, mkinitcpio or systemd, not \"\(escaped(name))\""))
    }
    return flavour
}

/// SOURCE_DATE_EPOCH, which all times in what is written are; 0 where there is none.
func sourceDateEpoch() throws(Failure) -> UInt32 {
    guard let text = environment("SOURCE_DATE_EPOCH") else { return 0 }
    guard let seconds = sourceDate(text) else {
        throw .usage(UsageError("SOURCE_DATE_EPOCH is no number of seconds since 1970: \"\(escaped(text))\""))
    }
    return seconds
}

/// Makes what is wrong with an image the failure of the run.
func imaging<Result>(_ body: () throws(ImageFailure) -> Result) throws(Failure) -> Result {
    do throws(ImageFailure) { return try body() } catch { throw .image(error) }
}
