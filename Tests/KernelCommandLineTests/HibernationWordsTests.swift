import KernelCommandLine
import Testing

/// Which words keep a hibernated system from coming back, and from whom.
@Suite struct HibernationWordsTests {
    private func words(_ text: String, _ disk: HibernationWords.DiskFile = .unknown) -> HibernationWords {
        HibernationWords(line(text), disk: disk)
    }

    @Test(arguments: [
        "nohibernate", "quiet nohibernate resume=/dev/sda2", "nohibernate=0", "\"nohibernate\"", "hibernate=no",
        "hibernate=nope", "hibernate=\"no\"", "noresume nohibernate", "hibernate=noresume hibernate=no",
    ])
    func theKernelCannot(_ text: String) {
        guard case .impossible(.parameter(let place)) = words(text) else {
            Issue.record("\(text): \(words(text))")
            return
        }
        #expect(!place.isEmpty && place.upperBound <= text.utf8.count)
    }

    @Test(arguments: ["noresume", "quiet noresume", "noresume -- x", "a\tnoresume\tb", "hibernate=noresume noresume"])
    func nobodyTries(_ text: String) { #expect(words(text) == .stopped) }

    @Test(arguments: [
        ("noresume=1", 0..<10), ("\"noresume\"", 0..<10), ("x hibernate=noresume", 2..<20), ("noresumes", 0..<9),
        ("hibernate=noresumes", 0..<19), ("noresume=1 -- y", 0..<10),
    ])
    func theInitramfsTries(_ text: String, _ place: Range<Int>) {
        #expect(words(text) == .stoppedInKernelAlone(place))
    }

    @Test(arguments: [
        "", "resume=/dev/sda2", "hibernate=nocompress", "hibernate=protect_image", "hibernate", "xnoresume",
        "resume=noresume", "-- noresume", "-- nohibernate", "init=\"/bin/a noresume b\"", "hibernate.noresume=1",
        "Noresume", "hibernate=yes",
    ])
    func nothingStopsIt(_ text: String) { #expect(words(text) == .open) }

    @Test func theKernelsOwnWord() {
        #expect(words("resume=/dev/sda2", .missing) == .impossible(.notBuilt))
        #expect(words("", .contents(latin1("[disabled]\n"))) == .impossible(.disabled))
        let available = HibernationWords.DiskFile.contents(latin1("[platform] shutdown reboot suspend test_resume \n"))
        #expect(words("", available) == .open)
        #expect(words("noresume", available) == .stopped)
        #expect(words("hibernate=noresume", available) == .stoppedInKernelAlone(0..<18))
        // The line of another boot may say more than this kernel does.
        #expect(words("nohibernate", available) == .impossible(.parameter(0..<11)))
        #expect(words("", .contents([])) == .open)
    }

    @Test func anyLineIsTaken() {
        var random = SeededGenerator(state: 5)
        for _ in 0..<3000 { _ = HibernationWords(ParameterLine(random.line()), disk: .unknown) }
    }
}
