import CChecksum
import CLinux
import CZlib
import Linux
import PRAM

/// A way to go over pages.
enum Peer {
    /// Reads every byte and sums them up, no more: what the memory gives.
    case read
    /// One of CChecksum's loops, by its number, page by page.
    case loop(Int)
    /// zlib's crc32: another polynomial, the same work.
    case zlib

    var name: String {
        switch self {
        case .read: "read"
        case .loop(let path): String(cString: pv_crc_path_name(path))
        case .zlib: "zlib"
        }
    }

    /// Those that this processor runs.
    static var all: [Peer] {
        let loops = (0..<pv_crc_path_count()).filter { pv_crc_path_runs_here($0) && pv_crc_path_has_crc32c($0) }
        return [.read] + loops.map { .loop($0) } + [.zlib]
    }

    func run(_ batch: inout pv_page_batch) {
        switch self {
        case .read: pv_read_pages(&batch)
        case .loop(let path):
            for i in 0..<batch.count { batch.checksums[i] = pv_crc32c_by(path, 0, batch.pages[i], pageSize) }
        case .zlib:
            for i in 0..<batch.count {
                let bytes = batch.pages[i]!.assumingMemoryBound(to: UInt8.self)
                batch.checksums[i] = UInt32(truncatingIfNeeded: crc32(0, bytes, UInt32(pageSize)))
            }
        }
    }
}

/// Goes over the pages of a chain the way pram-verify does, without looking at what it finds: stretches of 16 links, each in
/// ascending order of PFN, handed to whichever thread is free. What comes before (walking the links, starting the threads) is
/// not in the time.
final class PeerRun {
    private static let stretch = 16 * Link.capacity
    private static let batch = 64

    private let peer: Peer
    private let threads: Int
    private let mapping: Mapping
    /// Where pages are read from instead of being mapped.
    private let image: PlainImage?
    private var order: [PFN] = []
    /// When the last thread was there, and when each of them was done.
    private let monitor = Monitor()
    private var waiting = 0
    private var next = 0
    private var started = UInt64(0)

    init(_ arguments: Arguments, _ path: [UInt8]) throws(SystemError) {
        guard let head = arguments.number("head", radix: 16),
            let peer = Peer.all.first(where: { $0.name == arguments["peer"] }),
            let threads = arguments.number("threads"), threads > 0,
            let mapped = arguments["mapped"], ["before", "during", "never"].contains(mapped)
        else {
            fail("run: head= peer= threads= mapped=before|during|never")
        }
        self.peer = peer
        self.threads = Int(threads)
        let file = try FileDescriptor.open(path)
        mapping = try Mapping(file, offset: 0, count: Int(try file.status().size))
        let limit = (arguments.number("limit") ?? .max) / UInt64(pageSize)
        // The links are not read through the mapping, so that nothing of it is there yet.
        let image = try PlainImage(path)
        self.image = mapped == "never" ? image : nil
        var walk = ChainWalk(head: PFN(head), memory: image)
        var links = UInt64(0)
        var start = 0
        while UInt64(order.count) < limit, let link = walk.next()?.link {
            links += 1
            order += link.entries.map { $0.page }
            if links % 16 == 0 {
                order[start...].sort()
                start = order.count
            }
        }
        order[start...].sort()
        if mapped == "before" {
            touchAll()
        }
    }

    func run() throws(SystemError) -> String {
        let processor = processorNanoseconds
        var workers: [Worker] = []
        for _ in 1..<threads { workers.append(try Worker { self.work() }) }
        work()
        for worker in workers { worker.join() }
        let elapsed = monotonicNanoseconds() - started
        return
            "{\"pages\": \(order.count), \"elapsed_ns\": \(elapsed), \"processor_ns\": \(processorNanoseconds - processor)}"
    }

    /// Reads one byte of each page, so that all of them are in the page tables.
    private func touchAll() {
        var byte = UInt8(0)
        for page in order { withUnsafeMutablePointer(to: &byte) { _ = guardedCopy(address(page), to: $0, count: 1) } }
    }

    private func address(_ page: PFN) -> UnsafeRawPointer {
        UnsafeRawPointer(mapping.base + Int(page.number) * pageSize)
    }

    private func work() {
        let pages = UnsafeMutablePointer<UnsafeRawPointer?>.allocate(capacity: PeerRun.batch)
        let checksums = UnsafeMutablePointer<UInt32>.allocate(capacity: PeerRun.batch)
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: PeerRun.batch * pageSize, alignment: pageSize)
        defer {
            buffer.deallocate()
            pages.deallocate()
            checksums.deallocate()
        }
        monitor.lock()
        waiting += 1
        if waiting == threads {
            started = monotonicNanoseconds()
            monitor.announce()
        }
        while waiting < threads { monitor.wait() }
        while next < order.count {
            let start = next
            next = min(order.count, start + PeerRun.stretch)
            let end = next
            monitor.unlock()
            for first in stride(from: start, to: end, by: PeerRun.batch) {
                let count = min(PeerRun.batch, end - first)
                if let image {
                    image.read(order[first..<first + count], into: buffer)
                    for i in 0..<count { pages[i] = UnsafeRawPointer(buffer + i * pageSize) }
                } else {
                    for i in 0..<count { pages[i] = address(order[first + i]) }
                }
                var batch = pv_page_batch(pages: UnsafePointer(pages), checksums: checksums, count: count, done: 0)
                peer.run(&batch)
            }
            monitor.lock()
        }
        monitor.unlock()
    }

    private var processorNanoseconds: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

/// A thread that can be kept in an array.
private final class Worker {
    private var thread: Thread?
    init(_ body: @escaping () -> Void) throws(SystemError) { thread = try Thread(body) }
    func join() { thread.take()?.join() }
}

/// An image whose pages are read, never mapped.
private final class PlainImage: PhysicalMemory {
    private let file: FileDescriptor
    let zerosMayBeHoles = false
    let kind = "raw image"

    init(_ path: [UInt8]) throws(SystemError) { file = try FileDescriptor.open(path) }

    func contains(_ page: PFN) -> Bool { true }
    func mapped(_ page: PFN) -> UnsafeRawPointer? { nil }

    /// For the walk along the links.
    func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) {
        let buffer = UnsafeMutableRawBufferPointer(start: destination, count: count * pageSize)
        let got = first.address.flatMap { try? file.read(at: $0, into: buffer) } ?? 0
        for i in 0..<count { states[i] = (i + 1) * pageSize <= got ? .present : .absent }
    }

    /// Reads pages in ascending order, adjacent ones in one go.
    func read(_ pages: ArraySlice<PFN>, into destination: UnsafeMutableRawPointer) {
        var start = pages.startIndex
        while start < pages.endIndex {
            var end = start + 1
            while end < pages.endIndex, pages[end].number == pages[end - 1].number + 1 { end += 1 }
            let buffer = UnsafeMutableRawBufferPointer(
                start: destination + (start - pages.startIndex) * pageSize, count: (end - start) * pageSize)
            guard (try? file.read(at: pages[start].number << 12, into: buffer)) == buffer.count else {
                fail("cut short")
            }
            start = end
        }
    }
}
