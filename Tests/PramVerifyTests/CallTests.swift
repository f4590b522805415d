import CLinux
import PRAM
import Testing

@testable import PramVerify

@Suite struct CallTests {
    /// Takes a call apart as the program does, from words of C. Never freed: getopt_long remembers where it was.
    private func call(_ words: String...) throws -> Call {
        var pointers: [UnsafeMutablePointer<CChar>?] = (["pram-verify"] + words).map { strdup($0) }
        pointers.append(nil)
        return try pointers.withUnsafeMutableBufferPointer { try Call(Int32(words.count + 1), $0.baseAddress!) }
    }

    @Test func theHeadByOption() throws {
        let head = try Head.find(call("check", "--pfn=10"), live: false)
        #expect(head.page == PFN(0x10) && head.origin == .option)
        // As on a command line: 0 names no chain.
        #expect(try Head.find(call("check", "--pfn=0"), live: false).page == nil)
        #expect(throws: (any Error).self) { try Head.find(call("check", "--pfn=x"), live: false) }
        let word = try Head.find(call("check", "--cmdline=ro pram=2f0 quiet"), live: false)
        #expect(word.page == PFN(0x2f0) && word.origin == .commandLineText)
    }

    private func refusal(_ words: String...) -> String? {
        var pointers: [UnsafeMutablePointer<CChar>?] = (["pram-verify"] + words).map { strdup($0) }
        pointers.append(nil)
        return pointers.withUnsafeMutableBufferPointer {
            do throws(UsageError) {
                _ = try Call(Int32(words.count + 1), $0.baseAddress!)
                return nil
            } catch {
                return error.message
            }
        }
    }

    // getopt_long keeps its place in global variables, so all calls stand in one test: those of a suite run at once.
    @Test func calls() throws {
        #expect("\(try call().command.name)" == "check")
        #expect("\(try call("list").command.name)" == "list")
        let extract = try call("--force", "extract", "--memory=/m", "dir", "--pfn", "1f", "--", "--name", "b")
        #expect("\(extract.command.name)" == "extract")
        #expect(extract.operands == ["dir", "--name", "b"].map { Array($0.utf8) })
        #expect(extract[.memory] == Array("/m".utf8))
        #expect(extract[.pfn] == Array("1f".utf8))
        #expect(extract.has(.force))
        #expect(!extract.has(.json))
        // The last one counts, as with other programs.
        #expect(try call("--pfn=1", "--pfn=2")[.pfn] == [0x32])
        #expect(try call("-h").has(.help))
        #expect(try call("--vers").has(.version))

        // Two words, and letters with and without an argument.
        let extracting = try call("image", "extract", "-d", "to", "image.img", "--devices")
        #expect("\(extracting.command.name)" == "image extract")
        #expect(extracting.operands == [Array("image.img".utf8)])
        #expect(extracting[.directory] == Array("to".utf8))
        #expect(refusal("image", "list", "-lx") != nil)
        #expect(try call("-l", "image", "list", "i").has(.long))
        #expect(try call("image", "append", "-oout", "i")[.output] == Array("out".utf8))
        #expect(try call("image", "--help").group.map { "\($0.name)" } == "image")
        #expect(refusal("image")?.contains("list, check") == true)
        #expect(refusal("image", "lits")?.contains("did you mean image list?") == true)
        #expect(refusal("list", "-l") == "--long does not go with list")
        #expect(refusal("image", "append", "-o")?.contains("needs an argument") == true)

        // Whatever rules another one out is taken together with it by some command; else the pair is never looked at.
        for (one, others) in Call.exclusions {
            for other in others {
                #expect(
                    CommandEntry.all.contains { $0.options.contains(one) && $0.options.contains(other) },
                    "\(one.name) and \(other.name)")
            }
        }
        for (one, other) in Call.companions {
            #expect(CommandEntry.all.contains { $0.options.contains(one) && $0.options.contains(other) })
        }

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

