import ChainWriting
import InitrdImages
import KernelCommandLine
import Linux
import Machine
import PRAM
import Text
import Verification

/// What commands share about rehearsals: where their results are kept, and how a canary is known and looked at.
enum Rehearsal {
    /// Not the directory whose files the unit saves and restores: what is there must not look like a user's file.
    static let folder: StaticString = "/var/lib/pram-verify-state"
    static let file: StaticString = "rehearsal"

    /// Records are short.
    private static let limit = 1 << 16

    // MARK: - Records

    /// What is known of the last rehearsal of a machine: by the check at boot, or from the disk.
    static func last(_ paths: MachinePaths) -> RehearsalRecord? {
        let run = read(paths.below("/run/pram-verify/rehearsal"))
        let kept = read(paths.below(path))
        guard let run, let kept else { return run ?? kept }
        if kept.saved != run.saved { return kept.saved > run.saved ? kept : run }
        return run.state == .waiting ? kept : run
    }

    static var path: [UInt8] { bytes(folder) + [UInt8(ascii: "/")] + bytes(file) }

    static func read(_ path: [UInt8]) -> RehearsalRecord? {
        (try? FileDescriptor.contents(of: path, limit: limit)).flatMap { RehearsalRecord($0) }
    }

    /// Puts a record on the disk, in one step.
    static func keep(_ record: RehearsalRecord) throws(SystemError) {
        _ = try Directory.make(bytes("/var"), mode: 0o755)
        _ = try Directory.make(bytes("/var/lib"), mode: 0o755)
        _ = try Directory.make(bytes(folder), mode: 0o755)
        try replaceFile(path, like: nil, failing: { $0 }) { (file) throws(SystemError) in
            try file.write(record.text, at: 0)
        }
    }

    /// The canary has given way to something else, and nobody is to wait for it.
    static func forgetWaiting() {
        guard let kept = read(path), kept.state == .waiting else { return }
        try? FileDescriptor.remove(path)
    }

    // MARK: - Canaries

    /// The canary whose chain starts at a page, as far as enough of it is left there to be certain.
    ///
    /// Pages of an older canary may lie behind a chain of files, which is not to be taken for one. So only what the
    /// first link lists counts; where that is lost, the page behind it, which every chain writes.
    static func canary(at head: PFN, in memory: any PhysicalMemory) -> (canary: Canary, name: CanaryName?)? {
        var walk = ChainWalk(head: head, memory: memory, seed: randomNumber())
        if let link = walk.next()?.link, link.magic == Link.magic {
            return canary(among: link.entries.prefix(Link.capacity).map { $0.page }, head, memory)
        }
        let behind = (1..<UInt64(16)).compactMap { head.advanced(by: $0) }
        guard let first = behind.first, canary(among: [first], head, memory) != nil || hasName(first, memory) else {
            return nil
        }
        return canary(among: behind, head, memory)
    }

    private static func hasName(_ page: PFN, _ memory: any PhysicalMemory) -> Bool {
        var state = PageState.absent
        let bytes = PageBytes(page, of: memory, state: &state)
        return state == .present && CanaryName(FileImage(decoding: bytes.bytes).name) != nil
    }

    private static func canary(
        among pages: [PFN], _ head: PFN, _ memory: any PhysicalMemory
    ) -> (canary: Canary, name: CanaryName?)? {
        var name: CanaryName?
        var found: Canary?
        for page in pages where found == nil || name == nil {
            var state = PageState.absent
            let bytes = PageBytes(page, of: memory, state: &state)
            guard state == .present else { continue }
            if found == nil, let canary = Canary(in: bytes, at: page), canary.head == head { found = canary }
            if name == nil { name = CanaryName(FileImage(decoding: bytes.bytes).name) }
        }
        guard let found else { return nil }
        return (found, name)
    }

    /// Looks at all of a canary.
    static func look(
        at canary: Canary, _ name: CanaryName?, in memory: any PhysicalMemory, deadline: UInt64? = nil
    ) -> RehearsalRecord? {
        let started = monotonicNanoseconds()
        guard let start = canary.head.address,
            let range = PhysicalRange(start: start, size: canary.pages &* UInt64(pageSize))
        else { return nil }
        let damage = canary.damage(in: memory, keeping: RehearsalRecord.listed, deadline: deadline)
        // What was not looked at is no result.
        guard !damage.isCutShort else { return nil }
        var record = RehearsalRecord(state: damage.lost == 0 ? .passed : .failed, range: range, seed: canary.seed)
        record.saved = name?.saved ?? 0
        record.boot = name?.boot ?? []
        record.from = name?.release ?? []
        record.to = SystemIdentity.kernelRelease()
        record.flavour = flavour
        record.checked = secondsSince1970()
        record.pages = canary.pages
        record.lost = damage.lost
        record.overwritten = damage.ranges
        record.milliseconds = (monotonicNanoseconds() - started) / 1_000_000
        return record
    }

    /// What this process runs in: an initramfs of a kind that is known, or what comes after it.
    private static var flavour: [UInt8] {
        if FileDescriptor.exists(bytes("/scripts/init-top")) { return bytes(Flavour.initramfsTools.name) }
        guard FileDescriptor.exists(bytes("/etc/initrd-release")) else { return bytes("system") }
        if FileDescriptor.exists(bytes("/run/systemd/system")) { return bytes(Flavour.systemd.name) }
        return bytes(Flavour.dracutShell.name)
    }

    static func bootID() -> [UInt8] {
        FileDescriptor.firstLine(of: bytes("/proc/sys/kernel/random/boot_id")).map(Array.init) ?? []
    }
}
