import PRAM

/// The one word in /run/pram-verify/status.
enum RunStatus: Int, CaseIterable {
    case intact, unnamed, corrected, empty, absent, off, damaged, lost, indeterminate, failed

    var name: StaticString {
        switch self {
        case .intact: "intact"
        case .unnamed: "unnamed"
        case .corrected: "corrected"
        case .empty: "empty"
        case .absent: "absent"
        case .off: "off"
        case .damaged: "damaged"
        case .lost: "lost"
        case .indeterminate: "indeterminate"
        case .failed: "failed"
        }
    }

    /// Whether there is, or may be, a chain.
    var isOfAChain: Bool { self != .absent && self != .empty && self != .off }

    var exit: ExitStatus {
        switch self {
        case .intact, .empty, .absent, .off: []
        case .corrected: .corrected
        case .unnamed, .damaged, .lost, .indeterminate: .damaged
        case .failed: .failed
        }
    }
}

extension Report {
    /// The same word for every command that has looked at this machine's memory.
    var runStatus: RunStatus {
        if failure != nil { return .failed }
        if let written, written.changed {
            if written.head == nil { return .empty }
            if written.purpose == .cutting || written.purpose == .repairing, verdict == .intact { return .corrected }
        }
        if handOver?.loss != nil { return .lost }
        // A head page of zeros is what a chain leaves that was erased, and what a machine has after a cold boot.
        if let evaluation, evaluation.isHeadCleared, !isHeadLost { return .empty }
        switch verdict {
        case .intact: return head?.isUnnamed == true ? .unnamed : .intact
        case .damaged: return .damaged
        case .indeterminate: return .indeterminate
        case .absent: return .absent
        }
    }
}
