/// How many bytes a command line may have, without the NUL.
public struct LengthLimit: Equatable, Sendable {
    public let bytes: Int

    public init(bytes: Int) { self.bytes = bytes }

    /// COMMAND_LINE_SIZE on x86, arm64 and powerpc is 2048, the NUL included. A kernel cuts what is longer, silently,
    /// and kexec-tools' kexec_load path does so before it.
    public static let x86 = LengthLimit(bytes: 2047)

    /// What x86's kexec_file_load accepts: 30 bytes of COMMAND_LINE_SIZE are kept for elfcorehdr=.
    public static let x86KexecFileLoad = LengthLimit(bytes: 2016)

    /// COMMAND_LINE_SIZE on arm and riscv: 1024.
    public static let arm = LengthLimit(bytes: 1023)

    /// COMMAND_LINE_SIZE where an architecture does not say: 512.
    public static let generic = LengthLimit(bytes: 511)
}

/// A command line that a kernel would cut or kexec refuse.
public struct LineTooLong: Error, Equatable, Sendable {
    /// Bytes up to the end of the line: no NUL, no trailing newline.
    public let length: Int
    public let limit: LengthLimit
}

extension ParameterLine {
    /// nil when the line fits. It is never cut: half a `memmap=` is worse than an error.
    public func exceeds(_ limit: LengthLimit) -> LineTooLong? {
        end > limit.bytes ? LineTooLong(length: end, limit: limit) : nil
    }
}
