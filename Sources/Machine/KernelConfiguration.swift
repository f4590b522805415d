import Compression
import Linux
import Text

/// A kernel's configuration: /proc/config.gz of the one that runs, or the file that distributions keep in /boot.
public struct KernelConfiguration: Sendable {
    public enum Value: Equatable, Sendable {
        case builtIn, module, off
    }

    /// Distributions' have some 300 KB.
    static let limit = 4 << 20

    private let text: [UInt8]

    /// nil for what is no configuration.
    public init?(_ text: [UInt8]) {
        let isOne = TextLines(text).contains { $0.begin(with: "CONFIG_") }
        guard isOne else { return nil }
        self.text = text
    }

    /// What an option that is on, off or a module says; `off` also where it is not there.
    /// - Parameter option: with CONFIG_ in front.
    public subscript(_ option: StaticString) -> Value {
        for line in TextLines(text) where line.begin(with: option) {
            let value = line.dropFirst(option.utf8CodeUnitCount)
            if value.spell("=y") { return .builtIn }
            if value.spell("=m") { return .module }
        }
        return .off
    }

    /// Of the kernel that runs, or of the one with this release, whichever is found.
    static func read(_ paths: MachinePaths, release: [UInt8]) -> KernelConfiguration? {
        if let packed = try? FileDescriptor.openWithoutWaiting(paths.below("/proc/config.gz")),
            let file = try? unpack(packed, .gzip, limit: UInt64(limit)).takeFile(), let text = contents(file)
        {
            return KernelConfiguration(text)
        }
        guard !release.isEmpty, !release.contains(UInt8(ascii: "/")) else { return nil }
        for folder in ["/boot/config-", "/lib/modules/", "/usr/lib/modules/"] as [StaticString] {
            let end: StaticString = folder.utf8CodeUnitCount == 13 ? "" : "/config"
            let path = paths.below(bytes(folder) + release + bytes(end))
            if let text = try? FileDescriptor.contents(of: path, limit: limit) { return KernelConfiguration(text) }
        }
        return nil
    }

    private static func contents(_ file: borrowing FileDescriptor) -> [UInt8]? {
        guard let size = try? file.status().size, size <= UInt64(limit) else { return nil }
        var text = [UInt8](repeating: 0, count: Int(size))
        let got = text.withUnsafeMutableBytes { room in (try? file.read(at: 0, into: room)) ?? 0 }
        return got == text.count ? text : nil
    }
}

extension MachinePaths {
    /// Any other file of this machine.
    public func below(_ path: StaticString) -> [UInt8] { below(bytes(path)) }

    /// The same for a name that comes from the machine itself.
    public func below(_ path: [UInt8]) -> [UInt8] { rootedPath(path, below: root) }
}

/// The lines of a text, one at a time: a file of another machine may have millions.
struct TextLines: Sequence, IteratorProtocol {
    private var rest: ArraySlice<UInt8>

    init(_ text: [UInt8]) { rest = text[...] }

    mutating func next() -> ArraySlice<UInt8>? {
        guard !rest.isEmpty else { return nil }
        let end = rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.endIndex
        let line = rest[rest.startIndex..<end]
        rest = end < rest.endIndex ? rest[(end + 1)...] : []
        return line
    }
}
