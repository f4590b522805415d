import Linux
import PRAM

/// Where the content of one file goes.
public protocol FileSink: AnyObject {
    /// Adjacent pages of the file, from the page index `index` on. The bytes are valid during the call only; they may
    /// lie in mapped memory, so that they are best handed to the kernel as they are.
    func write(_ pages: UnsafeBufferPointer<UnsafeRawPointer?>, at index: UInt64) throws(SystemError)
}

/// Goes along a chain that was checked before, and hands the pages of chosen files to their sinks: each page is
/// checksummed once more in the very pass that hands it over, so that nothing reaches a file that does not fit.
public struct ChainExtraction {
    /// What became of the pages of one file.
    public struct Outcome {
        /// Indexes of the pages that were left out because they do not fit or could not be read, at most 4096 of them.
        public var holes: [UInt64] = []
        public var holeCount: UInt64 = 0
        public var failure: SystemError?
    }

    private static let batchCapacity = 256
    /// As much as stays in the nearer caches (256 KiB) where the same thread compares and writes it.
    private static let lonelyCapacity = 64

    private let memory: any PhysicalMemory
    private let files: [StoredFile]
    private let seed: UInt64
    private let fileEnd: Int
    private let isAlone: Bool

    /// - Parameters:
    ///   - files: all files of the chain, as `ChainEvaluation` left them.
    ///   - seed: see `ChainWalk`.
    ///   - fileEnd: behind the number of the last file that is wanted; nil to go to the chain's end.
    ///   - isAlone: whether to make do with the calling thread.
    public init(
        memory: any PhysicalMemory, files: [StoredFile], seed: UInt64 = 0, fileEnd: Int? = nil, isAlone: Bool = false
    ) {
        self.memory = memory
        self.files = files
        self.seed = seed
        self.fileEnd = fileEnd ?? .max
        self.isAlone = isAlone
    }

    /// - Parameters:
    ///   - begin: called for each file in chain order; returns its sink, or nil to skip the file.
    ///   - end: called behind the last page of each file that has a sink.
    public func run(head: PFN, begin: (Int) -> (any FileSink)?, end: (Int, Outcome) -> Void) {
        var walk = ChainWalk(head: head, memory: memory, seed: seed)
        var number = -1
        var sink: (any FileSink)?
        var left: UInt64 = 0
        let writer = BatchWriter(
            memory, capacity: isAlone ? ChainExtraction.lonelyCapacity : ChainExtraction.batchCapacity, isAlone: isAlone
        )
        defer { writer.finish() }

        func finishFile() {
            guard let finished = sink else { return }
            writer.flush(to: finished)
            // Fewer entries than the check has seen: what is missing must not pass for holes of the file.
            if left > 0 && writer.outcome.failure == nil {
                writer.outcome.failure = SystemError("read", code: ErrorCode.stale)
            }
            end(number, writer.outcome)
            sink = nil
        }
        while let walked = walk.next() {
            guard let link = walked.link else { continue }
            for (place, entry) in link.entries.enumerated() {
                if entry.kind == .meta {
                    finishFile()
                    number += 1
                    if number >= fileEnd { return }
                    // The chain may have changed since it was checked: then the rest is not what was judged.
                    guard number < files.count, files[number].link == walked.number, files[number].entry == place else {
                        return
                    }
                    left = files[number].pages
                    writer.outcome = Outcome()
                    sink = begin(number)
                } else if entry.kind == .data, let sink, left > 0 {
                    left -= 1
                    writer.append(entry, to: sink)
                }
            }
        }
        finishFile()
    }
}

/// Two batches: a full one is written by a thread of its own, while the next one is read and compared. Whatever is less,
/// as small files are, is written at once, for handing it over takes longer.
private final class BatchWriter {
    /// Of the file that is written; while a batch is handed over, the thread's.
    var outcome = ChainExtraction.Outcome()
    private var batch: PageBatch
    private var other: PageBatch
    private let monitor = Monitor()
    private var worker: WorkerHandle?
    private var hasNoThread = false
    // Guarded by the monitor.
    private var handed: (batch: PageBatch, sink: any FileSink)?
    private var isEnding = false

    init(_ memory: any PhysicalMemory, capacity: Int, isAlone: Bool) {
        batch = PageBatch(memory, capacity: capacity)
        other = PageBatch(memory, capacity: isAlone ? 0 : capacity)
        hasNoThread = isAlone
    }

    func append(_ entry: Entry, to sink: any FileSink) {
        if batch.isFull { handOver(to: sink) } else if !batch.isContinued(by: entry) { flush(to: sink) }
        batch.append(entry)
    }

