import Linux

/// Divides work among threads.
public enum Division {
    /// Calls `body` with the parts of 0..<count, one a thread; returns when all are done. Where no thread can be
    /// started, the calling one does its part.
    public static func run(_ count: Int, threads: Int, _ body: @escaping (Range<Int>) -> Void) {
        let parts = max(1, min(threads, count))
        var workers: [WorkerHandle] = []
        for part in 1..<max(parts, 1) {
            let range = count * part / parts..<count * (part + 1) / parts
            if let worker = try? WorkerHandle({ body(range) }) { workers.append(worker) } else { body(range) }
        }
        body(0..<count / parts)
        for worker in workers { worker.join() }
    }
}
