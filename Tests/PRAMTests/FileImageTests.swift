import Testing

@testable import PRAM

@Suite struct FileImageTests {
    private func image(size: UInt64 = 0, mode: UInt32 = 0o100644, name: [UInt8] = [0x61]) -> FileImage {
        FileImage(size: size, mode: mode, name: name)
    }

    @Test(
        arguments: [
            (0, 0), (1, 1), (4095, 1), (4096, 1), (4097, 2), (1 << 42, 1 << 30), (1 << 63 - 1, 1 << 51), (1 << 63, nil),
            (UInt64.max - 4094, nil), (.max, nil),
        ] as [(UInt64, UInt64?)])
    func pagesOfASize(_ size: UInt64, _ pages: UInt64?) { #expect(image(size: size).pageCount == pages) }

    @Test(
        arguments: [
            (0o100644, true), (0o100000, true), (0o107777, true), (0o104755, true), (0, false), (0o644, false),
            (0o040755, false),
            (0o120777, false), (0o060644, false), (0o020644, false), (0o010644, false), (0o140644, false),
            (0o170644, false),
            (0x1_81a4, false), (0x8000_81a4, false),
        ] as [(UInt32, Bool)])
    func regularFilesOnly(_ mode: UInt32, _ sound: Bool) { #expect(image(mode: mode).hasSoundMode == sound) }

    @Test(arguments: [
        ("a", true), ("...", true), (".a", true), ("a..", true), ("..a", true), (" ", true), ("-rf", true),
        ("\n", true),
        ("", false), (".", false), ("..", false), ("/", false), ("a/b", false), ("/a", false), ("a/", false),
        ("../a", false),
        ("a\u{2400}b", true),
    ])
    func safeNames(_ name: String, _ safe: Bool) {
        #expect(image(name: Array(name.utf8)).hasSafeName == safe)
        #expect(FileImage.isSafe(Array(name.utf8)) == safe)
    }

    /// Not among the arguments above: a NUL in the name of a case makes the log of the tests a binary file.
    @Test func namesWithNUL() {
        for name in [[0], [0x61, 0], [0, 0x61], [0x61, 0, 0x62]] as [[UInt8]] { #expect(!FileImage.isSafe(name)) }
    }

    @Test func namesAreBytes() {
        #expect(FileImage.isSafe([0xff, 0xfe]))
        #expect(FileImage.isSafe([UInt8](repeating: 0x2e, count: 3)))
        #expect(FileImage.isSafe([UInt8](repeating: 0xe9, count: 255)))
        #expect(!FileImage.isSafe([UInt8](repeating: 0xe9, count: 256)))
    }

    @Test(arguments: [(0, false), (1, true), (255, true), (256, false), (.max, false)] as [(UInt32, Bool)])
    func nameLengths(_ length: UInt32, _ sound: Bool) {
        var page = image().encoded()
        for i in 0..<4 { page[12 + i] = UInt8(truncatingIfNeeded: length >> (8 * UInt32(i))) }
        #expect(FileImage(decoding: page.bytes).hasSoundNameLength == sound)
    }

    @Test func whatIsWrittenReadsBack() {
        let written = image(size: 12_345_678_901, mode: 0o106751, name: (1...255).map { UInt8($0) })
        #expect(FileImage(decoding: written.encoded().bytes) == written)
        // Also from the first 272 bytes alone, which is all that the engine keeps.
        #expect(FileImage(decoding: written.encoded().bytes[..<272]) == written)
    }
}

/// The name alone does not make a file parity: a kernel with pram may have saved a user's file of that name.
@Suite struct ReservedNameTests {
    @Test(arguments: [(0o100400 as UInt32, true), (0o100644, false), (0o100600, false), (0o104400, false)])
    func parityIsToldByNameAndMode(_ mode: UInt32, _ isParity: Bool) {
        let chain = Chain()
        chain.link([chain.meta(".pram-parity", size: 0, mode: mode), chain.meta("other", size: 0, mode: 0o100400)])
        #expect(chain.judge().files.map(\.isParity) == [isParity, false])
    }

    @Test func whereTheModeIsNotKnownItMayBe() {
        let chain = Chain()
        let meta = chain.meta(".pram-parity", size: 0, mode: 0o100644)
        chain.link([meta])
        chain.memory.pages[meta.page.number]![4000] ^= 1
        #expect(chain.judge().files.map(\.metaFits) == [false])
        #expect(chain.judge().files.map(\.isParity) == [true])
        #expect(chain.judge().files.map(\.status) == [.damaged])
    }
}
