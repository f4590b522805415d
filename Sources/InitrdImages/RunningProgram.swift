import Compression
import Initrd
import Linux

/// The program that runs, as a file to compare with and to put into images.
public final class RunningProgram {
    /// A link of the kernel to the very file, also where its name means another one by now.
    public static let path = Array("/proc/self/exe".utf8)

    private let file: FileDescriptor
    let size: UInt64
    /// e_machine of its ELF header; 0 where it is none.
    let machine: UInt16
    /// How many bytes from its start are ever loaded (by the ELF program headers): what follows names sections, and
    /// dracut strips that from what it puts into an image.
    let loadedSize: UInt64
    /// Where the program headers of empty segments name a place in the file, which nobody reads and strip(1) changes.
    private let unusedPlaces: [UInt64]
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 64)

    public init(_ path: [UInt8] = path) throws(ImageFailure) {
        do throws(SystemError) {
            file = try FileDescriptor.openWithoutWaiting(path)
            size = try file.status().size
        } catch {
            buffer.deallocate()
            throw ImageFailure(.system(error), path: path)
        }
        let start = try read(file, at: 0, count: 4096)
        machine = elfMachine(start.prefix(20)) ?? 0
        let segments = segments(of: start)
        loadedSize = min(segments?.end ?? .max, size)
        unusedPlaces = segments?.unusedPlaces ?? []
    }

    deinit { buffer.deallocate() }

    /// How bytes of a file compare with those at the same place here.
    struct Likeness {
        var isIdentical = true
        /// The same in all that is loaded, but for what the header says of sections.
        var isLoadedAlike = true
    }

    func compare(_ bytes: UnsafeRawBufferPointer, at offset: UInt64, _ likeness: inout Likeness) {
        var done = 0
        while done < bytes.count && likeness.isLoadedAlike {
            let count = min(buffer.count, bytes.count - done)
            let room = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
            let place = offset + UInt64(done)
            let got = (try? file.read(at: place, into: room)) ?? 0
            let expected = UnsafeRawBufferPointer(rebasing: bytes[done..<done + count])
            if got < count || !areEqual(UnsafeRawBufferPointer(room), expected) {
                likeness.isIdentical = false
                for index in 0..<count where isLoaded(place + UInt64(index)) {
                    if index < got && room[index] == bytes[done + index] { continue }
                    likeness.isLoadedAlike = false
                    break
                }
            }
            done += count
        }
    }

    /// e_shoff, e_shnum and e_shstrndx lie at 0x28 and from 0x3a on in an ELF header of 64 bits.
    private func isLoaded(_ place: UInt64) -> Bool {
        place < loadedSize && !(place >= 0x28 && place < 0x30) && !(place >= 0x3a && place < 0x40)
            && !unusedPlaces.contains { place >= $0 && place < $0 + 8 }
    }

    /// All of it.
    /// - Throws: also when it is larger than any build of it is.
    func contents() throws(ImageFailure) -> [UInt8] {
        guard size <= 64 << 20 else { throw ImageFailure(.tooMuch("the program"), path: file.path) }
        let bytes = try read(file, at: 0, count: Int(size))
        guard UInt64(bytes.count) == size else {
            throw ImageFailure(.system(SystemError("read", code: ErrorCode.stale, path: file.path)), path: file.path)
        }
        return bytes
    }
}

/// e_machine of an ELF file in the byte order that the header names; nil for what is no ELF file.
func elfMachine(_ start: ArraySlice<UInt8>) -> UInt16? {
    let start = Array(start)
    guard start.count >= 20, start[0] == 0x7f, start[1...3].elementsEqual("ELF".utf8) else { return nil }
    let bigEndian = start[5] == 2
    return bigEndian ? UInt16(start[18]) << 8 | UInt16(start[19]) : UInt16(start[19]) << 8 | UInt16(start[18])
}

/// The segments of an ELF file of 64 bits, little-endian; nil for any other file.
/// - Returns: where the last one that is loaded ends, and where the p_offset of empty ones lies in the header.
private func segments(of start: [UInt8]) -> (end: UInt64, unusedPlaces: [UInt64])? {
    func number(_ place: Int, _ count: Int) -> UInt64? {
        guard place >= 0, place <= start.count - count else { return nil }
        var value: UInt64 = 0
        for index in 0..<count { value |= UInt64(start[place + index]) << UInt64(8 * index) }
        return value
    }
    guard elfMachine(start.prefix(20)) != nil, start[4] == 2, start[5] == 1,
        let table = number(0x20, 8), table < 4096, let size = number(0x36, 2), let count = number(0x38, 2)
    else { return nil }
    var end: UInt64?
    var unused: [UInt64] = []
    for index in 0..<Int(count) {
        let header = Int(table) + index * Int(size)
        // 1: PT_LOAD.
        guard let type = number(header, 4), let offset = number(header + 8, 8), let length = number(header + 32, 8)
        else {
            return nil
        }
        if length == 0 { unused.append(UInt64(header) + 8) }
        guard type == 1 else { continue }
        let (last, overflow) = offset.addingReportingOverflow(length)
        guard !overflow else { return nil }
        end = max(end ?? 0, last)
    }
    return end.map { ($0, unused) }
}

/// A name for an e_machine.
func machineName(_ machine: UInt16) -> StaticString {
    switch machine {
    case 3: "i386"
    case 40: "arm"
    case 62: "x86_64"
    case 183: "aarch64"
    case 243: "riscv"
    default: "another machine"
    }
}
