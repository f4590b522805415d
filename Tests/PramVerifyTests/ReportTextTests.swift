import Testing

@testable import PRAM
@testable import PramVerify

@Suite struct ReportTextTests {
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
        var report = Report(command: "check")
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
