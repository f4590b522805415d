import KernelCommandLine
import PRAM
import Text

/// A chain that was looked at, and all that decides whether the next kernel may be told of it. Pure: nothing here looks
/// at the machine.
public struct HandOver {
    public var head: PFN
    public var verdict: Verdict
    /// Links that do not fit as they lie.
    public var linksToRefit = 0
    public var layout = ChainLayout.amd64
    /// All pages of the chain, its links among them.
    public var pages: [PhysicalRange] = []
    /// The command line of the kernel in whose memory the chain lies.
    public var thisLine: ParameterLine
    /// Whether that kernel was told of this chain and does not hold it: it has refused it, or a mount has consumed it.
    public var isRefused = false
    /// What a kernel with pram holds (/sys/kernel/pram), 0 for nothing; nil for a kernel without pram.
    public var kernelsHead: UInt64?
    public var isCrashKernel = false
    /// For a chain in ordinary memory that the kernel itself is to hand over: whether it will.
    public var keeping: Keeping?
    /// That of its links, which names the session that keeps it.
    public var generation: UInt64?

    public enum Keeping: Equatable, Sendable {
        /// Somebody holds its session.
        case held
        /// Somebody holds its session, which has the head's page, and the chain is yet to be saved.
        case early
        /// Who held it is gone; a sentence.
        case gone(String)
        /// It came from the former kernel, and is in no session for the next one.
        case arrived
    }

    /// Memory that the kernel manages, as far as it is known.
    public var systemRAM: [PhysicalRange] = []

    public init(head: PFN, verdict: Verdict, thisLine: ParameterLine) {
        self.head = head
        self.verdict = verdict
        self.thisLine = thisLine
    }

    public var isPramKernel: Bool { kernelsHead != nil }

    /// Why the chain is not handed on.
    public enum Obstacle: Equatable {
        case refused
        case crashKernel
        case damaged
        case indeterminate
        /// A kernel with pram holds another chain (its head), or none (0).
        case notHeld(UInt64)
        case refitFirst(Int)
        case otherLayout
        /// The limit of the next kernel's memory.
        case pastLimit(UInt64)
        /// Pages that this kernel's line does not reserve.
        case notReservedHere(PhysicalRange)
        case systemRAM(PhysicalRange)
        /// Pages that the next line does not reserve.
        case notReservedNext(PhysicalRange)
        /// Pages that the next kernel's KASLR does not keep off, and why.
        case kaslr(PhysicalRange, KaslrView.Unseen, hidesNokaslr: Bool)
        /// Pages that a word of the next line gives to somebody else.
        case claimed(PhysicalRange, Claimant)
        /// Nobody holds the session that would keep it; a sentence.
        case sessionGone(String)
        /// It has arrived, and is not handed on by that.
        case onlyArrived
        /// The next kernel takes no memory over, or in another form; two lists of forms: this kernel's, and its.
        case otherForm(own: String, next: String)
        /// kexec_load is to be used, which hands no memory over.
        case loadHandsNothingOver
        /// kexec_file_load is to be used, which does not spare the chain of a kernel with pram.
        case fileLoad
    }

    public enum Claimant: CaseIterable, Sendable {
        case ramoops, crashKernel, initrd

        func ranges(on line: ParameterLine) -> [PhysicalRange] {
            switch self {
            case .ramoops: WritableRegion.ramoops(on: line).map { [$0] } ?? []
            case .crashKernel: WritableRegion.crashReservations(on: line)
            case .initrd: WritableRegion.initrds(on: line)
            }
        }

        var parameter: StaticString {
            switch self {
            case .ramoops: "ramoops.mem_address="
            case .crashKernel: "crashkernel="
            case .initrd: "initrdmem="
            }
        }
    }

    /// nil when the next kernel may be told.
    /// - Parameter next: its command line, with or without `pram=`.
    public func obstacle(on next: ParameterLine) -> Obstacle? {
        if isRefused { return .refused }
        if isCrashKernel { return .crashKernel }
        // What nobody holds any more is overwritten soon: that it is damaged is only the consequence.
        if !isPramKernel, case .gone(let sentence)? = keeping { return .sessionGone(sentence) }
        // There is nothing yet that could be wrong with it.
        if !isPramKernel, keeping == .early { return nil }
        switch verdict {
        case .intact: break
        case .indeterminate: return .indeterminate
        case .damaged, .absent: return .damaged
        }
        // What is not known is no reason to trust.
        guard pages.contains(where: { $0.contains(head) }) else { return .indeterminate }
        if !isPramKernel, let keeping {
            switch keeping {
            case .held, .early: return nil
            case .gone(let sentence): return .sessionGone(sentence)
            case .arrived: return .onlyArrived
            }
        }
        if let obstacle = isPramKernel ? pramKernelsObstacle(on: next) : stockKernelsObstacle(on: next) {
            return obstacle
        }
        for claimant in Claimant.allCases {
            for range in claimant.ranges(on: next) where pages.contains(where: { $0.overlaps(range) }) {
                return .claimed(range, claimant)
            }
        }
        return nil
    }

    /// What would help; empty where nothing would. Pages that the former kernel has handed over nobody can write.
    public func remedy(for obstacle: Obstacle) -> String {
        switch (obstacle, keeping) {
        case (.damaged, .arrived?), (.indeterminate, .arrived?):
            "load what is good of it (--repair brings back what parity can), and save that once more; save --again hands on "
                + "what is intact"
        case (.damaged, .held?), (.indeterminate, .held?): "save once more"
        default: obstacle.remedy
        }
    }

