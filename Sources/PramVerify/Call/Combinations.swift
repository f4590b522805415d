import Text

/// Options that a command takes, and that contradict each other or do nothing together: whoever gives both expects
/// something that does not happen.
extension Call {
    /// The first one rules the others out, wherever both are taken.
    static let exclusions: [(Option, [Option])] = [
        // One file's content on standard output: nothing is made, replaced or cleared.
        (.stdout, [.json, .force, .preserveMode, .devices, .partial, .erase]),
        (.device, [.region]),
        (.flat, [.oneFileSystem, .exclude, .stdin]),
        (.kho, [.again, .memory, .device, .region, .base, .pfn, .force]),
        (
            .again,
            [
                .memory, .device, .region, .base, .size, .stdin, .parity, .replace, .force, .flat, .oneFileSystem,
                .exclude, .strict, .dryRun,
            ]
        ),
        (
            .early,
            [
                .again, .size, .stdin, .parity, .replace, .flat, .oneFileSystem, .exclude, .strict, .dryRun,
            ]
        ),
        (.salvage, [.cut]),
        (.result, [.size, .region, .device, .noLoad, .append, .remove, .kexecFile, .kexecLoad, .threads]),
        (.cmdline, [.from]),
        (.kexecFile, [.kexecLoad]),
        (.kexecOptions, [.checkLoaded]),
        (.withoutChain, [.ifChain]),
        (.long, [.segments, .json]),
        (.segments, [.json]),
    ]

    /// The first one means nothing without the second, where both are taken.
    static let companions: [(Option, Option)] = [
        (.base, .memory), (.raw, .memory), (.unpackLimit, .memory), (.early, .kho),
    ]

    /// - Throws: a sentence that names both.
    func refuseContradictions() throws(UsageError) {
        for (one, others) in Call.exclusions where has(one) {
            for other in others where has(other) {
                throw UsageError("--\(one.name) and --\(other.name) exclude each other")
            }
        }
        for (one, other) in Call.companions where has(one) && !has(other) && command.options.contains(other) {
            throw UsageError("--\(one.name) goes with --\(other.name)")
        }
    }
}
