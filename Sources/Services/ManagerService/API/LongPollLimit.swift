internal import ServiceLifecycle
internal import Synchronization

/// How many requests may wait for a newer catalog at a time.
final class LongPollLimit: Sendable {
    static let waitersMax = 1000
    private let waitersMax: Int
    private let count = Mutex(0)

    init(waitersMax: Int = waitersMax) { self.waitersMax = waitersMax }

    func enter() -> Bool {
        count.withLock { count in
            guard count < waitersMax else { return false }
            count += 1
            return true
        }
    }
    func leave() { count.withLock { $0 -= 1 } }
}

enum ShutdownAware {
    /// What `operation` gives, or nil when the time is over or a graceful shutdown begins first; then it is cancelled.
    static func value<Value: Sendable>(
        within limit: Duration, _ operation: @escaping @Sendable () async -> Value?
    ) async -> Value? {
        await withTaskGroup(of: Value?.self) { group in
            group.addTask { await cancelWhenGracefulShutdown { await operation() } }
            group.addTask {
                try? await Task.sleep(for: limit)
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
    }
}
