import Machine
import MemorySources
import PRAM
import Text

/// Which memory --memory names.
enum MemoryChoice {
    /// This machine's own, in the ways named.
    case live(LiveWays, path: [UInt8])
    /// A dump.
    case file([UInt8])

    static let thisMachine = MemoryChoice(nil)

    /// - Parameter path: nil or "auto" for the machine's own memory by whatever way reaches it.
    init(_ path: [UInt8]?) {
        let path = path ?? Array("auto".utf8)
        if path.elementsEqual("auto".utf8) {
            self = .live(.both, path: path)
        } else if path.elementsEqual("/dev/mem".utf8) {
            self = .live(.devMem, path: path)
        } else if path.elementsEqual("/proc/kcore".utf8) {
            self = .live(.kcore, path: path)
        } else {
            self = .file(path)
        }
    }

    var isLive: Bool {
        if case .live = self { true } else { false }
    }

    var path: [UInt8] {
        switch self {
        case .live(_, let path), .file(let path): path
        }
    }

    func open(base: UInt64, unpackLimit: UInt64, raw: Bool) throws(Failure) -> any PhysicalMemory {
        do throws(MemoryFailure) {
            switch self {
            case .live(let ways, _): return try LiveMemory.open(only: ways)
            case .file(let path):
                return try DumpFile.open(path, base: base, unpackLimit: unpackLimit, as: raw ? .raw : .recognised)
            }
        } catch {
            throw .memory(error)
        }
    }
}
