import ChainWriting
import Linux
import Text

/// Who is to hold a session until the kexec. It is chosen before anything is saved, when this process is small.
///
/// systemd carries what is in a unit's fd store through the kexec from 261 on. Before that, and without systemd, it
/// takes a process that lives until the kexec.
enum Keeper: ~Copyable {
    /// Where that unit's store is full, the process is told of.
    case process(SessionHolder, isStoreFull: Bool)
    /// The unit that this process belongs to.
    case store([UInt8])

    static func choose() throws(Failure) -> Keeper {
        var isFull = false
        if environment("NOTIFY_SOCKET") != nil, systemdVersion() >= 261, let unit = ownUnit(),
            let most = storeSize(unit)
        {
            // What was stored before gives way.
            isFull = HoldNote.stored(unit) >= most
            if !isFull { return .store(unit) }
        }
        return .process(try calling { () throws(SystemError) in try SessionHolder.start() }, isStoreFull: isFull)
    }

    /// "systemd 257 (257.9-1~deb13u1)"; 0 where it cannot be told.
    private static func systemdVersion() -> UInt64 {
        let words = [bytes("systemctl"), bytes("--version")]
        guard let (_, text) = try? ChildProgram.output(of: words, limit: 4096) else { return 0 }
        let parts = line(text).split(separator: UInt8(ascii: " "))
        guard parts.count > 1 else { return 0 }
        return decimalNumber(parts[1].prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) ?? 0
    }

    /// How many descriptors the unit's fd store takes; nil where that is not carried through a kexec.
    private static func storeSize(_ unit: [UInt8]) -> UInt64? {
        guard let preserve = value("--property=FileDescriptorStorePreserve", of: unit), preserve.spell("yes"),
            let most = value("--property=FileDescriptorStoreMax", of: unit), let number = decimalNumber(most)
        else { return nil }
        return number == 0 ? nil : number
    }

    private static func value(_ property: StaticString, of unit: [UInt8]) -> ArraySlice<UInt8>? {
        let words = [bytes("systemctl"), bytes("show"), bytes(property), bytes("--value"), bytes("--"), unit]
        guard let (_, text) = try? ChildProgram.output(of: words, limit: 4096) else { return nil }
        return line(text)
    }

    /// From /proc/self/cgroup: `0::/system.slice/NAME.service`.
    private static func ownUnit() -> [UInt8]? {
        guard let text = FileDescriptor.firstLine(of: bytes("/proc/self/cgroup")),
            let name = text.split(separator: UInt8(ascii: "/")).last, name.suffix(8).elementsEqual(".service".utf8)
        else { return nil }
        return Array(name)
    }

    /// Hands the session over, and notes who has it. Where the one that was chosen fails, it is a new process.
    /// - Parameter file: what it keeps, where that is to be had again while this kernel runs; only a process holds it.
    /// - Returns: sentences about it for people.
    /// - Throws: where nobody has it. It is open in this process still.
    consuming func take(
        _ session: borrowing LiveSession, _ name: [UInt8], head: UInt64, _ files: [MemoryFileDescriptor] = [],
        isEarly: Bool = false
    ) throws(Failure) -> [String] {
        let held = [session.number] + files.map { $0.descriptor.number }
        let obstacle: SystemError
        switch consume self {
        case .store(let unit):
            do throws(SystemError) {
                ServiceNotification.remove(name: Keeper.storeName)
                try ServiceNotification.store(session.number, name: Keeper.storeName)
                try Keeper.waitForStore(name)
                HoldNote(head: head, session: name, holder: .store(unit)).write()
                return []
            } catch {
                // It may yet take it, and nobody would know of that.
                ServiceNotification.remove(name: Keeper.storeName)
                obstacle = error
            }
        case .process(let holder, let isStoreFull):
            do throws(SystemError) {
                let full = isStoreFull ? ["the unit's fd store is full (FileDescriptorStoreMax=)"] : []
                return try Keeper.give(held, to: holder, name, head: head, isEarly: isEarly) + full
            } catch {
                obstacle = error
            }
        }
        return try calling(remedy: "save once more") { () throws(SystemError) in
            let sentences = try Keeper.give(held, to: try SessionHolder.start(), name, head: head, isEarly: isEarly)
            return sentences + [Phrase("who was to hold it did not take it: \(obstacle.message)").text]
        }
    }

