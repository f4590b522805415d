import CLinux
import CLzma
import CZlib
import CZstd
import Linux
import Testing

@testable import Compression

// MARK: Recipes

private func gzip(_ plain: [UInt8]) -> [UInt8] {
    var stream = z_stream()
    let size = Int32(MemoryLayout<z_stream>.size)
    deflateInit2_(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, zlibVersion(), size)
    var input = plain
    var output = [UInt8](repeating: 0, count: Int(deflateBound(&stream, uLong(plain.count))) + 64)
    let length = input.withUnsafeMutableBufferPointer { from in
        output.withUnsafeMutableBufferPointer { to in
            stream.next_in = from.baseAddress
            stream.avail_in = UInt32(from.count)
            stream.next_out = to.baseAddress
            stream.avail_out = UInt32(to.count)
            #expect(deflate(&stream, Z_FINISH) == Z_STREAM_END)
            return to.count - Int(stream.avail_out)
        }
    }
    deflateEnd(&stream)
    return Array(output[..<length])
}

private func xz(_ plain: [UInt8], dictionary: UInt32? = nil) -> [UInt8] {
    var output = [UInt8](repeating: 0, count: lzma_stream_buffer_bound(plain.count))
    var length = 0
    if let dictionary {
        var options = lzma_options_lzma()
        lzma_lzma_preset(&options, 0)
        options.dict_size = dictionary
        withUnsafeMutablePointer(to: &options) { options in
            var filters = [
                lzma_filter(id: 0x21, options: options), lzma_filter(id: lzma_vli.max, options: nil),
            ]
            let code = lzma_stream_buffer_encode(
                &filters, LZMA_CHECK_CRC32, nil, plain, plain.count, &output, &length, output.count)
            #expect(code == LZMA_OK)
        }
    } else {
        let code = lzma_easy_buffer_encode(
            0, LZMA_CHECK_CRC64, nil, plain, plain.count, &output, &length, output.count)
        #expect(code == LZMA_OK)
    }
    return Array(output[..<length])
}

private func zstd(_ plain: [UInt8]) -> [UInt8] {
    let context = ZSTD_createCCtx()
    defer { ZSTD_freeCCtx(context) }
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
    var output = [UInt8](repeating: 0, count: ZSTD_compressBound(plain.count))
    let length = ZSTD_compress2(context, &output, output.count, plain, plain.count)
    return Array(output[..<length])
}

private func pack(_ plain: [UInt8], _ wrapping: Wrapping) -> [UInt8] {
    switch wrapping {
    case .gzip: gzip(plain)
    case .xz: xz(plain)
    case .zstd: zstd(plain)
    }
}

private let all: [Wrapping] = [.gzip, .xz, .zstd]

/// Pages of noise with holes of zeros between them, a partial page last.
private func sample(pages: Int = 300) -> [UInt8] {
    var generator = SplitMix(state: 7)
    var bytes: [UInt8] = []
    for page in 0..<pages {
        let noise = (0..<4096).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        bytes += page % 5 < 2 ? noise : [UInt8](repeating: 0, count: 4096)
    }
    return bytes + [1, 2, 3]
}

struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }
}

/// Puts the bytes into a file without a name and unpacks that.
private func unpacked(
    _ packed: [UInt8], _ wrapping: Wrapping, limit: UInt64 = 1 << 30, keepingPart: Bool = false
) throws -> (bytes: [UInt8], blocks: Int64, rest: Unpacked.Rest) {
    let input = try FileDescriptor.unlinked(in: Array("/tmp".utf8))
    try packed.withUnsafeBytes { try input.write($0, at: 0) }
    let result = try unpack(input, wrapping, limit: limit, keepingPart: keepingPart)
    let rest = result.rest
    let output = result.takeFile()
    let status = try output.status()
    var bytes = [UInt8](repeating: 0, count: Int(status.size))
    let count = try bytes.withUnsafeMutableBytes { try output.read(at: 0, into: $0) }
    #expect(count == bytes.count)
    return (bytes, Int64(status.blocks), rest)
}

