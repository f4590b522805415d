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

    /// Whoever starts the program may have SIGCHLD ignored: then the kernel keeps no status of a child.
    @Test func aKilledChildHasNotEndedWell() {
        let before = signal(SIGCHLD, SIG_IGN)
        defer { signal(SIGCHLD, before) }
        let outcome = runSupervised(milliseconds: 10_000) {
            kill(getpid(), SIGKILL)
            return 0
        }
        guard case .killed(let number) = outcome, number == SIGKILL else { return wrong(outcome) }
        guard case .ended(5) = runSupervised(milliseconds: 10_000, { 5 }) else { return wrong("it did not end") }
    }

    @Test func whatWaitpidCannotTellIsToldByThePipe() {
        FaultInjection.with([.failFrom(.waitpid, 0, ECHILD)]) { _ in
            let outcome = runSupervised(milliseconds: 10_000) {
                kill(getpid(), SIGKILL)
                return 0
            }
            guard case .killed = outcome else { return wrong(outcome) }
            guard case .ended(6) = runSupervised(milliseconds: 10_000, { 6 }) else {
                return wrong("it did not end")
            }
        }
    }

    @Test func aBodyThatLeavesByAnotherWayHasNotEnded() {
        let outcome = runSupervised(milliseconds: 10_000) { _exit(0) }
        guard case .killed(0) = outcome else { return wrong(outcome) }
    }

    @Test func whatCannotBeStartedIsNotStarted() {
        for (kind, code) in [(SystemCalls.Kind.pipe, EMFILE), (.fork, EAGAIN), (.fork, ENOMEM)] {
            FaultInjection.with([.fail(kind, 0, code)]) { _ in
                let outcome = runSupervised(milliseconds: 1000) { 0 }
                guard case .notStarted = outcome else { return wrong(outcome) }
            }
        }
    }

    @Test func aSignalDoesNotEndTheWaiting() {
        FaultInjection.with([.fail(.poll, 0, EINTR), .fail(.waitpid, 0, EINTR), .fail(.read, 0, EINTR)]) { faults in
            let outcome = runSupervised(milliseconds: 10_000) { 9 }
            guard case .ended(9) = outcome else { return wrong(outcome) }
            #expect(faults.injected == 3)
        }
    }
}

/// Records an issue; for the way out of a `guard`.
func wrong(_ what: some Any) { Issue.record("\(what)") }
