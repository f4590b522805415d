import InitrdImages
import Linux
import Text

/// `image make`: a cpio archive of its own with the helper and what starts it.
enum MakeImage: Command {
    static let name: StaticString = "image make"
    static let task = Task.image
    static let operands: StaticString = " OUT"
    static let summary: StaticString =
        "write an archive with pram-verify and its hook, to be unpacked behind an initrd"
    static let example: StaticString = "image make --flavour=systemd pram-verify.cpio"
    static let options: [Option] = [.flavour, .compress]
    static let kernelParameters: [BootParameter] = []
    static let writes = false

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        try aboutImage(call, name, streams) { () throws(Failure) in
            try call.requireOperands(1...1, "OUT, the file to write")
            guard let flavour = try flavour(call) else {
                throw .usage(UsageError("image make needs --flavour=initramfs-tools, dracut-shell or systemd"))
            }
            if flavour == .mkinitcpio {
                throw .usage(
                    UsageError(
                        "with mkinitcpio each image has a list of its own hooks, which only image append can extend"))
            }
            if let form = call[.compress], !form.elementsEqual("gzip".utf8) {
                throw .usage(UsageError("--compress takes gzip, not \"\(escaped(form))\""))
            }
            var archive = HelperArchive(flavour)
            archive.modified = try sourceDateEpoch()
            let (made, path, isPacked) = (archive, call.operands[0], call.has(.compress))
            let output = streams.output
            try imaging { () throws(ImageFailure) in
                if isStandardOutput(path) {
                    output.write(try imageBytes(made, gzip: isPacked))
                } else {
                    try makeImage(path, made, gzip: isPacked)
                }
            }
            return []
        }
    }
}
