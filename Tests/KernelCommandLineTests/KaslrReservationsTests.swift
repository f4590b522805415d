import KernelCommandLine
import Testing

/// What the boot stubs of 5.10 to the newest keep off. Worked out by hand from their source, element by element.
@Suite struct KaslrReservationsTests {
    /// 64 MiB from 4 GiB on, which each of the lines reserves somewhere.
    private let start: UInt64 = 0x1_0000_0000
    private let last: UInt64 = 0x1_03ff_ffff
    private static let four = "memmap=4K$0x90000000 memmap=4K$0x91000000 memmap=4K$0x92000000 memmap=4K$0x93000000"
    private static let list = "memmap=4K$0x90000000,4K$0x91000000,4K$0x92000000,4K$0x93000000"
    private static let range = "64M$0x100000000"

    private func answer(_ text: String) -> KaslrView.Answer { KaslrView(line(text)).covers(start: start, last: last) }

    @Test(arguments: [
        "memmap=\(range)", "memmap=64M!0x100000000", "memmap=64M#4G", "memmap=1G$0xe0000000", "quiet memmap=\(range) x",
        "\"memmap=\(range)\"", "memmap=\"\(range)\"", "memmap=\(range) \(four)",
        "memmap=4K$1G memmap=4K$2G memmap=4K$3G memmap=\(range)",
        // Two regions side by side, and two that overlap.
        "memmap=32M$0x100000000,32M$0x102000000", "memmap=48M$0x101000000 memmap=32M$0x100000000",
        // What takes no room among the four: limits, usable memory, regions at 0, nothing.
        "memmap=16G memmap=1G@4G memmap memmap=4K$0 memmap=64K@0 \(four.dropLast(22)) memmap=\(range)",
        "memmap=\(range),exactmap,4K$1G", "memmap=\(range),", "memmap=\(range),junk", "memmap=\(range)junk",
        // Above the limit.
        "memmap=4G", "mem=4G", "mem=2G mem=8G", "mem=8G mem=2G", "mem=nopentium memmap=\(range)",
        "mem=1T memmap=\(range)", "memmap=32Mx1000", "memmap=1G%2G-1+2",
        // Where some kernels do not move the kernel at all, and the others keep off.
        "memmap=\(range) \(four)",
        "memmap=4K$1G memmap=4K$2G memmap=\(range) memmap=4K$3G memmap=4K$5G",
    ])
    func avoided(_ text: String) { #expect(answer(text) == .avoided, "\(text)") }

    @Test(arguments: [
        "nokaslr", "quiet nokaslr", "x -- nokaslr", "a\u{01}nokaslr", "no x nokaslr", "nokaslr\n", "nokaslrx nokaslr",
        "noknokaslr nokaslr", "\(four) memmap=\(range) nokaslr",
    ])
    func disabledByItsWord(_ text: String) {
        #expect(answer(text) == .disabled(.nokaslr), "\(text)")
        #expect(!KaslrView(line(text)).hidesNokaslr)
    }

    @Test(arguments: [
        "\(list),\(range)", "\(list),", "\(list),junk", "\(list),exactmap", "\(list),4K$0",
        "memmap=\(range),4K$1G,4K$2G,4K$3G,4K$5G",
        "memmap=4K$1G memmap=4K$2G,4K$3G,4K$5G,\(range)", "\(four.dropLast(22)) memmap=4K$0x93000000,\(range)",
    ])
    func disabledByTooMany(_ text: String) { #expect(answer(text) == .disabled(.tooManyRegions), "\(text)") }

    @Test(arguments: [
        "", "quiet", "memmap=64M$2G", "-- memmap=\(range)", "\"--\" memmap=\(range)", "xmemmap=\(range)",
        "mem-map=\(range)", "Memmap=\(range)", "memmap=64M@4G", "memmap=exactmap", "mem=0x100000001", "mem=16G",
        "crashkernel=64M@4G", "memmap=\u{a0}\(range)", "memmap=32M$0x100000000", "memmap=63M$0x100100000",
        // No image overlaps it, by the stub's arithmetic: the end wraps, or it is empty.
        "memmap=0$0x100000000",
    ])
    func nothingNamesIt(_ text: String) { #expect(answer(text) == .unseen(.notNamed), "\(text)") }

    /// The text of the line that the answer points at.
    private func blamed(_ text: String) -> (String, String)? {
        guard case .unseen(let reason) = answer(text) else { return nil }
        let bytes = latin1(text)
        func shown(_ place: Range<Int>) -> String { String(decoding: bytes[place], as: UTF8.self) }
        switch reason {
        case .notNamed: return ("notNamed", "")
        case .behindFour(let place): return ("behindFour", shown(place))
        case .behindUnreadable(let place): return ("behindUnreadable", shown(place))
        case .behindMem(let place): return ("behindMem", shown(place))
        case .otherKind(let place): return ("otherKind", shown(place))
        }
    }

    @Test(arguments: [
        // A fifth region in a parameter of its own; the newest kernels alone then leave the kernel where it is.
        ("\(four) memmap=\(range)", "behindFour", range), ("\(list) memmap=\(range)", "behindFour", range),
        ("\(list) memmap=4K$1G,\(range)", "behindFour", range), ("\(four) memmap=junk,\(range)", "behindFour", range),
        ("memmap=4K$1G,4K$2G memmap=4K$3G,4K$5G memmap=\(range)", "behindFour", range),
        // Regions that are empty or wrap around take room, too.
        ("memmap=0$1G memmap=0$2G memmap=0$3G memmap=16E$0x8000000000000000 memmap=\(range)", "behindFour", range),
        // A list is dropped from what the stub cannot read on.
        ("memmap=exactmap,\(range)", "behindUnreadable", "exactmap"),
        ("memmap=exactmapping,64M@1G,\(range)", "behindUnreadable", "exactmapping"),
        ("memmap=,\(range)", "behindUnreadable", ""), ("memmap=4K$1G,,\(range)", "behindUnreadable", ""),
        ("memmap=junk,\(range)", "behindUnreadable", "junk"), ("memmap=$1G,\(range)", "behindUnreadable", "$1G"),
        ("memmap=\(range.dropLast(3)),-,\(range)", "behindUnreadable", "-"),
        // Behind a mem= that is 0 or nothing the stub reads no further.
        ("mem=0 memmap=\(range)", "behindMem", "mem=0"), ("mem=junk memmap=\(range)", "behindMem", "mem=junk"),
        ("mem= memmap=\(range)", "behindMem", "mem="), ("mem memmap=\(range)", "behindMem", "mem"),
        ("mem=0 \(list),\(range)", "behindMem", "mem=0"), ("mem=0 memmap=exactmap,\(range)", "behindMem", "mem=0"),
        // What the kernel reserves and the stub takes for a limit.
        ("memmap=64M%0x100000000-1+2", "otherKind", "notAvoided"),
        ("efi_fake_mem=4K@1G:0x40000,4K@2G:0x40000 memmap=4K$3G,4K$5G memmap=\(range)", "behindFour", range),
        // Too many for the oldest and the newest; those between ignore what is behind the fourth.
        ("efi_fake_mem=4K@1G:0x40000 memmap=4K$2G,4K$3G,4K$5G,4K$6G memmap=\(range)", "behindFour", range),
    ])
    func unseen(_ text: String, _ kind: String, _ place: String) {
        // Taken for a limit of 64 MiB, under which the whole kernel would have to lie: then it is kept off, too.
        if place == "notAvoided" { return #expect(answer(text) == .avoided) }
        guard let (reason, shown) = blamed(text) else {
            Issue.record("\(text): \(answer(text))")
            return
        }
        #expect(reason == kind && shown == place, "\(text)")
    }

    @Test func aLaterPieceThatIsMissed() {
        let text = "memmap=4K$1G,4K$2G,4K$3G memmap=32M$0x100000000 memmap=32M$0x102000000"
        let view = KaslrView(line(text))
        #expect(view.covers(start: start, last: start + (32 << 20) - 1) == .avoided)
        #expect(blamed(text)! == ("behindFour", "32M$0x102000000"))
    }

    /// An element at 0 is a limit of its size to the stub.
    @Test func aRegionFromZeroOn() {
        let view = KaslrView(line("memmap=8G$0"))
        #expect(view.covers(start: 0x1000, last: 0x1fff) == .unseen(.otherKind(7..<11)))
        #expect(view.covers(start: 8 << 30, last: .max) == .avoided)
    }

    /// efi_fake_mem= takes room on some kernels and none on others; only soft reserved memory does.
    @Test func fakeMemory() {
        let three = "memmap=4K$1G,4K$2G,4K$3G"
        #expect(answer("\(three) efi_fake_mem=4K@5G:0x40000 memmap=\(Self.range)") != .avoided)
        #expect(answer("\(three) efi_fake_mem=4K@5G:0x10000 memmap=\(Self.range)") == .avoided)
        #expect(answer("\(three) efi_fake_mem=4K@5G memmap=\(Self.range)") == .avoided)
        #expect(answer("efi_fake_mem=64M@4G:0x40000") == .unseen(.notNamed))
        // Five in one list switch it off on old kernels alone; the others see a region that is named.
        #expect(answer("efi_fake_mem=4K@1G:0x40000 memmap=4K$2G,4K$3G,4K$5G,\(Self.range)") == .avoided)
    }

    @Test(arguments: ["no nokaslr", "x noka nokaslr", "n\tnokaslr", "nokasl nokaslr nokasl nokaslr"])
    func aWordThatIsMissed(_ text: String) {
        let view = KaslrView(line(text))
        #expect(view.hidesNokaslr)
        #expect(view.covers(start: start, last: last) == .unseen(.notNamed))
    }

    @Test(arguments: [
        "", "\"nokaslr\"", "nokaslr=1", "xnokaslr", "nokaslrx", "NOKASLR", "nokaslr\u{a0}", "no-kaslr", "nokaslr!",
        "!nokaslr", "nokaslr\u{7f}",
    ])
    func noSuchWord(_ text: String) {
        let view = KaslrView(line(text))
        #expect(!view.hidesNokaslr)
        #expect(view.covers(start: start, last: last) == .unseen(.notNamed))
    }

    /// The stub reads 64 KiB less 16 bytes of the line, and a word has to end in them: at a blank, or with the line.
    @Test(arguments: [(-2, true), (-1, true), (0, false), (1, false)])
    func aWordAtTheEndOfWhatIsSearched(_ behind: Int, _ isFound: Bool) {
        let text = String(repeating: "x", count: 65520 + behind - 8) + " nokaslr"
        #expect(
            KaslrView(line(text)).covers(start: start, last: last)
                == (isFound ? .disabled(.nokaslr) : .unseen(.notNamed)))
        #expect(KaslrView(line(text)).hidesNokaslr == !isFound)
        // With a blank behind it the word itself has one byte less.
        #expect(KaslrView(line(text + " y")).hidesNokaslr == (behind >= 0))
    }

    /// One byte is a limit, too, and the stub reads on.
    @Test func theSmallestLimit() {
        let view = KaslrView(line("mem=1 memmap=4K$0"))
        #expect(view.covers(start: 0, last: 0) == .unseen(.otherKind(13..<17)))
        #expect(view.covers(start: 1, last: .max) == .avoided)
    }

    @Test func endsOfTheAddressSpace() {
        let view = KaslrView(line("memmap=0xffffffffffffffff$1"))
        // Its end would be 2^64: to the stub it overlaps nothing.
        #expect(view.covers(start: 0x1000, last: .max) == .unseen(.notNamed))
        let top = KaslrView(line("memmap=0xfff$0xfffffffffffff000"))
        #expect(top.covers(start: 0xffff_ffff_ffff_f000, last: .max - 1) == .avoided)
        #expect(top.covers(start: 0xffff_ffff_ffff_f000, last: .max) == .unseen(.notNamed))
    }

    @Test func anyLineIsTaken() {
        var random = SeededGenerator(state: 17)
        for _ in 0..<4000 {
            let view = KaslrView(ParameterLine(random.line()))
            _ = view.covers(start: 0, last: .max)
            _ = view.covers(start: .max, last: .max)
        }
    }
}
