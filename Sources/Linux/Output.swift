import CLinux
import Text

/// A stream of text to a descriptor: buffered, every write checked. The first error sticks, what follows it is dropped,
/// and `finish` reports it: a report is either whole or its run ends as a failure.
public final class Output {
    private let number: Int32
    private let path: [UInt8]
    private var buffer: [UInt8] = []
    private var failure: SystemError?

    /// Does not close the descriptor.
    public init(_ number: Int32, name: StaticString) {
        self.number = number
        path = name.withUTF8Buffer { Array($0) }
    }

    public func write(_ text: Phrase) {
        buffer.append(contentsOf: text.text.utf8)
        if buffer.count >= 1 << 16 { flush() }
    }

    public func write(_ bytes: [UInt8]) {
        buffer += bytes
        if buffer.count >= 1 << 16 { flush() }
    }

    public func flush() {
        defer { buffer.removeAll(keepingCapacity: true) }
        guard failure == nil else { return }
        buffer.withUnsafeBytes { bytes in
            var done = 0
            while done < bytes.count {
                let answer = SystemCalls.write(number, bytes.baseAddress! + done, bytes.count - done)
                guard answer.value > 0 else {
                    failure = SystemError("write", code: answer.failed ? answer.code : ENOSPC, path: path)
                    return
                }
                done += answer.value
            }
        }
    }

    /// Writes what is left.
    /// - Throws: the first error of this stream.
    public func finish() throws(SystemError) {
        flush()
        if let failure { throw failure }
    }

    /// Whether it goes to a terminal.
    public var isTerminal: Bool { SystemCalls.isatty(number) }

    /// How many columns the terminal has; nil where it is none, or does not know.
    public var columns: Int? {
        let answer = SystemCalls.terminalColumns(number)
        return answer.value > 0 ? answer.value : nil
    }
}
