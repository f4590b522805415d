import Testing

@testable import KernelCommandLine

@Suite("memmap=")
struct MemmapParametersTests {
    typealias Kind = MemoryMapRegion.Kind

    static let kinds: [(String, Kind, UInt64, UInt64?, UInt64?)] = [
        ("32M$0x10000000", .reserved, 32 << 20, 0x1000_0000, 0x11ff_ffff),
        ("32M!0x10000000", .persistent, 32 << 20, 0x1000_0000, 0x11ff_ffff),
        ("64K@1M", .ram, 64 << 10, 1 << 20, 0x10_ffff),
        ("64K#1M", .acpi, 64 << 10, 1 << 20, 0x10_ffff),
        ("64K%1M-1+2", .retyped(from: 1, to: 2), 64 << 10, 1 << 20, 0x10_ffff),
        ("64K%1M+7", .retyped(from: 0, to: 7), 64 << 10, 1 << 20, 0x10_ffff),
        ("64K%1M-0x1", .retyped(from: 1, to: 0), 64 << 10, 1 << 20, 0x10_ffff),
        ("64K%1M", .retyped(from: 0, to: 0), 64 << 10, 1 << 20, 0x10_ffff),
        ("64K%1M-4294967298", .retyped(from: 2, to: 0), 64 << 10, 1 << 20, 0x10_ffff),
        ("exactmap", .exactMap, 0, nil, nil),
        ("512M", .limit, 512 << 20, nil, nil),
        ("0$1M", .reserved, 0, 1 << 20, nil),
        ("2$0xffffffffffffffff", .reserved, 2, .max, nil),
        ("1$0xffffffffffffffff", .reserved, 1, .max, .max),
        // What is left when a $ was taken for the start of a variable.
        ("32Mx10000000", .suspectLostDollar, 32 << 20, nil, nil),
        ("32M0x10000000", .suspectLostDollar, 32 << 20, nil, nil),
        ("32M0000000", .suspectLostDollar, 32 << 20, nil, nil),
        ("32MG", .suspectLostDollar, 32 << 20, nil, nil),
        ("32M/usr/sbin/grub-mkconfigx10000000", .suspectLostDollar, 32 << 20, nil, nil),
        ("32M\\$0x10000000", .suspectLostDollar, 32 << 20, nil, nil),
    ]

    @Test("Kinds", arguments: kinds)
    func kind(_ element: String, _ kind: Kind, _ size: UInt64, _ start: UInt64?, _ last: UInt64?) throws {
        let map = MemmapParameters.find(in: line("memmap=" + element))
        #expect(map.malformed.isEmpty)
        let region = try #require(map.regions.first)
        #expect(map.regions.count == 1)
        #expect(region.kind == kind)
        #expect(region.size == size)
        #expect(region.start == start)
        #expect(region.last == last)
        #expect(!region.wrapped && !region.startIsMissing)
    }

    @Test("Lists and several parameters, in order, each at its place")
    func lists() {
        let line = line("memmap=32M$1G,16M!2G quiet \"memmap=1M@0\" -- memmap=1M$3G")
        let map = MemmapParameters.find(in: line)
        #expect(map.regions.map(\.kind) == [.reserved, .persistent, .ram])
        #expect(map.regions.map { text(line.bytes[$0.range]) } == ["32M$1G", "16M!2G", "1M@0"])
    }

    @Test("exactmap makes what stands before it void")
    func exactMap() {
        let map = MemmapParameters.find(in: line("memmap=32M$1G memmap=exactmapping,640K@0 memmap=1G@1M"))
        #expect(map.regions.map(\.kind) == [.reserved, .exactMap, .ram, .ram])
        #expect(map.inEffect.map(\.start) == [0, 1 << 20])
        #expect(text(map.regions[1].trailing) == "ping")
    }

    static let faults: [(String, [MemmapParameters.Fault])] = [
        ("memmap", [.noValue]),
        ("memmap=", [.noSize]),
        ("memmap=,", [.noSize, .noSize]),
        ("memmap=$1G", [.noSize]),
        ("memmap=x", [.noSize]),
        ("memmap=1M%1M-1+2x", [.garbageAfterTypes]),
        ("memmap=1M%1M+2-1", [.garbageAfterTypes]),
    ]

    @Test("Malformed", arguments: faults)
    func malformed(_ given: String, _ faults: [MemmapParameters.Fault]) {
        let map = MemmapParameters.find(in: line(given))
        #expect(map.regions.isEmpty)
        #expect(map.malformed.map(\.fault) == faults)
    }

    @Test("In effect though the kernel calls it an error, and what it takes instead")
    func oddities() throws {
        let map = MemmapParameters.find(in: line("memmap=32M$1Gx,32M$,16E$1G"))
        #expect(map.regions.map { text($0.trailing) } == ["x", "", ""])
        #expect(map.regions.map(\.startIsMissing) == [false, true, false])
        #expect(map.regions.map(\.start) == [1 << 30, 0, 1 << 30])
        #expect(map.regions.map(\.wrapped) == [false, false, true])
    }

    @Test("Random lines never trap")
    func random() {
        var generator = SeededGenerator(state: 2)
        for _ in 0..<3_000 {
            let bytes = generator.line()
            let line = ParameterLine(bytes)
            let map = MemmapParameters.find(in: line)
            for region in map.regions { #expect(region.parameter.range.contains(region.range.lowerBound)) }
            _ = map.inEffect.map(\.last)
            _ = BannedRegions.find(in: line)
            _ = PramParameter.find(in: line)
            _ = CrashKernelReservation.all(in: line)
            // Values too, wherever they start.
            for start in 0..<bytes.count {
                _ = KernelNumber.memparse(bytes[start...])
                _ = try? KernelNumber.kstrtoul(bytes[start...], .hexadecimal)
            }
        }
    }
}

@Suite("crashkernel=")
struct CrashKernelReservationTests {
    static let table: [(String, CrashKernelReservation.Form, UInt64?, UInt64?)] = [
        ("crashkernel=64M", .simple, 64 << 20, nil),
        ("crashkernel=64M@16M", .simple, 64 << 20, 16 << 20),
        ("crashkernel=64M@0", .simple, 64 << 20, nil),
        ("crashkernel=64M@1", .simple, 64 << 20, 1),
        ("crashkernel=64M@", .simple, 64 << 20, nil),
        ("crashkernel=64M@16M@32M", .simple, 64 << 20, 32 << 20),
        ("\"crashkernel=64M 16M\"", .simple, 64 << 20, nil),
        ("crashkernel=@16M", .malformed, nil, nil),
        ("crashkernel=256M,high@16M", .suffixed, 256 << 20, nil),
        ("crashkernel=256M,high", .suffixed, 256 << 20, nil),
        ("crashkernel=0,low", .suffixed, 0, nil),
        ("crashkernel=1G-2G:64M,2G-:128M@16M", .ranges, nil, 16 << 20),
        ("crashkernel=1G-:64M", .ranges, nil, nil),
        ("crashkernel=auto", .malformed, nil, nil),
        ("crashkernel=64Mx", .malformed, nil, nil),
        ("crashkernel=", .malformed, nil, nil),
        ("crashkernel", .malformed, nil, nil),
    ]

    @Test("Forms", arguments: table)
    func form(_ given: String, _ form: CrashKernelReservation.Form, _ size: UInt64?, _ offset: UInt64?) throws {
        let all = CrashKernelReservation.all(in: line(given))
        let reservation = try #require(all.first)
        #expect(all.count == 1)
        #expect(reservation.form == form)
        #expect(reservation.size?.value == size)
        #expect(reservation.offset?.value == offset)
    }
}
