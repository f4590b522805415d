import Initrd
import Linux

/// A helper that an image holds.
public struct Helper: Sendable {
    /// In the image.
    public let path: [UInt8]
    public let isExecutable: Bool
    /// e_machine of its ELF header.
    public internal(set) var machine: UInt16 = 0
    /// By its marker; empty where it has none, as those before the marker.
    public internal(set) var version: [UInt8] = []
    /// Whether it is the program that runs: the same in all bytes that are loaded.
    public internal(set) var isRunning = false
    /// Whether the file is the same too; dracut strips what it puts in.
    public internal(set) var isIdentical = false
    let segment: Int
}

/// What an image will look like when all of it is unpacked, as far as the helper is concerned: of each path the last
/// record, for what is unpacked later takes the place of what was there.
public final class ImageFacts: ImageVisitor {
    /// One path of the image.
    struct Entry {
        /// Normalized.
        let path: [UInt8]
        /// The same without `usr/`.
        let canonical: [UInt8]
        let record: NewcRecord
        /// Of a file, where it was of interest and not too long; of a link, its target.
        var content: [UInt8]?
    }

    private(set) var entries: [Entry] = []
    public private(set) var helpers: [Helper] = []
    /// e_machine of the first program or driver of the image that is not the helper; nil where none was met.
    public private(set) var machine: UInt16?
    public private(set) var segments: [Segment] = []
    /// Where the last segment begins, when it is an archive of nothing but the helper and its hook: one that `append`
    /// has put there. nil when it is not.
    private(set) var ownSegment: UInt64?
    /// Names of drivers for pmem that the image has, or that its kernel has built in.
    private(set) var drivers: [StaticString] = []
    private var builtIn: [StaticString] = []

    /// Where each record ends up.
    private var tree = RootTree()

    private let running: RunningProgram
    private var capture = Capture()

    init(_ running: RunningProgram) { self.running = running }

    /// Reads an image through.
    static func read(
        _ image: ImageFile, _ running: RunningProgram, _ limits: ImageLimits, upTo stop: UInt64 = .max
    ) throws(ImageFailure) -> ImageFacts {
        let facts = ImageFacts(running)
        try ImageWalk(image, limits, verifyingChecksums: true, upTo: stop).run(facts)
        return facts
    }

    /// The last record of a path, wherever the layout of the root puts it.
    /// - Parameter canonical: without `usr/`: "lib/systemd/systemd".
    func entry(_ canonical: StaticString) -> Entry? {
        let wanted = bytes(of: canonical)
        return entries.last { $0.canonical == wanted }
    }

    func entry(at path: [UInt8]) -> Entry? { entries.last { $0.path == path } }

    /// Where a path leads once all is unpacked, through the links in place of directories; directories that are not there
    /// are taken to be made.
    /// - Returns: nil where links lead in a circle.
    func resolved(_ path: [UInt8]) throws(ImageFailure) -> [UInt8]? {
        do throws(RootTree.Excess) {
            return try tree.spot(path, missing: .made).map { tree.path($0) }
        } catch {
            throw ImageFailure(.tooManyDirectories, path: path)
        }
    }

    /// The same, for a program that is called by this path: a link at its end is followed too.
    func resolved(program path: [UInt8]) throws(ImageFailure) -> [UInt8]? {
        var path = path
        for _ in 0..<RootTree.linkLimit {
            guard let place = try resolved(path) else { return nil }
            guard let entry = entry(at: place), entry.record.type == .symbolicLink else { return place }
            path = ArchivePath.behind(place, leadingTo: entry.content ?? [], [])
        }
        return nil
    }

    /// A program of this name in any of the four directories for them.
    func program(_ name: StaticString) -> Entry? {
        let name = bytes(of: name)
        return entries.last { Interest.isProgram($0.canonical) && ArchivePath.lastComponent($0.canonical) == name[...] }
    }

