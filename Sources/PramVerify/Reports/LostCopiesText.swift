import ChainWriting
import Text
import Verification

extension LostCopies {
    /// "2 locators and 1 copy of a link"
    var inWords: String {
        var parts: [String] = []
        if locators > 0 { parts.append(counted(locators, "locator")) }
        if links > 0 { parts.append(counted(links, "copy of a link", "copies of links")) }
        if parityPages > 0 { parts.append(counted(parityPages, "page of links' parity", "pages of links' parity")) }
        return enumerated(parts)
    }
}

extension ChainRepair.Outcome {
    /// What was written; empty where nothing was.
    var inWords: String {
        var parts: [String] = []
        if links > 0 { parts.append(counted(links, "link")) }
        if pages > 0 { parts.append(counted(pages, "page of the chain", "pages of the chain")) }
        if copies > 0 {
            parts.append(counted(copies, "page beside it that protects it", "pages beside it that protect it"))
        }
        return enumerated(parts)
    }
}
