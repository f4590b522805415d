/// The file ORDER, which mkinitramfs puts beside the scripts of each stage (initramfs-tools, cache_run_scripts): two
/// lines a script, `/scripts/STAGE/NAME "$@"` and one that takes in what the script has left. The image's init sources
/// it, and runs no script that it does not name.
public enum ScriptOrder {
    private static let newline = UInt8(ascii: "\n")
    private static let blank = UInt8(ascii: " ")

    /// Whether one of the lines runs the script.
    /// - Parameter script: its path in the image: "/scripts/init-top/pram-verify".
    public static func names(_ script: [UInt8], in order: [UInt8]) -> Bool {
        for line in order.split(separator: newline) {
            let word = line.prefix { $0 != blank && $0 != UInt8(ascii: "\t") }
            if word.elementsEqual(script) { return true }
        }
        return false
    }

    /// The order with the script in front of all others. The same bytes where it is named already.
    /// - Returns: nil where a line is neither of the two that mkinitramfs writes: who knows what it does.
    public static func adding(_ script: [UInt8], to order: [UInt8]) -> [UInt8]? {
        let lines = order.split(separator: newline)
        for line in lines where !isUnderstood(line) { return nil }
        if names(script, in: order) { return order }
        return script + Array(" \"$@\"\n[ -e /conf/param.conf ] && . /conf/param.conf\n".utf8) + order
    }

    private static func isUnderstood(_ line: ArraySlice<UInt8>) -> Bool {
        line.starts(with: "/scripts/".utf8) || line.elementsEqual("[ -e /conf/param.conf ] && . /conf/param.conf".utf8)
            || line.first == UInt8(ascii: "#")
    }
}