private func failure(_ packed: [UInt8], _ wrapping: Wrapping, limit: UInt64 = 1 << 30) -> CompressionError? {
    do {
        _ = try unpacked(packed, wrapping, limit: limit)
        return nil
    } catch {
        return error as? CompressionError
    }
}

// MARK: Tests

@Suite struct UnpackTests {
    @Test(arguments: all) func `gives back what was packed, zeros as holes`(_ wrapping: Wrapping) throws {
        let plain = sample()
        let packed = pack(plain, wrapping)
        #expect(packed.withUnsafeBytes { Wrapping(recognising: $0) } == wrapping)
        let result = try unpacked(packed, wrapping)
        #expect(result.bytes == plain)
        // 120 pages of 300 hold something; a block is 512 bytes.
        #expect(result.blocks * 512 < 140 * 4096)
    }

    @Test(arguments: all) func `nothing packed is nothing unpacked`(_ wrapping: Wrapping) throws {
        #expect(try unpacked(pack([], wrapping), wrapping).bytes == [])
    }

    @Test(arguments: all) func `streams one after the other are one file`(_ wrapping: Wrapping) throws {
        let packed = pack([1, 2], wrapping) + pack([], wrapping) + pack([3], wrapping)
        #expect(try unpacked(packed, wrapping).bytes == [1, 2, 3])
    }

    @Test func `skippable zstd frames and padding between xz streams`() throws {
        let skippable: [UInt8] = [0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9]
        #expect(skippable.withUnsafeBytes { Wrapping(recognising: $0) } == .zstd)
        #expect(try unpacked(skippable + zstd([1]) + skippable + zstd([2]), .zstd).bytes == [1, 2])
        let padding = [UInt8](repeating: 0, count: 300_004)
        #expect(try unpacked(xz([1]) + padding + xz([2]) + padding, .xz).bytes == [1, 2])
        #expect(failure(xz([1]) + [0, 0, 0], .xz)?.cause == .trailingGarbage)
    }

    @Test(arguments: all) func `every cut is truncation`(_ wrapping: Wrapping) {
        let packed = pack(Array("what has been cut short".utf8), wrapping)
        for length in 1..<packed.count {
            let error = failure(Array(packed[..<length]), wrapping)
            #expect(error?.cause == .truncated, "\(length): \(error?.message ?? "no error")")
            #expect(error?.offset == UInt64(length))
        }
    }

    @Test(arguments: all) func `a part is kept where that is asked for`(_ wrapping: Wrapping) throws {
        let plain = Array(sample(pages: 12))
        let packed = pack(plain, wrapping)
        var longest = 0
        for length in Array(stride(from: 1, to: packed.count, by: 97)) + [packed.count - 1] {
            guard let result = try? unpacked(Array(packed[..<length]), wrapping, keepingPart: true) else { continue }
            #expect(result.rest == .cutShort(UInt64(length)) && !result.bytes.isEmpty)
            #expect(plain.starts(with: result.bytes))
            #expect(result.bytes.count >= longest)
            longest = result.bytes.count
        }
        #expect(longest == plain.count)
        // Of the second stream what there is, and of its magic nothing.
        for length in [1, 2, packed.count / 2, packed.count - 1] {
            let two = try unpacked(packed + packed[..<length], wrapping, keepingPart: true)
            #expect((plain + plain).starts(with: two.bytes) && two.bytes.count >= plain.count)
            #expect(two.rest == .cutShort(UInt64(packed.count + (length > 6 ? length : 0))), "\(two.rest)")
        }
        // A whole file is one with it or without.
        #expect(try unpacked(packed, wrapping, keepingPart: true).rest == .nothing)
        // Nothing is no part.
        #expect(throws: CompressionError.self) { try unpacked(Array(packed[..<7]), wrapping, keepingPart: true) }
    }

