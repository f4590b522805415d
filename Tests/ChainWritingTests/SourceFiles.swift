import CLinux
import Linux

/// A directory in /tmp that goes with the object, and what is known to be in it.
final class SourceFiles {
    let path: [UInt8]
    /// In the order of the names' bytes.
    var expected: [Kernel.File] { files.sorted { $0.name.lexicographicallyPrecedes($1.name) } }
    private var files: [Kernel.File] = []

    init() {
        var name = Array("/tmp/pram-verify-test-XXXXXX\0".utf8CString)
        precondition(mkdtemp(&name) != nil)
        path = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    }

    /// Files of every kind that a file system has.
    convenience init(_ dice: inout Dice, count: Int, pages: Int) throws {
        self.init()
        for _ in 0..<count {
            let name = dice.name()
            guard !files.contains(where: { $0.name == name }) else { continue }
            let shape = dice.roll(0..<8)
            let length = dice.roll(1...pages)
            let size =
                switch shape {
                case 0: 0
                case 1: 1
                case 2: length * 4096
                default: (length - 1) * 4096 + dice.roll(1...4096)
                }
            // Holes: at the beginning, in the middle, at the end, everywhere.
            let used = (0..<(size + 4095) / 4096).filter { index in
                switch shape {
                case 4: index >= length / 2
                case 5: index < length / 3 || index > length / 2
                case 6: index <= length / 2
                case 7: index % 3 == 1
                default: true
                }
            }
            try add(name, size: size, mode: UInt32(dice.roll(0...0o7777)) | 0o400, pages: used, &dice)
        }
    }

    deinit {
        if let directory = try? SourceDirectory(path), let names = try? directory.names() {
            for name in names { _ = withCString(place(name)) { unlink($0) } }
        }
        _ = withCString(path) { rmdir($0) }
    }

    func place(_ name: [UInt8]) -> [UInt8] { path + [UInt8(ascii: "/")] + name }

    var directory: SourceDirectory { get throws(SystemError) { try SourceDirectory(path) } }

    /// - Parameter pages: the indexes of those that hold data.
    func add(_ name: [UInt8], size: Int, mode: UInt32 = 0o644, pages: [Int], _ dice: inout Dice) throws {
        let file = try FileDescriptor.open(place(name), O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
        try file.truncate(to: UInt64(size))
        var stored = Kernel.File(name: name, size: UInt64(size), mode: 0o100000 | mode)
        for index in pages {
            var page = dice.page()
            let length = min(4096, size - index * 4096)
            for place in length..<4096 { page.bytes[place] = 0 }
            try page.bytes.withUnsafeBytes {
                try file.write(UnsafeRawBufferPointer(rebasing: $0[..<length]), at: UInt64(index * 4096))
            }
            stored.pages[UInt64(index)] = page
        }
        fchmod(file.number, mode)
        files.append(stored)
    }

    func change(_ name: [UInt8], size: Int? = nil, byteAt offset: Int? = nil) {
        guard let file = try? FileDescriptor.open(place(name), O_RDWR) else { return }
        if let size { try? file.truncate(to: UInt64(size)) }
        if let offset { try? [UInt8(0x55)].withUnsafeBytes { try file.write($0, at: UInt64(offset)) } }
    }
}

extension Dice {
    /// A name that a directory may hold: any bytes but `/` and NUL, up to 255 of them.
    mutating func name() -> [UInt8] {
        let length = pick([1, 2, 3, 8, 8, 8, 20, 100, 247, 248, 254, 255, 255])
        let name = (0..<length).map { _ -> UInt8 in
            let byte = UInt8(roll(1...255))
            return byte == UInt8(ascii: "/") ? 0xff : byte
        }
        return name == [0x2e] || name == [0x2e, 0x2e] ? [0x0a] : name
    }
}
