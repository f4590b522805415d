import Compression
import Initrd
import Linux
import Text

/// A cpio archive with the helper and the hook that runs it, to be unpacked behind an initrd.
public struct HelperArchive: Sendable {
    public let flavour: Flavour
    /// Of all files in it, in seconds since 1970: SOURCE_DATE_EPOCH, or 0.
    public var modified: UInt32 = 0
    /// What runs, and goes in.
    public var program = RunningProgram.path

    public init(_ flavour: Flavour) { self.flavour = flavour }

    /// A stand-alone archive (`image make`). Its directories are the ones that are no links anywhere: the kernel puts a
    /// directory in the place of a link, so usr/sbin, which is a link in some images, must be there already.
    ///
    /// With initramfs-tools ORDER is one that finds the other scripts when it runs.
    ///
    /// There is none for mkinitcpio without systemd: /config, which must name the hook, is each image's own.
    public func standAlone() throws(ImageFailure) -> [UInt8] {
        guard flavour != .mkinitcpio else {
            throw ImageFailure(
                .refused(
                    reason: "with mkinitcpio each image has a list of its own hooks",
                    remedy: "Use image append, which extends it."),
                path: self.program)
        }
        let program = try RunningProgram(self.program).contents()
        var directories: [[UInt8]] = []
        for path in standAloneDirectories { directories.append(bytes(of: path)) }
        return pack(directories, HookFiles.program, program, HookFiles.items(flavour, order: HookFiles.anyOrder))
    }

    private var standAloneDirectories: [StaticString] {
        let rules: [StaticString] = ["etc", "etc/udev", "etc/udev/rules.d"]
        return switch flavour {
        case .initramfsTools: ["usr", "usr/sbin", "scripts", "scripts/init-top"] + rules
        case .dracutShell: ["usr"] + rules
        case .mkinitcpio: []
        case .systemd:
            [
                "usr", "usr/lib", "usr/lib/pram-verify", "usr/lib/systemd", "usr/lib/systemd/system",
                "usr/lib/systemd/system/initrd.target.wants",
            ] + rules
        }
    }

    /// Directories first, then the program, then the rest.
    func pack(
        _ directories: [[UInt8]], _ programPath: [UInt8], _ program: [UInt8], _ items: [HookFiles.Item]
    ) -> [UInt8] {
        let collected = Collected()
        var writer = NewcWriter(modified: modified) { collected.bytes += $0 }
        for path in directories { writer.directory(path) }
        writer.file(programPath, permissions: 0o755, program)
        for item in items {
            if let permissions = item.permissions {
                writer.file(item.path, permissions: permissions, item.content)
            } else {
                writer.symbolicLink(item.path, to: item.content)
            }
        }
        writer.finish()
        return collected.bytes
    }
}

private final class Collected {
    var bytes: [UInt8] = []
}

/// SOURCE_DATE_EPOCH's value; nil for what is no number of seconds from 1970 to 2106.
public func sourceDate(_ text: [UInt8]) -> UInt32? {
    guard !text.isEmpty, text.count <= 10 else { return nil }
    var number: UInt64 = 0
    for digit in text {
        guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") else { return nil }
        number = number * 10 + UInt64(digit - UInt8(ascii: "0"))
    }
    return UInt32(exactly: number)
}

/// The archive of `image make`, plain or as one gzip member.
public func imageBytes(_ archive: HelperArchive, gzip: Bool) throws(ImageFailure) -> [UInt8] {
    let content = try archive.standAlone()
    guard gzip else { return content }
    guard let packed = GzipEncoder.pack(content) else {
        throw ImageFailure(.system(SystemError("deflate", code: ErrorCode.outOfMemory)), path: [])
    }
    return packed
}

/// `image make`: writes the archive, plain or as one gzip member.
public func makeImage(_ path: [UInt8], _ archive: HelperArchive, gzip: Bool) throws(ImageFailure) {
    let bytes = try imageBytes(archive, gzip: gzip)
    let target = try replacementTarget(path)
    try replaceFile(target.path, like: target.status, failing: { ImageFailure(.system($0), path: path) }) {
        file throws(ImageFailure) in try write(bytes, at: 0, file)
    }
}
