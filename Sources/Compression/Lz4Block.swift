/// One block of lz4, unpacked where it lies. Liblz4 would do it as well; but Debian's liblz4.a is a single object that
/// brings packing in four strengths along, 54 KB for these lines.
///
/// Source: lz4_Block_format.md of the lz4 project. A block is a run of sequences: a token (upper four bits: how many
/// literals, lower four: the length of the match less 4; 15 goes on in bytes, of which one below 255 is the last), the
/// literals, the match's offset backwards (16 bits, little-endian). The last sequence ends behind its literals.
enum Lz4Block {
    /// - Parameters:
    ///   - buffer: the block at its end; what it becomes is put at its start.
    ///   - start: where the block begins.
    ///   - limit: how many bytes it may become, at most `buffer.count`.
    /// - Returns: how many bytes it became; nil when it is no block, or becomes more. Where a damaged one makes it write
    ///   over what is yet to be read, it becomes nonsense, which is what it was.
    static func unpack(_ buffer: UnsafeMutableRawBufferPointer, from start: Int, limit: Int) -> Int? {
        let base = buffer.baseAddress!
        let end = buffer.count
        var place = start
        var count = 0

        /// A length whose four bits are 15 goes on.
        func length(_ bits: UInt8) -> Int? {
            var length = Int(bits)
            guard bits == 15 else { return length }
            while place < end {
                let more = buffer[place]
                place += 1
                length += Int(more)
                if more < 255 { return length }
            }
            return nil
        }

        while place < end {
            let token = buffer[place]
            place += 1
            guard let literals = length(token >> 4), literals <= end - place, literals <= limit - count else {
                return nil
            }
            (base + count).copyMemory(from: base + place, byteCount: literals)
            place += literals
            count += literals
            if place == end { return count }
            guard end - place >= 2 else { return nil }
            let offset = Int(buffer[place]) | Int(buffer[place + 1]) << 8
            place += 2
            guard let match = length(token & 15).map({ $0 + 4 }), offset > 0, offset <= count, match <= limit - count
            else { return nil }
            // A match may reach into itself: each round copies what is there by then, whole periods of it.
            var copied = 0
            while copied < match {
                let run = min(match - copied, offset + copied)
                (base + count + copied).copyMemory(from: base + count - offset, byteCount: run)
                copied += run
            }
            count += match
        }
        return nil
    }
}
