import Manifest
import PRAM
import Text

/// What each finding means, in one sentence.
extension Report {
    func sentence(for finding: Finding) -> Phrase {
        let page = finding.page.map { "page \(hexadecimal($0.number))" } ?? "the page"
        let inFile = finding.file >= 0 ? " of \(fileName(finding.file))" : ""
        switch finding.kind {
        case .noChain:
            if isHeadLost { return "the head page holds zeros only, and a locator says that a chain begins there" }
            return finding.detail == 1
                ? "the head page holds zeros only: no chain is there, or it was erased"
                : "neither magic nor checksum of the head page fits: no chain is there"
        case .linkMagic:
            if finding.detail == 1 { return "the page that should be the next link holds zeros only" }
            return "the page that should be the next link does not have its magic number"
        case .linkChecksum:
            return "the link does not fit its checksum, so what it lists is unverified"
        case .linkIndeterminate:
            return
                "the link does not fit its checksum; whether it is damaged, or a kernel has cleared LRU flags in it, "
                + "cannot be told"
        case .linkVouched:
            return
                "\(finding.detail) links do not fit their checksums because a kernel has cleared their LRU flags; which "
                + "pages had the flag cannot be told, but every page fits and nothing else in the chain is wrong"
        case .linkLength:
            return "the link claims \(finding.detail) entries; 1 to \(Link.capacity) are possible"
        case .linkLoop:
            return "the chain comes back to a link that it passed before"
        case .chainCut:
            return finding.detail == 0
                ? "the chain cannot be followed beyond this point"
                : "nothing beyond this point is proved; \(finding.detail) further links were found there"
        case .pfnInvalid:
            return "the page frame number \(finding.page.map { hexadecimal($0.number) } ?? "") is not one of any page"
        case .pageShared:
            return "\(page)\(inFile) is in use elsewhere in the chain"
        case .pageNotInSource:
            return memory?.zerosMayBeHoles == true
                ? "\(page)\(inFile) reads as zeros, or is not contained in this memory source"
                : "\(page)\(inFile) is not contained in this memory source"
        case .pageUnreadable:
            return "\(page)\(inFile) could not be read"
        case .entryType:
            return "the entry has type \(finding.detail), which is neither META nor DATA"
        case .dataBeforeMeta:
            return "a DATA entry stands before any META entry, so it belongs to no file"
        case .metaChecksum:
            return "the META page does not fit its checksum: name, size and mode are unverified"
        case .dataChecksum:
            return "\(page)\(inFile) does not fit its checksum"
        case .zeroChecksum:
            return "\(finding.detail) of the pages have checksum 0, which every page of zeros fits"
                + (memory?.zerosMayBeHoles == true ? "; this source shows zeros also where it cannot read" : "")
        case .unknownFlags:
            return "the entry has flags \(hexadecimal(finding.detail)), of which some are unknown"
        case .metaSize:
            return "the file size \(finding.detail) is more than a file can have"
        case .metaMode:
            return "the mode 0\(String(finding.detail, radix: 8)) is not that of a regular file"
        case .metaNameLength:
            return "the length of the name is \(finding.detail); 1 to \(FileImage.nameCapacity) are possible"
        case .metaName:
            return "the name is not one path component"
        case .duplicateName:
            return "an earlier file has the same name"
        case .duplicateIndex:
            return "page index \(finding.detail)\(inFile) is there twice"
        case .indexPastEnd:
            return "page index \(finding.detail)\(inFile) lies behind the end of the file"
        case .fileCut:
            return "the chain breaks off before the file is known to be complete"
        case .manifestLine:
            let kind = ManifestFinding.Kind(rawValue: Int(finding.detail >> 48))?.name ?? "unknown"
            return "line \(finding.detail & 0xffff_ffff_ffff) of the manifest cannot be used: \(kind)"
        case .manifestContents:
            return finding.file >= 0
                ? "entry \(finding.detail) of the manifest gives another size than \(fileName(finding.file)) has"
                : "entry \(finding.detail) of the manifest is of a file whose content the chain does not have"
        case .manifestUnnamed:
            return
                "\(finding.detail) of the files, \(fileName(finding.file)) first, have no entry in the manifest: what "
                + "is known of them is their names in the chain"
        case .pagesNotChecked:
            return "only links were looked at: that a page fits is not proved"
        case .timeout:
            return "time ran out before the end of the chain"
        case .malformedParameter:
            return Phrase(head?.malformed[Int(finding.detail)] ?? "")
        case .kernelRefused:
            return "the kernel has refused this chain, or a mount has consumed it: /sys/kernel/pram is 0"
        case .chainUnnamed where head?.origin == .session:
            let page = hexadecimal(head?.page?.number ?? 0)
            let number = String(head?.page?.number ?? 0, radix: 16)
            return
                "a chain lies at page \(page), in memory that the former kernel handed over, and no pram= names it: `load "
                + "--pfn=\(number)` restores it, with --erase it gives the memory back, and `save --again --pfn=\(number)` "
                + "hands it on"
        case .chainUnnamed:
            return
                "a chain lies at page \(hexadecimal(head?.page?.number ?? 0)), in memory that the command line reserves, "
                + "and no pram= names it: nobody has handed it on. `load` restores it, `drop` and `repair` mend it, "
                + "`erase` clears it, and `cmdline` hands it on"
        case .handoverLost: return handOverSentence
        case .parityStale:
            return
                "the parity is of another chain, or of what this one was: it is not used, and what is lost stays lost"
        case .copiesLost:
            let lost = lostCopies?.inWords ?? ""
            if handOver != nil {
                return "the chain is whole, and protection of it is lost (\(lost)): load it while it is"
            }
            return "the chain is whole, and protection of it is lost (\(lost)): pram-verify repair makes it anew"
        case .findingsOmitted:
            return "\(finding.detail) further findings are counted, but not listed"
        }
    }

    /// A file's name, escaped, or its number where the name is not known.
    func fileName(_ number: Int) -> String {
        guard let file = evaluation?.files[number], !file.name.isEmpty else { return "file number \(number)" }
        return escaped(file.name)
    }
}
