import ChainWriting
import KernelCommandLine
import Linux
import Machine
import PRAM
import Text

/// The memory of a chain that has arrived, where this machine's memory cannot be read: its session gives it back.
///
/// To take it out ends the session. So it is put into a new one at once, which the next kernel would get, and somebody
/// holds that before more is read than the head. What cannot be kept so is read all the same: this process has the file.
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
            note.keepsMemory
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
        var sentences = ["\(whatIsDone)"]
        do throws(Failure) {
            if let obstacle = moved.obstacle {
                sentences = [Phrase("\(whatIsLost): \(obstacle.message)").text]
                sentences += try keeper.take(file: moved.file, of: name, head: head.number)
            } else {
                sentences += try keeper.take(moved.session, name, head: head.number, file: moved.file.number)
            }
        } catch {
            // The file is here as long as this process is.
            sentences = [Phrase("\(whatIsLost), and it is lost when this ends: \(error.message)").text]
        }
        return try calling { () throws(SystemError) in
            KeptMemory(memory: try KeptFile(moved.file), sentences: sentences)
        }
    }

    private final class LockKeeper {
        private let lock: FileLock
        init(_ lock: consuming FileLock) { self.lock = lock }
    }

    private static let whatIsDone: StaticString =
        "memory cannot be read, so the chain was taken out of its session, and put into one for the next kernel"
    private static let whatIsLost: StaticString =
        "the chain was taken out of its session, and the next kernel does not get it"

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
