import Testing

@testable import KernelCommandLine

@Suite("pram=")
struct PramParameterTests {
    typealias Fault = PramParameter.Fault

    static let table: [(String, UInt64?, [Fault])] = [
        ("", nil, []),
        ("quiet ro", nil, []),
        ("pram=1f", 0x1f, []),
        ("pram=0x1F\n", 0x1f, []),
        ("pram=0", 0, []),
        ("\"pram=1f\"", 0x1f, []),
        ("pram=\"1f\"", 0x1f, []),
        ("pram=\"1f\n\"", 0x1f, []),
        ("pram=+1f", 0x1f, []),
        ("PRAM=1f", nil, []),
        ("pr-am=1f xpram=1 foo.pram=2 pram_banned=0-1", nil, []),
        ("a=\"pram=1f\"", nil, []),
        ("a=\"x pram=1f y\"", nil, []),
        ("=pram=1f", nil, []),
        // The last that parses wins.
        ("pram=1 pram=2", 2, []),
        ("pram=1f pram=zz", 0x1f, [.notHexadecimal]),
        ("pram=zz pram=1f", 0x1f, [.notHexadecimal]),
        ("pram=1f pram=0", 0, []),
        ("pram=1f pram=", 0x1f, [.empty]),
        ("pram=1f pram", 0x1f, [.noValue]),
        ("pram", nil, [.noValue]),
        ("\"pram\"", nil, [.noValue]),
        ("pram=", nil, [.empty]),
        ("pram=\"\"", nil, [.empty]),
        ("pram==1", nil, [.notHexadecimal]),
        ("pram=1f\"", nil, [.notHexadecimal]),
        ("pram=1f\" x", nil, [.notHexadecimal]),
        ("pram=\"1f x", nil, [.notHexadecimal]),
        ("pram=\"1f", 0x1f, []),
        ("pram=1f,2f", nil, [.notHexadecimal]),
        ("pram=-1", nil, [.notHexadecimal]),
        ("pram=1f\u{a0}x", 0x1f, []),
        ("pram=10000000000000000", nil, [.overflow]),
        ("pram=ffffffffffffffff", .max, []),
        ("pram=1f -- pram=2", 0x1f, []),
        ("-- pram=2", nil, []),
        ("pram=1f\0 pram=2", 0x1f, []),
        // Bytes that look like a p elsewhere are not a p.
        ("\u{f0}ram=1", nil, []),
    ]

    @Test("What the kernel goes by", arguments: table)
    func inEffect(_ given: String, _ pfn: UInt64?, _ faults: [Fault]) {
        let pram = PramParameter.find(in: line(given))
        #expect(pram.pfn == pfn)
        #expect(pram.malformed.map(\.reading) == faults.map { .malformed($0) })
        #expect(pram.hasBareName == faults.contains(.noValue))
    }

    @Test("Occurrences know their place, those after -- stand apart")
    func occurrences() {
        let pram = PramParameter.find(in: line("pram=1 pram=zz pram=2 pram= -- pram=3 pram"))
        #expect(pram.occurrences.map(\.parameter.range.lowerBound) == [0, 7, 15, 22])
        #expect(pram.inEffect?.parameter.range == 15..<21)
        #expect(pram.afterDoubleDash.map(\.reading) == [.pfn(3), .malformed(.noValue)])
        #expect(!pram.hasBareName)
    }
}

@Suite("pram_banned=")
struct BannedRegionsTests {
    func found(_ given: String) -> BannedRegions { BannedRegions.find(in: line(given)) }

    @Test("Only the first region of a list counts, but every parameter does")
    func lists() {
        let banned = found("pram_banned=0-128M,1G-2G pram-banned=0x40000000-0x50000000 x -- pram_banned=0-1")
        #expect(banned.regions.map(\.start) == [0, 1 << 30])
        #expect(banned.regions.map(\.end) == [128 << 20, 0x5000_0000])
        #expect(banned.regions.map { text($0.ignored) } == [",1G-2G", ""])
        #expect(banned.malformed.isEmpty)
    }

    static let faults: [(String, BannedRegions.Fault)] = [
        ("pram_banned", .noValue),
        ("pram_banned=", .noStart),
        ("pram_banned=x", .noStart),
        ("pram_banned=-1", .noStart),
        ("pram_banned=1M", .noDash),
        ("pram_banned=1M,2M", .noDash),
        ("pram_banned=1MB-2MB", .noDash),
        ("pram_banned=1M-", .noEnd),
        ("pram_banned=1M-x", .noEnd),
        ("pram_banned=1M-,2M", .noEnd),
        ("pram_banned=2M-1M", .endNotAboveStart),
        ("pram_banned=1M-1M", .endNotAboveStart),
        ("pram_banned=1M-16E", .endNotAboveStart),
        ("pram_banned=0-K", .endNotAboveStart),
    ]

    @Test("Malformed", arguments: faults)
    func malformed(_ given: String, _ fault: BannedRegions.Fault) {
        let banned = found(given)
        #expect(banned.regions.isEmpty)
        #expect(banned.malformed.map(\.fault) == [fault])
    }

    @Test("Garbage behind the region is ignored, a wrapped number is told")
    func oddities() {
        #expect(found("pram_banned=1M-2Mxyz").regions.map { text($0.ignored) } == ["xyz"])
        #expect(found("pram_banned=16E-1M").regions.map(\.wrapped) == [true])
        #expect(found("pram_banned=16E-1M").regions.map(\.start) == [0])
        #expect(found("pram_banned=0-0xffffffffffffffff").regions.map(\.wrapped) == [false])
    }
}
