import Dispatch
import Foundation
import Synchronization

/// SIGINT, SIGTERM and SIGHUP as something to wait for.
///
/// From its making on these signals no longer end the process. A second one while the stop is under way is ignored: the stop has limits of its own.
final class StopSignal: Sendable {
    private struct State {
        var arrived = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())
    /// Kept alive for their handlers, and never touched after `init`: the reason for `nonisolated(unsafe)`.
    private nonisolated(unsafe) let sources: [any DispatchSourceSignal]

    init() {
        let queue = DispatchQueue(label: "stop signals")
        sources = [SIGINT, SIGTERM, SIGHUP].map { number in
            Foundation.signal(number, SIG_IGN)
            return DispatchSource.makeSignalSource(signal: number, queue: queue)
        }
        for source in sources {
            source.setEventHandler { [weak self] in self?.arrive() }
            source.resume()
        }
    }

    private func arrive() {
        let waiters = state.withLock { state in
            state.arrived = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Runs `work` to its end, or cancels it when a signal comes first and then throws `CancellationError`.
    func race<Value: Sendable>(_ work: @escaping @Sendable () async throws -> Value) async throws -> Value {
        let task = Task(operation: work)
        let watch = Task {
            await wait()
            task.cancel()
        }
        defer { watch.cancel() }
        let result = await task.result
        if state.withLock({ $0.arrived }) { throw CancellationError() }
        return try result.get()
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let arrived = state.withLock { state in
                if !state.arrived { state.waiters.append(continuation) }
                return state.arrived
            }
            if arrived { continuation.resume() }
        }
    }
}
