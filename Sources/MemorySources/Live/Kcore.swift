import Linux
import Machine
import PRAM
import Text

/// The running machine's System RAM through /proc/kcore: an ELF core file that the kernel makes up as it is read
/// (fs/proc/kcore.c). It holds what the kernel manages and nothing else: no reserved range.
///
/// Holes, pages that are offline or poisoned, and pages that the kernel cannot read come as zeros, not as errors.
public final class Kcore: PhysicalMemory {
    private let file: FileDescriptor
    private let segments: [KcoreSegment]

    /// - Parameters:
    ///   - path: /proc/kcore.
    ///   - iomem: needed only for kernels before 4.11, whose headers have no physical addresses.
    ///   - policy: what a refusal is explained with.
    /// - Throws: `.notConfigured`, `.notPermitted`, `.lockdown`: why it cannot be opened; `.malformed`, `.unsupported`:
    ///   what is wrong with its headers.
    public static func open(_ path: [UInt8], iomem: Iomem?, policy: KernelPolicy) throws(MemoryFailure) -> Kcore {
        let file: FileDescriptor
        do throws(SystemError) {
            file = try FileDescriptor.open(path)
        } catch {
            throw MemoryInterface.kcore.refusal(error, policy)
        }
        let segments: [KcoreSegment]
        do throws(KcoreProblem) {
            let headers = try KcoreHeaders(parsing: Kcore.bytes(of: file, at: 0, count: KcoreHeaders.size))
            let table = try Kcore.bytes(of: file, at: headers.tableOffset, count: headers.tableSize)
            let systemRAM = iomem.flatMap { $0.addressesAreHidden ? nil : $0.systemRAM }
            segments = try headers.segments(table: table, systemRAM: systemRAM)
        } catch {
            let source = escaped(path)
            throw MemoryFailure(error.cause, source: source, "\(source) cannot be used: \(error.words)")
        }
        return Kcore(file, segments)
    }

    private init(_ file: consuming FileDescriptor, _ segments: [KcoreSegment]) {
        self.file = file
        self.segments = segments
    }

    public func contains(_ page: PFN) -> Bool { segment(holding: page) != nil }

    /// Never: /proc/kcore has no mmap.
    public func mapped(_ page: PFN) -> UnsafeRawPointer? { nil }

    /// EFAULT and ENOMEM are possible for any page, and fail the whole of a read(2): what they failed is read page by
    /// page.
    public func read(
        _ first: PFN, count: Int, into destination: UnsafeMutableRawPointer, states: UnsafeMutablePointer<PageState>
    ) {
        var done = 0
        while done < count {
            guard let page = first.advanced(by: UInt64(done)), let address = page.address,
                let segment = segment(holding: page)
            else {
                states[done] = .absent
                done += 1
                continue
            }
            let run = min(count - done, wholePages(of: segment.range, from: page, limit: Kcore.pagesPerRead))
            readPages(
                file, at: segment.offset + (address - segment.range.start), count: run,
                into: destination + done * pageSize, states: states + done)
            done += run
        }
    }

    public var zerosMayBeHoles: Bool { true }

    public var kind: String { escaped(file.path) }

    /// Tries the page once more and tells why it cannot be read; nil when it can.
    public func failure(of page: PFN) -> MemoryFailure? {
        let what = "\(kind) does not give PFN \(hexadecimal(page.number))"
        guard let segment = segment(holding: page), let address = page.address else {
            return MemoryFailure(.noSuchMemory, source: kind, "\(what): it is not in any of its segments")
        }
        return withUnsafeTemporaryAllocation(byteCount: pageSize, alignment: 16) { buffer -> MemoryFailure? in
            do throws(SystemError) {
                let offset = segment.offset + (address - segment.range.start)
                guard try file.read(at: offset, into: buffer) < pageSize else { return nil }
                return MemoryFailure(.inputOutput, source: kind, "\(what): the file ends before it")
            } catch {
                let cause: MemoryFailure.Cause = error.code == ErrorCode.outOfMemory ? .outOfResources : .inputOutput
                return MemoryFailure(cause, source: kind, "\(what): \(error.reason)")
            }
        }
    }

    private func segment(holding page: PFN) -> KcoreSegment? {
        guard let address = page.address else { return nil }
        var (low, high) = (0, segments.count)
        while low < high {
            let middle = low + (high - low) / 2
            if segments[middle].range.last < address { low = middle + 1 } else { high = middle }
        }
        guard low < segments.count, segments[low].range.contains(page) else { return nil }
        return segments[low]
    }

    /// Up to `count` bytes: fewer where the file ends.
    private static func bytes(
        of file: borrowing FileDescriptor, at offset: UInt64, count: Int
    ) throws(KcoreProblem) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = bytes.withUnsafeMutableBytes { buffer -> Int? in
            do throws(SystemError) {
                return try file.read(at: offset, into: buffer)
            } catch {
                return nil
            }
        }
        guard let got else { throw KcoreProblem(.inputOutput, "its headers cannot be read") }
        bytes.removeLast(count - got)
        return bytes
    }

    private static let pagesPerRead = 256
}
