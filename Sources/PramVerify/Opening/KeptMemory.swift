import ChainWriting
import KernelCommandLine
import Linux
import Machine
import PRAM
import Text

/// The memory of a chain that has arrived, where this machine's memory cannot be read: its session gives it back.
///
/// To take it out ends the session. So it is put into a new one at once, which the next kernel would get, and somebody
/// holds that before more is read than the head. What cannot be kept so is read all the same: the file is here.
struct KeptMemory {
    let memory: KeptFile
    /// What became of the session, for people.
    let sentences: [String]

    /// - Parameter head: what somebody has said of it. It is believed when it is what the command line says as well, or
    ///   what the chain says itself.
    /// - Returns: nil where nobody knows the session's name.
    static func take(_ head: PFN) throws(Failure) -> KeptMemory? {
        let lock = try MemoryLock.take()
        defer { withExtendedLifetime(lock) {} }
        let line = try? MachinePaths().parameterLine()
        let named = line.flatMap { sessionName(on: $0) }
        if let note = HoldNote.read(), note.keepsMemory {
            if note.head == head.number || note.session == named { return try takeHeld(note, head) }
            // Who holds that one would be forgotten.
            throw .writing(
                WritingFailure(
                    .holdsChain,
                    "another chain waits for the next kernel, and this one cannot be taken out of its session beside it: "
                        + note.standing.sentence, remedy: "go on to the next kernel, or erase that chain first"))
        }
        guard let name = named ?? onlySession() else { return nil }
        if named != nil, let line, let told = PramParameter.find(in: line).pfn, told != 0, told != head.number {
            throw otherHead(PFN(told), name)
        }
        let keeper = try Keeper.choose()
        let device = try calling { () throws(SystemError) in try LiveUpdate.open() }
        let moved = try ArrivedSession.move(name, device)
        let memory: KeptFile?
        let unreadable: SystemError?
        do throws(SystemError) { (memory, unreadable) = (try KeptFile(moved.files), nil) } catch {
            (memory, unreadable) = (nil, error)
        }
        let own = memory.map { self.head(of: $0, name, told: head) } ?? head
        var sentences = ["\(whatIsDone)"]
        do throws(Failure) {
            if let obstacle = moved.obstacle {
                sentences = [Phrase("\(whatIsLost): \(obstacle.message)").text]
                sentences += try keeper.take(moved.files, of: name, head: own.number)
            } else {
                sentences += try keeper.take(moved.session, name, head: own.number, moved.files)
            }
        } catch {
            // The files are here as long as this process is.
            sentences = [Phrase("\(whatIsLost), and it is lost when this ends: \(error.message)").text]
        }
        if let unreadable { throw .system(unreadable, remedy: "") }
        guard own == head else { throw otherHead(own, name) }
        return memory.map { KeptMemory(memory: $0, sentences: sentences) }
    }

    /// What was taken out before.
    private static func takeHeld(_ note: HoldNote, _ head: PFN) throws(Failure) -> KeptMemory {
        guard note.head == head.number else { throw otherHead(PFN(note.head), note.session) }
        guard case .process(let process, _) = note.holder else {
            throw .writing(
                WritingFailure(
                    .noChain,
                    "the chain waits for the next kernel, and nobody reads it in this one: "
                        + note.standing.sentence, remedy: "load it in the next kernel"))
        }
        return try calling { () throws(SystemError) in
            KeptMemory(memory: try KeptFile(try ProcessFacts.memoryFiles(of: process)), sentences: [])
        }
    }

    /// Where the chain in a session's files begins: it was saved into their first place. Where that is no sound link
    /// of this session's chain, what was told is all that there is, if it is a page of the files.
    private static func head(of file: KeptFile, _ session: [UInt8], told: PFN) -> PFN {
        func fits(_ page: PFN) -> Bool {
            var state = PageState.absent
            let bytes = PageBytes(page, of: file, state: &state)
            guard state == .present else { return false }
            let link = Link(decoding: bytes, .amd64)
            return link.magic == Link.magic && link.hasSoundCount && link.checksum == bytes.linkChecksum
                && link.stamp.map { KeptSession.name($0.generation) } == session
        }
        return fits(file.first) || !file.contains(told) ? file.first : told
    }

    private static func otherHead(_ own: PFN, _ session: [UInt8]) -> Failure {
        .writing(
            WritingFailure(
                .decisionNeeded,
                "the chain of session \(escaped(session)) begins at page \(hexadecimal(own.number))",
                remedy: "name that page with --pfn, or none"))
    }

    private static let whatIsDone: StaticString =
        "memory cannot be read, so the chain was taken out of its session, and put into one for the next kernel"
    private static let whatIsLost: StaticString =
        "the chain was taken out of its session, and the next kernel does not get it"

    /// What the command line says of the session of the chain whose head it names; nil for another head.
    static func generation(named head: PFN) -> UInt64? {
        guard let line = try? MachinePaths().parameterLine(), PramParameter.find(in: line).pfn == head.number else {
            return nil
        }
        return sessionName(on: line).flatMap { KeptSession.generation(named: $0.dropFirst(12)) }
    }

    /// From the command line, as the links that tell it cannot be read.
    private static func sessionName(on line: ParameterLine) -> [UInt8]? {
        line.last(named: ParameterName(stringLiteral: BootParameter.session.name))?.value
            .flatMap { KeptSession.generation(named: $0) }.map { KeptSession.name($0) }
    }

    /// The only one that systemd has for anybody.
    private static func onlySession() -> [UInt8]? {
        let names = (ProcessFacts.sessions(of: 1) ?? []).map { $0.name }.filter { KeptSession.isName($0) }
        return names.count == 1 ? names[0] : nil
    }
}
