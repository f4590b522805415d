import KernelCommandLine
import Linux
import PRAM
import Text

/// What the last `save` into this machine's memory did: /run/pram-verify/saved. Whoever hands a chain on compares, so
/// that after a save that failed nobody gets an older chain.
///
/// Lines of a name, a blank and a value. It is gone with /run: what it says is true of this boot alone.
struct SaveNote {
    enum State: Int, CaseIterable {
        /// Begun, and not ended: the process was killed, or still runs.
        case unfinished
        case saved
        case failed

        var name: StaticString {
            switch self {
            case .unfinished: "unfinished"
            case .saved: "saved"
            case .failed: "failed"
            }
        }
    }

    var state: State
    /// Seconds since 1970.
    var time: UInt64
    /// The page of the chain's head, where it was saved.
    var head: UInt64?
    /// The generation of the chain's links; nil when it was changed on purpose since, as `drop` does.
    var generation: UInt64?
    /// Why it failed.
    var reason: [UInt8] = []

    init(_ state: State) {
        self.state = state
        time = secondsSince1970()
    }

    /// nil when nothing was saved since the boot, or nothing can be told.
    static func read() -> SaveNote? {
        let fields = RunFolder.fields(of: .saved)
        guard let word = fields.value("state"),
            let state = State.allCases.first(where: { $0.name.withUTF8Buffer { $0.elementsEqual(word) } })
        else { return nil }
        var note = SaveNote(state)
        note.time = fields.value("time").flatMap { decimalNumber($0[...]) } ?? 0
        note.head = fields.number("head")
        note.generation = fields.number("generation")
        note.reason = fields.value("reason") ?? []
        return note
    }

    /// Whether there is one that this user may not read.
    static var isHidden: Bool {
        let path = RunFolder.File.saved.path
        return FileDescriptor.exists(path) && (try? FileDescriptor.openWithoutWaiting(path)) == nil
    }

    func write() {
        // That a save has begun is still true of one that failed.
        RunFolder.publishNote(.saved, keepsOld: state == .failed) { output in
            output.write("state \(state.name)\ntime \(time)\n")
            if let head { output.write("head \(String(head, radix: 16))\n") }
            if let generation { output.write("generation \(String(generation, radix: 16))\n") }
            if !reason.isEmpty { output.write("reason \(escaped(reason))\n") }
        }
    }

    /// Why the chain that was found is not the one that was saved last.
    /// - Parameters:
    ///   - head: its head; nil where there is none.
    ///   - generation: that of its links.
    func objection(to head: UInt64?, generation: UInt64?) -> StaticString? {
        switch state {
        case .unfinished: "the last save did not come to its end, so what memory holds is older, or nothing"
        case .failed: "the last save failed, so what memory holds is older, or nothing"
        case .saved:
            if head == nil {
                "the chain that was saved last is not there any more"
            } else if head != self.head || self.generation != nil && generation != self.generation {
                "it is not the chain that was saved last"
            } else {
                nil
            }
        }
    }
}

extension Report {
    /// After `save`, whatever became of it.
    func noteSave(_ call: Call) {
        guard MemoryChoice(call[.memory]).isLive else { return }
        var note = SaveNote(failure == nil && status == [] ? .saved : .failed)
        note.head = written?.head?.number
        note.generation = evaluation?.links.first?.generation
        if let failure { note.reason = Array(failure.message.utf8) }
        note.write()
    }

    /// After a command that has written memory: a chain that was taken away on purpose is missed by nobody, and one that
    /// was changed on purpose is still the last one.
    func followSave() {
        guard let written, written.changed, failure == nil, var note = SaveNote.read() else { return }
        switch written.purpose {
        case .chain, .head, .repairing: break
        case .clearing: RunFolder.removeNote(.saved)
        case .cutting:
            guard note.state == .saved else { return }
            if written.head == nil { return RunFolder.removeNote(.saved) }
            note.generation = nil
            note.write()
        }
    }
}
