/// Writes a cpio archive in the newc form. The same calls give the same bytes, on every machine: inodes are counted,
/// everything belongs to root, and the time is the caller's.
public struct NewcWriter {
    private let sink: ([UInt8]) -> Void
    private let modified: UInt32
    private var offset: UInt64 = 0
    private var inode: UInt32 = 0

    /// - Parameters:
    ///   - modified: of all files, in seconds since 1970.
    ///   - sink: takes the archive piece by piece.
    public init(modified: UInt32, sink: @escaping ([UInt8]) -> Void) {
        self.modified = modified
        self.sink = sink
    }

    /// Bytes written so far.
    public var length: UInt64 { offset }

    public mutating func directory(_ path: [UInt8], permissions: UInt32 = 0o755) {
        header(path, mode: 0o040000 | permissions, links: 2, size: 0)
    }

    public mutating func symbolicLink(_ path: [UInt8], to target: [UInt8]) {
        header(path, mode: 0o120777, links: 1, size: UInt32(truncatingIfNeeded: target.count))
        put(target)
        pad()
    }

    /// - Parameter content: shorter than 4 GiB.
    public mutating func file(_ path: [UInt8], permissions: UInt32, _ content: [UInt8]) {
        header(path, mode: 0o100000 | permissions, links: 1, size: UInt32(truncatingIfNeeded: content.count))
        put(content)
        pad()
    }

    /// Writes the end mark.
    public mutating func finish() {
        write(NewcFormat.trailer, inode: 0, mode: 0, links: 1, modified: 0, size: 0)
    }

    private mutating func header(_ path: [UInt8], mode: UInt32, links: UInt32, size: UInt32) {
        inode &+= 1
        write(path, inode: inode, mode: mode, links: links, modified: modified, size: size)
    }

    private mutating func write(
        _ name: [UInt8], inode: UInt32, mode: UInt32, links: UInt32, modified: UInt32, size: UInt32
    ) {
        var text = Array("070701".utf8)
        let nameSize = UInt32(truncatingIfNeeded: name.count + 1)
        // User, group, device and checksum are 0.
        for number in [inode, mode, 0, 0, links, modified, size, 0, 0, 0, 0, nameSize, 0] {
            appendHex(number, to: &text)
        }
        put(text + name + [0])
        pad()
    }

    private func appendHex(_ number: UInt32, to text: inout [UInt8]) {
        for shift in [28, 24, 20, 16, 12, 8, 4, 0] as [UInt32] {
            let digit = UInt8(truncatingIfNeeded: number >> shift & 15)
            text.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") - 10 + digit)
        }
    }

    private mutating func put(_ bytes: [UInt8]) {
        offset += UInt64(bytes.count)
        sink(bytes)
    }

    private mutating func pad() {
        let count = NewcFormat.padding(at: offset)
        if count > 0 { put([UInt8](repeating: 0, count: count)) }
    }
}
