import CLinux

/// Where a path leads on another machine whose files lie below a root: symbolic links are followed as that machine would
/// follow them, absolute ones from the root on, and `..` stays within it. Nothing is opened.
///
/// The rest of a path behind what does not exist is left as it is, so the answer can be opened or named in an error
/// whatever it leads to. It is no protection against somebody who changes the files meanwhile: it is for evidence.
/// - Parameters:
///   - path: as that machine names it, absolute.
///   - root: empty for this machine: then nothing is looked at.
public func rootedPath(_ path: [UInt8], below root: [UInt8]) -> [UInt8] {
    guard !root.isEmpty else { return path }
    let slash = UInt8(ascii: "/")
    // The last component first.
    var rest = Array(path.split(separator: slash).reversed())
    var found: [ArraySlice<UInt8>] = []
    var linksLeft = 40
    func written() -> [UInt8] { found.reduce(into: root) { $0 += [slash] + $1 } }
    while let name = rest.popLast() {
        if name.elementsEqual(".".utf8) { continue }
        if name.elementsEqual("..".utf8) {
            _ = found.popLast()
            continue
        }
        found.append(name)
        guard linksLeft > 0, let target = linkTarget(written()) else { continue }
        linksLeft -= 1
        found.removeLast()
        if target.first == slash { found = [] }
        rest += target.split(separator: slash).reversed()
    }
    return written()
}

/// What a symbolic link says; nil for anything else, and for a text that no path can have.
private func linkTarget(_ path: [UInt8]) -> [UInt8]? {
    var text = [UInt8](repeating: 0, count: 4096)
    let answer = text.withUnsafeMutableBytes { SystemCalls.readlinkat(SystemCalls.workingDirectory, path, $0) }
    guard !answer.failed, answer.value > 0, answer.value < text.count else { return nil }
    return Array(text[..<Int(answer.value)])
}
