import KernelCommandLine
import Linux

extension ParameterLine {
    /// Longest command line that is read from a file, in bytes. The kernel's own limit is 2047 on x86 and at most
    /// 64 KiB anywhere.
    private static let lengthLimit = 1 << 20

    /// The line that a file holds, as /proc/cmdline does.
    public init(file path: [UInt8]) throws(SystemError) {
        self.init(try FileDescriptor.contents(of: path, limit: ParameterLine.lengthLimit))
    }
}

extension MachinePaths {
    /// The running kernel's command line.
    public func parameterLine() throws(SystemError) -> ParameterLine { try ParameterLine(file: commandLine) }
}
