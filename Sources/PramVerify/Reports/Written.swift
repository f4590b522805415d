import PRAM

/// What a command did to memory.
struct Written {
    /// What the writing was for: it decides what the exit status says.
    enum Purpose {
        /// A new chain: save.
        case chain
        /// A page for the head of a chain that is saved later: save --early.
        case head
        /// No chain: erase, load --erase.
        case clearing
        /// The chain as it was: repair.
        case repairing
        /// A chain without its damage: drop, quarantine.
        case cutting
    }

    let purpose: Purpose
    /// The value for the next kernel's `pram=`; nil when no chain is left.
    var head: PFN?
    var changed = true
    /// Whether the old chain gave way to the new one in a single write.
    var isAtomic = true
    /// The files that did not simply stay: name, what became of it, why.
    var files: [(name: [UInt8], fate: StaticString, message: String)] = []
    /// How many bytes the kernel has back, where the chain was kept by a session that is ended.
    var released: UInt64?
    /// Sentences for people.
    var warnings: [String] = []
}
