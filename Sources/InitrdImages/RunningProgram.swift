import CLinux
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
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 64)

    public init(_ path: [UInt8] = path) throws(ImageFailure) {
        do throws(SystemError) {
            file = try FileDescriptor.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY)
            size = UInt64(max(0, try file.status().st_size))
        } catch {
            buffer.deallocate()
            throw ImageFailure(.system(error), path: path)
        }
        machine = elfMachine(try read(file, at: 0, count: 20)[...]) ?? 0
    }

    deinit { buffer.deallocate() }

    /// Whether it has these very bytes at this place.
    func has(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) -> Bool {
        var done = 0
        while done < bytes.count {
            let count = min(buffer.count, bytes.count - done)
            let room = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
            guard let got = try? file.read(at: offset + UInt64(done), into: room), got == count,
                memcmp(room.baseAddress!, bytes.baseAddress! + done, count) == 0
            else { return false }
            done += count
        }
        return true
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