    public var flavour: Flavour? {
        if entry("lib/systemd/systemd") != nil { return .systemd }
        if entry("lib/dracut-lib.sh") != nil { return .dracutShell }
        if entry("scripts/functions") != nil || entry("scripts/init-top/ORDER") != nil { return .initramfsTools }
        if entry("init_functions") != nil && entry("config") != nil { return .mkinitcpio }
        return nil
    }

    // MARK: Reading

    /// What is kept of the record that is being read.
    private struct Capture {
        var wantsContent = false
        var looked = false
        var isHelper = false
        var content: [UInt8] = []
        var path: [UInt8] = []
        var isExecutable = false
        var position: UInt64 = 0
        var likeness = RunningProgram.Likeness()
        /// The last bytes of the piece before, where a marker may have begun.
        var tail: [UInt8] = []
        var version: [UInt8] = []
        var isModulesList = false
    }

    /// As much of an ELF header as names the machine.
    private let elfStart = 20
    private static let contentLimit = 1 << 16
    /// modules.builtin of distributions' kernels has some 20 to 60 KB.
    private static let listLimit = 1 << 20
    private static let entryLimit = 4096
    private static let helperLimit = 64

    private var segmentIsOwn = false
    private var segmentHasHelper = false
    private var segmentIndex = 0

    public func begin(_ segment: Segment) {
        segmentIsOwn = segment.format == .plain
        segmentHasHelper = false
        segmentIndex = segment.index
        ownSegment = nil
    }

    public func end(_ segment: Segment) {
        segments.append(segment)
        ownSegment = segmentIsOwn && segmentHasHelper ? segment.offset : nil
    }

    public func record(_ record: NewcRecord, in segment: Segment) throws(ImageFailure) -> Bool {
        if segmentIsOwn && !Interest.isOwn(record) { segmentIsOwn = false }
        let name = ArchivePath.lastComponent(record.name)
        let isHelperName = name.elementsEqual(Interest.helperName)
        capture = Capture()
        let peeks = machine == nil && record.type == .regular && record.size >= 20 && Interest.mayBeELF(record, name)
        let spot: RootTree.Spot?
        do throws(RootTree.Excess) {
            spot = try tree.place(record)
        } catch {
            throw ImageFailure(.tooManyDirectories, path: record.name)
        }
        guard let spot else { return false }
        note(driver: name)
        guard isHelperName || Interest.isNamed(name) || record.type == .directory || record.type == .symbolicLink else {
            return peeks
        }
        let path = tree.path(spot)
        let canonical = ArchivePath.withoutUsr(path)
        guard Interest.isWanted(canonical, record.type) || isHelperName else { return peeks }

        helpers.removeAll { $0.path == path }
        entries.removeAll { $0.path == path }
        guard entries.count < Self.entryLimit, helpers.count < Self.helperLimit else {
            throw ImageFailure(.tooMuch("the list of files named as the helper's are"), path: record.name)
        }
        entries.append(Entry(path: path, canonical: canonical, record: record, content: record.target))
        guard record.type == .regular else { return false }
        capture.path = path
        capture.wantsContent = true
        capture.isExecutable = record.isExecutable
        capture.isModulesList = name.elementsEqual("modules.builtin".utf8)
        return true
    }

    public func data(_ piece: UnsafeRawBufferPointer) -> Bool {
        let limit = capture.isModulesList ? Self.listLimit : capture.wantsContent ? Self.contentLimit : elfStart
        if !capture.isHelper && capture.content.count < limit {
            capture.content += piece.prefix(limit - capture.content.count)
        }
        if !capture.looked && capture.content.count >= elfStart { look() }
        if capture.isHelper {
            running.compare(piece, at: capture.position, &capture.likeness)
            if capture.version.isEmpty { findMarker(piece) }
        }
        capture.position += UInt64(piece.count)
        return capture.wantsContent || !capture.looked
    }

