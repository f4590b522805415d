import Testing

@testable import KernelCommandLine

@Suite("Numbers as the kernel takes them")
struct KernelNumberTests {
    static func hexadecimal(_ given: String) -> Result<UInt64, KernelNumber.Fault> {
        read(given, .hexadecimal)
    }

    static func read(_ given: String, _ radix: KernelNumber.Radix) -> Result<UInt64, KernelNumber.Fault> {
        do throws(KernelNumber.Fault) {
            return .success(try KernelNumber.kstrtoul(latin1(given)[...], radix))
        } catch {
            return .failure(error)
        }
    }

    static let table: [(String, Result<UInt64, KernelNumber.Fault>)] = [
        ("1f", .success(0x1f)),
        ("1F", .success(0x1f)),
        ("0x1f", .success(0x1f)),
        ("0X1f", .success(0x1f)),
        ("+1f", .success(0x1f)),
        ("+0x1f", .success(0x1f)),
        ("1f\n", .success(0x1f)),
        ("0", .success(0)),
        ("0000000000000000000000001f", .success(0x1f)),
        ("ffffffffffffffff", .success(.max)),
        ("0xffffffffffffffff\n", .success(.max)),
        ("1f\0zz", .success(0x1f)),
        ("\0", .failure(.notANumber)),
        ("", .failure(.notANumber)),
        ("+", .failure(.notANumber)),
        ("++1", .failure(.notANumber)),
        ("-1", .failure(.notANumber)),
        ("+-1", .failure(.notANumber)),
        ("0x", .failure(.notANumber)),
        ("0x\n", .failure(.notANumber)),
        ("0x+1", .failure(.notANumber)),
        ("0x0x1", .failure(.notANumber)),
        ("\n", .failure(.notANumber)),
        ("1f\n\n", .failure(.notANumber)),
        ("1f ", .failure(.notANumber)),
        (" 1f", .failure(.notANumber)),
        ("1_f", .failure(.notANumber)),
        ("1g", .failure(.notANumber)),
        ("x1", .failure(.notANumber)),
        ("1f\"", .failure(.notANumber)),
        ("\u{c1}", .failure(.notANumber)),
        ("10000000000000000", .failure(.overflow)),
        ("fffffffffffffffff", .failure(.overflow)),
        ("10000000000000000000000000000000", .failure(.overflow)),
        // Overflow is looked at first.
        ("10000000000000000z", .failure(.overflow)),
    ]

    @Test("kstrtoul, radix 16", arguments: table)
    func kstrtoul(_ given: String, _ expected: Result<UInt64, KernelNumber.Fault>) {
        #expect(Self.hexadecimal(given) == expected)
    }

    @Test("kstrtoul, other radixes")
    func radixes() {
        #expect(Self.read("0x10", .detected) == .success(16))
        #expect(Self.read("010", .detected) == .success(8))
        #expect(Self.read("10", .detected) == .success(10))
        #expect(Self.read("+010", .detected) == .success(8))
        #expect(Self.read("08", .detected) == .failure(.notANumber))
        #expect(Self.read("0x", .detected) == .failure(.notANumber))
        #expect(Self.read("010", .decimal) == .success(10))
        #expect(Self.read("10", .octal) == .success(8))
        #expect(Self.read("18446744073709551615", .decimal) == .success(.max))
        #expect(Self.read("18446744073709551616", .decimal) == .failure(.overflow))
        #expect(Self.read("1777777777777777777777", .octal) == .success(.max))
        #expect(Self.read("2000000000000000000000", .octal) == .failure(.overflow))
    }

    static let sizes: [(String, UInt64, Bool, String)] = [
        ("0", 0, false, ""),
        ("4096", 4096, false, ""),
        ("0x1000", 4096, false, ""),
        ("010", 8, false, ""),
        ("1k", 1 << 10, false, ""),
        ("1K", 1 << 10, false, ""),
        ("32M", 32 << 20, false, ""),
        ("0x20m", 32 << 20, false, ""),
        ("2G", 2 << 30, false, ""),
        ("1T", 1 << 40, false, ""),
        ("1p", 1 << 50, false, ""),
        ("1E", 1 << 60, false, ""),
        // In hexadecimal an E is a digit.
        ("0x1E", 0x1e, false, ""),
        ("0x1EE", 0x1ee, false, ""),
        ("1KB", 1 << 10, false, "B"),
        ("1MM", 1 << 20, false, "M"),
        ("32M$0x1", 32 << 20, false, "$0x1"),
        ("08", 0, false, "8"),
        ("0x", 0, false, "x"),
        ("0xg", 0, false, "xg"),
        ("", 0, false, ""),
        ("+1", 0, false, "+1"),
        ("-1", 0, false, "-1"),
        (" 1", 0, false, " 1"),
        ("x", 0, false, "x"),
        // A suffix alone is eaten all the same.
        ("K", 0, false, ""),
        ("15E", 15 << 60, false, ""),
        ("16E", 0, true, ""),
        ("17E", 1 << 60, true, ""),
        ("0xffffffffffffffff", .max, false, ""),
        ("0xffffffffffffffffK", .max << 10, true, ""),
        ("18446744073709551617", 1, true, ""),
        ("0x123456789abcdef01", 0x2345_6789_abcd_ef01, true, ""),
    ]

    @Test("memparse", arguments: sizes)
    func memparse(_ given: String, _ value: UInt64, _ wrapped: Bool, _ rest: String) {
        let number = KernelNumber.memparse(latin1(given)[...])
        #expect(number.value == value)
        #expect(number.wrapped == wrapped)
        #expect(text(number.rest) == rest)
    }
}
