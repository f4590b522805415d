import ChainWriting
import KernelCommandLine
import Linux
import Machine
import MemorySources
import PRAM
import Parity
import Text
import Verification

/// The session in which a chain has come from the former kernel.
enum ArrivedSession {
    /// From systemd, where that has taken it out: it hands it to the unit that stored it, and lets others copy it. Else
    /// from the kernel.
    static func retrieve(_ name: [UInt8], _ device: borrowing LiveUpdate) throws(Failure) -> LiveSession {
        if let handed = ServiceNotification.handed(session: name) { return handed }
        do throws(SystemError) {
            return try device.retrieve(name)
        } catch {
            switch error.code {
            case ErrorCode.noSuchFile:
                throw .writing(
                    WritingFailure(
                        .noChain, "the kernel has no session \(escaped(name)): it did not arrive, or has ended",
                        remedy: "load the chain, and save it anew"))
            case ErrorCode.invalid: break
            default: throw .system(error, remedy: "")
            }
        }
        do throws(SystemError) {
            return try ProcessFacts.session(name, of: 1)
        } catch {
            throw .writing(
                WritingFailure(
                    .noChain, "session \(escaped(name)) was taken out already, by another process",
                    remedy: "run this in the unit that has saved, or clear that unit's fd store: systemctl clean "
                        + "--what=fdstore UNIT"))
        }
    }

    /// A new session of the old one's name, for the next kernel, and the files that the old one has kept.
    struct Moved: ~Copyable {
        let session: LiveSession
        let files: [MemoryFileDescriptor]
        /// Why the new session does not keep the files; nil where it does. The old one has ended in any case: then nothing
        /// but the files has the chain's memory.
        let obstacle: SystemError?
    }

    /// Takes the files out of their session, and puts them into a new one of the same name: the same frames.
    ///
    /// Once they are out of their session they are returned, whatever else fails.
    static func move(_ name: [UInt8], _ device: borrowing LiveUpdate) throws(Failure) -> Moved {
        // The new one first, as the old one ends when it is closed. What came and what goes are lists of their own, so
        // that both may have the name.
        let next: LiveSession
        do throws(SystemError) { next = try device.create(name) } catch {
            throw .system(error, remedy: "the chain stays in its session: free memory, and try again")
        }
        let old = try retrieve(name, device)
        let files: [MemoryFileDescriptor]
        do throws(SystemError) { files = try old.retrieve() } catch {
            throw .writing(
                WritingFailure(
                    .noChain,
                    "session \(escaped(name)) does not give its files back, and has ended: the chain is lost: "
                        + "\(error.message)"))
        }
        do throws(SystemError) {
            // In this order: as long as the old session has a file, no other one takes it (EBUSY).
            try old.finish()
            try next.preserve(files)
            return Moved(session: next, files: files, obstacle: nil)
        } catch {
            return Moved(session: next, files: files, obstacle: error)
        }
    }

    /// Ends the session of the chain with this head.
    /// - Parameters:
    ///   - generation: that of its links; nil where they have none.
    ///   - pages: how many it has; nil where nobody has counted them.
    static func release(_ head: PFN, generation: UInt64?, pages: UInt64?) -> Written {
        guard let generation = generation ?? KeptMemory.generation(named: head) else {
            return Written(
                purpose: .clearing, head: head, changed: false,
                warnings: ["the chain's memory stays taken until the next boot: this program did not save it"])
        }
        let (bytes, sentence) = release(generation: generation, head: head.number, pages: pages)
        return Written(
            purpose: .clearing, head: bytes == nil ? head : nil, changed: bytes != nil, released: bytes,
            warnings: [sentence.text])
    }

