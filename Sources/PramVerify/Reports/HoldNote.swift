import KernelCommandLine
import Linux
import PRAM
import Text

/// Who holds the session that keeps a chain over the next kexec: /run/pram-verify/held. When nobody does, the chain will
/// not arrive, and nobody else would say so.
struct HoldNote {
    enum Holder {
        /// A process of ours; its start tells it from a later one of the same number.
        case process(Int32, started: UInt64)
        /// The fd store of a unit of systemd.
        case store([UInt8])
        /// The chain was loaded, and its memory given back.
        case released
    }

    /// The page of the chain's head.
    var head: UInt64
    var session: [UInt8]
    var holder: Holder
    /// The session has the head's page, and no chain yet.
    var isEarly = false
    /// A chain is being saved into the session of an early head, or was, by a process that was killed.
    var isBegun = false
    /// The heads of chains whose memory this boot has given back, and which the command line may name still.
    private var givenBack: [UInt64] = []

    init(head: UInt64, session: [UInt8], holder: Holder, isEarly: Bool = false) {
        self.head = head
        self.session = session
        self.holder = holder
        self.isEarly = isEarly
    }

    /// Notes that the memory of the chain with this head was given back; another one that is held stays what it is.
    static func noteReleased(_ head: UInt64, _ session: [UInt8]) {
        guard var other = read(), other.head != head, other.keepsMemory else {
            return HoldNote(head: head, session: session, holder: .released).write()
        }
        other.givenBack.append(head)
        other.write()
    }

    /// Ends the process that holds it, and notes that.
    func end() {
        if case .process(let process, let started) = holder {
            ProcessFacts.end(process, started: started)
            ProcessFacts.waitForEnd(process, started: started)
        }
        HoldNote(head: head, session: session, holder: .released).write()
    }

    /// The head that was taken before there is a chain, as long as its session is held.
    static func early() -> HoldNote? { read().flatMap { $0.isEarly && $0.standing.isHeld ? $0 : nil } }

    static func read() -> HoldNote? {
        let fields = RunFolder.fields(of: .held)
        guard let head = fields.number("head"), let session = fields.value("session") else { return nil }
        let holder: Holder
        if let process = fields.value("process").flatMap({ decimalNumber($0[...]) }).flatMap({ Int32(exactly: $0) }),
            let started = fields.value("started").flatMap({ decimalNumber($0[...]) })
        {
            holder = .process(process, started: started)
        } else if let unit = fields.value("store") {
            holder = .store(unit)
        } else {
            holder = .released
        }
        var note = HoldNote(head: head, session: session, holder: holder, isEarly: fields.value("early") != nil)
        note.isBegun = fields.value("begun") != nil
        for word in (fields.value("given-back") ?? []).split(separator: UInt8(ascii: " ")) {
            if let head = try? KernelNumber.kstrtoul(word, .hexadecimal) { note.givenBack.append(head) }
        }
        return note
    }

    func write() {
        guard !session.contains(UInt8(ascii: "\n")) else { return }
        let gone = allGivenBack(before: HoldNote.read())
        RunFolder.publishNote(.held) { output in
            output.write("head \(String(head, radix: 16))\nsession ")
            output.write(session)
            switch holder {
            case .process(let process, let started):
                output.write("\nprocess \(process)\nstarted \(started)\n")
                if isEarly { output.write("early yes\n") }
                if isBegun { output.write("begun yes\n") }
            case .store(let unit):
                output.write("\nstore ")
                output.write(unit + [UInt8(ascii: "\n")])
            case .released: output.write("\nreleased yes\n")
            }
            if !gone.isEmpty {
                output.write("given-back")
                for head in gone { output.write(" \(String(head, radix: 16))") }
                output.write("\n")
            }
        }
    }

    /// The first one, which may be the command line's, and the last ones.
    private func allGivenBack(before old: HoldNote?) -> [UInt64] {
        var all: [UInt64] = []
        func add(_ head: UInt64) { if head != self.head && !all.contains(head) { all.append(head) } }
        for head in old?.givenBack ?? [] { add(head) }
        if let old, case .released = old.holder { add(old.head) }
        for head in givenBack { add(head) }
        return Array(all.prefix(1) + all.dropFirst().suffix(7))
    }

    /// Notes that every file of the chain with this head was restored, so that it is the only copy no more.
    static func noteRestored(_ head: PFN) {
        RunFolder.publishNote(.restored) { $0.write("head \(String(head.number, radix: 16))\n") }
    }

    static func isRestored(_ head: PFN) -> Bool { RunFolder.fields(of: .restored).number("head") == head.number }

    /// Whether the page is the head of a chain whose memory this boot has given back.
    static func isReleased(_ page: PFN?) -> Bool {
        guard let page, let note = read() else { return false }
        guard note.head == page.number else { return note.givenBack.contains(page.number) }
        if case .released = note.holder { return true }
        return false
    }

    /// Whether somebody has the chain's memory, for this kernel at least: a process may have it without a session.
    var keepsMemory: Bool {
        if case .process(let process, let started) = holder { return ProcessFacts.startTime(process) == started }
        return standing.isHeld
    }

    /// Whether the session is held, now, so that the next kernel gets the chain; and who holds it, or did, in words.
    var standing: (isHeld: Bool, sentence: Phrase) {
        switch holder {
        case .released: return (false, "the chain was loaded, and its memory given back")
        case .process(let process, let started):
            let isThere = ProcessFacts.startTime(process) == started
            if isThere, isBegun {
                return (
                    false,
                    "a chain is being saved into session \(escaped(session)), or was, and its saving did not come to its end"
                )
            }
            if isThere, let sessions = ProcessFacts.sessions(of: process), sessions.isEmpty {
                return (
                    false,
                    "process \(process) has the chain's memory, and no session: load it, as the next kernel does not get it"
                )
            }
            if isThere, isEarly {
                return (
                    true,
                    "session \(escaped(session)) is held by process \(process), and has the head of a chain that is not "
                        + "saved yet"
                )
            }
            // Where its descriptors cannot be seen it is believed: it is a process of ours, and has nothing else to do.
            return isThere
                ? (true, "session \(escaped(session)) is held by process \(process)")
                : (false, "process \(process), which held session \(escaped(session)), is gone, and the chain with it")
        case .store(let unit):
            let isHeld =
                ProcessFacts.sessions(of: 1)?.contains { $0.name == session } ?? (HoldNote.stored(unit) > 0)
            return isHeld
                ? (true, "session \(escaped(session)) is in the fd store of \(escaped(unit))")
                : (false, "session \(escaped(session)) is gone from the fd store of \(escaped(unit))")
        }
    }

    /// How many descriptors systemd keeps for a unit.
    static func stored(_ unit: [UInt8]) -> UInt64 {
        let words = ["systemctl", "show", "--property=NFileDescriptorStore", "--value", "--"] as [StaticString]
        let call = words.map { bytes($0) } + [unit]
        guard let (_, text) = try? ChildProgram.output(of: call, limit: 4096) else { return 0 }
        return decimalNumber(line(text)) ?? 0
    }
}
