import InitrdImages
import KernelCommandLine
import Linux
import Text

/// `image check`: whether the helper is in an image, and will run.
enum CheckImage: Command {
    static let name: StaticString = "image check"
    static let task = Task.image
    static let operands: StaticString = " IMAGE"
    static let summary: StaticString = "say whether pram-verify is in an image, and will run there"
    static let example: StaticString = "image check --config=/boot/config-6.1 /boot/initrd.img"
    static let options: [Option] = [.cmdline, .config, .json, .unpackLimit]
    static let kernelParameters: [BootParameter] = []
    static let writes = false

    /// Of a kernel's configuration, in bytes: those of distributions have some 300 KB.
    private static let configLimit = 4 << 20

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        try aboutImage(call, name, streams) { () throws(Failure) in
            let (image, limits) = try openImage(call)
            var question = ImageCheck.Question()
            question.limits = limits
            if let path = call[.config] {
                question.config = try calling { () throws(SystemError) in
                    try FileDescriptor.contents(of: path, limit: configLimit)
                }
            }
            var line = call[.cmdline]
            if line == nil { line = try imaging { () throws(ImageFailure) in try image.commandLine() } }
            question.reservesPmem = line.map(reservesPmem) ?? false
            let asked = question
            let check = try imaging { () throws(ImageFailure) in try ImageCheck.run(image, asked) }
            let output = streams.output
            if call.has(.json) {
                check.writeJSON(image, version: Program.version) { output.write($0) }
            } else {
                check.write { output.write($0) }
            }
            return ExitStatus(rawValue: check.exitStatus)
        }
    }

    /// Whether a line reserves memory with `memmap=nn!ss`, which only drivers make a device of.
    private static func reservesPmem(_ line: [UInt8]) -> Bool {
        MemmapParameters.find(in: ParameterLine(line)).inEffect.contains { $0.kind == .persistent && $0.size > 0 }
    }
}
