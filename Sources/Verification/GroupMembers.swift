import Linux
import PRAM
import Parity

/// The members of groups as pages of memory.
public struct GroupMembers: GroupPages {
    private let memory: any PhysicalMemory
    private let number: (GroupMember) -> UInt64?
    private let taken: (GroupMember, UnsafeRawPointer) -> Bool

    /// - Parameters:
    ///   - number: where a member lies; nil when nobody knows.
    ///   - taken: see `GroupPages.take`.
    public init(
        in memory: any PhysicalMemory, number: @escaping (GroupMember) -> UInt64?,
        taken: @escaping (GroupMember, UnsafeRawPointer) -> Bool
    ) {
        self.memory = memory
        self.number = number
        self.taken = taken
    }

    public func address(of member: GroupMember) -> UnsafeRawPointer? {
        number(member).flatMap { memory.mapped(PFN($0)) }
    }

    public mutating func read(_ member: GroupMember, into page: UnsafeMutableRawPointer) -> Bool {
        guard let number = number(member) else { return false }
        var state = PageState.absent
        memory.read(PFN(number), count: 1, into: page, states: &state)
        return state == .present
    }

    public mutating func perform(
        _ work: @convention(c) (UnsafeMutableRawPointer?) -> Void, _ context: UnsafeMutableRawPointer
    ) -> Bool { guarded(work, context) }

    public mutating func take(_ member: GroupMember, _ page: UnsafeRawPointer) -> Bool { taken(member, page) }
}

extension FileImage {
    /// The META page of the parity file: it depends on how much parity there is, and on nothing else.
    public static func ofParity(_ code: Interleaving) -> FileImage {
        FileImage(
            size: UInt64(code.parityPages + 1) * UInt64(pageSize), mode: ParityLayout.fileMode,
            name: ParityLayout.fileName.withUTF8Buffer { Array($0) })
    }
}
