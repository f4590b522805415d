import KernelCommandLine
import Linux
import Machine
import MemorySources
import PRAM
import Text

extension Head {
    /// A chain at the start of memory that this kernel's command line reserves is there, whether or not a `pram=` names
    /// it: somebody has booted without it, or a kexec has lost it. It becomes the head, and is marked.
    ///
    /// Where such memory cannot be looked at, the report says so, as "no chain" was not proved then.
    mutating func lookForUnnamed(_ report: inout Report) {
        lookAtReserved(&report)
        guard page == nil, !isReleased else { return }
        switch UnnamedHandOver.find(until: report.searchDeadline) {
        case .head(let found):
            page = found
            isUnnamed = true
            origin = .session
        case .session(let name):
            report.warnings =
                (report.warnings ?? []) + [
                    "session \(escaped(name)) has come from the former kernel, and no pram= names a chain: boot with "
                        + "the line that was made for it"
                ]
        case .nothingInTime:
            report.warnings =
                (report.warnings ?? []) + [
                    "whether the former kernel has handed over a chain that no pram= names was not found out in time"
                ]
        case nil: break
        }
    }

    private mutating func lookAtReserved(_ report: inout Report) {
        let paths = MachinePaths()
        guard let line = try? paths.parameterLine() else { return }
        let starts = ReservedMemory(line).elements.map { PFN(containing: $0.start) }
        // What a crash kernel's line reserves is the memory of the kernel that has crashed.
        guard !starts.isEmpty, !MachineEvidence.isCrashKernel(line, paths) else { return }
        do throws(Failure) {
            let memory = try MemoryChoice.thisMachine.open(base: 0, unpackLimit: 0, raw: false)
            for start in starts where try Head.startsChain(start, in: memory) {
                page = start
                // What was saved in this boot waits to be handed on.
                isUnnamed = SaveNote.read()?.head != start.number
                origin = .range
                return
            }
        } catch {
            let sentence =
                "whether a chain lies in the memory that the command line reserves cannot be told: \(error.message)"
            report.warnings = (report.warnings ?? []) + [sentence]
        }
    }
}
