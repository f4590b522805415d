import InitrdImages
import Linux
import Text

/// `image list`: what is in an initrd or a unified kernel image, as the kernel would unpack it.
enum ListImage: Command {
    static let name: StaticString = "image list"
    static let task = Task.image
    static let operands: StaticString = " IMAGE"
    static let summary: StaticString = "list what is in an image, in the order in which the kernel unpacks it"
    static let example: StaticString = "image list -l /boot/initrd.img"
    static let options: [Option] = [.long, .segments, .json, .unpackLimit]
    static let kernelParameters: [BootParameter] = []
    static let writes = false

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        try aboutImage(call, name, streams) { () throws(Failure) in
            let (image, limits) = try openImage(call)
            let output = streams.output
            do throws(ImageFailure) {
                if call.has(.json) {
                    let version = Program.version
                    let failure = ImageListJSON.write(image, version: version, limits: limits) { output.write($0) }
                    if let failure {
                        // The object is whole, and names it.
                        output.flush()
                        Failure.image(failure).explain(to: streams.errors)
                        return .failed
                    }
                } else {
                    let form: ListForm = call.has(.long) ? .long : call.has(.segments) ? .segments : .paths
                    try ImageList.write(image, form, limits: limits) { output.write($0) }
                }
            } catch {
                throw .image(error)
            }
            return []
        }
    }
}
