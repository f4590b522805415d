import CLinux
import Text

/// The kernel's log, into which every write to /dev/kmsg is one line (Documentation/ABI/testing/dev-kmsg). Where it
/// cannot be written, standard error.
public final class KernelLog {
    /// As syslog(2) numbers them.
    public enum Level: UInt8 {
        case error = 3
        case warning = 4
        case information = 6
    }

    /// Negative where it cannot be written.
    private let number: Int32

    public init() {
        number =
            SystemCalls.openat(
                SystemCalls.workingDirectory, Array("/dev/kmsg".utf8), O_WRONLY | O_NONBLOCK | O_NOCTTY, 0
            ).number
    }

    deinit { if number >= 0 { SystemCalls.close(number) } }

    /// One line, cut where the kernel would cut it.
    public func write(_ level: Level, _ phrase: Phrase) {
        var line = Array("<0>pram-verify: ".utf8)
        line[1] += level.rawValue
        line += phrase.text.utf8.prefix(900)
        line.append(UInt8(ascii: "\n"))
        let skipped = number < 0 ? 3 : 0
        line.withUnsafeBytes {
            _ = SystemCalls.write(number < 0 ? 2 : number, $0.baseAddress! + skipped, $0.count - skipped)
        }
    }
}

/// What the kernel has said since it started, as far as its log still has it.
public enum KernelMessages {
    /// More records than any log has.
    private static let most = 1 << 17

    /// Each read(2) of /dev/kmsg is one record: `6,339,5140900,-;text`, and lines of further facts behind it
    /// (Documentation/ABI/testing/dev-kmsg). Where it may not be read there is none.
    /// - Returns: whether it still had the first message of all.
    @discardableResult
    public static func each(_ body: (ArraySlice<UInt8>) -> Void) -> Bool {
        let opened = SystemCalls.openat(
            SystemCalls.workingDirectory, Array("/dev/kmsg".utf8), O_RDONLY | O_NONBLOCK | O_NOCTTY, 0)
        guard !opened.failed else { return false }
        var isWhole: Bool?
        defer { SystemCalls.close(opened.number) }
        var record = [UInt8](repeating: 0, count: 8192)
        for _ in 0..<most {
            let answer = record.withUnsafeMutableBytes { SystemCalls.read(opened.number, $0.baseAddress!, $0.count) }
            // Records that were overwritten meanwhile.
            if answer.code == EPIPE { continue }
            guard answer.value > 0 else { return isWhole ?? false }
            let text = record[..<answer.value]
            guard let start = text.firstIndex(of: UInt8(ascii: ";")) else { continue }
            if isWhole == nil {
                let fields = text[..<start].split(separator: UInt8(ascii: ","))
                isWhole = fields.count > 1 && decimalNumber(fields[1]) == 0
            }
            body(line(Array(text[(start + 1)...])))
        }
        return isWhole ?? false
    }
}
