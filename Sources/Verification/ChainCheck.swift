import Linux
import PRAM

/// Checks a chain with several threads: one walks the links ahead and judges the results in chain order, all verify
/// pages.
///
///     walk ──> [slice][slice][slice] ──> verify (any thread, any order) ──> judge (in chain order)
///
/// A ring of slices is all the memory that this takes, however long the chain is; what the report keeps comes on top.
public final class ChainCheck {
    public struct Options {
        /// How many threads verify pages; the calling one is among them.
        public var threads = 1
        /// Look at links only, not at pages.
        public var linksOnly = false
        /// Monotonic time in nanoseconds at which to stop; nil to go on to the end.
        public var deadline: UInt64?
        /// Called now and then with the number of pages checked so far.
        public var progress: ((UInt64) -> Void)?
        /// Called for each stop of the walk, in chain order, with what was computed over the pages of its entries.
        public var observe: ((WalkedLink, UnsafeBufferPointer<EntryResult>) -> Void)?
        /// The same behind the judgement of that stop.
        public var judged: ((ChainEvaluation, WalkedLink, UnsafeBufferPointer<EntryResult>) -> Void)?
        /// DATA pages, by their number and the checksum that the chain has of them, that are known to fit: they are not
        /// read. nil to read all.
        public var knows: ((UInt64, UInt32) -> Bool)?
        /// Whether pages are wanted through their mapping once more behind the check: it is worth its page faults then.
        public var staysMapped = false
        public init() {}
    }

    private let memory: any PhysicalMemory
    private let head: PFN
    private let options: Options
    private let seed: UInt64
    private let evaluation: ChainEvaluation
    private var walk: ChainWalk

    private let monitor = Monitor()
    private let ring: [Slice]
    // Counts of slices, guarded by the monitor; slice number n lives in ring[n % ring.count].
    private var produced = 0
    private var taken = 0
    private var stopped = false

    /// - Parameter seed: see `ChainEvaluation`.
    public init(head: PFN, memory: any PhysicalMemory, options: Options, seed: UInt64) {
        self.memory = memory
        self.head = head
        self.options = options
        evaluation = ChainEvaluation(seed: seed)
        self.seed = seed
        walk = ChainWalk(head: head, memory: memory, seed: seed)
        ring = (0..<(options.threads > 1 ? options.threads + 3 : 1)).map { _ in Slice() }
    }

    /// The layout of the chain, once it was run.
    public var layout: ChainLayout { walk.layout }

    /// Runs the check; call once.
    public func run() -> ChainEvaluation {
        if options.linksOnly {
            walkLinks()
        } else {
            verifyPages()
        }
        evaluation.finish()
        if !evaluation.contested.isEmpty { assignContested() }
        return evaluation
    }

    /// Goes along the links once more. Where time runs out on the way, no file that was not reached stays intact.
    private func assignContested() {
        var again = ChainWalk(head: head, memory: memory, seed: seed)
        var next = 0
        while let walked = again.next() {
            if isLate {
                evaluation.doubtFiles(from: next)
                return
            }
            if let link = walked.link { evaluation.assignContested(walked.number, link) }
            next = walked.number + 1
        }
    }

    private var isLate: Bool {
        guard let deadline = options.deadline else { return false }
        return monotonicNanoseconds() >= deadline
    }

    private func walkLinks() {
        while let walked = walk.next() {
            evaluation.accept(walked, results: nil) { _ in FileImage(size: 0, mode: 0, name: []) }
            if isLate {
                evaluation.interrupt()
                return
            }
        }
        if !evaluation.links.isEmpty { evaluation.report(Finding(.pagesNotChecked)) }
    }

    private func verifyPages() {
        var workers: [WorkerHandle] = []
        var wanted = options.threads - 1
        let verifier = PageVerifier(memory, knows: options.knows, staysMapped: options.staysMapped)
        var ended = false
        var judged = 0
        while true {
            if !ended && isLate {
                evaluation.interrupt()
                ended = true
            }
            monitor.lock()
            let (ready, nextIsDone) = (produced, ring[judged % ring.count].state == .done)
            monitor.unlock()
            if nextIsDone {
                judge(ring[judged % ring.count])
                judged += 1
            } else if !ended && ready - judged < ring.count {
                ended = !fill(ring[ready % ring.count])
                // A thread is started when there is work for it besides the first slice. Fewer than asked for, even
                // none, only take longer.
                if ready > 0 && workers.count < wanted {
                    if let worker = try? WorkerHandle({ self.work() }) { workers.append(worker) } else { wanted = 0 }
                }
            } else if judged == ready {
                break
            } else {
                help(verifier, waitingFor: ring[judged % ring.count])
            }
        }
        monitor.lock()
        stopped = true
        monitor.announce()
        monitor.unlock()
        for worker in workers { worker.join() }
    }

    /// Walks on until the slice is full, and makes it ready to be verified.
    /// - Returns: false when the chain has ended.
    private func fill(_ slice: Slice) -> Bool {
        slice.clear()
        var ended = false
        while !slice.isFull && !ended {
            if let walked = walk.next() { slice.append(walked) } else { ended = true }
        }
        guard !slice.links.isEmpty else { return false }
        monitor.lock()
        slice.state = .ready
        produced += 1
        monitor.announce()
        monitor.unlock()
        return !ended
    }

    /// Verifies a slice if one is waiting; else waits until the one that is needed next is done.
    private func help(_ verifier: PageVerifier, waitingFor next: Slice) {
        monitor.lock()
        if let slice = takeReady() {
            monitor.unlock()
            verifier.verify(slice)
            monitor.lock()
            slice.state = .done
        } else {
            while next.state != .done { monitor.wait() }
        }
        monitor.unlock()
    }

    /// Only while the monitor is locked.
    private func takeReady() -> Slice? {
        guard taken < produced else { return nil }
        taken += 1
        return ring[(taken - 1) % ring.count]
    }

    private func work() {
        let verifier = PageVerifier(memory, knows: options.knows, staysMapped: options.staysMapped)
        monitor.lock()
        while !stopped {
            if let slice = takeReady() {
                monitor.unlock()
                verifier.verify(slice)
                monitor.lock()
                slice.state = .done
                monitor.announce()
            } else {
                monitor.wait()
            }
        }
        monitor.unlock()
    }

    private func judge(_ slice: Slice) {
        for (number, walked) in slice.links.enumerated() {
            let start = slice.starts[number]
            let count = walked.link?.entries.count ?? 0
            let results = UnsafeBufferPointer(start: UnsafePointer(slice.results + start), count: count)
            options.observe?(walked, results)
            evaluation.accept(walked, results: results) { slice.image(of: start + $0) }
            options.judged?(evaluation, walked, results)
        }
        slice.state = .empty
        options.progress?(evaluation.pagesChecked)
    }
}

/// A thread that can be kept in an array.
final class WorkerHandle {
    private var thread: Thread?
    init(_ body: @escaping () -> Void) throws(SystemError) { thread = try Thread(body) }
    func join() { thread.take()?.join() }
}
