/// What of a command line keeps KASLR off a range of physical memory, on x86.
///
/// The place of the kernel is drawn by the boot stub, before the kernel proper reads `memmap=`, and the stub has a
/// reader of its own for it (arch/x86/boot/compressed/kaslr.c: handle_mem_options, mem_avoid_memmap, parse_memmap). It
/// keeps off four regions and no more, and understands less than the kernel does: a range that the kernel reserves may
/// be one that the stub has put the kernel in. The readers differ from kernel to kernel; where they disagree, the answer
/// here is the one that holds for all of them.
///
/// | from | reads |
/// |---|---|
/// | 5.5 | `efi_fake_mem=`, too, whose soft reserved regions count among the four |
/// | 6.8 | `memmap=` alone; a region in a parameter behind the fourth one is ignored |
/// | the newest | such a region switches KASLR of physical addresses off, as one in the same list always has |
///
/// The stub reads the line that the boot loader or kexec handed over, not what CONFIG_CMDLINE adds to it. It is in
/// every kernel with CONFIG_RANDOMIZE_BASE; without that the place is fixed, and the answers here are too cautious.
public struct KaslrView: Sendable {
    public enum Answer: Equatable, Sendable {
        /// The kernel is not moved at all.
        case disabled(Disabled)
        /// The kernel is never put there.
        case avoided
        /// The kernel may be put there.
        case unseen(Unseen)
    }

    public enum Disabled: Equatable, Sendable {
        /// The word `nokaslr`.
        case nokaslr
        /// More regions than the stub has room for.
        case tooManyRegions
    }

    /// Why a range is not kept off. Ranges are places in `ParameterLine.bytes`.
    public enum Unseen: Equatable, Sendable {
        /// No `memmap=` names it.
        case notNamed
        /// The region stands in a parameter behind the one with the fourth region.
        case behindFour(Range<Int>)
        /// The region stands in a list behind an element that the stub cannot read: that one.
        case behindUnreadable(Range<Int>)
        /// The region stands behind a `mem=` that the stub takes for 0, where it reads no further: that one.
        case behindMem(Range<Int>)
        /// The element is of a kind that the stub takes for something else: `nn%ss`, and a region that begins at 0.
        case otherKind(Range<Int>)

        public var sentence: StaticString {
            switch self {
            case .notNamed: "no memmap= of the line names it"
            case .behindFour: "KASLR keeps off the first four memmap= regions alone, and four stand before it"
            case .behindUnreadable: "KASLR drops what stands in a memmap= list behind an element that it cannot read"
            case .behindMem: "KASLR reads the line no further than a mem= that is 0 or no number"
            case .otherKind: "KASLR does not know this kind of memmap= element as a region to keep off"
            }
        }
    }

    /// Whether `nokaslr` stands there as a word and is not found: the stub's search for it misses a word behind one
    /// that is the beginning of it, such as `no`.
    public let hidesNokaslr: Bool

    private let hasNokaslr: Bool
    private let stubs: [Stub]

    public init(_ line: ParameterLine) {
        let words = line.bytes[..<line.end]
        hasNokaslr = KaslrView.findsNokaslr(words)
        hidesNokaslr = !hasNokaslr && KaslrView.holdsNokaslr(words)
        stubs = [
            Stub(line, countsFakeMemory: true, countsAcrossParameters: false),
            Stub(line, countsFakeMemory: false, countsAcrossParameters: false),
            Stub(line, countsFakeMemory: false, countsAcrossParameters: true),
        ]
    }

    /// - Parameters:
    ///   - start: the address of the first byte.
    ///   - last: that of the last byte, inclusive, not below `start`.
    public func covers(start: UInt64, last: UInt64) -> Answer {
        if hasNokaslr { return .disabled(.nokaslr) }
        let moving = stubs.filter { !$0.hasTooMany }
        for stub in moving {
            if let hole = stub.hole(start, last) { return .unseen(stub.reason(at: hole)) }
        }
        return moving.isEmpty ? .disabled(.tooManyRegions) : .avoided
    }

    // MARK: - nokaslr

