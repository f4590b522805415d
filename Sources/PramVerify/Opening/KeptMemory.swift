import ChainWriting
import KernelCommandLine
import Linux
import Machine
import PRAM
import Text

/// The memory of a chain that has arrived, where this machine's memory cannot be read: its session gives it back.
///
/// To take it out ends the session. So it is put into a new one at once, which the next kernel would get, and somebody
/// holds that before anything is read: whatever becomes of this process, nothing is lost.
struct KeptMemory {
    let memory: KeptFile
    /// What became of the session, for people.
    let sentences: [String]

    /// - Returns: nil where nobody knows the session's name.
    static func take(_ head: PFN) throws(Failure) -> KeptMemory? {
        let lock: LockKeeper
        do throws(LockFailure) { lock = LockKeeper(try FileLock.exclusive()) } catch { throw .locked(error) }
        defer { withExtendedLifetime(lock) {} }
        if let note = HoldNote.read(), note.head == head.number, case .process(let process, _) = note.holder,
            note.standing.isHeld
        {
            // It was taken out before.
            return try calling { () throws(SystemError) in
                KeptMemory(memory: try KeptFile(try ProcessFacts.memoryFile(of: process)), sentences: [])
            }
        }
        guard let name = sessionName() else { return nil }
        let keeper = try Keeper.choose()
        let device = try calling { () throws(SystemError) in try LiveUpdate.open() }
        let moved = try ArrivedSession.move(name, device)
        let sentences = try keeper.take(moved.session, name, head: head.number, file: moved.file.number)
        return try calling { () throws(SystemError) in
            KeptMemory(memory: try KeptFile(moved.file), sentences: ["\(whatIsDone)"] + sentences)
        }
    }

    private final class LockKeeper {
        private let lock: FileLock
        init(_ lock: consuming FileLock) { self.lock = lock }
    }

    private static let whatIsDone: StaticString =
        "this machine's memory cannot be read, so the chain was taken out of its session, and put into one for the next kernel"

    /// From the command line, as the links that tell it cannot be read; else the only one that systemd has for anybody.
    private static func sessionName() -> [UInt8]? {
        if let line = try? MachinePaths().parameterLine(),
            let value = line.last(named: ParameterName(stringLiteral: BootParameter.session.name))?.value,
            let generation = KeptSession.generation(named: value)
        {
            return KeptSession.name(generation)
        }
        let names = (ProcessFacts.sessions(of: 1) ?? []).map { $0.name }.filter { KeptSession.isName($0) }
        return names.count == 1 ? names[0] : nil
    }
}
