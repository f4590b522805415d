#if !hasFeature(Embedded)
    import CLinux

    /// Makes calls of the system fail, for tests: the n-th of a kind with an errno, or every one from there on, or short
    /// reads and writes. No part of the program that ships.
    ///
    /// The faults belong to the calling thread, and to those that it starts while they are armed: tests that run at the
    /// same time do not meet them.
    final class FaultInjection: @unchecked Sendable {
        @TaskLocal static var current: FaultInjection?

        struct Fault: Sendable {
            let kind: SystemCalls.Kind
            /// The first call that fails, counted from 0.
            let first: Int
            /// How many fail from there on.
            let count: Int
            let code: Int32

            /// The call number `number` of the kind, counted from 0, fails.
            static func fail(_ kind: SystemCalls.Kind, _ number: Int, _ code: Int32) -> Fault {
                Fault(kind: kind, first: number, count: 1, code: code)
            }

            /// From the call number `number` on, all of the kind fail.
            static func failFrom(_ kind: SystemCalls.Kind, _ number: Int, _ code: Int32) -> Fault {
                Fault(kind: kind, first: number, count: .max - number, code: code)
            }
        }

        private let faults: [Fault]
        private let short: [SystemCalls.Kind: Int]
        private let lock = Monitor()
        private var counts: [SystemCalls.Kind: Int] = [:]
        private var injectedCount = 0

        private init(_ faults: [Fault], _ short: [SystemCalls.Kind: Int]) {
            self.faults = faults
            self.short = short
        }

        /// How many calls of the kind were made while the faults were armed, failed ones included.
        func count(_ kind: SystemCalls.Kind) -> Int {
            lock.lock()
            defer { lock.unlock() }
            return counts[kind] ?? 0
        }

        /// How many calls were made to fail.
        var injected: Int {
            lock.lock()
            defer { lock.unlock() }
            return injectedCount
        }

        /// Runs the body with faults armed.
        /// - Parameter short: for kinds that move bytes (or vectors), how many a single call moves at most.
        static func with<Result>(
            _ faults: [Fault] = [], short: [SystemCalls.Kind: Int] = [:], _ body: (FaultInjection) throws -> Result
        ) rethrows -> Result {
            let injection = FaultInjection(faults, short)
            return try $current.withValue(injection) { try body(injection) }
        }

        /// The errno with which the next call of the kind fails; nil when it is made.
        static func next(_ kind: SystemCalls.Kind) -> Int32? { current?.take(kind) }

        static func shortened(_ kind: SystemCalls.Kind, _ count: Int) -> Int {
            guard let limit = current?.short[kind] else { return count }
            return min(limit, count)
        }

        private func take(_ kind: SystemCalls.Kind) -> Int32? {
            lock.lock()
            defer { lock.unlock() }
            let number = counts[kind] ?? 0
            counts[kind] = number + 1
            guard
                let fault = faults.first(where: {
                    $0.kind == kind && number - $0.first >= 0 && number - $0.first < $0.count
                })
            else { return nil }
            injectedCount += 1
            return fault.code
        }
    }
#endif
