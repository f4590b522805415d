import Linux
import Text

/// What an administrator has set for the unit, in /etc/default/pram-verify: environment variables.
struct ServiceSettings {
    let saveDirectory = ServiceSettings.value("SAVE_DIR", "/var/lib/pram-verify")
    let saveOptions: [[UInt8]]
    /// Whether --early is among what is set for saving: the head is taken at start then, and the chain saved at stop.
    let takesHeadEarly: Bool
    /// Units of systemd; files are saved on the way to one of these; without any, never.
    let saveTargets = ServiceSettings.words("SAVE_TARGETS", "kexec.target")
    /// Empty where nothing is to be restored.
    let loadDirectory = environmentValue("LOAD_DIR") ?? Array("/var/lib/pram-verify".utf8)
    let loadOptions = ServiceSettings.words("LOAD_OPTIONS", "--force --erase")
    /// nil when nothing is said; empty for none.
    let kernel = environmentValue("KEXEC_KERNEL")
    let initrd = environmentValue("KEXEC_INITRD")

    init() {
        let words = ServiceSettings.words("SAVE_OPTIONS", "--replace")
        // Without --kho it is a mistake, which is said.
        let isKept = words.contains { $0.spell("--kho") }
        saveOptions = words.filter { !isKept || !$0.spell("--early") }
        takesHeadEarly = saveOptions.count < words.count
    }

    private static func value(_ name: StaticString, _ usual: StaticString) -> [UInt8] {
        environment(name) ?? usual.withUTF8Buffer { Array($0) }
    }

    private static func words(_ name: StaticString, _ usual: StaticString) -> [[UInt8]] {
        split(environmentValue(name) ?? usual.withUTF8Buffer { Array($0) })
    }

    /// Words between blanks; quotes keep blanks in a word and go away, as where systemd takes a variable apart
    /// (systemd.service(5), COMMAND LINES).
    static func split(_ text: [UInt8]) -> [[UInt8]] {
        var words: [[UInt8]] = []
        var word: [UInt8]?
        var quote: UInt8?
        for byte in text {
            if let open = quote {
                if byte == open { quote = nil } else { word?.append(byte) }
            } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                quote = byte
                word = word ?? []
            } else if byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\n") {
                if let done = word { words.append(done) }
                word = nil
            } else {
                word = (word ?? []) + [byte]
            }
        }
        if let word { words.append(word) }
        return words
    }
}
