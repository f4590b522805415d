import Linux
import PRAM
import Text
import Verification

/// What of a chain's damage can be repaired, and what was.
struct RepairReport {
    enum Possible: Int, CaseIterable {
        case all, some, none

        var name: StaticString {
            switch self {
            case .all: "all"
            case .some: "some"
            case .none: "none"
            }
        }
    }

    /// What this is about: what `repair` would do, what it did, or what was rebuilt for a reader.
    enum Doing { case possible, done, onTheWay }

    struct File {
        let name: [UInt8]
        let lost: Int
        let isRepairable: Bool
    }

    var possible: Possible
    var doing = Doing.possible
    /// Why nothing can be; empty where something can.
    var reason: StaticString = ""
    /// Lost links, META and DATA pages, and pages of the parity file.
    var links = 0
    var pages = 0
    var parityPages = 0
    var files: [File] = []

    /// - Parameter after: the chain with everything that comes back, which knows the names of files.
    init(_ recovery: ChainRecovery, after: ChainEvaluation) {
        links = recovery.lostLinks
        pages = recovery.lostPages
        parityPages = recovery.lostParityPages
        for file in recovery.files {
            let stored = file.number >= 0 && file.number < after.files.count ? after.files[file.number] : nil
            files.append(File(name: stored?.name ?? [], lost: file.lost, isRepairable: file.isRecoverable))
        }
        if recovery.isWhole {
            possible = .all
        } else if links > 0 || files.contains(where: { $0.isRepairable }) {
            possible = .some
        } else {
            possible = .none
            reason = "too much is lost of the same groups"
        }
    }

    init(_ obstacle: ChainRecovery.Obstacle) {
        possible = .none
        switch obstacle {
        case .noParity: reason = "nothing is found that protects this chain"
        case .stale: reason = "the parity is of another chain, or of what this one was"
        case .linksLost: reason = "links are lost with their copies"
        }
    }

    func write(to output: Output) {
        let word: StaticString = doing == .possible ? "repairable" : "repaired"
        switch possible {
        case .all:
            let by: StaticString =
                switch doing {
                case .possible: "by pram-verify repair"
                case .done: "in its place"
                case .onTheWay: "on the way, not in memory"
                }
            output.write("\(word): all of it, \(by)\n")
        case .some:
            let whole = files.count { $0.isRepairable }
            output.write("\(word): not all of it: \(whole) of \(counted(files.count, "damaged file"))")
            output.write(doing == .possible ? ", by pram-verify repair --partial\n" : "\n")
        case .none: output.write("\(word): nothing: \(reason)\n")
        }
        for file in files where possible == .some {
            let name = file.name.isEmpty ? "(name not known)" : escaped(file.name)
            let verdict: StaticString = file.isRepairable ? "all of it" : "not all of it"
            output.write("         \(name): \(counted(file.lost, "lost page")), \(verdict)\n")
        }
    }

    func write(to json: inout JSONWriter) {
        json.beginObject("repair")
        json.string("possible", possible.name)
        json.string("reason", reason)
        json.bool("done", doing != .possible && possible != .none)
        json.number("links", links)
        json.number("pages", pages)
        json.number("parity_pages", parityPages)
        json.beginArray("files")
        for file in files {
            json.beginObject()
            json.string("name", escaped(file.name))
            json.string("name_hex", hexadecimal(file.name))
            json.number("lost", file.lost)
            json.bool("repairable", file.isRepairable)
            json.endObject()
        }
        json.endArray()
        json.endObject()
    }
}
