import PRAM

/// Pages as they were before a chain took their place.
struct FormerPages {
    private let pages: [(page: UInt64, bytes: PageBytes)]
    private let isWhole: Bool

    init(_ numbers: [UInt64], _ memory: any WritableMemory) {
        var isWhole = true
        pages = numbers.map { number in
            var state = PageState.absent
            let bytes = PageBytes(memory.frame(of: PFN(number)), of: memory.readBack, state: &state)
            if state != .present { isWhole = false }
            return (number, bytes)
        }
        self.isWhole = isWhole
    }

    /// Puts them back. Returns whether all of them read as they were.
    func restore(_ memory: any WritableMemory) -> Bool {
        guard isWhole else { return false }
        for (number, bytes) in pages { try? memory.write(PFN(number), bytes) }
        try? memory.synchronize()
        return pages.allSatisfy { number, bytes in
            var state = PageState.absent
            let back = PageBytes(memory.frame(of: PFN(number)), of: memory.readBack, state: &state)
            return state == .present && back.bytes == bytes.bytes
        }
    }
}
