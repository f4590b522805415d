import ChainWriting
import Linux
import Machine
import Text

/// The session in which a chain has come from the former kernel.
enum ArrivedSession {
    /// From systemd, where that has taken it out and handed it to this unit; else from the kernel.
    static func retrieve(_ name: [UInt8], _ device: borrowing LiveUpdate) throws(Failure) -> LiveSession {
        if let handed = ServiceNotification.handed(name: Keeper.storeName) { return LiveSession(handed) }
        do throws(SystemError) {
            return try device.retrieve(name)
        } catch {
            switch error.code {
            case ErrorCode.noSuchFile:
                throw .writing(
                    WritingFailure(
                        .noChain, "the kernel has no session \(escaped(name)): it did not arrive, or has ended",
                        remedy: "load the chain, and save it anew"))
            case ErrorCode.invalid:
                throw .writing(
                    WritingFailure(
                        .noChain, "session \(escaped(name)) was taken out already, by systemd or another process",
                        remedy: "run this in the unit that has saved, or clear that unit's fd store: systemctl clean "
                            + "--what=fdstore UNIT"))
            default: throw .system(error, remedy: "")
            }
        }
    }

    /// Ends the session, so that the kernel has the memory back.
    /// - Returns: how many bytes became free, as far as that can be told; and a sentence where they do not.
    static func release(generation: UInt64, head: UInt64) -> (bytes: UInt64?, sentence: Phrase) {
        let name = KeptSession.name(generation)
        let before = HandOverRoom.memFree()
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
            try calling { () throws(SystemError) in try session.finish() }
            ServiceNotification.remove(name: Keeper.storeName)
        } catch {
            return (nil, Phrase("the chain's memory stays taken until the next boot: \(error.message)"))
        }
        HoldNote(head: head, session: name, holder: .released).write()
        let after = HandOverRoom.memFree()
        guard let before, let after else { return (0, "the chain's memory is given back") }
        let freed = after > before ? after - before : 0
        return (freed, Phrase("the chain's memory is given back: \(byteCount(freed)) more are free"))
    }
}
