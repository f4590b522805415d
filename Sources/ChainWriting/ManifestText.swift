import Linux
import Manifest
import PRAM

/// The text of a manifest that is to be saved: written once, in pieces, so that it never moves.
final class ManifestText {
    private final class Pieces {
        var list: [[UInt8]] = []
        var length: UInt64 = 0
    }

    private let pieces = Pieces()
    private var writer: ManifestWriter
    private var hasEnded = false
    /// The piece that was copied from last, and where it begins.
    private var place = 0
    private var start: UInt64 = 0

    init(_ provenance: Provenance) {
        let pieces = pieces
        writer = ManifestWriter(provenance) { text in
            if text.isEmpty { return }
            pieces.list.append(text)
            pieces.length += UInt64(text.count)
        }
    }

    /// More than it will be long, also with one further entry.
    var bound: UInt64 { pieces.length + 1 << 17 }

    func write(_ entry: TreeEntry) { writer.write(entry) }

    /// Ends the text, once.
    /// - Returns: its length in bytes.
    func finish() -> UInt64 {
        if !hasEnded { writer.finish() }
        hasEnded = true
        return pieces.length
    }

    /// Copies from `offset` on, with zeros behind the end. Offsets only grow from call to call.
    /// - Returns: false when the memory has vanished.
    func copy(from offset: UInt64, to bytes: UnsafeMutableRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress else { return true }
        var done = 0
        while done < bytes.count {
            while place < pieces.list.count, start + UInt64(pieces.list[place].count) <= offset + UInt64(done) {
                start += UInt64(pieces.list[place].count)
                place += 1
            }
            guard place < pieces.list.count else {
                let count = min(pageSize, bytes.count - done)
                let zeros = PageBytes()
                let isDone = zeros.bytes.withUnsafeBytes { guardedCopy($0.baseAddress!, to: base + done, count: count) }
                if !isDone { return false }
                done += count
                continue
            }
            let skipped = Int(offset + UInt64(done) - start)
            let count = min(bytes.count - done, pieces.list[place].count - skipped)
            let isDone = pieces.list[place].withUnsafeBytes {
                guardedCopy($0.baseAddress! + skipped, to: base + done, count: count)
            }
            if !isDone { return false }
            done += count
        }
        return true
    }
}
