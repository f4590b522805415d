import InitrdImages
import KernelCommandLine
import Linux
import Machine
import PRAM
import Text

extension SetupEvidence {
    /// All that can be known of a machine, what commands have left there among it.
    static func collect(_ paths: MachinePaths, isLive: Bool) -> SetupEvidence {
        var evidence = read(paths, isLive: isLive)
        evidence.loaded = loadedKernel(paths)
        evidence.rehearsal = Rehearsal.last(paths)
        evidence.lookAtImages(paths)
        if evidence.mayHandMemoryOver { evidence.lookIntoKernels(paths) }
        if isLive { evidence.chain = lookAtChain() }
        return evidence
    }

    private static func loadedKernel(_ paths: MachinePaths) -> LoadedKernel? {
        let text = try? FileDescriptor.contents(of: paths.below("/run/pram-verify/loaded"), limit: 1 << 16)
        let fields = NoteFields(text ?? [])
        guard let kernel = fields.value("kernel"), let line = fields.value("line") else { return nil }
        return LoadedKernel(kernel: kernel, line: ParameterLine(line))
    }

    // MARK: - Kernels

    private static let mostKernels = 16

    /// Those in /boot, and the next one, in which forms they take memory over. It takes a part of a second for each.
    private mutating func lookIntoKernels(_ paths: MachinePaths) {
        var found: [[UInt8]] = []
        for name in ((try? Directory.names(in: paths.below("/boot"))) ?? []) where name.starts(with: "vmlinuz".utf8) {
            found.append(bytes("/boot/") + name)
        }
        if let next = kernels.next?.path, !found.contains(next) { found.append(next) }
        found.sort { $0.lexicographicallyPrecedes($1) }
        let own = bytes("/boot/vmlinuz-") + release
        for path in found.prefix(SetupEvidence.mostKernels) {
            let isOwn = !release.isEmpty && path == own
            do throws(KernelImage.Fault) {
                takers.append(
                    Taker(path: path, forms: try KernelImage.handOverForms(paths.below(path)), isOwn: isOwn))
            } catch {
                takers.append(Taker(path: path, forms: [], fault: error.message.text, isOwn: isOwn))
            }
        }
    }

    // MARK: - Images

    /// The image of the next kernel, and that of the one that runs.
    private mutating func lookAtImages(_ paths: MachinePaths) {
        var found: [[UInt8]] = []
        if let initrd = kernels.next?.initrd { found.append(initrd) }
        for (start, end) in [("/boot/initrd.img-", ""), ("/boot/initramfs-", ".img")] as [(StaticString, StaticString)]
        where !release.isEmpty && !release.contains(UInt8(ascii: "/")) {
            let path = bytes(start) + release + bytes(end)
            if !found.contains(path), FileDescriptor.exists(paths.below(path)) { found.append(path) }
        }
        var question = ImageCheck.Question()
        question.reservesPmem = named.contains { $0.kind == .persistent }
        for path in found { images.append(SetupEvidence.look(at: path, paths, question)) }
    }

    private static func look(at path: [UInt8], _ paths: MachinePaths, _ question: ImageCheck.Question) -> ImageState {
        do throws(ImageFailure) {
            let check = try ImageCheck.run(try ImageFile(paths.below(path)), question)
            if let line = check.lines.first(where: { $0.verdict == .bad }) {
                return ImageState(path: path, verdict: .bad, text: line.text, remedy: line.remedy ?? "")
            }
            if let line = check.lines.first(where: { $0.verdict == .unknown }) {
                return ImageState(path: path, verdict: .unknown, text: line.text, remedy: line.remedy ?? "")
            }
            return ImageState(path: path, verdict: .good)
        } catch {
            return ImageState(path: path, verdict: .unknown, text: error.message, remedy: error.remedy ?? "")
        }
    }

    // MARK: - The chain

    /// By the very steps of `kexec`.
    private static func lookAtChain() -> ChainState {
        let nowhere = Output(-1, name: "nowhere")
        var call = Call(Cmdline.self)
        // What it says is kept then, not printed.
        call.set(.json)
        do throws(Failure) {
            var search = try Cmdline(call, Streams(output: nowhere, errors: nowhere))
            let next = try search.nextKernel()
            if let chain = next.chain { return .ready(contents: chain.contents, head: chain.head.number) }
            if next.status.contains(.failed) { return .notLookedAt("memory could not be looked at for a chain") }
            guard next.status != [] else {
                return SaveNote.isHidden
                    ? .notLookedAt("only root can read what save has noted, and so tell whether a chain is there")
                    : .none
            }
            // Where there is no chain at all that comes first, and says nothing about one that was saved.
            let messages = search.next.messages.drop { Array($0.utf8).begin(with: "no chain is handed on") }
            return .notHandedOn(messages.first ?? "", remedy: messages.dropFirst().first ?? "")
        } catch {
            return .notLookedAt(error.message)
        }
    }
}
