import CLinux
import Foundation
import Manifest
import Testing

@testable import Linux

/// Runs a program. What it writes, of both kinds, comes back.
@discardableResult func run(_ program: String, _ arguments: [String], isAllowedToFail: Bool = false) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [program] + arguments
    process.environment = ProcessInfo.processInfo.environment.merging(["LC_ALL": "C"]) { $1 }
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    let text = String(decoding: output, as: UTF8.self)
    if !isAllowedToFail { try #require(process.terminationStatus == 0, "\(program) \(arguments): \(text)") }
    return text
}

/// What rsync would do to make the second tree like the first: nothing, when they are alike.
func difference(_ one: String, _ two: String, _ options: String...) throws -> String {
    let options = options.isEmpty ? ["-aHAX"] : options
    let all = options + ["--checksum", "--dry-run", "--delete", "--itemize-changes", one + "/", two + "/"]
    let found = try run("rsync", all)
    if !found.isEmpty { print(found) }
    return found
}

/// A file system of its own, gone with this.
final class Place {
    private let mount: String

    init(_ kind: TreeTests.FileSystem) throws {
        mount = FileManager.default.temporaryDirectory.path + "/pram-verify-tree-\(UUID().uuidString)"
        try run("mkdir", ["-m", "755", mount])
        let image = mount + ".img"
        switch kind {
        case .tmpfs: try run("mount", ["-t", "tmpfs", "none", mount])
        case .ext4:
            // Inodes large enough for attributes, and times past 2038.
            try run(
                "bash",
                [
                    "-c",
                    "truncate -s 300M \(image) && mkfs.ext4 -q -I 1024 -O ea_inode \(image) && mount -o loop \(image) \(mount)",
                ])
        case .xfs:
            try run(
                "bash",
                [
                    "-c",
                    "truncate -s 320M \(image) && mkfs.xfs -q -m bigtime=1 \(image) && mount -o loop \(image) \(mount)",
                ])
        }
    }

    func path(_ name: String) -> String { mount + "/" + name }

    deinit {
        let clean = "chattr -R -f -ia \(mount); umount \(mount); rm -rf \(mount) \(mount).img"
        _ = try? run("bash", ["-c", clean], isAllowedToFail: true)
    }
}

