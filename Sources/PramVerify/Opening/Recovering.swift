import KernelCommandLine
import Linux
import Machine
import PRAM
import Parity
import Text
import Verification

/// What can be brought back of a chain, for commands that read and for those that write.
struct Recovering {
    let recovery: ChainRecovery
    /// Memory with everything in it that comes back.
    let memory: RecoveredMemory
    /// The chain in it.
    let evaluation: ChainEvaluation
    let layout: ChainLayout

    /// Looks for what is lost of a damaged chain; what it finds is in the report.
    /// - Parameter reads: whether the chain is to be read as it comes back. Otherwise that is looked at only where names
    ///   of files have to come back.
    /// - Parameter ends: see `ChainRecovery`.
    /// - Returns: nil when nothing protects the chain.
    static func find(
        _ head: PFN, _ memory: any PhysicalMemory, ends: [UInt64], threads: Int, reads: Bool, _ report: inout Report
    ) -> Recovering? {
        do throws(ChainRecovery.Obstacle) {
            let recovery = try ChainRecovery(
                head: head, memory: memory, ends: ends, threads: threads, seed: randomNumber())
            let recovered = RecoveredMemory(recovery)
            guard reads || recovery.losesNames else {
                report.repair = RepairReport(recovery, after: recovery.evaluation)
                return Recovering(
                    recovery: recovery, memory: recovered, evaluation: recovery.evaluation, layout: .amd64)
            }
            var options = ChainCheck.Options()
            options.threads = threads
            let check = ChainCheck(head: head, memory: recovered, options: options, seed: randomNumber())
            let evaluation = check.run()
            report.repair = RepairReport(recovery, after: evaluation)
            return Recovering(recovery: recovery, memory: recovered, evaluation: evaluation, layout: check.layout)
        } catch {
            // Most chains have no parity, and nothing is to be said of it.
            if error != .noParity { report.repair = RepairReport(error) }
            return nil
        }
    }

    /// Pages that may be the last ones of the range in which the chain lies.
    static func ends(_ call: Call, _ choice: MemoryChoice, head: PFN) -> [UInt64] {
        var ends: [UInt64] = []
        if let region = try? call.region(), region.start <= head.address ?? 0 { ends.append(lastPage(region)) }
        switch choice {
        case .file(let path):
            guard let base = try? call.base(), let size = try? FileDescriptor.status(of: path).size else { break }
            let (end, overflow) = base.addingReportingOverflow(size)
            if !overflow && end >= UInt64(pageSize) { ends.append(end / UInt64(pageSize) - 1) }
        case .live:
            let line = try? MachinePaths().parameterLine()
            for range in ReservedMemory(line ?? ParameterLine([])).elements where range.contains(head) {
                ends.append(lastPage(range))
            }
            guard let machine = try? MachineEvidence.collect() else { break }
            if let found = try? WritableRegion.find((try? call.region()) ?? nil, in: machine) {
                ends.append(lastPage(found.range))
            }
        }
        return ends
    }

    private static func lastPage(_ range: PhysicalRange) -> UInt64 {
        // The last whole page.
        (range.last / UInt64(pageSize)) - ((range.last + 1) % UInt64(pageSize) == 0 || range.last == .max ? 0 : 1)
    }
}

extension Report {
    /// Where the head page of what was looked at holds zeros: whether a page that tells of a chain names it all the same.
    /// Whoever erases a chain clears those.
    /// - Parameter ends: see `ChainRecovery`.
    mutating func lookForLostHead(_ head: PFN, in memory: any PhysicalMemory, ends: @autoclosure () -> [UInt64]) {
        isHeadLost =
            evaluation?.isHeadCleared == true
            && ([head.number &+ 1] + ends()).contains { GeometryPage(locator: $0, in: memory)?.head == head.number }
    }

    /// Looks for what comes back of a damaged chain; with --repair, whoever restores files gets the chain with all of
    /// that in it.
    /// - Parameter ends: see `ChainRecovery`.
    mutating func recover(
        _ call: Call, _ head: PFN, ends: [UInt64], threads: Int, _ chain: inout ChainEvaluation,
        _ memory: inout any PhysicalMemory
    ) {
        guard chain.verdict != .intact else { return }
        let isWanted = call.has(.repair)
        guard let found = Recovering.find(head, memory, ends: ends, threads: threads, reads: isWanted, &self),
            isWanted
        else { return }
        (chain, memory) = (found.evaluation, found.memory)
        evaluation = found.evaluation
        layout = found.layout
        repair?.doing = .onTheWay
    }
}
