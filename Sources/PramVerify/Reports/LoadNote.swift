import KernelCommandLine
import Linux
import Machine
import PRAM
import Text

/// The kernel that `pram-verify kexec` has loaded: /run/pram-verify/loaded. The kernel itself tells nobody which command
/// line waits for the next one.
struct LoadNote {
    /// Seconds since 1970.
    var time = secondsSince1970()
    var kernel: [UInt8]
    var initrd: [UInt8]?
    /// The whole command line.
    var line: [UInt8]

    /// The head of the chain that the next kernel will be told of; 0 for none.
    var head: UInt64 { PramParameter.find(in: ParameterLine(line)).pfn ?? 0 }

    /// nil when no kernel is loaded, or another program has loaded it. A note of one that has been unloaded is taken away
    /// as soon as that is seen: the next one that another program loads is not the note's.
    static func current() -> LoadNote? {
        guard isKernelLoaded() else {
            RunFolder.removeNote(.loaded)
            return nil
        }
        let fields = RunFolder.fields(of: .loaded)
        guard let kernel = fields.value("kernel"), let line = fields.value("line") else { return nil }
        var note = LoadNote(kernel: kernel, initrd: fields.value("initrd"), line: line)
        note.time = fields.value("time").flatMap { decimalNumber($0[...]) } ?? 0
        return note
    }

    /// /sys/kernel/kexec_loaded
    static func isKernelLoaded() -> Bool {
        FileDescriptor.firstLine(of: MachinePaths().kexecLoaded)?.first == UInt8(ascii: "1")
    }

    /// Not where a newline in a path would break the form: then it is as if another program had loaded the kernel.
    func write() {
        guard !(kernel + (initrd ?? []) + line).contains(UInt8(ascii: "\n")) else {
            return RunFolder.removeNote(.loaded)
        }
        RunFolder.publishNote(.loaded) { output in
            output.write("time \(time)\nkernel ")
            output.write(kernel)
            if let initrd {
                output.write("\ninitrd ")
                output.write(initrd)
            }
            output.write("\nline ")
            output.write(line + [UInt8(ascii: "\n")])
        }
    }
}
