import CChecksum
import Linux
import PRAM

/// Files that were written and not compared yet: some hundred at a time are brought to the disk together and read back
/// by a thread of their own, while the next ones are written.
final class ReadBack {
    /// What was written to one file: which parts, and one checksum over all of them in order.
    struct Written {
        var checksum: UInt32 = 0
        var parts: [(offset: UInt64, count: UInt64)] = []
    }

    private struct Item {
        let number: Int
        let extraction: Extraction
        let written: Written
    }

    private static let mostItems = 2048
    private static let mostBytes: UInt64 = 64 << 20

    private let directory: Directory
    private let told: (Int, Extraction) -> Void
    private var items: [Item] = []
    private var bytes: UInt64 = 0
    private var running: Batch?

    init(_ directory: Directory, _ told: @escaping (Int, Extraction) -> Void) {
        self.directory = directory
        self.told = told
    }

    func add(_ number: Int, _ extraction: Extraction, _ written: Written) {
        items.append(Item(number: number, extraction: extraction, written: written))
        for part in written.parts { bytes &+= part.count }
        guard items.count >= ReadBack.mostItems || bytes >= ReadBack.mostBytes else { return }
        settle()
        running = Batch(items, directory)
        items = []
        bytes = 0
    }

    /// Waits for everything, and tells it.
    func finish() {
        settle()
        if !items.isEmpty { running = Batch(items, directory) }
        items = []
        settle()
    }

    private func settle() {
        guard let batch = running else { return }
        running = nil
        batch.wait()
        for (place, item) in batch.items.enumerated() {
            guard let message = batch.messages[place] else {
                told(item.number, item.extraction)
                continue
            }
            directory.remove(item.extraction.name)
            told(item.number, Extraction(name: item.extraction.name, outcome: .failed, message: message))
        }
    }

    /// Those that are looked at now.
    private final class Batch {
        let items: [Item]
        /// What is wrong with each; nil where nothing is. Read only behind `wait`.
        private(set) var messages: [String?]
        private let directory: Directory
        private var thread: Thread?

        init(_ items: [Item], _ directory: Directory) {
            self.items = items
            self.directory = directory
            messages = items.map { _ in nil }
            do throws(SystemError) {
                thread = try Thread { self.work() }
            } catch {
                // Without a thread it only takes longer.
                work()
            }
        }

        func wait() { thread.take()?.join() }

        private func work() {
            do throws(SystemError) { try directory.synchronizeFileSystem() } catch {
                messages = items.map { _ in error.message }
                return
            }
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: pageSize)
            defer { buffer.deallocate() }
            for (place, item) in items.enumerated() {
                do throws(SystemError) {
                    let file = try FileDescriptor.openFile(item.extraction.name, in: directory.number)
                    file.forgetCache()
                    if try !ReadBack.fits(file, item.written, buffer) {
                        messages[place] = "it does not read back as written"
                    }
                } catch {
                    messages[place] = error.message
                }
            }
        }
    }

    /// Whether a file holds what was written.
    static func fits(
        _ file: borrowing FileDescriptor, _ written: Written, _ buffer: UnsafeMutableRawBufferPointer
    ) throws(SystemError) -> Bool {
        var found: UInt32 = 0
        for part in written.parts {
            var done: UInt64 = 0
            while done < part.count {
                let count = Int(min(part.count - done, UInt64(buffer.count)))
                let read = try file.read(
                    at: part.offset + done, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]))
                guard read == count else { return false }
                found = pv_crc32c(found, buffer.baseAddress!, count)
                done += UInt64(count)
            }
        }
        return found == written.checksum
    }
}
