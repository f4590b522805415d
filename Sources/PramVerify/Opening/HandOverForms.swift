import ChainWriting
import InitrdImages
import KernelCommandLine
import Linux
import Machine
import PRAM
import Text

extension Cmdline {
    /// What stands in the way of a chain that the kernel hands over, besides what is wrong with it itself.
    func keepingObstacle(_ chain: HandOver) -> HandOver.Obstacle? {
        guard chain.keeping != nil, !chain.isPramKernel else { return nil }
        return request == .load ? .loadHandsNothingOver : formObstacle(chain)
    }

    /// Looks into the next kernel, where one is named: nobody refuses to load one that does not understand what this one
    /// hands over, and everything is lost then without a word. Says where it cannot be told.
    private func formObstacle(_ chain: HandOver) -> HandOver.Obstacle? {
        guard let path = nextKernelPath else {
            say("whether the next kernel takes the chain over was not looked at: name it with --kernel")
            return nil
        }
        let next: [[UInt8]]
        do throws(KernelImage.Fault) {
            next = try KernelImage.handOverForms(path)
        } catch {
            say(Phrase("whether \(escaped(path)) takes the chain over cannot be told: \(error.message)").text)
            return nil
        }
        guard next.contains(where: { $0.starts(with: "kho-".utf8) }) else { return .otherForm(own: "", next: "") }
        let own: [[UInt8]]
        if let all = ownForms() {
            own = all
        } else if let root = rootForm() {
            // Only the outermost form is known: what it does not fit is lost, and what it fits may be.
            guard next.contains(where: { $0 == root }) else { return .otherForm(own: list([root]), next: list(next)) }
            say("this kernel's image was not found in /boot: only the outermost form was compared")
            return nil
        } else {
            say(
                Phrase(
                    "what this kernel hands over cannot be told, so compare yourself: \(escaped(path)) takes "
                        + "\(list(next))"
                ).text)
            return nil
        }
        return own.elementsEqual(next) ? nil : .otherForm(own: list(own), next: list(next))
    }

    /// Of the running kernel: from its image in /boot, or from what debugfs shows of it.
    private func ownForms() -> [[UInt8]]? {
        let release = SystemIdentity.kernelRelease()
        for folder in ["/boot/vmlinuz-", "/usr/lib/modules/"] as [StaticString] {
            var path = bytes(folder) + release
            if folder.utf8CodeUnitCount > 15 { path += bytes("/vmlinuz") }
            if let forms = try? KernelImage.handOverForms(path), !forms.isEmpty { return forms }
        }
        return nil
    }

    /// The root of what this kernel hands over; nil where debugfs is not mounted.
    private func rootForm() -> [UInt8]? {
        let path = bytes("/sys/kernel/debug/kho/out/fdt")
        guard let tree = try? FileDescriptor.contents(of: path, limit: 1 << 16) else { return nil }
        return KernelImage.handOverForms(in: tree).first { $0.starts(with: "kho-".utf8) }
    }

    private func list(_ forms: [[UInt8]]) -> String {
        forms.map { escaped($0) }.joined(separator: ", ")
    }
}

extension NextLine {
    /// The line for a kernel that is to find the chain.
    func handingOn(_ chain: HandOver) -> NextLine? {
        guard let line = handingOn(chain.head.number) else { return nil }
        return chain.keeping == nil ? line : line.handingOver(session: chain.generation.map { KeptSession.words($0) })
    }
}
