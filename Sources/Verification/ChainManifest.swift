import Linux
import Manifest
import PRAM

/// The manifest of a checked chain. Its text is read anew each time, page by page, each checked against its checksum in
/// the same pass; where one does not fit, the parser is given a page of zeros, which no manifest has.
public struct ChainManifest {
    /// The manifest's number among the chain's files.
    public let file: Int
    let evaluation: ChainEvaluation
    let head: PFN
    let memory: any PhysicalMemory

    /// - Returns: nil where the chain has none that can be told from other files.
    public init?(of evaluation: ChainEvaluation, head: PFN, memory: any PhysicalMemory) {
        let name = ManifestFile.name
        guard let file = evaluation.files.firstIndex(where: { $0.name == name && $0.metaFits && !$0.isDuplicate }),
            evaluation.files[file].size <= UInt64(Int64.max)
        else { return nil }
        self.file = file
        self.evaluation = evaluation
        self.head = head
        self.memory = memory
    }

    public var stored: StoredFile { evaluation.files[file] }
    /// All files of the chain.
    public var files: [StoredFile] { evaluation.files }

    /// Hands over the text in pieces of up to a page.
    public func readText(_ take: @escaping (ArraySlice<UInt8>) -> Void) {
        let sink = TextSink(size: stored.size, take)
        ChainExtraction(memory: memory, files: evaluation.files, seed: randomNumber()).run(head: head) {
            $0 == file ? sink : nil
        } end: { _, _ in
        }
        sink.finish()
    }

    /// Hands over what the text says.
    /// - Returns: the parser at the end of the text.
    @discardableResult
    public func read(_ take: @escaping (ManifestParser.Event) -> Void) -> ManifestParser {
        let reading = Reading()
        readText { reading.parser.read($0) { event in take(event) } }
        reading.parser.finish { event in take(event) }
        return reading.parser
    }

    private final class Reading { var parser = ManifestParser() }
}

/// Pages of a text in order, missing ones as zeros.
private final class TextSink: FileSink {
    private let take: (ArraySlice<UInt8>) -> Void
    private let size: UInt64
    private var next: UInt64 = 0
    private var buffer = [UInt8](repeating: 0, count: pageSize)

    init(size: UInt64, _ take: @escaping (ArraySlice<UInt8>) -> Void) {
        self.size = size
        self.take = take
    }

    func write(_ pages: UnsafeBufferPointer<UnsafeRawPointer?>, at index: UInt64) throws(SystemError) {
        var index = index
        for page in pages {
            defer { index = index == .max ? index : index + 1 }
            guard index >= next, index <= size / UInt64(pageSize) else { continue }
            let left = size - index * UInt64(pageSize)
            if left == 0 { continue }
            if index > next { take(zeros) }
            next = index + 1
            let isCopied = buffer.withUnsafeMutableBytes { bytes in
                page.map { guardedCopy($0, to: bytes.baseAddress!, count: pageSize) } ?? false
            }
            take(isCopied ? buffer[..<Int(min(left, UInt64(pageSize)))] : zeros)
        }
    }

    /// One page stands for any number of them: what matters is that no line goes on across.
    private var zeros: ArraySlice<UInt8> { [UInt8](repeating: 0, count: 16)[...] }

    func finish() {
        if next < size / UInt64(pageSize) + (size % UInt64(pageSize) == 0 ? 0 : 1) { take(zeros) }
    }
}

/// Finds the files of a chain by their names, with four bytes for each.
public struct ChainNameIndex {
    private let files: [StoredFile]
    private var sorted: [UInt32] = []

    public init(_ files: [StoredFile]) {
        self.files = files
        for number in files.indices where files[number].metaFits && !files[number].isDuplicate {
            sorted.append(UInt32(truncatingIfNeeded: number))
        }
        sorted.sort { files[Int($0)].name.lexicographicallyPrecedes(files[Int($1)].name) }
    }

    /// The file's number.
    public subscript(_ name: [UInt8]) -> Int? {
        var low = 0
        var high = sorted.count
        while low < high {
            let middle = (low + high) / 2
            if files[Int(sorted[middle])].name.lexicographicallyPrecedes(name) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        guard low < sorted.count, files[Int(sorted[low])].name == name else { return nil }
        return Int(sorted[low])
    }

    /// The file that holds an entry's content.
    public func contents(of entry: TreeEntry) -> Int? { self[entry.contents ?? Array(entry.path.name)] }
}

/// What a manifest says as a whole, and how it agrees with its chain.
public struct ManifestSurvey {
    public let provenance: Provenance?
    /// Entries that can be read.
    public private(set) var entries: UInt64 = 0
    public private(set) var directories: UInt64 = 0
    /// Symbolic links, FIFOs and device nodes.
    public private(set) var others: UInt64 = 0

    /// Most findings of one kind that are listed.
    private static let listed: UInt64 = 100

    /// Reads the manifest, and reports to the evaluation where it and the chain contradict each other.
    public init(_ manifest: ChainManifest) {
        let evaluation = manifest.evaluation
        let names = ChainNameIndex(evaluation.files)
        let survey = Survey(evaluation, names)
        let parser = manifest.read { survey.take($0) }
        entries = survey.entries
        directories = survey.directories
        others = survey.others
        provenance = parser.provenance
        var unnamed: UInt64 = 0
        var first = -1
        for number in evaluation.files.indices
        where number != manifest.file && !survey.isNamed[number] && evaluation.files[number].metaFits {
            unnamed += 1
            if first < 0 { first = number }
        }
        if unnamed > 0 { evaluation.report(Finding(.manifestUnnamed, file: first, detail: unnamed)) }
    }

    private final class Survey {
        var entries: UInt64 = 0
        var directories: UInt64 = 0
        var others: UInt64 = 0
        var isNamed: [Bool]
        private var reported: UInt64 = 0
        private let evaluation: ChainEvaluation
        private let names: ChainNameIndex

        init(_ evaluation: ChainEvaluation, _ names: ChainNameIndex) {
            self.evaluation = evaluation
            self.names = names
            isNamed = [Bool](repeating: false, count: evaluation.files.count)
        }

        func take(_ event: ManifestParser.Event) {
            switch event {
            case .finding(let finding):
                report(
                    Finding(
                        .manifestLine, detail: UInt64(finding.kind.rawValue) << 48 | finding.line & 0xffff_ffff_ffff))
            case .entry(let entry): take(entry)
            }
        }

        private func take(_ entry: TreeEntry) {
            entries += 1
            switch entry.kind {
            case .directory: directories += 1
            case .regular:
                guard let file = names.contents(of: entry) else {
                    return report(Finding(.manifestContents, detail: entries))
                }
                isNamed[file] = true
                if let size = entry.size, size != evaluation.files[file].size {
                    report(Finding(.manifestContents, file: file, detail: entries))
                }
            default: others += 1
            }
        }

        private func report(_ finding: Finding) {
            guard reported < ManifestSurvey.listed else { return }
            reported += 1
            evaluation.report(finding)
        }
    }
}
