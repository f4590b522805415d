import Glibc
import Initrd
import Linux
import Testing

@testable import InitrdImages

/// A folder of its own for one test, gone afterwards, with the tools that make images.
final class Workshop {
    let path: String

    init() {
        var template = Array("/tmp/pram-verify-images-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }

    deinit { system("chmod -R u+rwx '\(path)'; rm -rf '\(path)'") }

    /// Runs shell commands in the folder; a failure is the test's.
    func sh(_ script: String) {
        let code = system("cd '\(path)' && { set -e; \(script)\n} >log 2>&1")
        #expect(code == 0, "\(script): \(read("log"))")
    }

    func read(_ name: String) -> String { String(decoding: bytes(name), as: UTF8.self) }

    func bytes(_ name: String) -> [UInt8] {
        guard let file = fopen("\(path)/\(name)", "r") else { return [] }
        defer { fclose(file) }
        var all: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&piece, 1, piece.count, file)
            if count == 0 { return all }
            all += piece[..<count]
        }
    }

    func write(_ bytes: [UInt8], to name: String) {
        let file = fopen("\(path)/\(name)", "w")!
        #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
        fclose(file)
    }

    func place(_ name: String) -> [UInt8] { Array("\(path)/\(name)".utf8) }

    func image(_ name: String) throws -> ImageFile { try ImageFile(place(name)) }

    /// What `image list` prints; a failure as its message at the end.
    func list(_ name: String, _ form: ListForm = .paths, limits: ImageLimits = ImageLimits()) -> String {
        let text = Text()
        do throws(ImageFailure) {
            try ImageList.write(try ImageFile(place(name)), form, limits: limits) { text.bytes += $0 }
        } catch {
            text.bytes += Array("! \(error.message)".utf8)
        }
        return String(decoding: text.bytes, as: UTF8.self)
    }

    /// A tree with everything that an archive can hold, but for devices, packed as tree.cpio.
    func makeTree() {
        sh(
            """
            mkdir -p tree/usr/bin tree/usr/lib/modules tree/dev
            ln -s usr/bin tree/bin
            printf hello >tree/usr/bin/one
            chmod 4755 tree/usr/bin/one
            ln tree/usr/bin/one tree/usr/bin/two
            ln tree/usr/bin/one tree/usr/bin/three
            head -c 300000 /dev/urandom >tree/usr/lib/modules/noise
            head -c 9000000 /dev/zero >tree/usr/lib/modules/zeros
            printf 'back\\\\slash' >"$(printf 'tree/odd\\tname')"
            (cd tree && find . | LC_ALL=C sort | cpio -o -H newc --quiet) >tree.cpio
            """)
    }
}

final class Text {
    var bytes: [UInt8] = []
}

/// The top of the source tree.
let sourceRoot: String = {
    let here = try! canonicalPath(Array(#filePath.utf8))
    return String(decoding: here, as: UTF8.self).components(before: "/Tests/InitrdImagesTests")
}()

extension String {
    func components(before part: String) -> String {
        guard let place = self.ranges(of: part).first else { return self }
        return String(self[..<place.lowerBound])
    }
}
