/// A kernel command line and where its parameters stand, read as the kernel reads it (lib/cmdline.c next_arg(),
/// kernel/params.c parse_args()), not as a shell would.
///
/// It comes from /proc/cmdline, a configuration file or a memory image, so any bytes are accepted; parsing cannot
/// fail and takes linear time. How long a line may become is for the reader of the file to bound.
///
/// Not everything in the kernel reads the line by these rules: the x86 boot stub looks for `nokaslr` with a parser of
/// its own, and crashkernel= is searched for as plain text (see `CrashKernelReservation`).
public struct ParameterLine: Equatable, Sendable {
    /// The line as it was given, with whatever follows its end.
    public let bytes: [UInt8]

    /// Where the line ends: at the first NUL, else before one trailing newline (which /proc/cmdline adds), else at
    /// the last byte. What follows is kept by every edit and never read.
    public let end: Int

    /// The bare `--` that ends the kernel's parameters, nil without one. What follows it is for init.
    public let doubleDash: Range<Int>?

    /// The last parameter when a quote in it is never closed. It reaches to the end of the line. When it is nothing but
    /// that quote, some kernels read out of bounds at boot (next_arg() steps back from its empty name).
    public let unclosed: Parameter?

    public init(_ bytes: [UInt8]) {
        var end = bytes.count
        if let nul = bytes.firstIndex(of: 0) {
            end = nul
        } else if bytes.last == UInt8(ascii: "\n") {
            end -= 1
        }
        var doubleDash: Range<Int>?
        var unclosed: Parameter?
        for parameter in Parameters(in: bytes, from: 0, to: end) {
            if doubleDash == nil && parameter.isDoubleDash { doubleDash = parameter.range }
            if !parameter.isClosed { unclosed = parameter }
        }
        self.bytes = bytes
        self.end = end
        self.doubleDash = doubleDash
        self.unclosed = unclosed
    }

    /// What separates parameters: isspace() of the kernel's lib/ctype.c, which is blank, \t, \n, \v, \f, \r and, of
    /// Latin-1, the no-break space 0xA0. So a command line in UTF-8 splits inside an `à` (C3 A0) outside quotes.
    public static func isSeparator(_ byte: UInt8) -> Bool {
        byte == 0x20 || (byte >= 0x09 && byte <= 0x0d) || byte == 0xa0
    }

    /// The kernel's parameters: all up to a bare `--`.
    public var parameters: Parameters {
        Parameters(in: bytes, from: 0, to: doubleDash?.lowerBound ?? end)
    }

    /// What follows a bare `--`, cut by the same rules. To the kernel it is init's and nothing else. 3.14 and earlier,
    /// and with them a kernel with the PRAM patches on their original base, know no `--` and read these as parameters
    /// too.
    public var initParameters: Parameters {
        Parameters(in: bytes, from: doubleDash?.upperBound ?? end, to: end)
    }

    /// All parameters of this name before a bare `--`, in order.
    public func all(named name: ParameterName) -> [Parameter] { parameters.filter { $0.isNamed(name) } }

    /// The last parameter of this name before a bare `--`, with or without a value. An early parameter's handler runs
    /// for each occurrence (init/main.c do_early_param()), so for most of them this is the one that counts.
    public func last(named name: ParameterName) -> Parameter? {
        var last: Parameter?
        for parameter in parameters where parameter.isNamed(name) { last = parameter }
        return last
    }

    /// Whether a parameter of this name stands before a bare `--`, with or without a value.
    public func contains(named name: ParameterName) -> Bool {
        for parameter in parameters where parameter.isNamed(name) { return true }
        return false
    }
}
