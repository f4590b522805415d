import ChainWriting
import Machine
import PRAM

extension WritingTarget {
    /// The pmem device that the kernel has made of a range which `memmap=nn!ss` names, where nobody can mean another:
    /// the machine has this one alone, without partitions, and it shows its memory byte for byte.
    /// - Returns: its path; nil where somebody has to choose.
    static func onlyDevice(_ machine: MachineEvidence) -> [UInt8]? {
        let sites = PmemSite.all(block: MachinePaths().block)
        guard sites.count == 1, let site = sites.first, case .success(let range) = site.range,
            ReservedMemory(machine.line).contains(range)
        else { return nil }
        return Array("/dev/".utf8) + site.name
    }
}