    /// With the first twenty bytes there: is it a program, and for which machine?
    private func look() {
        capture.looked = true
        guard let found = elfMachine(capture.content.prefix(elfStart)) else { return }
        guard capture.wantsContent, ArchivePath.lastComponent(capture.path).elementsEqual(Interest.helperName) else {
            if machine == nil { machine = found }
            return
        }
        capture.isHelper = true
        // What pieces before this one held.
        let before = capture.content.prefix(Int(capture.position))
        var likeness = RunningProgram.Likeness()
        capture.content.withUnsafeBytes { content in
            running.compare(UnsafeRawBufferPointer(rebasing: content[..<before.count]), at: 0, &likeness)
        }
        capture.likeness = likeness
        capture.content.removeLast(capture.content.count - elfStart)
    }

    public func endOfData() {
        guard capture.wantsContent else { return }
        if capture.isHelper {
            var helper = Helper(path: capture.path, isExecutable: capture.isExecutable, segment: segmentIndex)
            helper.machine = elfMachine(capture.content[...]) ?? 0
            helper.version = capture.version
            helper.isRunning = capture.likeness.isLoadedAlike && capture.position >= running.loadedSize
            helper.isIdentical = capture.likeness.isIdentical && capture.position == running.size
            helpers.append(helper)
            segmentHasHelper = true
        } else if capture.isModulesList {
            noteBuiltIn(capture.content)
        } else if let place = entries.lastIndex(where: { $0.path == capture.path }) {
            entries[place].content = capture.position <= UInt64(Self.contentLimit) ? capture.content : nil
        }
    }

    /// The marker may lie across two pieces.
    private func findMarker(_ piece: UnsafeRawBufferPointer) {
        let prefix = Interest.markerPrefix
        let longest = prefix.count + 40
        let seam = capture.tail + piece.prefix(longest)
        if let version = marker(in: seam[...], prefix) { capture.version = version }
        if capture.version.isEmpty, piece.count >= prefix.count {
            let first = prefix[0], second = prefix[1]
            var place = 0
            while place + prefix.count <= piece.count {
                if piece[place] == first && piece[place + 1] == second,
                    let version = marker(in: Array(piece[place..<min(place + longest, piece.count)])[...], prefix)
                {
                    capture.version = version
                    break
                }
                place += 1
            }
        }
        capture.tail = Array((capture.tail + piece.suffix(longest)).suffix(longest))
    }

    private func marker(in text: ArraySlice<UInt8>, _ prefix: [UInt8]) -> [UInt8]? {
        var rest = text
        while rest.count > prefix.count {
            if rest.starts(with: prefix), let found = ProgramMarker.parse(rest.dropFirst(prefix.count)) {
                return found.version
            }
            rest = rest.dropFirst()
        }
        return nil
    }

    // MARK: Drivers

    static let pmemDrivers: [StaticString] = ["libnvdimm", "nd_e820", "nd_pmem"]

    /// Notes a module by its file name: nd_pmem.ko, nd-pmem.ko.xz.
    private func note(driver name: ArraySlice<UInt8>) {
        guard name.count >= 7, name.first == UInt8(ascii: "n") || name.first == UInt8(ascii: "l") else { return }
        for driver in Self.pmemDrivers where Interest.isModule(name, driver) { add(driver: driver) }
    }

    /// modules.builtin: one path a line, kernel/drivers/nvdimm/nd_pmem.ko.
    private func noteBuiltIn(_ list: [UInt8]) {
        for line in list.split(separator: UInt8(ascii: "\n")) {
            let name = ArchivePath.lastComponent(Array(line))
            for driver in Self.pmemDrivers where Interest.isModule(name, driver) {
                add(driver: driver)
                builtIn.append(driver)
            }
        }
    }

    func isBuiltIn(_ driver: StaticString) -> Bool { builtIn.contains { bytes(of: $0) == bytes(of: driver) } }

    private func add(driver: StaticString) {
        let known = drivers.contains { bytes(of: $0) == bytes(of: driver) }
        if !known { drivers.append(driver) }
    }

    func hasDriver(_ driver: StaticString) -> Bool { drivers.contains { bytes(of: $0) == bytes(of: driver) } }
}
