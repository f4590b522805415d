import CLz4

/// lz4's legacy form, as lib/decompress_unlz4.c of the kernel reads it: the magic 02 21 4c 18; then blocks, each a
/// length of four bytes, little-endian, and that many bytes which unpack to 8 MiB or, the last one, to less. The magic
/// may come again in place of a length. It ends with the file; inside an image, with a length of 0: that is padding.
///
/// A block is unpacked where it lies: its bytes at the end of the only buffer, what they become at its start
/// (lz4.h, "in-place decompression"). So 8 MiB are enough for what would else take 16. Where a damaged block makes the
/// decoder write over what is yet to be read, it becomes nonsense, which is what it was: nothing outside of the buffer is
/// touched.
final class Lz4LegacyDecoder: StreamDecoder {
    private static let magic: UInt32 = 0x184c_2102
    private static let blockSize = 8 << 20
    /// LZ4_COMPRESSBOUND of a block: no block is longer.
    private static let longest = blockSize + blockSize / 255 + 16
    /// LZ4_DECOMPRESS_INPLACE_MARGIN of the longest.
    private static let capacity = longest + (longest >> 8) + 64

    private enum State { case length, block, output }

    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 64)
    private var state = State.length
    private var sawMagic = false
    /// Bytes of the length or of the block so far.
    private var collected = 0
    private var length: UInt32 = 0
    /// What is unpacked and not handed over yet.
    private var ready = 0..<0
    private(set) var overread: UInt64 = 0

    deinit { buffer.deallocate() }

    /// Whether the file may end here. The kernel takes up to three bytes more for padding.
    var isBetweenBlocks: Bool { state == .length && sawMagic }

    func restart() -> Bool {
        state = .length
        sawMagic = false
        collected = 0
        length = 0
        overread = 0
        return true
    }

    func decode(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> DecodingStep {
        var consumed = 0
        while true {
            switch state {
            case .length:
                while collected < 4 && consumed < input.count {
                    length |= UInt32(input[consumed]) << UInt32(8 * collected)
                    collected += 1
                    consumed += 1
                }
                guard collected == 4 else { return DecodingStep(consumed: consumed, produced: 0, ending: .more) }
                if let ending = begin() { return DecodingStep(consumed: consumed, produced: 0, ending: ending) }
            case .block:
                let count = min(Int(length) - collected, input.count - consumed)
                let place = Self.capacity - Int(length) + collected
                if count > 0 {
                    (buffer.baseAddress! + place).copyMemory(from: input.baseAddress! + consumed, byteCount: count)
                }
                collected += count
                consumed += count
                guard collected == Int(length) else {
                    return DecodingStep(consumed: consumed, produced: 0, ending: .more)
                }
                guard unpack() else {
                    return DecodingStep(
                        consumed: consumed, produced: 0, ending: .failed(.corrupt, "a block does not unpack"))
                }
            case .output:
                let count = min(ready.count, output.count)
                if count > 0 {
                    output.baseAddress!.copyMemory(from: buffer.baseAddress! + ready.lowerBound, byteCount: count)
                }
                ready = ready.lowerBound + count..<ready.upperBound
                if ready.isEmpty { toLength() }
                if count > 0 { return DecodingStep(consumed: consumed, produced: count, ending: .more) }
            }
        }
    }

    private func toLength() {
        state = .length
        collected = 0
        length = 0
    }

    /// With a length of four bytes read; an ending where no block follows.
    private func begin() -> DecodingStep.Ending? {
        if length == Self.magic {
            sawMagic = true
            toLength()
            return nil
        }
        guard sawMagic else { return .failed(.corrupt, "no lz4 magic") }
        if length == 0 {
            overread = 4
            return .streamEnd
        }
        guard length <= UInt32(Self.longest) else { return .failed(.corrupt, "a block is longer than any can be") }
        state = .block
        collected = 0
        return nil
    }

    private func unpack() -> Bool {
        let start = Self.capacity - Int(length)
        let base = buffer.baseAddress!.assumingMemoryBound(to: CChar.self)
        // A negative count is an error; neither length is beyond what 24 bits hold.
        let count = LZ4_decompress_safe(base + start, base, Int32(length), Int32(Self.blockSize))
        guard count >= 0 else { return false }
        ready = 0..<Int(count)
        state = .output
        return true
    }
}