    /// A kernel with pram reserves each page itself, and goes by the checksums of links as they lie.
    private func pramKernelsObstacle(on next: ParameterLine) -> Obstacle? {
        if let kernelsHead, kernelsHead != head.number { return .notHeld(kernelsHead) }
        if layout != .amd64 { return .otherLayout }
        if linksToRefit > 0 { return .refitFirst(linksToRefit) }
        if let limit = HandOver.memoryLimit(on: next), pages.contains(where: { $0.last >= limit }) {
            return .pastLimit(limit)
        }
        return nil
    }

    /// A stock kernel leaves alone what its line reserves, and nothing else.
    private func stockKernelsObstacle(on next: ParameterLine) -> Obstacle? {
        let here = ReservedMemory(thisLine)
        if let page = pages.first(where: { !here.contains($0) }) { return .notReservedHere(page) }
        let managed = pages.first { page in systemRAM.contains { $0.overlaps(page) } }
        if let managed { return .systemRAM(managed) }
        let there = ReservedMemory(next)
        if let page = pages.first(where: { !there.contains($0) }) { return .notReservedNext(page) }
        let kaslr = KaslrView(next)
        for page in pages {
            if case .unseen(let reason) = kaslr.covers(start: page.start, last: page.last) {
                return .kaslr(page, reason, hidesNokaslr: kaslr.hidesNokaslr)
            }
        }
        return nil
    }

    /// The end of memory, exclusive, that `mem=nn` or `memmap=nn` sets; nil without one.
    public static func memoryLimit(on line: ParameterLine) -> UInt64? {
        var limit: UInt64?
        func lower(to bytes: UInt64) { limit = min(limit ?? .max, bytes) }
        for parameter in line.all(named: "mem") {
            guard let value = parameter.value else { continue }
            let number = KernelNumber.memparse(value)
            if number.value > 0 { lower(to: number.value) }
        }
        for region in MemmapParameters.find(in: line).inEffect
        where region.kind == .limit || region.kind == .suspectLostDollar { lower(to: region.size) }
        return limit
    }
}

extension HandOver.Obstacle {
    public var sentence: String {
        switch self {
        case .refused: "the kernel has refused this chain, or a mount has consumed it: /sys/kernel/pram is 0"
        case .crashKernel: "this is a crash kernel, which hands nothing on"
        case .damaged: "the chain is damaged; pram-verify check tells more"
        case .indeterminate: "whether the chain is intact cannot be told; pram-verify check tells more"
        case .notHeld(0): "the kernel holds no chain (/sys/kernel/pram is 0), so nothing keeps these pages as they are"
        case .notHeld(let head):
            "the kernel holds another chain (/sys/kernel/pram is \(String(head, radix: 16))), so nothing keeps these "
                + "pages as they are"
        case .refitFirst(let count):
            "\(counted(count, "link")) would be refused by the next kernel: this one has cleared LRU flags "
                + "and left the checksums as they were"
        case .otherLayout: "the chain was written by a 32-bit kernel, and a 64-bit kernel with pram would misread it"
        case .pastLimit(let limit):
            "the chain has pages beyond \(hexadecimal(limit)), where the new command line ends the memory"
        case .notReservedHere(let range):
            "\(range.text) belongs to the chain and is not reserved by this kernel's command line (memmap=)"
        case .systemRAM(let range):
            "\(range.text) belongs to the chain and is System RAM that this kernel manages"
        case .notReservedNext(let range):
            "\(range.text) belongs to the chain and is not reserved by the new command line (memmap=)"
        case .kaslr(let range, let reason, _):
            "\(range.text) belongs to the chain, and KASLR may put the next kernel right there: \(reason.sentence)"
        case .claimed(let range, let claimant):
            "the new command line gives \(range.text), in which the chain has pages, to others by \(claimant.parameter)"
        case .sessionGone(let sentence): sentence
        case .onlyArrived:
            "it came from the former kernel, and is in no session for the next one: the next kexec would lose it"
        case .otherForm(let own, let next):
            next.utf8.isEmpty
                ? "the next kernel takes no memory over from this one, so all of it would be lost"
                : "the next kernel takes memory over in another form (\(next)) than this one hands it over (\(own)), so "
                    + "all of it would be lost"
        case .loadHandsNothingOver: KexecOptions.Obstacle.handsNothingOver.sentence
        case .fileLoad: "kexec_file_load (kexec -s) does not spare the pages of a chain in System RAM"
        }
    }

    /// What would help; empty where nothing would.
    public var remedy: String {
        switch self {
        case .refused, .notHeld: ""
        case .crashKernel: "do this after a normal boot"
        case .damaged, .indeterminate: "pram-verify drop, or quarantine, leaves what is good as an intact chain"
        case .claimed: "give them another address, or save the files into another range"
        case .sessionGone: "save once more"
        case .loadHandsNothingOver: KexecOptions.Obstacle.handsNothingOver.remedy
        case .onlyArrived: "run pram-verify save --again, or load it"
        case .otherForm:
            "start a kernel that takes it over, or save to disk or into a range that memmap=nn$ss reserves"
        case .refitFirst: "run pram-verify drop --refit first"
        case .otherLayout: "extract the files instead"
        case .pastLimit: "give the next kernel all of the memory"
        case .notReservedHere, .systemRAM:
            "save the files into a range that memmap=nn$ss reserves on both command lines"
        case .notReservedNext: "put the memmap= of this kernel's command line on the new one too"
        case .kaslr(_, _, hidesNokaslr: true):
            "put nokaslr at the start of the line: where it stands the boot stub does not find it"
        case .kaslr(_, _, hidesNokaslr: false):
            "put this range's memmap= before all others, or --append nokaslr"
        case .fileLoad: "leave out --kexec-file, and call kexec with what --kexec-options prints"
        }
    }
}
