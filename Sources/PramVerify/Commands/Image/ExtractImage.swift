import InitrdImages
import Linux
import Text

/// `image extract`: one file of an image to standard output, or everything below a directory.
enum ExtractImage: Command {
    static let name: StaticString = "image extract"
    static let task = Task.image
    static let operands: StaticString = " IMAGE [PATH]"
    static let summary: StaticString = "write one file of an image to standard output, or everything into a directory"
    static let example: StaticString = "image extract /boot/initrd.img etc/modules"
    static let options: [Option] = [.directory, .devices, .unpackLimit]
    static let kernelParameters: [BootParameter] = []
    static let writes = false

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        try aboutImage(call, name, streams) { () throws(Failure) in
            guard let directory = call[.directory] else { return try one(call, streams) }
            let (image, limits) = try openImage(call)
            let outcome = try imaging { () throws(ImageFailure) in
                try ImageUnpack.run(image, into: directory, devices: call.has(.devices), limits: limits) {
                    streams.say($0)
                }
            }
            if outcome.skippedDevices > 0 {
                streams.say("\(outcome.skippedDevices) devices, FIFOs or sockets were not made; --devices makes them")
            }
            return ExitStatus(rawValue: outcome.exitStatus)
        }
    }

    private static func one(_ call: Call, _ streams: Streams) throws(Failure) -> ExitStatus {
        if call.has(.devices) { throw .usage(UsageError("--devices goes with --directory")) }
        let (image, limits) = try openImage(call, words: 2...2, "IMAGE and a PATH in it, or --directory=DIR")
        let output = streams.output
        try imaging { () throws(ImageFailure) in
            try ImageExtract.file(call.operands[1], of: image, limits: limits) { output.write(Array($0)) }
        }
        return []
    }
}
