import CLinux
import Testing

@testable import PRAM
@testable import PramVerify

@Suite struct ReportTextTests {
    @Test(
        arguments: [
            (0, "0 bytes"), (1, "1 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (1536, "1.5 KiB"),
            (1024 * 1024 - 1, "1023.9 KiB"),
            (1 << 20, "1.0 MiB"), (5 << 30, "5.0 GiB"), (1 << 40, "1.0 TiB"), (1 << 50, "1.0 PiB"),
            (1 << 60, "1.0 EiB"),
            (.max, "15.9 EiB"),
        ] as [(UInt64, String)])
    func byteCounts(_ bytes: UInt64, _ text: String) { #expect(TextReport.byteCount(bytes) == text) }

    @Test func nounsAgreeWithTheirNumber() {
        #expect(TextReport.counted(0, "link") == "0 links")
        #expect(TextReport.counted(1, "link") == "1 link")
        #expect(TextReport.counted(2, "link") == "2 links")
        #expect(TextReport.counted(1, "entry") == "1 entry")
        #expect(TextReport.counted(2, "entry") == "2 entries")
    }

    @Test(
        arguments: [
            (0o100644, "-rw-r--r--"), (0o100000, "----------"), (0o100777, "-rwxrwxrwx"), (0o104755, "-rwsr-xr-x"),
            (0o104644, "-rwSr--r--"), (0o102755, "-rwxr-sr-x"), (0o102644, "-rw-r-Sr--"), (0o101777, "-rwxrwxrwt"),
            (0o101776, "-rwxrwxrwT"), (0o040755, "?rwxr-xr-x"), (0, "?---------"),
        ] as [(UInt32, String)])
    func modesAsLsShowsThem(_ mode: UInt32, _ text: String) { #expect(FileList.modeText(mode) == text) }

    @Test(
        arguments: [
            (0o100644, "0100644"), (0, "0000000"), (0o107777, "0107777"), (0o7777777, "7777777"), (.max, "37777777777"),
        ] as [(UInt32, String)])
    func modesInOctal(_ mode: UInt32, _ text: String) { #expect(JSONReport.octalMode(mode) == text) }

    @Test func everyFindingHasAKindAndASentenceOfItsOwn() {
        var report = Report(command: .check)
        report.head = nil
        var names: Set<String> = []
        for kind in Finding.Kind.allCases {
            let name = "\(kind.name)"
            #expect(names.insert(name).inserted)
            #expect(name.utf8.allSatisfy { $0 >= 0x61 && $0 <= 0x7a || $0 == 0x2d }, "\(name) is not in kebab case")
            // Its sentence is the command line's own.
            if kind == .malformedParameter { continue }
            let sentence = report.sentence(for: Finding(kind, link: 1, entry: 2, page: PFN(3), detail: 4)).text
            #expect(!sentence.isEmpty)
            #expect(!sentence.hasSuffix("."))
        }
    }
}

@Suite struct InvocationTests {
    /// Takes a call apart as the program does, from words of C. Never freed: getopt_long remembers where it was.
    private func invocation(_ words: String...) throws -> Invocation {
        var pointers: [UnsafeMutablePointer<CChar>?] = (["pram-verify"] + words).map { strdup($0) }
        pointers.append(nil)
        return try pointers.withUnsafeMutableBufferPointer { try Invocation(Int32(words.count + 1), $0.baseAddress!) }
    }

    private func refusal(_ words: String...) -> String? {
        var pointers: [UnsafeMutablePointer<CChar>?] = (["pram-verify"] + words).map { strdup($0) }
        pointers.append(nil)
        return pointers.withUnsafeMutableBufferPointer {
            do throws(UsageError) {
                _ = try Invocation(Int32(words.count + 1), $0.baseAddress!)
                return nil
            } catch {
                return error.message
            }
        }
    }

    // getopt_long keeps its place in global variables, so all calls stand in one test: those of a suite run at once.
    @Test func calls() throws {
        #expect(try invocation().command == .check)
        #expect(try invocation("list").command == .list)
        let extract = try invocation("--force", "extract", "--memory=/m", "dir", "--pfn", "1f", "--", "--name", "b")
        #expect(extract.command == .extract)
        #expect(extract.operands == ["dir", "--name", "b"].map { Array($0.utf8) })
        #expect(extract[.memory] == Array("/m".utf8))
        #expect(extract[.pfn] == Array("1f".utf8))
        #expect(extract.has(.force))
        #expect(!extract.has(.json))
        // The last one counts, as with other programs.
        #expect(try invocation("--pfn=1", "--pfn=2")[.pfn] == [0x32])
        #expect(try invocation("-h").has(.help))
        #expect(try invocation("--vers").has(.version))

        #expect(refusal("--no-such") != nil)
        #expect(refusal("-x") != nil)
        #expect(refusal("--memory") != nil)
        #expect(refusal("--json=yes") != nil)
        #expect(refusal("destroy") != nil)
        #expect(refusal("") != nil)
        #expect(refusal("--c=1") != nil)  // --cmdline or --cmdline-file
        #expect(refusal("--force") != nil)
        #expect(refusal("list", "--links-only") != nil)
        #expect(refusal("check", "--damaged") != nil)
        // What a message repeats from the call is escaped.
        #expect(refusal("--no-such\u{1b}[2J")?.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f } == true)
        #expect(refusal("destroy\n")?.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f } == true)
    }

    @Test func helpNamesEveryCommandAndOption() {
        let lines = Usage.help.split(separator: "\n").map(String.init)
        for command in Command.allCases {
            #expect(lines.contains { $0.hasPrefix("  pram-verify \(command.name) ") }, "\(command.name)")
            #expect(lines.contains { $0.hasPrefix("  \(command.name) ") && $0.hasSuffix("\(command.summary)") })
        }
        for option in Option.allCases {
            let word = "--\(option.name)" + (option.argument.map { "=\($0)" } ?? "")
            #expect(lines.contains { $0.hasPrefix("  \(word) ") && $0.hasSuffix(" \(option.summary)") }, "\(word)")
        }
        for status in ["0 intact", "4 damaged", "8 could not look", "16 wrong usage"] {
            #expect(Usage.help.contains(status))
        }
        #expect(lines.allSatisfy { $0.utf8.count <= 100 })
    }

    @Test func optionsHaveNamesOfTheirOwn() {
        #expect(Set(Option.allCases.map { "\($0.name)" }).count == Option.allCases.count)
        #expect(Set(Command.allCases.map { "\($0.name)" }).count == Command.allCases.count)
        for option in Option.allCases { #expect(!option.commands.isEmpty) }
    }
}
