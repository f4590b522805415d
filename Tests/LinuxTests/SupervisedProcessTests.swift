import Foundation
import Testing

@testable import Linux

/// Serialized: each of these forks.
@Suite(.serialized) struct SupervisedProcessTests {
    @Test func theResultComesBack() {
        guard case .ended(let result) = runSupervised(milliseconds: 10_000, { 7 }) else {
            Issue.record("it did not end")
            return
        }
        #expect(result == 7)
    }

    @Test func aSignalIsNamed() {
        let outcome = runSupervised(milliseconds: 10_000) {
            kill(getpid(), SIGKILL)
            return 0
        }
        guard case .killed(let signal) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(signal == SIGKILL)
    }

    @Test func whatHangsIsLeftBehindInTime() {
        let started = monotonicNanoseconds()
        let outcome = runSupervised(milliseconds: 200) {
            sleep(60)
            return 0
        }
        guard case .late = outcome else {
            Issue.record("\(outcome)")
            return
        }
        let elapsed = monotonicNanoseconds() - started
        #expect(elapsed >= 200_000_000 && elapsed < 5_000_000_000)
    }
}
