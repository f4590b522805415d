import KernelCommandLine
import PRAM
import Text

/// How kexec(8) has to load the next kernel so that a chain survives it. Pure.
///
/// kexec_load (`-c`) lays the new kernel out in the firmware's memory map, which knows nothing of `memmap=`, but heeds
/// --mem-min and --mem-max. kexec_file_load (`-s`) heeds neither of the two, but keeps out of what is not System RAM.
public enum KexecOptions: Equatable {
    /// kexec_file_load.
    case file
    /// kexec_load, into these bytes alone; without `min`, from 0 on. `max` is the last one, as kexec(8) takes it.
    case load(min: UInt64?, max: UInt64)

    /// Which system call was asked for.
    public enum Request { case any, file, load }

    public enum Obstacle: Error, Equatable {
        /// kexec_load is needed, and the lockdown mode forbids it.
        case lockdown
        /// kernel.kexec_load_disabled is 1.
        case switchedOff
        /// A kernel with pram, and kexec_file_load was asked for.
        case fileLoad
        /// A kernel with pram that has no memory without pages of the chain set aside.
        case nothingBanned
        /// Every region of pram_banned= holds pages of the chain.
        case bannedInUse
        /// No room for a kernel below this address.
        case noRoomBelow(UInt64)
        /// A page of the chain does not lie in what the line reserves.
        case notReserved
        /// kexec_load was asked for, which hands no memory over.
        case handsNothingOver
    }

    /// Where an x86 kernel is unpacked at the lowest, whatever the address it was loaded at (CONFIG_PHYSICAL_START).
    public static let lowestKernel: UInt64 = 16 << 20

    /// - Parameters:
    ///   - chain: one that nothing stands in the way of.
    ///   - isLocked: whether the lockdown module forbids kexec_load.
    ///   - isSwitchedOff: whether /proc/sys/kernel/kexec_load_disabled forbids both.
    public static func find(
        for chain: HandOver, _ request: Request, isLocked: Bool, isSwitchedOff: Bool
    ) throws(Obstacle) -> KexecOptions {
        if isSwitchedOff { throw .switchedOff }
        if chain.isPramKernel {
            if request == .file { throw .fileLoad }
            let range = try bannedRange(chain)
            if isLocked { throw .lockdown }
            return .load(min: range.start, max: range.last)
        }
        if chain.keeping != nil, request == .load { throw .handsNothingOver }
        if request != .load { return .file }
        if isLocked { throw .lockdown }
        return .load(min: nil, max: try lastBelow(chain))
    }

    /// The largest region in which the kernel keeps no page of a chain; only its whole pages.
    private static func bannedRange(_ chain: HandOver) throws(Obstacle) -> PhysicalRange {
        let mask = UInt64(pageSize) - 1
        let regions = BannedRegions.find(in: chain.thisLine).regions.compactMap { region -> PhysicalRange? in
            guard !region.wrapped, region.start <= UInt64.max - mask else { return nil }
            return PhysicalRange(start: (region.start + mask) & ~mask, end: region.end & ~mask)
        }
        guard !regions.isEmpty else { throw .nothingBanned }
        let free = regions.filter { region in !chain.pages.contains { $0.overlaps(region) } }
        guard let largest = free.max(by: { $0.size < $1.size }) else { throw .bannedInUse }
        return largest
    }

    /// The last byte below the lowest reserved range with pages of the chain in it.
    private static func lastBelow(_ chain: HandOver) throws(Obstacle) -> UInt64 {
        let used = ReservedMemory(chain.thisLine).ranges.filter { range in chain.pages.contains { $0.overlaps(range) } }
        guard let start = used.map({ $0.start }).min() else { throw .notReserved }
        guard start > lowestKernel else { throw .noRoomBelow(start) }
        return start - 1
    }

    /// As kexec(8) takes them.
    public var text: String {
        switch self {
        case .file: "-s"
        case .load(nil, let max): "-c --mem-max=\(hexadecimal(max))"
        case .load(let min?, let max): "-c --mem-min=\(hexadecimal(min)) --mem-max=\(hexadecimal(max))"
        }
    }
}

extension KexecOptions.Obstacle {
    public var sentence: String {
        switch self {
        case .lockdown: "the chain lives only through kexec_load (kexec -c), which this kernel's lockdown forbids"
        case .switchedOff: "kexec is switched off until the next boot: kernel.kexec_load_disabled is 1"
        case .fileLoad: "kexec_file_load (kexec -s) does not spare the pages of a chain in System RAM"
        case .nothingBanned:
            "this kernel's command line has no pram_banned=START-END, so no memory is known to be free of the chain"
        case .bannedInUse: "each region of pram_banned= holds pages of the chain"
        case .noRoomBelow(let start):
            "kexec_load (kexec -c) must keep below the chain's range, and no kernel fits below \(hexadecimal(start))"
        case .handsNothingOver: "kexec_load (kexec -c) hands no memory over, so all of the chain would be lost"
        case .notReserved: "the chain does not lie in a range that this kernel's command line reserves"
        }
    }

    /// What would help; empty where nothing would.
    public var remedy: String {
        switch self {
        case .lockdown: "start without Secure Boot or lockdown="
        case .switchedOff: ""
        case .handsNothingOver: "leave out --kexec-load"
        case .fileLoad: "leave out --kexec-file"
        case .nothingBanned, .bannedInUse:
            "boot with pram_banned=START-END, a region large enough for the next kernel and its initrd"
        case .noRoomBelow: "leave out --kexec-load, or reserve a range at a higher address"
        case .notReserved: ""
        }
    }
}