/// Random trees that come again with their seed.
struct TreeDice: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: Int) { state = UInt64(truncatingIfNeeded: seed) &* 0x2545_f491_4f6c_dd1d &+ 0x9e37_79b9 }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }

    mutating func roll(_ range: ClosedRange<Int>) -> Int { range.lowerBound + Int(next() % UInt64(range.count)) }
    mutating func once(in count: Int) -> Bool { next() % UInt64(count) == 0 }
    mutating func pick<Element>(_ choices: [Element]) -> Element { choices[roll(0...choices.count - 1)] }

    /// The tree is made by Python, which has calls for everything and takes names of all bytes.
    mutating func makeTree(at path: String, hasFlags: Bool, isSmall: Bool) throws {
        let script = #"""
            import os, random, struct, subprocess, sys
            top, seed, flags, small = os.fsencode(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "1", sys.argv[4] == "1"
            dice = random.Random(seed)
            times = [0, -1, -2**31, 2**31, 2**32 + 5, 1700000000]
            def name():
                length = 255 if dice.random() < 0.1 else dice.randint(1, 12)
                bad = (0, 47)
                text = bytes(b for b in (dice.randint(1, 255) for _ in range(length)) if b not in bad)
                return text if text not in (b"", b".", b"..") else b"x"
            def acl(kind):
                entries = [(1, 6, 0xffffffff), (2, dice.randint(0, 7), 1234), (4, 5, 0xffffffff), (8, 4, 77), (16, 7, 0xffffffff), (32, 1, 0xffffffff)]
                return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)
            def decorate(path, kind):
                os.chown(path, dice.choice([0, 1000, 65534, 2**32 - 2]), dice.choice([0, 5, 123456]), follow_symlinks=False)
                if kind != "l":
                    os.chmod(path, dice.choice([0o644, 0o755, 0o600, 0o000, 0o4711, 0o2755, 0o1777]))
                    if dice.random() < 0.3: os.setxattr(path, "system.posix_acl_access", acl(0))
                    if kind == "d" and dice.random() < 0.3: os.setxattr(path, "system.posix_acl_default", acl(0))
                if dice.random() < 0.3: os.setxattr(path, "trusted.t", os.urandom(dice.randint(0, 300)), follow_symlinks=False)
                if kind in "fd":
                    for i in range(dice.choice([0, 0, 1, 3])): os.setxattr(path, b"user." + bytes([dice.randint(97, 122), 200]), dice.randbytes(dice.randint(0, 900)))
                    if not small and dice.random() < 0.02: os.setxattr(path, "user.large", dice.randbytes(60000))
                time = dice.choice(times) * 10**9 + dice.randint(0, 10**9 - 1)
                os.utime(path, ns=(time, time), follow_symlinks=False)
            files, locked, later = [], [], []
            def fill(path, depth):
                for _ in range(dice.randint(1, 9) if depth else 12):
                    new = path + b"/" + name()
                    if os.path.lexists(new): continue
                    kind = dice.choice("ffffdddlpchH")
                    if kind == "d" and depth < 5:
                        os.mkdir(new); fill(new, depth + 1)
                        if flags and dice.random() < 0.2: locked.append(new)
                    elif kind == "l": os.symlink(dice.choice([b"/etc/passwd", b"..", name(), b"t" * 1000, name()]), new)
                    elif kind == "p": os.mkfifo(new)
                    elif kind == "c": os.mknod(new, 0o020600, os.makedev(dice.randint(0, 511), dice.randint(0, 2**18 - 1)))
                    elif kind in "hH" and files: os.link(dice.choice(files), new, follow_symlinks=False); continue
                    else:
                        kind = "f"
                        with open(new, "wb") as f: f.write(dice.randbytes(dice.choice([0, 1, 4096, 20000])))
                    if kind not in "dhH": files.append(new)
                    later.append((new, kind))
            os.mkdir(top); fill(top, 0)
            with open(top + b"/changed", "wb") as f: f.write(b"x")
            later.append((top + b"/changed", "f"))
            os.mkdir(top + b"/locked"); later.append((top + b"/locked", "d")); locked.append(top + b"/locked")
            with open(top + b"/locked/file", "wb") as f: f.write(b"y")
            os.link(top + b"/locked/file", top + b"/linked"); later.append((top + b"/locked/file", "f")); locked.append(top + b"/linked")
            os.chown(top + b"/changed", 1000, 1000)
            for path, kind in reversed([i for i in later if i[1] != "d"]): decorate(path, kind)
            for path, kind in [i for i in later if i[1] == "d"]: decorate(path, kind)
            # A directory's time is last, from the innermost on: decorating does not change its parent's.
            if flags and locked: subprocess.run([b"chattr", b"+i", b"--"] + locked, check=True)
            """#
        try run("python3", ["-c", script, path, String(next() % 1_000_000), hasFlags ? "1" : "0", isSmall ? "1" : "0"])
    }
}

/// A tree that was walked into a manifest, with the contents in memory: what `save` does, without a chain.
struct SavedTree {
    private(set) var entries: [TreeEntry] = []
    private(set) var leftOut: [(path: [UInt8], reason: TreeWalk.LeftOut)] = []
    private(set) var contents: [[UInt8]: [UInt8]] = [:]
    private(set) var text: [UInt8] = []

    var paths: [String] { entries.map { String(decoding: $0.path.bytes, as: UTF8.self) } }

    init(_ top: String, options: TreeWalk.Options = TreeWalk.Options()) throws {
        let walk = try TreeWalk(Array(top.utf8), options: options)
        var names = ChainNames(top: try walk.topNames(), seed: (1, 2))
        var groups: [UInt64: [UInt8]] = [:]
        while let event = walk.next() {
            switch event {
            case .leftOut(let path, let reason): leftOut.append((path, reason))
            case .entry(var entry, let descriptor, let isRepeated):
                if entry.kind == .regular {
                    let name = isRepeated ? groups[try #require(entry.linkGroup)] : names.name(of: entry.path)
                    let chainName = try #require(name)
                    if let group = entry.linkGroup { groups[group] = chainName }
                    entry.contents = chainName
                    if !isRepeated { contents[chainName] = try Self.read(descriptor, try #require(entry.size)) }
                    entry.linkGroup = nil
                }
                entries.append(entry)
            }
        }
        let collected = Collected()
        var writer = ManifestWriter(Provenance()) { collected.bytes += $0 }
        for entry in entries { writer.write(entry) }
        writer.finish()
        text = collected.bytes
    }

    private final class Collected { var bytes: [UInt8] = [] }

    private static func read(_ number: Int32, _ size: UInt64) throws -> [UInt8] {
        let file = FileDescriptor(adopting: pv_duplicate(number), path: [])
        var bytes = [UInt8](repeating: 0, count: Int(size))
        let count = try bytes.withUnsafeMutableBytes { try file.read(at: 0, into: $0) }
        try #require(count == bytes.count)
        return bytes
    }

    /// What a mounted chain looks like.
    func storeFlat(in directory: String) throws {
        try run("mkdir", [directory])
        let flat = try Directory(Array(directory.utf8))
        for (name, bytes) in contents {
            let file = try flat.createTemporary()
            try file.write(bytes, at: 0)
            try flat.rename(file.path, to: name, replace: false)
        }
        let file = try flat.createTemporary()
        try file.write(text, at: 0)
        try flat.rename(file.path, to: Array(".pram-manifest.mtree".utf8), replace: false)
    }

    @discardableResult func restore(
        to target: String, isByComponents: Bool, adoptingFrom staging: String? = nil
    ) throws -> [TreeShortfall] {
        var options = TreeWriter.Options()
        options.isByComponents = isByComponents
        options.makesDevices = true
        options.keepsSpecialBits = true
        return try restore(to: target, options, adoptingFrom: staging)
    }

    @discardableResult func restore(to target: String, adoptingFrom staging: String? = nil) throws -> [TreeShortfall] {
        try restore(to: target, isByComponents: false, adoptingFrom: staging)
    }

    @discardableResult func restore(
        to target: String, _ options: TreeWriter.Options, adoptingFrom staging: String? = nil
    ) throws -> [TreeShortfall] {
        let result = try Restored(text, contents, to: target, options, adoptingFrom: staging)
        try #require(result.findings == [])
        if let failure = result.failures.first { throw failure }
        return result.shortfalls
    }
}

/// A manifest that was read and followed: what `extract` does.
final class Restored {
    private(set) var findings: [ManifestFinding] = []
    private(set) var failures: [SystemError] = []
    private(set) var shortfalls: [TreeShortfall] = []
    private var first: [[UInt8]: TreePath] = [:]
    private var firstOfGroup: [UInt64: TreePath] = [:]

    init(
        _ text: [UInt8], _ contents: [[UInt8]: [UInt8]], to target: String, _ options: TreeWriter.Options,
        adoptingFrom staging: String? = nil
    ) throws {
        let fallen = Fallen()
        let writer = try TreeWriter(Array(target.utf8), options: options) { fallen.list.append($0) }
        let directory = try staging.map { try Opened($0) }
        var parser = ManifestParser()
        func take(_ event: ManifestParser.Event) {
            switch event {
            case .finding(let finding): findings.append(finding)
            case .entry(let entry):
                do {
                    try place(entry, writer, contents, directory?.number)
                } catch {
                    failures.append(error as! SystemError)
                }
            }
        }
        for start in stride(from: 0, to: text.count, by: 3000) {
            parser.read(text[start..<min(text.count, start + 3000)], take)
        }
        parser.finish(take)
        try writer.finish()
        shortfalls = fallen.list
    }

    private final class Fallen { var list: [TreeShortfall] = [] }

    private final class Opened {
        let number: Int32
        init(_ path: String) throws {
            number = withCString(Array(path.utf8)) { pv_openat(AT_FDCWD, $0, O_RDONLY | O_DIRECTORY, 0) }
            try #require(number >= 0)
        }
        deinit { close(number) }
    }

    private func place(
        _ entry: TreeEntry, _ writer: TreeWriter, _ contents: [[UInt8]: [UInt8]], _ staging: Int32?
    ) throws {
        switch entry.kind {
        case .directory: try writer.makeDirectory(entry)
        case .regular:
            let name = entry.contents ?? Array(entry.path.name)
            if entry.links ?? 1 > 1, let old = first[name] { return try writer.link(entry, to: old) }
            if let staging {
                try writer.adoptFile(entry, name, from: staging)
            } else {
                let made = try writer.makeFile(entry)
                try made.file.write(contents[name] ?? [], at: 0)
                try writer.complete(made)
            }
            first[name] = entry.path
        default:
            if let group = entry.linkGroup, let old = firstOfGroup[group] { return try writer.link(entry, to: old) }
            try writer.makeSpecial(entry)
            if let group = entry.linkGroup { firstOfGroup[group] = entry.path }
        }
    }
}
