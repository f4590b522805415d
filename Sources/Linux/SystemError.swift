import CLinux
import Text

/// A system call that failed: which, with which errno, on what.
public struct SystemError: Error, Sendable {
    /// The call's name as in section 2 of the manual.
    public let call: StaticString
    /// errno.
    public let code: Int32
    /// The file it was about, as given; empty when there is none.
    public let path: [UInt8]

    public init(_ call: StaticString, code: Int32, path: [UInt8] = []) {
        self.call = call
        self.code = code
        self.path = path
    }

    /// The C library's words for the code: "No such file or directory".
    public var reason: String { String(cString: strerror(code)) }

    /// One line: "/some/path: open: No such file or directory".
    public var message: String { (path.isEmpty ? "" : escaped(path) + ": ") + "\(call): \(reason)" }
}
