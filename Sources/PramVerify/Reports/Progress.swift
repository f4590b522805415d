import Linux
import PRAM
import Text

/// How far a check is, on a terminal, once it takes longer than a second.
final class Progress {
    private var next: UInt64
    private let output = Output(2, name: "standard error")
    private let isShown: Bool
    private var hasShown = false

    /// - Parameter started: in nanoseconds of the monotonic clock.
    init(_ started: UInt64) {
        next = started + 1_000_000_000
        isShown = output.isTerminal
    }

    func show(_ pages: UInt64) {
        guard isShown else { return }
        let now = monotonicNanoseconds()
        guard now >= next else { return }
        next = now + 200_000_000
        hasShown = true
        output.write("\r\(byteCount(pages &* UInt64(pageSize))) checked\u{1b}[K")
        output.flush()
    }

    func clear() {
        guard hasShown else { return }
        output.write("\r\u{1b}[K")
        output.flush()
    }
}
