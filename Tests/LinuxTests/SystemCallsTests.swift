import Foundation
import Testing

@testable import Linux

/// Swift source without comments and without what stands between quotes; interpolations go with their literal.
private func bare(_ source: String) -> String {
    var text: [Character] = []
    var depth = 0
    let characters = Array(source)
    var place = 0
    func at(_ offset: Int) -> Character { place + offset < characters.count ? characters[place + offset] : "\n" }
    while place < characters.count {
        if depth > 0 || at(0) == "/" && at(1) == "*" {
            if at(0) == "/" && at(1) == "*" {
                depth += 1
                place += 2
            } else if at(0) == "*" && at(1) == "/" {
                depth -= 1
                place += 2
            } else {
                place += 1
            }
        } else if at(0) == "/" && at(1) == "/" {
            while place < characters.count && characters[place] != "\n" { place += 1 }
        } else if at(0) == "\"" {
            place += 1
            while place < characters.count && characters[place] != "\"" && characters[place] != "\n" {
                place += characters[place] == "\\" ? 2 : 1
            }
            place += 1
            text.append("\"")
        } else {
            text.append(characters[place])
            place += 1
        }
    }
    return String(text)
}

/// What a source file has to do with the C module of the system: names it should not know.
///
/// A call is a name that is followed by a parenthesis and is no member. Whatever of that kind starts with a small letter
/// and is declared nowhere in the project (`declared`) and not by Swift (`known`) comes from C. Names that both the
/// system and the project have (`read`, `open`) are allowed to those files that declare them, or get them from a
/// protocol or a captured function (`declared` in the same file).
private func violations(_ source: String, declared: Set<String>, allowed: Set<String>) -> Set<String> {
    let text = bare(source)
    var found: Set<String> = []
    let importsIt = text.contains(#/import CLinux\b/#)
    let own = declarations(text)
    for match in text.matches(of: #/([.\w`]?)\b([a-z_][A-Za-z0-9_]*)\(/#) {
        let name = String(match.2)
        guard match.1.isEmpty, !isDeclaration(text, match.range.lowerBound), !allowed.contains(name) else { continue }
        if SystemNames.calls.contains(name) {
            if importsIt && !own.contains(name) { found.insert(name) }
        } else if !declared.contains(name) && !SystemNames.swift.contains(name) {
            found.insert(name)
        }
    }
    for match in text.matches(of: #/\b(CLinux\.\w+|pv_[a-z0-9_]+)/#) where !allowed.contains(String(match.1)) {
        found.insert(String(match.1))
    }
    for match in text.matches(of: #/\b(stat|statfs|iovec|off_t|mode_t|timespec|sigaction|pollfd|pthread_\w+)\b/#)
    where importsIt && !allowed.contains(String(match.1)) {
        found.insert(String(match.1))
    }
    return found
}

/// Names that a file declares: functions, values, parameters, cases.
private func declarations(_ text: String) -> Set<String> {
    var names = Set(text.matches(of: #/\b(?:func|let|var|case|init|macro)\s+`?(\w+)/#).map { String($0.1) })
    names.formUnion(text.matches(of: #/\b(\w+)\s*:\s*(?:@\w+\s+)*\(/#).map { String($0.1) })
    return names
}

/// Whether `func ` stands before a place.
private func isDeclaration(_ text: String, _ place: String.Index) -> Bool {
    text[..<place].suffix(12).contains(#/(func|macro|case)\s+$/#)
}

private enum SystemNames {
    /// Calls of the system with names that a project may have, too.
    static let calls: Set<String> = [
        "read", "write", "open", "close", "stat", "link", "unlink", "rename", "time", "poll", "pipe", "dup", "kill",
        "sync", "truncate", "remove", "select", "send", "exit", "lock", "wait", "signal", "pause", "access", "sleep",
    ]
    /// What Swift itself has.
    static let swift: Set<String> = [
        "if", "for", "while", "switch", "guard", "return", "in", "where", "throws", "catch", "init", "deinit", "case",
        "let", "var", "repeat", "is", "as", "try", "throw", "else", "inout", "borrowing", "consuming", "some", "any",
        "min", "max", "abs", "zip", "stride", "swap", "type", "precondition", "assert", "fatalError", "print", "map",
        "withUnsafeBytes", "withUnsafeMutableBytes", "withUnsafePointer", "withUnsafeMutablePointer", "repeatElement",
        "withUnsafeTemporaryAllocation", "withExtendedLifetime", "unsafeBitCast", "sequence", "super", "self",
        "subscript",
        "hasFeature", "get", "set", "private", "fileprivate", "public", "internal", "package", "unsafe", "nonisolated",
        "convention", "available", "inline", "unavailable", "willSet", "didSet", "defer", "do", "consume", "copy",
        "and", "loadUnaligned", "prefix", "elementsEqual", "_cdecl",
    ]
}

@Suite struct SystemCallsTests {
    private static let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Sources")

    /// Path below Sources, and text.
    private static func files() throws -> [(path: String, text: String)] {
        let root = sources.path
        var files: [(String, String)] = []
        for case let path as String in try #require(FileManager.default.enumerator(atPath: root))
        where path.hasSuffix(".swift") {
            files.append((path, try String(contentsOfFile: root + "/" + path, encoding: .utf8)))
        }
        return files.sorted { $0.0 < $1.0 }
    }

    /// Libraries that Compression and Verification call, the C kernels of PRAM and Parity, and the hooks' files: no calls
    /// of the system.
    private static let libraries: Set<String> = [
        "inflate", "inflateEnd", "inflateInit2_", "inflateInit_", "inflateReset", "zlibVersion", "uInt",
        "lzma_code", "lzma_end", "lzma_memusage", "lzma_stream", "lzma_stream_decoder", "z_stream", "lzma_ret",
        "deflate", "deflateEnd", "deflateInit2_", "lzma_alone_decoder",
        "pv_gf_combination", "pv_gf_combine", "pv_gf_factor", "pv_gf_make_factor",
        "pv_embedded", "pv_program_marker", "pv_init_top_script", "pv_init_top_order", "pv_udev_rules",
        "pv_systemd_unit", "pv_dracut_script", "pv_mkinitcpio_hook", "pv_commit", "pv_completion", "pv_completions",
        "pv_crc32c", "pv_crc32", "pv_page_batch", "pv_crc32c_pages", "pv_read_pages",
    ]

    /// In Linux itself, beside SystemCalls.swift: what is no call of the system, and what names no file or memory.
    private static let linux: [String: Set<String>] = [
        "Linux/BlockProbe.swift": [],
        "Linux/ChildProgram.swift": ["pv_was_killed", "pv_signal_of", "pv_exit_status_of"],
        "Linux/FileDescriptor.swift": ["stat", "iovec", "off_t"],
        "Linux/FileGrowth.swift": ["off_t"],
        "Linux/FileStatus.swift": ["stat"],
        "Linux/FileSystem.swift": ["off_t"],
        "Linux/Mapping.swift": ["off_t", "pv_guarded", "pv_guarded_copy", "pv_memory_fence"],
        "Linux/PathResolution.swift": ["stat"],
        "Linux/OptionScanner.swift": [
            "getopt_long", "option", "pv_optarg", "pv_optind", "pv_restart_options", "strlen",
        ],
        "Linux/SupervisedProcess.swift": ["pv_was_killed", "pv_signal_of"],
        "Linux/SystemError.swift": ["strerror"],
        "Linux/Threads.swift": [
            "pthread_t", "pthread_mutex_t", "pthread_cond_t", "pthread_mutex_init", "pthread_cond_init",
            "pthread_cond_destroy", "pthread_mutex_destroy", "pthread_mutex_lock", "pthread_mutex_unlock",
            "pthread_cond_wait", "pthread_cond_broadcast",
        ],
        "Linux/TreeWalk.swift": ["pv_matches"],
        "Linux/Zeros.swift": ["pv_are_equal"],
    ]

    @Test func `only SystemCalls calls the system`() throws {
        let files = try Self.files()
        try #require(files.count > 60)
        var declared: Set<String> = []
        for file in files { declared.formUnion(declarations(bare(file.text))) }
        for file in files where file.path != "Linux/SystemCalls.swift" {
            let isLinux = file.path.hasPrefix("Linux/")
            var allowed = Self.libraries
            if isLinux { allowed.formUnion(Self.linux[file.path] ?? []) }
            var found = violations(file.text, declared: declared, allowed: allowed)
            if isLinux { found = found.filter { !$0.hasPrefix("blkid_") } }
            #expect(found.isEmpty, "\(file.path): \(found.sorted().joined(separator: " "))")
        }
    }

    @Test func `the scan finds what it is for`() {
        func found(_ source: String, _ declared: Set<String> = []) -> [String] {
            violations(source, declared: declared, allowed: Self.libraries).sorted()
        }
        #expect(found("import CLinux\nlet a = getrandom(p, 8, 0)") == ["getrandom"])
        #expect(found("import CLinux\nlet a = read(3, p, 8)") == ["read"])
        #expect(found("import CLinux\nfunc read(_ a: Int) {}\nlet a = read(3)") == [])
        #expect(found("func f() { usleep(5) }") == ["usleep"])
        #expect(found("let a = CLinux.open(path)") == ["CLinux.open"])
        #expect(found("if pv_errno() == 5 {}").contains("pv_errno"))
        #expect(found("import CLinux\nvar s: stat") == ["stat"])
        #expect(found("import CLinux\nlet flags = O_RDONLY | O_CREAT; let c = EIO") == [])
        #expect(found("// getrandom(p)\n/* usleep(1) /* */ */ let a = \"fsync(3)\"") == [])
        #expect(found("file.fsync(3); let x = mine(4)", ["mine"]) == [])
    }
}