    @Test(arguments: all) func `damage is said, and what came before it is kept`(_ wrapping: Wrapping) throws {
        let plain = sample()
        var packed = pack(plain, wrapping)
        // In the checksum: gzip's trailer, the four bytes before xz's index (CRC64, then 8 or more bytes of index and 12
        // of footer), zstd's last four.
        packed[packed.count - (wrapping == .gzip ? 8 : wrapping == .xz ? 29 : 1)] ^= 1
        let last = try unpacked(packed, wrapping, keepingPart: true)
        guard case .damaged(let offset) = last.rest else {
            Issue.record("\(last.rest)")
            return
        }
        #expect(last.bytes == plain && offset <= UInt64(packed.count))
        #expect(failure(packed, wrapping)?.cause == .corrupt)
        // In the middle: what lies well before it is right.
        packed[packed.count / 2] ^= 0xff
        let half = try? unpacked(packed, wrapping, keepingPart: true)
        if let half {
            let sure = min(half.bytes.count, plain.count / 4)
            #expect(Array(half.bytes[..<sure]) == Array(plain[..<sure]))
        }
        #expect(half != nil || wrapping == .xz)
    }

    /// As xz and zstd do: they fail.
    @Test(arguments: [.xz, .zstd] as [Wrapping]) func `what follows is named, with its offset`(_ wrapping: Wrapping) {
        let packed = pack([1, 2, 3], wrapping)
        let long = [UInt8](repeating: 7, count: 1 << 18)
        for garbage: [UInt8] in [[1], Array("garbage".utf8), [0x1f], [0x28, 0xb5], long, [0, 0, 0, 0, 1]] {
            let error = failure(packed + garbage, wrapping)
            #expect(error?.cause == .trailingGarbage)
            #expect(error?.offset == UInt64(packed.count))
            #expect(error?.message.contains("offset \(packed.count)") == true)
        }
    }

    /// As gzip does: "trailing garbage ignored". A file of one block of a tape, a partition that held more before.
    @Test func `what follows gzip data is ignored, and said`() throws {
        let packed = gzip([1, 2, 3])
        let zeros = [UInt8](repeating: 0, count: 300_000)
        for garbage: [UInt8] in [
            [1], Array("garbage".utf8), [0x28, 0xb5], [UInt8](repeating: 7, count: 1 << 18), zeros + [1],
            zeros + gzip([4]), [0, 0x1f], [0x1f, 0x9d, 0x90],
        ] {
            let result = try unpacked(packed + garbage, .gzip)
            #expect(result.bytes == [1, 2, 3] && result.rest == .ignored(UInt64(packed.count)))
        }
        // Half a header is a member that was cut: gzip fails, too.
        for cut: [UInt8] in [[0x1f], [0x1f, 0x8b], [0x1f, 0x8b, 8], [0x1f, 0x8b, 7, 0, 0, 0, 0, 0, 0, 0]] {
            #expect(failure(packed + cut, .gzip) != nil)
        }
    }

    @Test(arguments: all, [4, 512, 10_240, 131_072, 131_076, 1 << 20])
    func `zeros behind the data, as on a partition or a tape`(_ wrapping: Wrapping, _ count: Int) throws {
        let one = pack([1, 2, 3], wrapping)
        for packed in [one, one + pack([], wrapping)] {
            let result = try unpacked(packed + [UInt8](repeating: 0, count: count), wrapping)
            #expect(result.bytes == [1, 2, 3])
            #expect(result.rest == (wrapping == .xz ? .nothing : .zeros(UInt64(packed.count))))
        }
    }

    @Test func `zeros in any number, where the form takes them`() throws {
        for count in [1, 2, 3, 5, 131_071] {
            let zeros = [UInt8](repeating: 0, count: count)
            #expect(try unpacked(gzip([1]) + zeros, .gzip).bytes == [1])
            #expect(try unpacked(zstd([1]) + zeros, .zstd).bytes == [1])
            #expect(failure(xz([1]) + zeros, .xz)?.cause == .trailingGarbage)
        }
        #expect(try unpacked(xz([1]), .xz).rest == .nothing)
        #expect(try unpacked(gzip([1]), .gzip).rest == .nothing)
    }