    /// Ends the session, so that the kernel has the memory back.
    /// - Returns: how many bytes were given back, as far as that can be told, nil where none were; and a sentence.
    private static func release(generation: UInt64, head: UInt64, pages: UInt64?) -> (bytes: UInt64?, sentence: Phrase)
    {
        let name = KeptSession.name(generation)
        let before = HandOverRoom.memFree()
        if let note = HoldNote.read(), note.head == head, note.session == name, note.keepsMemory {
            switch note.holder {
            case .process(let process, let started):
                ProcessFacts.end(process, started: started)
                ProcessFacts.waitForEnd(process, started: started)
            case .store(let unit):
                guard environment("NOTIFY_SOCKET") != nil else {
                    return (
                        nil,
                        Phrase(
                            "the chain's memory stays taken: its session is in the fd store of \(escaped(unit)): "
                                + "systemctl clean --what=fdstore \(escaped(unit))")
                    )
                }
                ServiceNotification.remove(name: Keeper.storeName)
            case .released: break
            }
            return released(head, name, before: before, pages: pages)
        }
        var size: UInt64?
        do throws(Failure) {
            let device: LiveUpdate
            do throws(SystemError) { device = try LiveUpdate.open() } catch {
                guard error.code == ErrorCode.noSuchFile else { throw .system(error, remedy: "") }
                return (
                    nil,
                    "the chain's memory stays taken until the next boot: this kernel was started without kho=on "
                        + "liveupdate=on"
                )
            }
            let session = try retrieve(name, device)
            try calling { () throws(SystemError) in
                // So it is freed as any file is; what nobody has taken out is freed in the end, too.
                let files = try? session.retrieve()
                size = files?.reduce(0) { $0 &+ ((try? $1.size()) ?? 0) }
                try session.finish()
                withExtendedLifetime(files) {}
            }
            ServiceNotification.remove(name: Keeper.storeName)
        } catch {
            return (nil, Phrase("the chain's memory stays taken until the next boot: \(error.message)"))
        }
        return released(head, name, before: before, pages: size.map { $0 / UInt64(pageSize) } ?? pages)
    }

    /// Notes that nobody has it any more.
    private static func released(
        _ head: UInt64, _ name: [UInt8], before: UInt64?, pages: UInt64?
    ) -> (bytes: UInt64?, sentence: Phrase) {
        HoldNote.noteReleased(head, name)
        // What is freed is not all counted as free at once: some waits in lists of the processors.
        let after = HandOverRoom.memFree()
        let grown = (after ?? 0) > (before ?? 0) ? (after ?? 0) - (before ?? 0) : 0
        guard let pages else {
            return (grown, Phrase("the chain's memory is given back: MemFree grew by \(byteCount(grown))"))
        }
        let bytes = pages &* UInt64(pageSize)
        return (
            bytes,
            Phrase("the chain's memory is given back: \(byteCount(bytes)); MemFree grew by \(byteCount(grown)) so far")
        )
    }
}

extension Head {
    /// The head of a chain in ordinary memory that the former kernel has handed over, or was to; nil for any other.
    static func arrived(_ call: Call) -> Head? {
        guard MemoryChoice(call[.memory]).isLive, !call.has(.device), !call.has(.region),
            let machine = try? MachineEvidence.collect(), let head = try? Head.find(call, live: true),
            head.origin == .procCmdline || head.origin == .option,
            let page = head.page,
            isNamed(page, machine.line),
            HandOverEvidence.collect(machine.line).concerns(
                page, machine, kernelsHead: MachineEvidence.kernelsHead())
        else { return nil }
        return head
    }

    /// The same where a chain begins there, or has: under a head that was taken early nothing may have been saved.
    static func arrivedChain(_ call: Call) -> Head? {
        guard let head = arrived(call), let page = head.page else { return nil }
        guard let memory = try? MemoryChoice.thisMachine.open(base: 0, unpackLimit: 0, raw: false) else { return head }
        var state = PageState.absent
        let isEmpty = PageBytes(page, of: memory, state: &state).isZero && state == .present
        return isEmpty && GeometryPage(locator: page.number &+ 1, in: memory)?.head != page.number ? nil : head
    }

    /// Whether the command line names it, or something has arrived of which somebody else may know the head.
    private static func isNamed(_ page: PFN, _ line: ParameterLine) -> Bool {
        PramParameter.find(in: line).pfn == page.number || HandOverEvidence.collect(line).arrived == true
    }
}