    @Test func helpNamesEveryCommand() {
        let lines = Help.ofProgram.split(separator: "\n").map(String.init)
        for command in CommandEntry.all where !command.isInGroup {
            #expect(lines.contains { $0.hasPrefix("  \(command.name) ") }, "\(command.name)")
        }
        for group in CommandGroup.all {
            #expect(lines.contains { $0.hasPrefix("  \(group.name) ") }, "\(group.name)")
            let rows = Help.of(group).split(separator: "\n").map(String.init)
            for command in group.commands {
                #expect(rows.contains { $0.hasPrefix("  \(command.name) ") }, "\(command.name)")
            }
            #expect(group.commands.map { "\($0.name)" } == group.words.map { "\(group.name) \($0)" })
            #expect("\(group.before)" == "\(group.name) ")
        }
        #expect(CommandGroup.all.reduce(0) { $0 + $1.commands.count } == CommandEntry.all.filter(\.isInGroup).count)
        for status in ["0 intact", "4 damaged", "8 could not look", "16 wrong usage"] {
            #expect(Help.ofProgram.contains(status))
        }
    }

    @Test(arguments: CommandEntry.all.map { "\($0.name)" })
    func theHelpOfACommandBeginsWithAnExampleAndFitsAScreen(_ name: String) throws {
        let command = try #require(CommandEntry.named(Array(name.utf8)))
        let lines = Help.of(command).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        #expect(lines[0] == "Example: pram-verify \(command.example)")
        #expect("\(command.example) ".hasPrefix("\(name) "))
        for option in command.options where option != .help && option != .version {
            let letter = option.letter.map { "-\(Character(UnicodeScalar($0))), " } ?? ""
            let word = "\(letter)--\(option.name)" + (option.argument.map { "=\($0)" } ?? "")
            #expect(lines.contains { $0 == "  \(word)" || $0.hasPrefix("  \(word) ") }, "\(word)")
        }
        #expect(lines.allSatisfy { $0.utf8.count < 80 })
        #expect(lines.count <= 36)
    }

    @Test func namesAreTheirOwn() {
        #expect(Set(Option.allCases.map { "\($0.name)" }).count == Option.allCases.count)
        #expect(Set(CommandEntry.all.map { "\($0.name)" }).count == CommandEntry.all.count)
    }

    @Test func everyOptionIsSomeCommandsAndNoCommandDeclaresOneTwice() {
        for option in Option.allCases {
            #expect(CommandEntry.all.contains { $0.options.contains(option) }, "\(option.name)")
        }
        for command in CommandEntry.all { #expect(Set(command.options).count == command.options.count) }
    }

    @Test func onlyCommandsThatSayThatTheyWriteGetMemoryToWrite() {
        for command in CommandEntry.all where !command.writes {
            var call = Call(Check.self)
            call.command = command
            call.set(.memory, Array("/no/such/image".utf8))
            #expect(throws: Failure.self) {
                _ = try WritingTarget.open(call, size: nil, base: 0, for: .clearing)
            }
            do throws(Failure) {
                _ = try WritingTarget.open(call, size: nil, base: 0, for: .clearing)
            } catch {
                guard case .usage = error else {
                    Issue.record("\(command.name) came as far as opening memory for writing")
                    continue
                }
            }
        }
    }
}

@Suite struct HeadTests {
    private let onTheLine = Head(origin: .procCmdline, page: PFN(0x10))

    @Test func whatTheKernelHoldsGoesBeforeTheLine() {
        let none = onTheLine.heeding(nil)
        #expect(none.page == PFN(0x10) && none.origin == .procCmdline && !none.isRefused)
        let held = onTheLine.heeding(0x20)
        #expect(held.page == PFN(0x20) && held.origin == .sysKernelPram && !held.isRefused)
    }

    /// What it has refused is looked at, and never handed on.
    @Test func aKernelThatHoldsNoneHasRefusedIt() {
        let refused = onTheLine.heeding(0)
        #expect(refused.page == PFN(0x10) && refused.origin == .procCmdline && refused.isRefused)
        #expect(!Head(origin: .procCmdline, page: nil).heeding(0).isRefused)
    }
}
