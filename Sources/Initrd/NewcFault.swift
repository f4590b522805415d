/// Why an archive cannot be read on: where the kernel stops too, or what no tool that makes archives has ever written.
public struct NewcFault: Error, Sendable, Equatable {
    public enum Cause: Sendable, Equatable {
        /// Neither a record nor zeros begin here ("no cpio magic", "junk within compressed archive").
        case noRecord
        /// The old portable form, magic 070707, which the kernel refuses by name.
        case oldPortableForm
        /// A record does not begin at a multiple of four bytes ("broken padding").
        case misaligned
        /// A header field is not eight hexadecimal digits.
        case notHexadecimal(field: Int)
        /// No name, not even an empty one with its NUL.
        case noName
        /// Longer than 4096 bytes with its NUL.
        case nameTooLong(UInt32)
        /// The name's last byte is no NUL ("initramfs name without nulterm").
        case nameNotTerminated
        /// The data do not add up to the record's checksum ("bad data checksum").
        case wrongChecksum
        /// The stream ends inside a record.
        case truncated
    }

    public let cause: Cause
    /// Of the record at fault, in bytes from the start of the stream.
    public let offset: UInt64

    public init(_ cause: Cause, at offset: UInt64) {
        self.cause = cause
        self.offset = offset
    }

    /// One clause without a full stop and without the offset.
    public var clause: StaticString {
        switch cause {
        case .noRecord: "what follows is neither a cpio record nor padding"
        case .oldPortableForm: "this is a cpio archive in the old portable form (odc), which the kernel does not unpack"
        case .misaligned: "a record does not begin at a multiple of four bytes"
        case .notHexadecimal: "a field of the record's header is not a hexadecimal number"
        case .noName: "a record has a name of length 0"
        case .nameTooLong: "a record's name is longer than 4096 bytes"
        case .nameNotTerminated: "a record's name does not end with a NUL"
        case .wrongChecksum: "a file's data do not fit the checksum in its record"
        case .truncated: "the archive ends inside a record"
        }
    }
}
