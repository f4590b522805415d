import Initrd
import Linux
import Text

/// `image extract -d DIR`: everything in an image, below a directory that is empty or new. Paths, `..` and links of the
/// image lead to nowhere else: RootDirectory sees to that.
public final class ImageUnpack: ImageVisitor {
    /// How much was made, and what was not.
    public struct Outcome: Sendable {
        public internal(set) var files: UInt64 = 0
        /// Devices, FIFOs and sockets that were not asked for.
        public internal(set) var skippedDevices: UInt64 = 0
        /// Paths that were refused, or could not be made.
        public internal(set) var problems: UInt64 = 0

        /// 0 or 4: something of the image is missing.
        public var exitStatus: Int32 { problems > 0 ? 4 : 0 }
    }

    private let root: RootDirectory
    private let image: [UInt8]
    private let devices: Bool
    private let isRoot = effectiveUser() == 0
    private let warn: (Phrase) -> Void
    private var outcome = Outcome()
    private var file: FileDescriptor?
    private var record = NewcRecord()
    private var position: UInt64 = 0
    private var failure: SystemError?
    private var links = HardLinks()

    private init(_ root: RootDirectory, _ image: [UInt8], devices: Bool, _ warn: @escaping (Phrase) -> Void) {
        self.root = root
        self.image = image
        self.devices = devices
        self.warn = warn
    }

    /// - Parameters:
    ///   - directory: made where it does not exist; anything in it is an error.
    ///   - devices: make device nodes, FIFOs and sockets too; refused for anybody but root.
    ///   - warn: takes one line, without a line break, for each path that was not made.
    ///   - withoutOpenat2: as on a kernel before 5.6, for tests.
    /// - Throws: also where a segment is not looked into; what lies in others is made.
    public static func run(
        _ image: ImageFile, into directory: [UInt8], devices: Bool = false, limits: ImageLimits = ImageLimits(),
        withoutOpenat2: Bool = false, warn: @escaping (Phrase) -> Void
    ) throws(ImageFailure) -> Outcome {
        if devices && effectiveUser() != 0 {
            throw ImageFailure(
                .refused(reason: "only root can make devices", remedy: "Run it as root, or without --devices."),
                path: directory)
        }
        let root: RootDirectory
        do throws(SystemError) {
            root = try RootDirectory(empty: directory, withoutOpenat2: withoutOpenat2)
        } catch {
            throw ImageFailure(.system(error), path: directory)
        }
        let unpack = ImageUnpack(root, image.path, devices: devices, warn)
        do throws(ImageFailure) {
            try ImageWalk(image, limits, verifyingChecksums: true).run(unpack)
        } catch {
            unpack.endEarly()
            throw error
        }
        return unpack.outcome
    }

    public func record(_ record: NewcRecord, in segment: Segment) throws(ImageFailure) -> Bool {
        closeFile()
        let path = ArchivePath.normalized(record.name)
        self.record = record
        if path.isEmpty || record.isPassedOver { return false }
        if ArchivePath.climbs(path) {
            problem(record.name, "it has .. in its path")
            return false
        }
        do throws(SystemError) {
            return try make(path, record)
        } catch {
            problem(record.name, Phrase("\(error.call): \(error.reason)"))
            return false
        }
    }

    public func data(_ bytes: UnsafeRawBufferPointer) throws(ImageFailure) -> Bool {
        guard let path = try write(bytes) else { return true }
        problem(path, Phrase(failure?.message ?? ""))
        // Without room nothing else will fit either.
        if let failure { throw ImageFailure(.system(failure), path: path) }
        return false
    }

    public func endOfData() { closeFile() }

    public func trailer() { links = HardLinks() }

    public func end(_ segment: Segment) throws(ImageFailure) {
        closeFile()
        try segment.requireUnpacked(image)
    }

    // MARK: Making

    private func make(_ path: [UInt8], _ record: NewcRecord) throws(SystemError) -> Bool {
        switch record.type {
        case .directory:
            try root.makeDirectory(path, permissions: record.permissions)
        case .symbolicLink:
            try root.makeLink(path, to: record.target ?? [])
        case .regular:
            return try makeFile(path, record)
        case .characterDevice, .blockDevice, .fifo, .socket:
            guard devices else {
                outcome.skippedDevices += 1
                return false
            }
            try root.makeNode(
                path, mode: record.mode & 0o177777, major: record.nodeMajor, minor: record.nodeMinor)
        case .unknown:
            problem(record.name, "its type is unknown")
            return false
        }
        if isRoot { try root.setOwner(path, user: record.user, group: record.group) }
        outcome.files += 1
        return false
    }

    /// Of hard links the first one is the file; the others are made names of it, and whichever has data fills it.
    private func makeFile(_ path: [UInt8], _ record: NewcRecord) throws(SystemError) -> Bool {
        if record.linkCount >= 2 {
            if let first = links.path(of: record) {
                if first != path { try root.makeHardLink(path, to: first) }
                // It has its data already, or a later name brings them.
                if record.size == 0 {
                    outcome.files += 1
                    return false
                }
            } else if !links.add(record, path) {
                problem(record.name, "too many hard links; it becomes a file of its own")
            }
        }
        file = try root.openFile(path)
        position = 0
        outcome.files += 1
        return true
    }

    /// - Returns: the path at fault; nil when all went well.
    private func write(_ bytes: UnsafeRawBufferPointer) throws(ImageFailure) -> [UInt8]? {
        guard let taken = file.take() else { return nil }
        do throws(SystemError) {
            try taken.write(bytes, at: position)
            position += UInt64(bytes.count)
            file = consume taken
            return nil
        } catch {
            failure = error
            return record.name
        }
    }

    /// Gives the file its owner, permissions and time.
    private func closeFile() {
        guard let done = file.take() else { return }
        do throws(SystemError) {
            if isRoot { try done.setOwner(user: record.user, group: record.group) }
            // suid and sgid only where the owner is the image's too.
            try done.setMode(record.permissions & (isRoot ? 0o7777 : 0o777))
        } catch {
            problem(record.name, Phrase("\(error.call): \(error.reason)"))
        }
        done.setTimes(record.modified)
    }

    /// What was begun stays, and is named.
    private func endEarly() {
        guard file.take() != nil else { return }
        problem(record.name, "it is not complete")
    }

    private func problem(_ path: [UInt8], _ reason: Phrase) {
        outcome.problems += 1
        warn("\(escaped(path)): " + reason)
    }
}
