import ChainWriting
import Linux
import Text

/// The session that is to keep a chain which is being saved: a new one, or the one that has the chain's head already.
final class SavingSession {
    let session: LiveSession
    /// What the links are to be stamped with, which the session's name follows from.
    let generation: UInt64
    /// nil where the head is any page.
    let early: EarlyHead?

    var name: [UInt8] { KeptSession.name(generation) }

    private init(_ session: consuming LiveSession, _ generation: UInt64, _ early: EarlyHead?) {
        self.session = session
        self.generation = generation
        self.early = early
    }

    /// Of a name that nobody has: the number in it is chosen again where somebody does.
    static func create() throws(SystemError) -> SavingSession {
        let boot = FileDescriptor.firstLine(of: bytes("/proc/sys/kernel/random/boot_id")).map(Array.init) ?? []
        let device = try LiveUpdate.open()
        for _ in 0..<8 {
            let generation = KeptSession.generation(boot: boot, random: randomNumber())
            do throws(SystemError) {
                return SavingSession(try device.create(KeptSession.name(generation)), generation, nil)
            } catch {
                guard error.code == ErrorCode.exists else { throw error }
            }
        }
        throw SystemError("ioctl", code: ErrorCode.exists, path: LiveUpdate.path)
    }

    /// The one for the next chain. An early head whose session cannot be had, or has a part of another chain, gives way.
    static func next() throws(SystemError) -> SavingSession {
        do throws(SystemError) { if let early = try early() { return early } } catch { HoldNote.early()?.end() }
        return try create()
    }

    /// Ends an early head's session, where a save was begun and did not end. Nobody else saves: the lock is held.
    static func clearUnfinished() {
        if let note = HoldNote.read(), note.isBegun { note.end() }
    }

    /// The one that `save --early` has made; nil where there is none, or none any more.
    static func early() throws(SystemError) -> SavingSession? {
        guard let note = HoldNote.early(), case .process(let process, _) = note.holder,
            let generation = KeptSession.generation(named: note.session.dropFirst(12))
        else { return nil }
        let session = try ProcessFacts.session(note.session, of: process)
        guard let file = try ProcessFacts.memoryFiles(of: process).first else { return nil }
        return SavingSession(session, generation, try EarlyHead(file))
    }

    /// Notes that an early one gets its chain: from now on it is that or nothing.
    func begin() {
        guard early != nil, var note = HoldNote.early(), note.session == name else { return }
        note.isBegun = true
        note.write()
    }

    /// Ends an early one in which a part of a chain is, for which there is no second try.
    /// - Returns: the failure, which says so.
    func givenUp(after failure: Failure) -> Failure {
        guard early != nil, let note = HoldNote.read(), note.session == name, note.isBegun else { return failure }
        note.end()
        let cause: WritingFailure.Cause = if case .writing(let writing) = failure { writing.cause } else { .systemCall }
        return .writing(
            WritingFailure(
                cause,
                Phrase(failure.message)
                    + "; the head that was taken early is given up, so a kernel that is loaded with "
                    + "it finds no chain: load it once more after the next save", remedy: Phrase(failure.remedy)))
    }
}
