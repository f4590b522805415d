import CLinux

/// A thread of its own. `join` it before what it uses goes away.
public struct Thread: ~Copyable {
    private let handle: UInt

    /// - Throws: EAGAIN where the system allows no further thread.
    public init(_ body: @escaping () -> Void) throws(SystemError) {
        var handle: UInt = 0
        let box = Unmanaged.passRetained(Body(body))
        let answer = SystemCalls.createThread(&handle, runThread, box.toOpaque())
        guard !answer.failed else {
            box.release()
            throw SystemError("pthread_create", code: answer.code)
        }
        self.handle = handle
    }

    public consuming func join() { SystemCalls.joinThread(handle) }
}

private final class Body {
    let call: () -> Void
    #if hasFeature(Embedded)
        init(_ call: @escaping () -> Void) { self.call = call }
    #else
        /// Faults that a test has armed go with the thread.
        init(_ call: @escaping () -> Void) {
            let faults = FaultInjection.current
            self.call = { FaultInjection.$current.withValue(faults) { call() } }
        }
    #endif
}

private func runThread(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    Unmanaged<Body>.fromOpaque(context!).takeRetainedValue().call()
    return nil
}

/// A mutex with one condition variable: whoever changes what is guarded calls `announce`, whoever waits looks again.
public final class Monitor {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    public init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    public func lock() { pthread_mutex_lock(mutex) }
    public func unlock() { pthread_mutex_unlock(mutex) }
    /// Only while locked: lets go of the lock until somebody announces a change.
    public func wait() { pthread_cond_wait(condition, mutex) }
    public func announce() { pthread_cond_broadcast(condition) }
}

/// How many processors this process may run on; at least 1.
public func processorCount() -> Int { SystemCalls.processorCount() }

/// How often the calling thread has touched a page that was not in the page tables, so far.
public func pageFaultCount() -> Int { SystemCalls.pageFaultCount() }
