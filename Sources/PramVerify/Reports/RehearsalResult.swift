import Linux
import Machine
import MemorySources
import PRAM
import Text
import Verification

/// What `rehearse --result` has to say.
struct RehearsalResult {
    let record: RehearsalRecord

    /// From the check at boot; where no initramfs has looked, the canary is looked at now.
    static func find(_ call: Call) throws(Failure) -> RehearsalResult {
        guard let record = Rehearsal.last(MachinePaths()) else {
            throw .memory(
                MemoryFailure(
                    .noSuchFile, source: "rehearsal", "nothing was rehearsed on this machine, or its result is lost",
                    remedy: "pram-verify rehearse"))
        }
        if record.state != .waiting {
            keep(record)
            return RehearsalResult(record: record)
        }
        // The kernel that has saved it is still there.
        if !record.boot.isEmpty && record.boot == Rehearsal.bootID() { return RehearsalResult(record: record) }
        let seen = try look(record)
        RunFolder.publishNote(.rehearsal) { $0.write(seen.text) }
        keep(seen)
        return RehearsalResult(record: seen)
    }

    private static func keep(_ record: RehearsalRecord) {
        // Where it cannot be kept it is still said.
        guard (try? Rehearsal.keep(record)) != nil else { return }
        RunFolder.removeNote(.rehearsal)
    }

    /// Looks at the canary that another boot has saved.
    static func look(_ record: RehearsalRecord) throws(Failure) -> RehearsalRecord {
        let lock = try ReadingLock(.thisMachine)
        defer { lock.release() }
        let memory = try MemoryChoice.thisMachine.open(base: 0, unpackLimit: 0, raw: false)
        let head = PFN(containing: record.range.start)
        var walk = ChainWalk(head: head, memory: memory, seed: randomNumber())
        let hasLink = walk.next()?.link?.magic == Link.magic
        if hasLink && Rehearsal.canary(at: head, in: memory) == nil {
            throw .memory(
                MemoryFailure(
                    .noSuchMemory, source: "rehearsal", "a chain of files has taken the canary's place",
                    remedy: "pram-verify rehearse, once that chain is loaded and erased"))
        }
        let canary = Canary(seed: record.seed, head: head, pages: record.range.size / UInt64(pageSize))
        let name = CanaryName(saved: record.saved, boot: record.boot, release: record.from)
        guard canary.pages <= Canary.pageLimit, let seen = Rehearsal.look(at: canary, name, in: memory) else {
            return record
        }
        return seen
    }

    private var status: ExitStatus {
        switch record.state {
        case .passed: []
        case .failed: .damaged
        case .waiting: .failed
        }
    }

    func print(_ call: Call, _ streams: Streams) -> ExitStatus {
        if call.has(.json) { writeJSON(to: streams.output) } else { writeText(to: streams.output) }
        return status
    }

    private func writeText(to output: Output) {
        output.write("rehearsal: \(record.sentence)\n")
        output.write("saved:     \(CivilTime(secondsSince1970: Int64(clamping: record.saved)).text)\n")
        guard record.state != .waiting else {
            return output.write("           start the next kernel: systemctl kexec (without systemd: kexec -e)\n")
        }
        output.write("looked at: \(CivilTime(secondsSince1970: Int64(clamping: record.checked)).text)")
        output.write(", in \(record.milliseconds) ms, by \(escaped(record.flavour))\n")
        guard record.lost > 0 else { return }
        output.write("map:       |\(map)|  # overwritten, one mark for \(byteCount(record.range.size / Self.marks))\n")
        for range in record.overwritten { output.write("           \(range.text)\n") }
        if record.overwritten.count == RehearsalRecord.listed {
            output.write("           further ranges are not listed\n")
        }
    }

    private static let marks: UInt64 = 32

    /// The range from left to right.
    private var map: String {
        var text: [UInt8] = []
        let start = record.range.start
        for mark in 0..<Self.marks {
            let width = max(record.range.size / Self.marks, 1)
            let piece = PhysicalRange(start: start &+ mark &* width, size: width)
            let isHit = piece.map { piece in record.overwritten.contains { $0.overlaps(piece) } } ?? false
            text.append(UInt8(ascii: isHit ? "#" : "."))
        }
        return String(decoding: text, as: UTF8.self)
    }

    private func writeJSON(to output: Output) {
        var json = JSONWriter { output.write($0) }
        json.beginObject()
        json.number("schema", SetupReport.schemaVersion)
        json.string("version", Program.version)
        json.string("command", Rehearse.name)
        json.number("exit", Int(status.rawValue))
        json.string("state", record.state.name)
        json.string("message", record.sentence)
        json.number("start", record.range.start)
        json.number("size", record.range.size)
        json.number("saved", record.saved)
        json.number("checked", record.checked)
        json.string("from", escaped(record.from))
        json.string("to", escaped(record.to))
        json.string("flavour", escaped(record.flavour))
        json.number("pages", record.pages)
        json.number("lost", record.lost)
        json.number("milliseconds", record.milliseconds)
        json.beginArray("overwritten")
        for range in record.overwritten {
            json.beginObject()
            json.number("start", range.start)
            json.number("size", range.size)
            json.endObject()
        }
        json.endArray()
        json.endObject()
        json.finish()
    }
}
