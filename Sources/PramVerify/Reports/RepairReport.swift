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
        let comingBack: Int
        var isRepairable: Bool { comingBack == lost }

        /// "3 lost pages, of which 2 come back"
        func inWords(done: Bool = false) -> String {
            let pages = counted(lost, "lost page")
            if lost == comingBack {
                if done { return lost == 1 ? "\(pages) is back" : "\(pages) are back" }
                return lost == 1 ? "\(pages), which comes back" : "\(pages), all of which come back"
            }
            if comingBack == 0 {
                return lost == 1 ? "\(pages), which does not come back" : "\(pages), none of which comes back"
            }
            return
                "\(pages), of which \(comingBack) \(done ? comingBack == 1 ? "is back" : "are back" : comingBack == 1 ? "comes back" : "come back")"
        }
    }

    var possible: Possible
    var doing = Doing.possible
    /// Why nothing can be; empty where something can.
    var reason: StaticString = ""
    /// Lost links, META and DATA pages, and pages of the parity file.
    var links = 0
    var pages = 0
    var parityPages = 0
    /// Whether memory has no place for some of what comes back: it is cut short, or a dump without these pages.
    var lacksPlace = false
    /// How many of those come back.
    var comingBack = 0
    var files: [File] = []

    /// Whether nothing that the chain lists is lost.
    var isNeedless: Bool { lost == 0 }
    private var lost: Int { links + pages + parityPages }

    /// - Parameter after: the chain with everything that comes back, which knows the names of files.
    init(_ recovery: ChainRecovery, after: ChainEvaluation) {
        links = recovery.lostLinks
        pages = recovery.lostPages
        parityPages = recovery.lostParityPages
        comingBack = links + recovery.pagesComingBack
        lacksPlace = recovery.hasPagesOutside
        for file in recovery.files {
            let stored = file.number >= 0 && file.number < after.files.count ? after.files[file.number] : nil
            files.append(File(name: stored?.name ?? [], lost: file.lost, comingBack: file.comingBack))
        }
        if recovery.isWhole {
            possible = .all
        } else if comingBack > 0 {
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

    /// - Parameters:
    ///   - isRestored: whether files are restored, by a command that could bring back what is lost on the way.
    ///   - isHandedOver: whether the chain lies in memory that nobody can write.
    func write(to output: Output, isRestored: Bool = false, isHandedOver: Bool = false) {
        let word: StaticString = doing == .possible ? "repairable" : "repaired"
        switch possible {
        case .all:
            let by: StaticString =
                switch doing {
                case .possible:
                    isRestored
                        ? "with --repair"
                        : isHandedOver
                            ? "by load --repair" : lacksPlace ? "by extract --repair" : "by pram-verify repair"
                case .done: "in its place"
                case .onTheWay: "on the way, not in memory"
                }
            output.write("\(word): all of it, \(by)\n")
        case .some:
            let whole = files.count { $0.isRepairable }
            output.write("\(word): not all of it: \(comingBack) of \(counted(lost, "lost page"))")
            output.write(", \(whole) of \(counted(files.count, "damaged file"))")
            let by: StaticString =
                isRestored
                ? ", with --repair\n"
                : isHandedOver ? ", by load --repair\n" : ", by pram-verify repair --partial\n"
            output.write("\(doing == .possible ? by : "\n")")
        case .none: output.write("\(word): nothing: \(reason)\n")
        }
        for file in files where possible == .some {
            let name = file.name.isEmpty ? "(name not known)" : escaped(file.name)
            output.write("         \(name): \(file.inWords(done: doing == .done))\n")
        }
    }

    /// What is lost, for the log: "1 link and 3 pages".
    var lostInWords: String {
        var parts: [String] = []
        if links > 0 { parts.append(counted(links, "link")) }
        if pages > 0 { parts.append(counted(pages, "page")) }
        if parityPages > 0 { parts.append(counted(parityPages, "parity page")) }
        return parts.isEmpty ? "nothing" : enumerated(parts)
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
