/// The file /config of an image by mkinitcpio (parse_config): lines `NAME="WORDS"`, which the image's init sources. It
/// then runs the hooks that EARLYHOOKS names, before it loads any module, in the order in which they stand there.
public enum HookList {
    private static let newline = UInt8(ascii: "\n")
    private static let quote = UInt8(ascii: "\"")
    private static let early = Array("EARLYHOOKS=\"".utf8)

    /// Whether EARLYHOOKS names the hook.
    public static func names(_ hook: [UInt8], in config: [UInt8]) -> Bool {
        var found = false
        // As in a shell the last assignment counts.
        for line in config.split(separator: newline) where line.starts(with: early) {
            let words = line.dropFirst(early.count).prefix { $0 != quote }
            found = words.split(separator: UInt8(ascii: " ")).contains { $0.elementsEqual(hook) }
        }
        return found
    }

    /// The file with the hook in front of all other early ones. The same bytes where it is named already.
    /// - Returns: nil where it is not what mkinitcpio writes, one EARLYHOOKS among it: who knows what it does.
    public static func adding(_ hook: [UInt8], to config: [UInt8]) -> [UInt8]? {
        var result: [UInt8] = []
        var count = 0
        for line in config.split(separator: newline) {
            guard isUnderstood(line) else { return nil }
            if line.starts(with: early) {
                count += 1
                let rest = line.dropFirst(early.count)
                result += early + hook
                if rest.first != quote { result.append(UInt8(ascii: " ")) }
                result += rest
            } else {
                result += line
            }
            result.append(newline)
        }
        guard count == 1 else { return nil }
        return names(hook, in: config) ? config : result
    }

    /// A name in capitals, and words in which the shell finds nothing to do.
    private static func isUnderstood(_ line: ArraySlice<UInt8>) -> Bool {
        let name = line.prefix { $0 >= UInt8(ascii: "A") && $0 <= UInt8(ascii: "Z") }
        let value = line.dropFirst(name.count)
        guard !name.isEmpty, value.starts(with: "=\"".utf8), value.count >= 3, value.last == quote else { return false }
        for byte in value.dropFirst(2).dropLast() {
            switch byte {
            case quote, UInt8(ascii: "$"), UInt8(ascii: "`"), UInt8(ascii: "\\"): return false
            default: break
            }
        }
        return true
    }
}
