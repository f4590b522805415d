/// The headers of a PE file (the program format of UEFI), as far as a unified kernel image needs them: its sections,
/// and whether it is signed. Source: the PE format's specification; UAPI.5, Unified Kernel Image.
public struct PortableExecutable: Sendable, Equatable {
    public struct Section: Sendable, Equatable {
        /// Without the NULs behind it; at most eight bytes.
        public let name: [UInt8]
        /// Where its data begin in the file, in bytes.
        public let offset: UInt64
        /// How many bytes of them mean something: those in the file without what only fills up the last block.
        public let size: UInt64

        public func isNamed(_ name: StaticString) -> Bool { self.name.elementsEqual(bytes(of: name)) }
    }

    public enum Fault: Error, Sendable, Equatable {
        /// No "MZ" at its start: no PE file at all.
        case notPortableExecutable
        /// The headers do not lie within the first 64 KiB, or within the file.
        case headersOutsideFile
        /// No "PE" where its header should be, or an optional header of an unknown kind.
        case unknownHeader
        /// More than 96 sections, which no loader takes.
        case tooManySections
        /// A section's data, or the signatures, do not lie in the file.
        case sectionOutsideFile(name: [UInt8])

        public var clause: StaticString {
            switch self {
            case .notPortableExecutable: "it is no PE file"
            case .headersOutsideFile: "its PE headers do not lie within the first 64 KiB of the file"
            case .unknownHeader: "its PE headers are damaged or of an unknown kind"
            case .tooManySections: "it has more than 96 PE sections"
            case .sectionOutsideFile: "a PE section does not lie within the file"
            }
        }
    }

    /// IMAGE_FILE_MACHINE_...: 0x8664 is x86-64, 0xaa64 is arm64.
    public let machine: UInt16
    public let sections: [Section]
    /// Whether the table of certificates is not empty: one byte changed, and the firmware refuses the file.
    public let isSigned: Bool

    /// How much of the file's start is looked at.
    public static let headerLimit = 1 << 16
    private static let sectionLimit = 96

    /// - Parameters:
    ///   - start: the file's first bytes: `headerLimit`, or all there are.
    ///   - fileSize: in bytes.
    public init(_ start: Span<UInt8>, fileSize: UInt64) throws(Fault) {
        guard start.count >= 2, start[0] == UInt8(ascii: "M"), start[1] == UInt8(ascii: "Z") else {
            throw .notPortableExecutable
        }
        // At 0x3c: where "PE\0\0" lies. Behind it the COFF header, 20 bytes, then the optional header.
        let header = Int(try number(start, 0x3c, bytes: 4))
        guard try number(start, header, bytes: 4) == 0x4550 else { throw .unknownHeader }
        machine = UInt16(truncatingIfNeeded: try number(start, header + 4, bytes: 2))
        let count = Int(try number(start, header + 6, bytes: 2))
        let optionalSize = Int(try number(start, header + 20, bytes: 2))
        guard count <= Self.sectionLimit else { throw .tooManySections }

        let optional = header + 24
        isSigned = try Self.hasCertificates(start, optional, size: optionalSize, fileSize: fileSize)
        var sections: [Section] = []
        for index in 0..<count {
            sections.append(try Self.section(start, optional + optionalSize + index * 40, fileSize: fileSize))
        }
        self.sections = sections
    }

    /// The first section of a name: later ones of the same name belong to further profiles.
    public func section(_ name: StaticString) -> Section? { sections.first { $0.isNamed(name) } }

    /// Data directory 4 holds the offset in the file, and the size, of the certificates.
    private static func hasCertificates(
        _ start: Span<UInt8>, _ optional: Int, size: Int, fileSize: UInt64
    ) throws(Fault) -> Bool {
        // 0x10b: PE32, 0x20b: PE32+, whose addresses are longer. The count of directories lies right before them.
        let directories: Int
        switch try number(start, optional, bytes: 2) {
        case 0x10b: directories = 96
        case 0x20b: directories = 112
        default: throw .unknownHeader
        }
        guard size >= directories, try number(start, optional + directories - 4, bytes: 4) > 4,
            size >= directories + 40
        else { return false }
        let offset = try number(start, optional + directories + 32, bytes: 4)
        let length = try number(start, optional + directories + 36, bytes: 4)
        guard length > 0 else { return false }
        guard offset + length <= fileSize else { throw .sectionOutsideFile(name: Array("certificates".utf8)) }
        return true
    }

    private static func section(_ start: Span<UInt8>, _ place: Int, fileSize: UInt64) throws(Fault) -> Section {
        var name: [UInt8] = []
        for index in 0..<8 {
            let byte = UInt8(truncatingIfNeeded: try number(start, place + index, bytes: 1))
            if byte == 0 { break }
            name.append(byte)
        }
        let inMemory = try number(start, place + 8, bytes: 4)
        let inFile = try number(start, place + 16, bytes: 4)
        let offset = try number(start, place + 20, bytes: 4)
        // Both are below 2^32, so the sum is no more than 2^33.
        guard inFile == 0 || offset + inFile <= fileSize else { throw .sectionOutsideFile(name: name) }
        return Section(name: name, offset: offset, size: inMemory == 0 ? inFile : min(inFile, inMemory))
    }
}

/// A little-endian number of up to four bytes.
private func number(
    _ start: Span<UInt8>, _ place: Int, bytes: Int
) throws(PortableExecutable.Fault) -> UInt64 {
    guard place >= 0, place <= PortableExecutable.headerLimit, place + bytes <= start.count else {
        throw .headersOutsideFile
    }
    var value: UInt64 = 0
    for index in 0..<bytes { value |= UInt64(start[place + index]) << UInt64(8 * index) }
    return value
}
