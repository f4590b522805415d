import InitrdImages
import Linux
import Text

/// `image append`: one more segment for an initrd, with the helper and what starts it.
enum AppendImage: Command {
    static let name: StaticString = "image append"
    static let task = Task.image
    static let operands: StaticString = " IMAGE"
    static let summary: StaticString = "put pram-verify and its hook into an initrd, as one more segment"
    static let example: StaticString = "image append /boot/initrd.img"
    static let options: [Option] = [.output, .flavour, .unpackLimit]
    static let kernelParameters: [BootParameter] = []
    static let writes = false

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        try aboutImage(call, name, streams) { () throws(Failure) in
            try call.requireOperands(1...1, "IMAGE")
            var append = ImageAppend()
            append.flavour = try flavour(call)
            append.modified = try sourceDateEpoch()
            append.limits = try imageLimits(call)
            append.output = call[.output]
            if let output = append.output, isStandardOutput(output) {
                throw .usage(
                    UsageError("image append writes to files alone: image make - writes the segment to standard output")
                )
            }
            let path = call.operands[0]
            let job = append
            let outcome = try imaging { () throws(ImageFailure) in try job.run(path) }
            switch outcome {
            case .unchanged(let flavour):
                streams.say("\(escaped(path)): it is there already, for \(flavour.name)")
            case .appended(let flavour, let place):
                streams.say("\(escaped(path)): appended for \(flavour.name), at byte \(place)")
            case .replaced(let flavour, let place):
                streams.say(
                    "\(escaped(path)): replaced what was appended before, for \(flavour.name), at byte \(place)")
            }
            return []
        }
    }
}