    private static let nokaslr: [UInt8] = [0x6e, 0x6f, 0x6b, 0x61, 0x73, 0x6c, 0x72]  // "nokaslr"
    /// The stub looks at no more than a segment of real mode, from an address within its first 16 bytes on.
    private static let searched = 0x10000 - 16

    private static func isBlank(_ byte: UInt8) -> Bool { byte <= 0x20 }

    /// __cmdline_find_option_bool() in arch/x86/boot/cmdline.c: words end at bytes up to the blank, quotes and `--` mean
    /// nothing. A byte that differs makes it skip to the next blank, also where that byte is a blank itself.
    private static func findsNokaslr(_ text: ArraySlice<UInt8>) -> Bool {
        enum State { case start, compare(Int), skip }
        var state = State.start
        // The NUL behind the line ends its last word.
        for byte in Array(text.prefix(searched)) + (text.count < searched ? [0] : []) {
            if case .start = state {
                if isBlank(byte) { continue }
                state = .compare(0)
            }
            switch state {
            case .compare(let count) where count == nokaslr.count:
                if isBlank(byte) { return true }
                state = .skip
            case .compare(let count): state = byte == nokaslr[count] ? .compare(count + 1) : .skip
            case .skip, .start: if isBlank(byte) { state = .start }
            }
        }
        return false
    }

    private static func holdsNokaslr(_ text: ArraySlice<UInt8>) -> Bool {
        for word in text.split(whereSeparator: isBlank) where word.elementsEqual(nokaslr) { return true }
        return false
    }
}

/// One of the kernels' stubs, after it has read a line.
private struct Stub: Sendable {
    /// MAX_MEMMAP_REGIONS
    private static let room = 4

    /// An element that a kernel may reserve by and the stub does not keep off.
    private struct Dropped {
        let start: UInt64
        let last: UInt64
        let reason: KaslrView.Unseen
    }

    private let countsFakeMemory: Bool
    private let countsAcrossParameters: Bool
    /// First and last bytes; regions that no image can overlap, by the stub's arithmetic, are among them as nil.
    private var regions: [(start: UInt64, last: UInt64)?] = []
    /// The first address that is not used; nil without `mem=` and its like.
    private var limit: UInt64?
    private var dropped: [Dropped] = []
    private(set) var hasTooMany = false

    init(_ line: ParameterLine, countsFakeMemory: Bool, countsAcrossParameters: Bool) {
        self.countsFakeMemory = countsFakeMemory
        self.countsAcrossParameters = countsAcrossParameters
        var stop: Range<Int>?
        for parameter in line.parameters {
            if let stop {
                if parameter.name.elementsEqual(Self.memmap), let value = parameter.value {
                    drop(value) { _ in .behindMem(stop) }
                }
                continue
            }
            // Names are compared byte for byte here.
            if parameter.name.elementsEqual(Self.memmap) {
                take(parameter.value, Self.region)
            } else if parameter.name.elementsEqual(Self.mem) {
                if takesLimit(parameter.value) { continue }
                stop = parameter.range
            } else if countsFakeMemory, parameter.name.elementsEqual(Self.fakeMemory) {
                take(parameter.value, Self.fakeRegion)
            }
        }
    }

    private static let memmap: [UInt8] = [0x6d, 0x65, 0x6d, 0x6d, 0x61, 0x70]  // "memmap"
    private static let mem: [UInt8] = [0x6d, 0x65, 0x6d]  // "mem"
    private static let fakeMemory = StaticString("efi_fake_mem").withUTF8Buffer { unsafe [UInt8]($0) }
    private static let nopentium = StaticString("nopentium").withUTF8Buffer { unsafe [UInt8]($0) }
    private static let exactmap = StaticString("exactmap").withUTF8Buffer { unsafe [UInt8]($0) }