    @Test func `zlib streams are told from other bytes`() {
        let plain = sample(pages: 3)
        var packed = [UInt8](repeating: 0, count: 60_000)
        var length = uLongf(packed.count)
        compress(&packed, &length, plain, uLong(plain.count))
        func isZlib(_ bytes: [UInt8]) -> Bool { bytes.withUnsafeBytes { beginsZlibStream($0) } }
        #expect(isZlib(Array(packed[..<4096])))
        #expect(!isZlib(Array(packed[1..<4097])))
        #expect(!isZlib([0x78, 0x9c]))
        for fill: UInt8 in [0, 1, 0x41, 0xff] {
            #expect(!isZlib([0x78, 0x9c] + [UInt8](repeating: fill, count: 4094)))
        }
    }

    @Test(arguments: all) func `a flipped bit never passes and never traps`(_ wrapping: Wrapping) {
        let plain = Array(sample(pages: 3)[..<9000])
        let packed = pack(plain, wrapping)
        var generator = SplitMix(state: 1)
        var refused = 0
        for _ in 0..<300 {
            var damaged = packed
            let bit = Int.random(in: 0..<packed.count * 8, using: &generator)
            damaged[bit / 8] ^= 1 << (bit % 8)
            // gzip's and zstd's headers have fields without consequence; the contents are never wrong.
            guard let result = try? unpacked(damaged, wrapping) else {
                refused += 1
                continue
            }
            #expect(result.bytes == plain || result.bytes.isEmpty)
        }
        #expect(refused > 250, "only \(refused) of 300 were refused")
    }

    @Test(arguments: all) func `the limit holds, holes included`(_ wrapping: Wrapping) throws {
        let zeros = [UInt8](repeating: 0, count: 5_000_000)
        let packed = pack(zeros, wrapping)
        #expect(try unpacked(packed, wrapping, limit: 5_000_000).blocks == 0)
        let error = failure(packed, wrapping, limit: 4_999_999)
        #expect(error?.cause == .tooLong)
        #expect(error?.message == "the \(wrapping.name) data unpacks to more than 4999999 bytes")
        #expect(failure(packed, wrapping, limit: 0)?.cause == .tooLong)
    }

    @Test func `windows that ask for too much memory are refused`() {
        #expect(failure(xz([1, 2, 3], dictionary: 1 << 30), .xz)?.cause == .windowTooLarge)
        // A zstd frame header with a window of 2^31 bytes (window descriptor 21 << 3), one empty last block.
        let frame: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 1, 0, 0]
        #expect(failure(frame, .zstd)?.cause == .windowTooLarge)
        #expect(failure([0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 1, 0, 0], .zstd) == nil)
    }

    @Test func `only whole magics are recognised`() {
        for start: [UInt8] in [
            [], [0x1f], [0x1f, 0x8b], [0x1f, 0x8b, 7],
            [0xfd, 0x37, 0x7a, 0x58, 0x5a], [0xfd, 0x37, 0x7a, 0x58, 0x5a, 1],
            [0x28, 0xb5, 0x2f], [0x60, 0x2a, 0x4d, 0x18],
        ] {
            #expect(start.withUnsafeBytes { Wrapping(recognising: $0) } == nil)
        }
    }
}

@Suite struct PageDecoderTests {
    @Test func `pages fill their room to the last byte`() {
        let page = [UInt8](repeating: 3, count: 4096)
        var decoder = PageDecoder()
        var packed = [UInt8](repeating: 0, count: 5000)
        for plain in [page, Array(page[..<4095]), page + [0]] {
            var length = uLongf(packed.count)
            compress(&packed, &length, plain, uLong(plain.count))
            var out = [UInt8](repeating: 0, count: 4096)
            let inflated = Array(packed[..<Int(length)]).withUnsafeBytes { from in
                out.withUnsafeMutableBytes { decoder.inflate(from, into: $0) }
            }
            #expect(inflated == (plain == page))
            let frame = zstd(plain)
            let unpacked = frame.withUnsafeBytes { from in
                out.withUnsafeMutableBytes { decoder.unzstd(from, into: $0) }
            }
            #expect(unpacked == (plain == page))
            #expect(!inflated || out == page)
        }
    }
}
