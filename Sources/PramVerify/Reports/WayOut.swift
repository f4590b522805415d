import PRAM
import Text
import Verification

extension Report {
    /// "5 files", or "1 of 5 files damaged".
    var filesInWords: Phrase {
        let files = evaluation?.files ?? []
        let users = evaluation?.usersFiles(manifest: manifest?.file) ?? []
        let all = counted(users.count, "file")
        let damaged = users.count { files[$0].status == .damaged || files[$0].status == .incomplete }
        return damaged == 0 ? Phrase(all) : "\(damaged) of \(all) damaged"
    }

    /// What somebody can do who was told of damage and asked for nothing else; nil where nothing has to be done, or all of
    /// it can be repaired, which is said then.
    var wayOut: Phrase? {
        guard command.isOneOf("check", "list", "boot"), let evaluation, !evaluation.links.isEmpty,
            verdict == .damaged || verdict == .indeterminate, repair?.possible != .all
        else { return nil }
        guard memory?.isLive == true else { return "pram-verify extract takes out what is intact" }
        if handOver != nil {
            return
                "pram-verify load restores what is intact, and with --repair what parity brings back; nobody can write it"
        }
        return
            "pram-verify repair brings back what parity can, load restores what is intact, and drop cuts out the rest"
    }
}

extension ChainEvaluation {
    /// The numbers of all files but those that hold the tree's manifest and the parity.
    func usersFiles(manifest: Int?) -> [Int] { files.indices.filter { $0 != manifest && !files[$0].isParity } }
}

extension StaticString {
    fileprivate func isOneOf(_ words: StaticString...) -> Bool {
        words.contains { word in
            withUTF8Buffer { own in word.withUTF8Buffer { own.elementsEqual($0) } }
        }
    }
}
