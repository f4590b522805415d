import Linux
import Testing

@testable import InitrdImages

/// A file that begins as a bzImage does, with a payload behind two sectors of setup code.
private func kernel(_ payload: [UInt8], trailer: Int = 4) -> [UInt8] {
    var image = [UInt8](repeating: 0x90, count: 512 * 3 + 64)
    func put(_ value: UInt32, at offset: Int, _ count: Int = 4) {
        for index in 0..<count { image[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(index))) }
    }
    image[0x1f1] = 2
    image.replaceSubrange(0x202..<0x206, with: "HdrS".utf8)
    put(0x20f, at: 0x206, 2)
    put(64, at: 0x248)
    put(UInt32(payload.count + trailer), at: 0x24c)
    return image + payload + [UInt8](repeating: 0x7f, count: trailer) + Array("behind".utf8)
}

private func cause(_ path: [UInt8]) -> String {
    do throws(KernelImage.Fault) {
        return "\(try KernelImage.handOverForms(path).map { String(decoding: $0, as: UTF8.self) })"
    } catch {
        return error.message.text
    }
}

struct KernelImageTests {
    private let words = "kho-v4\\0luo-v5\\0luo-session-v2\\0memfd-v2\\0kho-v4\\0kho-v\\0kho-v12345\\0xkho-v7\\0luo-v3x"

    @Test(arguments: ["gzip -9", "xz --check=crc32", "zstd -19 -q", "lz4 -l -q"])
    func formsAreFoundInWhatIsPacked(_ packer: String) throws {
        let shop = Workshop()
        shop.sh("head -c 700000 /dev/urandom >plain; printf '\\0\(words)' >>plain; head -c 100 /dev/zero >>plain")
        shop.sh("\(packer) <plain >packed")
        shop.write(kernel(shop.bytes("packed")), to: "vmlinuz")
        #expect(cause(shop.place("vmlinuz")) == #"["kho-v4", "luo-session-v2", "luo-v5", "memfd-v2"]"#)
    }

    @Test func whatCannotBeLookedIntoSaysWhy() throws {
        let shop = Workshop()
        shop.write(kernel(Array("BZh91AY".utf8) + [UInt8](repeating: 0, count: 50)), to: "bzip2")
        #expect(cause(shop.place("bzip2")).contains("bzip2"))
        shop.write(kernel([0x89, 0x4c, 0x5a, 0x4f, 0, 0x0d, 0x0a, 0x1a, 0x0a]), to: "lzo")
        #expect(cause(shop.place("lzo")).contains("lzo"))
        shop.write([UInt8](repeating: 0, count: 4096), to: "zeros")
        #expect(cause(shop.place("zeros")).contains("no x86 kernel image"))
        shop.write([], to: "empty")
        #expect(cause(shop.place("empty")).contains("no x86 kernel image"))
        #expect(cause(shop.place("missing")).contains("No such file"))
        shop.sh("mkdir folder")
        #expect(cause(shop.place("folder")).contains("open"))
        var long = kernel([0x1f, 0x8b, 8])
        for index in 0..<4 { long[0x24c + index] = 0xff }
        shop.write(long, to: "long")
        #expect(cause(shop.place("long")).contains("no x86 kernel image"))
        shop.sh("head -c 90000 /dev/urandom | gzip >packed")
        shop.write(kernel(Array(shop.bytes("packed").prefix(20000))), to: "cut")
        #expect(cause(shop.place("cut")).contains("does not unpack"))
    }

    @Test func aWordAcrossTwoPiecesIsFound() {
        let text = Array("\u{0}luo-session-v21\u{0}".utf8)
        for cut in 0...text.count {
            var search = FormSearch()
            Array(text[..<cut]).withUnsafeBytes { search.take($0) }
            Array(text[cut...]).withUnsafeBytes { search.take($0) }
            #expect(search.found == [Array("luo-session-v21".utf8)], "\(cut)")
        }
    }
}
