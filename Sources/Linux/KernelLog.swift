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