    /// mem_avoid_memmap()
    private mutating func take(_ value: ArraySlice<UInt8>?, _ read: (ArraySlice<UInt8>) -> (UInt64, UInt64)?) {
        guard let value else { return }
        if regions.count >= Self.room && !countsAcrossParameters {
            drop(value) { .behindFour($0) }
            return
        }
        var rest: ArraySlice<UInt8>? = value
        while let list = rest, regions.count < Self.room {
            let (element, behind) = Self.first(of: list)
            guard let (start, size) = read(element) else {
                if let behind { drop(behind) { _ in .behindUnreadable(element.startIndex..<element.endIndex) } }
                return
            }
            rest = behind
            if start == 0 {
                if size > 0 { limit = min(limit ?? .max, size) }
                drop(element) { .otherKind($0) }
                continue
            }
            let (end, wraps) = start.addingReportingOverflow(size)
            regions.append(size > 0 && !wraps ? (start, end - 1) : nil)
        }
        if rest != nil { hasTooMany = true }
    }

    /// - Returns: whether the stub reads on. Without a value it would look at whatever lies at address 0, so that
    ///   nothing behind it is certain.
    private mutating func takesLimit(_ value: ArraySlice<UInt8>?) -> Bool {
        guard let value else { return false }
        if value.elementsEqual(Self.nopentium) { return true }
        let size = KernelNumber.memparse(value).value
        if size > 0 { limit = min(limit ?? .max, size) }
        return size > 0
    }

    /// parse_memmap(): start and size; nil where it ends the list.
    private static func region(_ element: ArraySlice<UInt8>) -> (UInt64, UInt64)? {
        if element.starts(with: exactmap) { return nil }
        let size = KernelNumber.memparse(element)
        guard size.rest.count < element.count else { return nil }
        switch size.rest.first {
        case UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "!"):
            return (KernelNumber.memparse(size.rest.dropFirst()).value, size.value)
        case UInt8(ascii: "@"): return (0, 0)
        // All else, `%` too, is a limit.
        default: return (0, size.value)
        }
    }

    /// The same for `efi_fake_mem=nn@ss:attribute`: a region where the attribute has the bit of soft reserved memory.
    private static func fakeRegion(_ element: ArraySlice<UInt8>) -> (UInt64, UInt64)? {
        let size = KernelNumber.memparse(element)
        guard size.rest.first == UInt8(ascii: "@"), size.rest.count < element.count else { return region(element) }
        let start = KernelNumber.memparse(size.rest.dropFirst())
        guard start.rest.first == UInt8(ascii: ":"),
            let attribute = try? KernelNumber.kstrtoul(start.rest.dropFirst()), attribute & 0x4_0000 != 0
        else { return (0, 0) }
        return (start.value, size.value)
    }

    /// What stands before the first comma, and what behind it; nil without one.
    private static func first(of list: ArraySlice<UInt8>) -> (ArraySlice<UInt8>, ArraySlice<UInt8>?) {
        guard let comma = list.firstIndex(of: UInt8(ascii: ",")) else { return (list, nil) }
        return (list[..<comma], list[(comma + 1)...])
    }

    /// Notes the elements of a list, or of a part of one, as the kernel reads them.
    private mutating func drop(_ list: ArraySlice<UInt8>, _ reason: (Range<Int>) -> KaslrView.Unseen) {
        var rest: ArraySlice<UInt8>? = list
        while let text = rest {
            let (element, behind) = Self.first(of: text)
            rest = behind
            let size = KernelNumber.memparse(element)
            guard let mark = size.rest.first, mark != UInt8(ascii: "@"), size.rest.count < element.count else {
                continue
            }
            let start = KernelNumber.memparse(size.rest.dropFirst()).value
            let (end, wraps) = start.addingReportingOverflow(size.value)
            guard size.value > 0, !wraps else { continue }
            dropped.append(
                Dropped(start: start, last: end - 1, reason: reason(element.startIndex..<element.endIndex)))
        }
    }

    /// The first byte of the range that the kernel may be put on; nil when there is none.
    func hole(_ start: UInt64, _ last: UInt64) -> UInt64? {
        var position = start
        while limit.map({ position < $0 }) ?? true {
            var end: UInt64?
            for case .some(let region) in regions where region.start <= position && position <= region.last {
                end = max(end ?? 0, region.last)
            }
            guard let end else { return position }
            if end >= last { return nil }
            position = end + 1
        }
        return nil
    }

    func reason(at address: UInt64) -> KaslrView.Unseen {
        for element in dropped where element.start <= address && address <= element.last { return element.reason }
        return .notNamed
    }
}