    /// Writes all that was appended; when it returns, nothing is on its way.
    func flush(to sink: any FileSink) {
        batch.prepare()
        wait()
        if outcome.failure == nil { batch.write(to: sink, &outcome) }
        batch.clear()
    }

    private func handOver(to sink: any FileSink) {
        if worker == nil && !hasNoThread {
            worker = try? WorkerHandle { self.work() }
            hasNoThread = worker == nil
        }
        guard !hasNoThread else { return flush(to: sink) }
        batch.prepare()
        wait()
        guard outcome.failure == nil else { return batch.clear() }
        monitor.lock()
        handed = (batch, sink)
        monitor.announce()
        monitor.unlock()
        swap(&batch, &other)
        batch.clear()
    }

    private func wait() {
        guard worker != nil else { return }
        monitor.lock()
        while handed != nil { monitor.wait() }
        monitor.unlock()
    }

    private func work() {
        monitor.lock()
        while true {
            while handed == nil && !isEnding { monitor.wait() }
            guard let (batch, sink) = handed else { break }
            monitor.unlock()
            batch.write(to: sink, &outcome)
            monitor.lock()
            handed = nil
            monitor.announce()
        }
        monitor.unlock()
    }

    func finish() {
        guard let worker else { return }
        monitor.lock()
        isEnding = true
        monitor.announce()
        monitor.unlock()
        worker.join()
        self.worker = nil
    }
}

/// Adjacent pages of one file on their way out: checked together, then written together while they are in the cache.
private final class PageBatch {
    private let memory: any PhysicalMemory
    private let capacity: Int
    private var entries: [Entry] = []
    private let pages: UnsafeMutablePointer<UnsafeRawPointer?>
    private let checksums: UnsafeMutablePointer<UInt32>
    /// Where pages that are not mapped are read to.
    private let buffer: UnsafeMutableRawPointer

    init(_ memory: any PhysicalMemory, capacity: Int) {
        self.memory = memory
        self.capacity = capacity
        pages = .allocate(capacity: capacity)
        checksums = .allocate(capacity: capacity)
        buffer = .allocate(byteCount: capacity * pageSize, alignment: pageSize)
    }

    deinit {
        pages.deallocate()
        checksums.deallocate()
        buffer.deallocate()
    }

    var isFull: Bool { entries.count == capacity }

    func isContinued(by entry: Entry) -> Bool {
        guard let last = entries.last else { return true }
        return last.index != .max && entry.index == last.index + 1
    }

    func append(_ entry: Entry) { entries.append(entry) }

    func clear() { entries.removeAll(keepingCapacity: true) }

    /// Reads what was collected, and compares it.
    func prepare() {
        locate()
        checksum()
    }

    /// Writes what was prepared, in as many pieces as the pages that do not fit cut it into.
    func write(to sink: any FileSink, _ outcome: inout ChainExtraction.Outcome) {
        var start = 0
        while start < entries.count {
            var end = start
            while end < entries.count && pages[end] != nil { end += 1 }
            if end > start {
                do throws(SystemError) {
                    try sink.write(
                        UnsafeBufferPointer(start: pages + start, count: end - start), at: entries[start].index)
                } catch {
                    outcome.failure = error
                    return
                }
            }
            while end < entries.count && pages[end] == nil {
                outcome.holeCount += 1
                if outcome.holes.count < 4096 { outcome.holes.append(entries[end].index) }
                end += 1
            }
            start = end
        }
    }

    /// Finds each page where it is mapped, and reads the others; nil where there is none.
    private func locate() {
        var place = 0
        while place < entries.count {
            if let mapped = memory.mapped(entries[place].page) {
                pages[place] = mapped
                place += 1
                continue
            }
            var end = place + 1
            while end < entries.count, let next = entries[end - 1].page.advanced(by: 1), entries[end].page == next,
                memory.mapped(entries[end].page) == nil
            { end += 1 }
            let states = UnsafeMutablePointer<PageState>.allocate(capacity: end - place)
            defer { states.deallocate() }
            memory.read(entries[place].page, count: end - place, into: buffer + place * pageSize, states: states)
            for i in place..<end {
                pages[i] = states[i - place] == .present ? UnsafeRawPointer(buffer + i * pageSize) : nil
            }
            place = end
        }
    }

    /// Takes away what does not fit its checksum or vanishes while it is read.
    private func checksum() {
        var place = 0
        while place < entries.count {
            guard pages[place] != nil else {
                place += 1
                continue
            }
            var end = place
            while end < entries.count && pages[end] != nil { end += 1 }
            computeChecksums(of: UnsafePointer(pages + place), count: end - place, into: checksums + place) {
                pages[place + $0] = nil
            }
            for i in place..<end where checksums[i] != entries[i].checksum { pages[i] = nil }
            place = end
        }
    }
}
