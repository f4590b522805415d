import ChainWriting
import Linux
import Manifest
import PRAM
import Text

/// What `save` is to save, as the call names it.
struct SaveSource {
    let plan: SavePlan
    /// nil for a stream alone.
    let directory: SourceDirectory?
    private let hasExclusions: Bool

    /// Looks at all of it; nothing is written.
    init(_ call: Call) throws(Failure) {
        var directory: SourceDirectory?
        if let path = call.operands.first {
            directory = try calling { () throws(SystemError) in try SourceDirectory(path) }
            if FileDescriptor.isMadeByKernel(path) {
                throw .writing(
                    WritingFailure(
                        .notSavable, "what lies in \(escaped(path)) is made by the kernel when it is read, and no data",
                        remedy: "name a directory on a disk or a tmpfs"))
            }
        }
        self.directory = directory
        hasExclusions = call.has(.exclude)
        if call.has(.flat) {
            guard let directory else { throw .usage(UsageError("save needs a directory")) }
            let plan = try writing { () throws(WritingFailure) in try SavePlan(directory) }
            if call.has(.strict), let first = plan.warnings.first(where: { _ in true }) {
                throw .writing(WritingFailure(.notSavable, "--strict: \(first)"))
            }
            self.plan = plan
            return
        }
        var options = SavePlan.TreeOptions()
        options.walk.isWithinOneFileSystem = call.has(.oneFileSystem)
        options.walk.excluded = call.all(.exclude)
        options.isStrict = call.has(.strict)
        options.provenance = Provenance.ofThisRun()
        if let name = call[.stdin] {
            guard FileImage.isSafe(name), name != ManifestFile.name, !FileImage.isParity(name) else {
                throw .usage(UsageError("--stdin takes the name of a file, not \(escaped(name))"))
            }
            if let directory, (try? directory.status(of: name)) != nil {
                throw .writing(
                    WritingFailure(.notSavable, "the directory has \(escaped(name)) already: choose another name"))
            }
            try calling { () throws(SystemError) in try requireReadable(0) }
            options.stream = (name: name, descriptor: 0)
        }
        let path = call.operands.first
        plan = try writing { () throws(WritingFailure) in try SavePlan(tree: path, options: options) }
    }

    /// Refuses a directory without anything that can be saved, before memory is taken for it.
    func refuseEmpty() throws(Failure) {
        if plan.isEmpty { throw .writing(ChainSave.nothingToSave(in: directory)) }
    }

    /// Refuses an image that lies in the directory which is saved, unless it is excluded: it would grow into itself.
    func refuseWithin(_ image: [UInt8]?) throws(Failure) {
        guard let image, !image.elementsEqual("auto".utf8), let directory, !hasExclusions else { return }
        let isWithin = try calling { () throws(SystemError) in try directory.holds(image) }
        if isWithin {
            throw .writing(
                WritingFailure(
                    .notSavable, "\(escaped(image)) lies in the directory that is saved",
                    remedy: "keep the image outside of it"))
        }
    }
}

extension SourceDirectory {
    /// Whether a file lies somewhere below this directory.
    func holds(_ file: [UInt8]) throws(SystemError) -> Bool {
        let own = try status(of: Array(".".utf8))
        let slash = UInt8(ascii: "/")
        var parent = file.lastIndex(of: slash).map { Array(file[...$0]) } ?? Array(".".utf8)
        if parent.isEmpty { parent = Array(".".utf8) }
        var here = try FileDescriptor.openDirectory(parent)
        while true {
            let status = try here.status()
            if status.isSameFile(as: own) { return true }
            let above = try FileDescriptor.openDirectory(Array("..".utf8), in: here.number)
            // The root is its own parent.
            if try above.status().isSameFile(as: status) { return false }
            here = above
        }
    }
}

extension Provenance {
    /// What is to be said of this run.
    static func ofThisRun() -> Provenance {
        var provenance = Provenance()
        provenance.program = Array(Program.version.utf8)
        provenance.kernel = SystemIdentity.kernelRelease()
        provenance.boot =
            FileDescriptor.firstLine(of: Array("/proc/sys/kernel/random/boot_id".utf8)).map(Array.init) ?? []
        if let id = FileDescriptor.firstLine(of: Array("/etc/machine-id".utf8)) {
            provenance.machine = MachineIdentity.hashed(machineID: Array(id)) ?? []
        }
        provenance.host = SystemIdentity.nodeName()
        provenance.time = SystemIdentity.wallTime()
        provenance.monotonic = SystemIdentity.monotonicTime()
        provenance.sinceBoot = SystemIdentity.timeSinceBoot()
        return provenance
    }
}