    /// Hands over files whose session is no more, so that they can be read for as long as this kernel runs.
    /// - Returns: sentences about it for people.
    consuming func take(
        _ files: [MemoryFileDescriptor], of name: [UInt8], head: UInt64
    ) throws(Failure) -> [String] {
        let held = files.map { $0.descriptor.number }
        do throws(SystemError) {
            switch consume self {
            case .process(let holder, _): return try Keeper.give(held, to: holder, name, head: head)
            // systemd would keep it in a session of its own, where nobody looks for it.
            case .store: return try Keeper.give(held, to: try SessionHolder.start(), name, head: head)
            }
        } catch {
            throw .system(error, remedy: "")
        }
    }

    private static func give(
        _ descriptors: [Int32], to holder: consuming SessionHolder, _ name: [UInt8], head: UInt64,
        isEarly: Bool = false
    ) throws(SystemError) -> [String] {
        let process = holder.process
        let started = ProcessFacts.startTime(process) ?? 0
        let isSpared = try holder.take(descriptors)
        let note = HoldNote(head: head, session: name, holder: .process(process, started: started), isEarly: isEarly)
        note.write()
        let isApart = setApart(process)
        let isHeld = note.standing.isHeld
        let loss: StaticString =
            isEarly
            ? ": when that ends before the kexec, the head is gone"
            : isHeld ? ": when that ends before the kexec, the chain is gone" : ": when that ends, the chain is gone"
        var sentences = [
            isHeld
                ? Phrase("session \(escaped(name)) is held by process \(process)\(loss)").text
                : Phrase("process \(process) has the chain's memory, which is in no session\(loss)").text
        ]
        if !isApart {
            sentences.append("systemctl kexec ends that process with what it was started from: use kexec -e")
        }
        if !isSpared {
            sentences.append("the OOM killer may end that process: its oom_score_adj could not be set")
        }
        return sentences
    }

    /// On the way to a kexec systemd ends what belongs to a login or to another unit. A scope that nothing conflicts with
    /// stays, and what is in it is spared at the end for its name, which begins with @. The unit that this program brings
    /// spares what it leaves, too.
    /// - Returns: false where the process stays where it is, and will be ended.
    private static func setApart(_ process: Int32) -> Bool {
        guard FileDescriptor.exists(bytes("/run/systemd/system")) else { return true }
        if let unit = ownUnit(), unit.elementsEqual("pram-verify.service".utf8) { return true }
        let call: [StaticString] = [
            "busctl", "--quiet", "call", "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
            "org.freedesktop.systemd1.Manager", "StartTransientUnit", "ssa(sv)a(sa(sv))",
        ]
        let name = Array("pram-verify-holder-\(process).scope".utf8)
        let number = Array(String(process).utf8)
        var words = call.map { bytes($0) } + [name]
        words += (["fail", "2", "PIDs", "au", "1"] as [StaticString]).map { bytes($0) } + [number]
        words += (["DefaultDependencies", "b", "false", "0"] as [StaticString]).map { bytes($0) }
        guard let (ending, _) = try? ChildProgram.output(of: words, limit: 4096) else { return false }
        return ending == .exited(0)
    }

    /// systemd answers nobody, and drops what does not fit.
    private static func waitForStore(_ name: [UInt8]) throws(SystemError) {
        for _ in 0..<100 {
            // Where its descriptors cannot be seen it is believed.
            guard let sessions = ProcessFacts.sessions(of: 1) else { return }
            if sessions.contains(where: { $0.name == name }) { return }
            pause(microseconds: 50_000)
        }
        throw SystemError("sendmsg", code: ErrorCode.noSpace, path: bytes("fd store"))
    }

    static let storeName: StaticString = "pram-verify"
}
