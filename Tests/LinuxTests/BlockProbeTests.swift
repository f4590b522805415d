import Foundation
import Testing

@testable import Linux

/// A disk image of zeros with bytes put into it.
private func image(_ folder: Folder, _ size: Int, _ pieces: [(Int, [UInt8])] = []) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: size)
    for (offset, piece) in pieces { bytes.replaceSubrange(offset..<(offset + piece.count), with: piece) }
    try Data(bytes).write(to: URL(fileURLWithPath: folder["image"]))
    return folder.bytes("image")
}

private func types(_ path: [UInt8]) throws -> [String] {
    try BlockProbe.signatures(of: try FileDescriptor.open(path)).map { String(decoding: $0.type, as: UTF8.self) }
}

private func little(_ number: UInt64, _ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: number >> UInt64($0 * 8)) }
}

/// The checksum of GPT: crc32 as zlib has it.
private func crc32(_ bytes: some Sequence<UInt8>) -> UInt64 {
    var crc: UInt32 = .max
    for byte in bytes {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xedb8_8320 : crc >> 1 }
    }
    return UInt64(~crc)
}

/// A disk with one GPT partition called `name`, from sector 40 to 8191 (UEFI specification, 5.3).
func partitionedDisk(sectors: UInt64 = 32768, name: String) -> [UInt8] {
    let uuid: [UInt8] = [
        0x11, 0x11, 0x11, 0x11, 0x22, 0x22, 0x33, 0x33, 0x44, 0x44, 0x55, 0x55, 0x55, 0x55, 0xaa, 0xbb,
    ]
    let linux: [UInt8] = [
        0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4,
    ]
    var entries = linux + uuid + little(40, 8) + little(8191, 8) + little(0, 8)
    entries += name.utf16.flatMap { little(UInt64($0), 2) }
    entries += [UInt8](repeating: 0, count: 128 * 128 - entries.count)
    func header(_ own: UInt64, _ other: UInt64, _ table: UInt64) -> [UInt8] {
        var bytes = Array("EFI PART".utf8) + little(0x10000, 4) + little(92, 4) + little(0, 8)
        bytes += little(own, 8) + little(other, 8) + little(34, 8) + little(sectors - 34, 8) + uuid
        bytes += little(table, 8) + little(128, 4) + little(128, 4) + little(crc32(entries), 4)
        bytes.replaceSubrange(16..<20, with: little(crc32(bytes), 4))
        return bytes
    }
    var disk = [UInt8](repeating: 0, count: Int(sectors) * 512)
    func put(_ sector: UInt64, _ bytes: [UInt8]) {
        disk.replaceSubrange(Int(sector) * 512..<Int(sector) * 512 + bytes.count, with: bytes)
    }
    // The protective MBR: one partition of type 0xee over everything.
    disk.replaceSubrange(446..<462, with: [0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff] + little(1, 4) + little(sectors - 1, 4))
    disk.replaceSubrange(510..<512, with: [0x55, 0xaa])
    put(1, header(1, sectors - 1, 2))
    put(2, entries)
    put(sectors - 33, entries)
    put(sectors - 1, header(sectors - 1, 1, sectors - 33))
    return disk
}

@discardableResult private func run(_ words: String...) throws -> Int32 {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = words
    process.environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"]
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    return process.terminationStatus
}

@Suite struct BlockProbeTests {
    @Test func nothingLiesOnZeros() throws {
        let folder = Folder()
        #expect(try types(image(folder, 1 << 20)) == [])
        #expect(try types(image(folder, 8192)) == [])
        #expect(try BlockProbe.partitions(of: try FileDescriptor.open(folder.bytes("image"))) == [])
    }

    @Test func fileSystemsAreFound() throws {
        let folder = Folder()
        let path = try image(folder, 16 << 20)
        #expect(try run("mke2fs", "-q", "-F", "-t", "ext4", "-L", "my data", folder["image"]) == 0)
        let found = try BlockProbe.signatures(of: try FileDescriptor.open(path))
        #expect(found == [Signature(kind: .superblock, type: Array("ext4".utf8), label: Array("my data".utf8))])
    }

    @Test func damagedFileSystemsAreFoundToo() throws {
        let folder = Folder()
        let path = try image(folder, 16 << 20)
        #expect(try run("mke2fs", "-q", "-F", "-t", "ext4", "-O", "metadata_csum", folder["image"]) == 0)
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: folder["image"]))
        try file.seek(toOffset: 1024 + 0x3fc)
        try file.write(contentsOf: Data([1, 2, 3, 4]))
        try file.close()
        #expect(try types(path) == ["ext4"])
    }

    @Test func hibernationIsToldFromSwap() throws {
        let folder = Folder()
        var path = try image(folder, 4 << 20)
        #expect(try run("mkswap", folder["image"]) == 0)
        #expect(try types(path) == ["swap"])
        #expect(try !BlockProbe.holdsHibernatedSystem(try FileDescriptor.open(path)))
        path = try image(folder, 4 << 20, [(4086, Array("S1SUSPEND\0".utf8))])
        #expect(try BlockProbe.holdsHibernatedSystem(try FileDescriptor.open(path)))
    }

    @Test func otherThingsAreFound() throws {
        let folder = Folder()
        let luks = Array("LUKS".utf8) + [0xba, 0xbe, 0, 1]
        #expect(try types(image(folder, 4 << 20, [(0, luks)])) == ["crypto_LUKS"])
        let squash = Array("hsqs".utf8) + [UInt8](repeating: 0, count: 24) + [4, 0, 0, 0]
        #expect(try types(image(folder, 1 << 20, [(0, squash)])) == ["squashfs"])
    }

    @Test func partitionTablesAreRead() throws {
        let folder = Folder()
        let path = try image(folder, 16 << 20, [(0, partitionedDisk(name: "chain \u{e9}"))])
        let file = try FileDescriptor.open(path)
        let found = try BlockProbe.signatures(of: file)
        #expect(found.map(\.kind) == [.partitionTable])
        #expect(found.map(\.type) == [Array("gpt".utf8)])
        let partitions = try BlockProbe.partitions(of: file)
        #expect(
            partitions == [
                Partition(
                    number: 1, start: 40, size: 8152, uuid: Array("11111111-2222-3333-4444-55555555aabb".utf8),
                    name: Array("chain \u{e9}".utf8))
            ])
    }

    @Test func strangeFilesAreErrorsOrEmpty() throws {
        #expect(throws: SystemError.self) { try types(Array("/proc".utf8)) }
        #expect(throws: SystemError.self) { try types(Array("/nothing".utf8)) }
        let folder = Folder()
        _ = try? types(image(folder, 0))
    }

    @Test func randomBytesNeverTrap() throws {
        var random = Seeded(state: 20_130_726)
        let folder = Folder()
        let disk = partitionedDisk(sectors: 256, name: "x")
        for _ in 0..<60 {
            var bytes = disk
            for _ in 0..<40 {
                bytes[Int.random(in: 0..<34 * 512, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            let file = try FileDescriptor.open(image(folder, bytes.count, [(0, bytes)]))
            _ = try? BlockProbe.signatures(of: file)
            _ = try? BlockProbe.partitions(of: file)
        }
    }
}

/// SplitMix64: the same bytes in every run.
private struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
