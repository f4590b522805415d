import Linux
import Manifest
import PRAM
import Text
import Verification

/// The tree that a chain holds, one entry a line, like ls -l: mode, owner, size, time, status of the content, path, and
/// where a symbolic link points. What the manifest does not tell of comes behind it, under its name in the chain.
struct TreeList {
    /// Reads the manifest twice: for the widths of columns, and to write.
    /// - Parameter all: the file that holds parity, too.
    static func write(_ manifest: ChainManifest, all: Bool, to output: Output) {
        let files = ManifestFiles(manifest)
        let widths = Widths()
        manifest.read { event in
            guard case .entry(let entry) = event else { return }
            widths.owner = max(widths.owner, owner(entry).utf8.count)
            widths.size = max(widths.size, size(entry, files).utf8.count)
        }
        manifest.read { event in
            guard case .entry(let entry) = event else { return }
            let file = files.note(entry)
            let status: StaticString = entry.kind == .regular ? (file?.status.name ?? "missing") : "-"
            let mode = FileList.modeText(UInt32(0x8000) | (entry.mode ?? 0)).utf8.dropFirst()
            let path = entry.path == .top ? "." : escaped(entry.path.bytes)
            let time = entry.time.map { CivilTime(secondsSince1970: $0.seconds).text } ?? "-"
            output.write(
                "\(letter(entry.kind))\(String(decoding: Array(mode), as: UTF8.self)) "
                    + "\(right(owner(entry), widths.owner)) \(right(size(entry, files), widths.size)) \(time) "
                    + "\(padded(status, 13)) \(path)")
            if entry.kind == .symbolicLink { output.write(" -> \(escaped(entry.target))") }
            output.write("\n")
        }
        for file in files.unnamed where all || !file.isParity {
            let name = file.name.isEmpty ? "?" : escaped(file.name)
            output.write(
                "\(FileList.modeText(file.mode)) \(right("?", widths.owner)) \(right(String(file.size), widths.size)) "
                    + "\(right("?", 20)) \(padded(file.status.name, 13)) \(name)\n")
        }
    }

    private final class Widths {
        var owner = 1
        var size = 1
    }

    static func letter(_ kind: TreeEntry.Kind) -> StaticString {
        switch kind {
        case .regular: "-"
        case .directory: "d"
        case .symbolicLink: "l"
        case .fifo: "p"
        case .characterDevice: "c"
        case .blockDevice: "b"
        }
    }

    private static func owner(_ entry: TreeEntry) -> String {
        let user = entry.uid.map { String($0) } ?? "?"
        return user + ":" + (entry.gid.map { String($0) } ?? "?")
    }

    private static func size(_ entry: TreeEntry, _ files: ManifestFiles) -> String {
        if let device = entry.device { return "\(device.major),\(device.minor)" }
        guard entry.kind == .regular else { return "0" }
        return String(files.file(of: entry)?.size ?? entry.size ?? 0)
    }

    private static func right(_ text: String, _ width: Int) -> String {
        var blanks = ""
        for _ in 0..<max(0, width - text.utf8.count) { blanks += " " }
        return blanks + text
    }
}

/// The files of a chain as its manifest names them, and those that it does not.
final class ManifestFiles {
    private let manifest: ChainManifest
    private let files: [StoredFile]
    private let index: ChainNameIndex
    private var isNamed: [Bool]

    init(_ manifest: ChainManifest) {
        self.manifest = manifest
        files = manifest.files
        index = ChainNameIndex(files)
        isNamed = files.map { _ in false }
        isNamed[manifest.file] = true
    }

    func file(of entry: TreeEntry) -> StoredFile? {
        guard entry.kind == .regular else { return nil }
        return index.contents(of: entry).map { files[$0] }
    }

    func note(_ entry: TreeEntry) -> StoredFile? {
        guard entry.kind == .regular, let number = index.contents(of: entry) else { return nil }
        isNamed[number] = true
        return files[number]
    }

    var unnamed: [StoredFile] {
        var list: [StoredFile] = []
        for (number, file) in files.enumerated() where !isNamed[number] { list.append(file) }
        return list
    }
}
